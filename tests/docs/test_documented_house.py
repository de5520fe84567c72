"""docs/architecture.md names every file of the house, and what it calls pure is so."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from documents import CHECKOUT, DOCS, plain, rows, sections

PAGE = (DOCS / "architecture.md").read_text()
HOUSE = [row for row in rows(sections(PAGE, 2)["The house"]) if row[0].startswith("`")]
PACKAGES = ("bus", "sds", "agent", "monitor", "cli", "demo", "simulation")
BED = "vagrant/bed"
PURE = [plain(name) for name, mark, _ in HOUSE if mark == "pure"]

VALUES_ONLY = {
    "__future__",
    "collections",
    "collections.abc",
    "difflib",
    "enum",
    "hashlib",
    "ipaddress",
    "math",
    "msgspec",
    "re",
    "tomllib",
    "typing",
}
"""Modules without sockets, clocks, stores, threads or chance.  `tomllib` and `re` work on text that they are given."""


def modules(path: Path) -> set[str]:
    """Everything that a file imports, by its full name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}: a relative import"
            inner = {f"{node.module}.{name.name}" for name in node.names}
            files = {name for name in inner if (CHECKOUT / (name.replace(".", "/") + ".py")).is_file()}
            found |= files or {node.module}
    return found


def test_every_file_has_its_line_and_every_line_its_file() -> None:
    files = [path for package in (*PACKAGES, BED) for path in (CHECKOUT / package).rglob("*.py") if path.name != "__init__.py"]
    there = {str(path.relative_to(CHECKOUT)) for path in files}
    named = [plain(name) for name, *_ in HOUSE]
    assert sorted(named) == sorted(there), f"only here: {sorted(set(named) - there)}; only there: {sorted(there - set(named))}"


def test_every_line_says_something() -> None:
    assert all(len(text) > 10 for *_, text in HOUSE)


@pytest.mark.parametrize("name", PURE)
def test_what_is_called_pure_imports_values_alone(name: str) -> None:
    foreign = {module for module in modules(CHECKOUT / name) if module not in VALUES_ONLY}
    impure = {module for module in foreign if module.replace(".", "/") + ".py" not in PURE}
    assert not impure, f"{name} imports {sorted(impure)}"


def test_the_machines_are_called_pure() -> None:
    machines = {"agent/guarding.py", "agent/duty.py", "agent/running.py", "agent/leash.py", "sds/description.py", "sds/witness.py"}
    assert machines <= set(PURE)


def test_imports_point_one_way() -> None:
    """bus <- sds, agent, monitor <- cli, demo, simulation; cli and demo may use each other, cli the simulation too."""
    allowed = {
        "bus": {"bus"},
        "sds": {"bus", "sds"},
        "agent": {"bus", "agent"},
        "monitor": {"bus", "monitor"},
        "simulation": {"bus", "sds", "agent", "simulation"},
        "cli": set(PACKAGES),
        "demo": set(PACKAGES) - {"simulation"},
    }
    for package, known in allowed.items():
        for path in (CHECKOUT / package).rglob("*.py"):
            ours = {module.split(".")[0] for module in modules(path)} & {*PACKAGES, "bench"}
            assert ours <= known, f"{path}: {sorted(ours - known)}"


def test_the_test_bed_is_apart() -> None:
    """It works on Locum as a user does, by its commands; and the hosts' parts run without anything installed."""
    for path in (CHECKOUT / BED).rglob("*.py"):
        assert not {module.split(".")[0] for module in modules(path)} & {*PACKAGES, "bench"}, path
    for name in ("init", "inside"):
        assert not {module for module in modules(CHECKOUT / BED / f"{name}.py") if module.startswith("vagrant")}, name
