"""The pure machines import nothing that touches the world, and imports point one way (section 8)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]

PURE = {
    "bus": "values messages wire config timeline explaining step promise table_copy addresses files_settings services",
    "sds": "table membership witness case succession clocks complaints moves priority description status naming admission departures",
    "agent": "lease holding standing_in takeover choosing channel duty guarding running leash surroundings leaving nameplate naming "
    "loadlevel hot preparing finishing manifest staging shelf shelf_events takeover_events ocf_codes doors",
    "monitor": "state answers changes wording sequence passages whatif verdict holders rows loads tally timeline view pace",
}
FILES = [Path(package) / f"{name}.py" for package, names in PURE.items() for name in names.split()]

HARMLESS = {
    "__future__",
    "collections",
    "collections.abc",
    "dataclasses",
    "difflib",  # suggests a key that was misspelt
    "enum",
    "hashlib",  # of bytes that it is given
    "ipaddress",  # of texts
    "math",
    "msgspec",
    "re",
    "tomllib",  # of a text that somebody else read
    "typing",
}
"""What a pure file may import, besides pure files: no socket, no clock, no store, no randomness, no loop."""

OURS_THAT_ARE_VALUES = {"sds.rows"}
"""Beside the machines: declarations only."""

WORLDLY = {"open", "input", "exec", "eval", "__import__", "id", "hash"}
"""Built-in functions whose answer is not a matter of the arguments alone."""

BELOW = {
    "bus": set(),
    "sds": {"bus"},
    "agent": {"bus"},
    "monitor": {"bus"},
    "cli": {"bus", "sds", "agent", "monitor", "demo", "simulation"},
    "demo": {"bus", "sds", "agent", "monitor", "cli"},
    "simulation": {"bus", "sds", "agent", "monitor"},
    "bench": {"bus", "sds", "agent", "monitor", "cli", "demo", "simulation"},
}
"""bus <- {sds, agent, monitor} <- {cli, demo, simulation, bench}; among the last, who starts whom."""


def imports(path: Path) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Line, module, and the names taken from it, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield node.lineno, node.module or "", tuple(alias.name for alias in node.names)


def modules(module: str, names: tuple[str, ...]) -> set[str]:
    """The modules that such an import loads: `from agent import channel` loads agent.channel."""
    below = {f"{module}.{name}" for name in names if (HOUSE / module.replace(".", "/") / f"{name}.py").exists()}
    return below or {module}


@pytest.mark.parametrize("file", FILES, ids=str)
def test_pure_file_imports_only_what_is_pure(file: Path) -> None:
    path = HOUSE / file
    if file == Path("monitor/view.py") and not path.exists():
        pytest.skip("there is no monitor yet")
    allowed = HARMLESS | OURS_THAT_ARE_VALUES | {".".join(pure.with_suffix("").parts) for pure in FILES}
    for line, module, names in imports(path):
        foreign = modules(module, names) - allowed
        assert not foreign, f"{file}:{line} imports {', '.join(sorted(foreign))}: a machine gets the world's news as events"


@pytest.mark.parametrize("file", [file for file in FILES if (HOUSE / file).exists()], ids=str)
def test_pure_file_calls_nothing_worldly(file: Path) -> None:
    for node in ast.walk(ast.parse((HOUSE / file).read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in WORLDLY, f"{file}:{node.lineno} calls {node.func.id}()"


@pytest.mark.parametrize("package", BELOW)
def test_imports_point_one_way(package: str) -> None:
    files = sorted((HOUSE / package).rglob("*.py"))
    if not files:
        pytest.skip(f"there is no {package} yet")
    for path in files:
        for line, module, _ in imports(path):
            top = module.split(".")[0]
            wrong = top in BELOW and top != package and top not in BELOW[package]
            assert not wrong, f"{path.relative_to(HOUSE)}:{line} imports {module}: {package} stands below {top}, or beside it"


def test_machines_named_by_the_design_are_all_checked() -> None:
    """Each file that calls itself a machine with one door is on the list."""
    doors = {
        path.relative_to(HOUSE)
        for package in ("sds", "agent")
        for path in (HOUSE / package).glob("*.py")
        if any(_is_door(node) for node in ast.walk(ast.parse(path.read_text())))
    }
    assert doors <= set(FILES), f"these have a `step(event, now)` but are not held to purity: {sorted(map(str, doors - set(FILES)))}"


def _is_door(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.FunctionDef)
        and [argument.arg for argument in node.args.args] == ["self", "event", "now"]
        and node.name == "step"
    )
