"""The documents as the tests see them: sections, tables, blocks, links; and types in the words that the documents use."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from bus import values

CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"

_HEADING = re.compile(r"^(#+) +(.+?) *$")
_FENCE = re.compile(r"^```(\w*)")


def documents() -> list[Path]:
    """Every Markdown file that is ours; decisions are notes of their day, and may name what is gone."""
    found = [
        *CHECKOUT.glob("*.md"),
        CHECKOUT / "vagrant" / "README.md",
        *(path for path in DOCS.rglob("*.md") if "decisions" not in path.relative_to(DOCS).parts),
    ]
    return sorted(found)


def sections(text: str, level: int) -> dict[str, str]:
    """The text under each heading of this level, up to the next of this level or above, in order."""
    found: dict[str, list[str]] = {}
    title, fenced = "", False
    for line in text.splitlines():
        fenced ^= bool(_FENCE.match(line))
        heading = None if fenced else _HEADING.match(line)
        if heading and len(heading[1]) <= level:
            title = heading[2] if len(heading[1]) == level else ""
            assert title not in found, f"two sections are called {title!r}"
        elif title:
            found.setdefault(title, []).append(line)
        if heading and title and len(heading[1]) == level:
            found.setdefault(title, [])
    return {name: "\n".join(lines) for name, lines in found.items()}


def rows(text: str) -> list[tuple[str, ...]]:
    """The cells of all table rows in this text, headings and rulers apart."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [tuple(cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in lines]
    rulers = [index for index, row in enumerate(cells) if all(re.fullmatch(r":?-+:?", cell) for cell in row)]
    skipped = {*rulers, *(index - 1 for index in rulers)}
    return [row for index, row in enumerate(cells) if index not in skipped]


def plain(cell: str) -> str:
    """A cell without its back-quotes."""
    return cell.replace("`", "")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


class Field(NamedTuple):
    """One field of a struct, in the documents' words."""

    name: str
    kind: str
    default: str


_ALIASES: tuple[tuple[Any, str], ...] = (
    (values.Name, "name"),
    (values.Backup, "name, -nobody or -alone"),
    (values.Key, "key"),
    (values.Count, "number"),
    (values.Seconds, "s"),
    (values.Level, "0..1"),
    (values.Text, "text"),
    (values.Port, "port"),
    (values.OcfAgent, "text"),
    (values.Unit, "text"),
)


def fields(struct: type[msgspec.Struct]) -> list[Field]:
    """The struct's fields in its own order."""
    hints = get_type_hints(struct, include_extras=True)
    return [Field(f.name, kind(hints[f.name], f.name), _default(f)) for f in msgspec.structs.fields(struct)]


def kind(hint: Any, name: str = "") -> str:
    """A type in words, with its unit."""
    for alias, words in _ALIASES:
        if hint == alias:
            return words
    if name.endswith("_s"):
        return "s, whole" if int in (hint, *get_args(hint)) else "s"
    if name.endswith("_at"):
        return "instant"
    arguments, origin = get_args(hint), get_origin(hint)
    if origin is Annotated:
        return _bounded(arguments[0], arguments[1])
    if origin in (Union, types.UnionType):
        return " or ".join("none" if one is type(None) else kind(one) for one in arguments)
    if origin is Literal:
        return ", ".join(str(one) for one in arguments)
    if origin is tuple:
        return f"list of {kind(arguments[0])}"
    if origin is dict:
        return f"{kind(arguments[0])} to {kind(arguments[1])}"
    simple = {str: "text", int: "number", float: "number", bool: "yes or no", Any: "anything"}
    return simple[hint] if hint in simple else str(hint.__name__)


def _bounded(base: Any, meta: msgspec.Meta) -> str:
    if base is int and meta.ge is not None and meta.le is not None:
        return f"number, {meta.ge}..{meta.le}"
    return kind(base)


def _default(field: msgspec.structs.FieldInfo) -> str:
    """As TOML would write it; what the code makes of nothing is `none`."""
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory
        if value is msgspec.NODEFAULT:
            return "required"
        value = value()
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, dict | tuple | list):
        assert not value, "no document says how a default with content is written"
        return "{}" if isinstance(value, dict) else "[]"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) or "empty"


def links(text: str) -> Iterator[str]:
    """The targets of the inline links in a Markdown text."""
    for found in re.finditer(r"!?\[[^\]]*\]\(([^)\s]+)\)", prose(text)):
        yield found[1]


def anchor(heading: str) -> str:
    """What a link calls a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", plain(heading).lower()).replace(" ", "-")
