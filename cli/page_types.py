"""The types of the page's source, made of monitor/state.py: TypeScript interfaces, one for each Struct."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import inspect

from monitor import state

_HEAD = "// Made of monitor/state.py by `python cli/page.py . types`; not to be edited.\n"
_PLAIN: dict[Any, str] = {inspect.StrType: "string", inspect.IntType: "number", inspect.FloatType: "number", inspect.BoolType: "boolean"}


def written() -> str:
    """The whole text of monitor/web/src/state.ts."""
    found: dict[str, str] = {}
    for struct in state.ANSWERS.values():
        _interface(inspect.type_info(struct), found)
    return "\n".join([_HEAD, *found.values()])


def _interface(info: inspect.Type, found: dict[str, str]) -> str:
    """The name of this Struct's interface, which is added to `found` after those that it is made of."""
    assert isinstance(info, inspect.StructType)
    name = info.cls.__name__
    if name not in found:
        lines = [_field(field, found) for field in info.fields]
        said = re.sub(r"\s+", " ", (info.cls.__doc__ or "").strip())
        found[name] = f"/** {said} */\nexport interface {name} {{\n" + "".join(f"  {line};\n" for line in lines) + "}\n"
    return name


def _field(field: inspect.Field, found: dict[str, str]) -> str:
    """A field that may be left out is never null, since a default is not sent."""
    kind = _type(field.type, found)
    if not field.required:
        kind = kind.removesuffix(" | null")
    return f"readonly {field.encode_name}{'' if field.required else '?'}: {kind}"


def _type(info: inspect.Type, found: dict[str, str]) -> str:
    if isinstance(info, inspect.UnionType):
        kinds = [_type(kind, found) for kind in info.types]
        return " | ".join(sorted(kinds, key="null".__eq__))
    if isinstance(info, inspect.LiteralType):
        return " | ".join(msgspec.json.encode(value).decode() for value in info.values)
    if isinstance(info, inspect.VarTupleType):
        return f"readonly {_element(info.item_type, found)}[]"
    if isinstance(info, inspect.TupleType):
        return f"readonly [{', '.join(_type(kind, found) for kind in info.item_types)}]"
    if isinstance(info, inspect.DictType):
        return f"Readonly<Record<{_type(info.key_type, found)}, {_type(info.value_type, found)}>>"
    return _simple(info, found)


def _element(info: inspect.Type, found: dict[str, str]) -> str:
    kind = _type(info, found)
    return f"({kind})" if " " in kind else kind


def _simple(info: Any, found: dict[str, str]) -> str:
    if isinstance(info, inspect.NoneType):
        return "null"
    if isinstance(info, inspect.AnyType):
        return "unknown"
    return _PLAIN[type(info)] if type(info) in _PLAIN else _interface(info, found)
