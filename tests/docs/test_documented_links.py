"""What the documents point to is there: links and their headings, files, tests, commands."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from documents import CHECKOUT, anchor, documents, links

from cli.commands import _COMMANDS
from cli.demo import demo

PAGES = documents()
NAMES = [str(path.relative_to(CHECKOUT)) for path in PAGES]
_PACKAGES = ("agent", "bench", "bus", "cli", "demo", "docs", "sds", "simulation", "tests")
_FILE = re.compile(rf"`((?:{'|'.join(_PACKAGES)})/[\w/.-]*\w\.\w+)(?:::(\w+))?`")
_DIRECTORY = re.compile(rf"`((?:{'|'.join(_PACKAGES)})/(?:[\w.-]+/)*)`")
_PLANNED = {"tests/paper/"}  # fixed by the design; it comes with the first test of the paper's facts
_ORDER = re.compile(r"(?:\./|`)locum ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?")


def headings(page: Path) -> set[str]:
    return {anchor(title) for title in re.findall(r"^#+ +(.+?) *$", page.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page.read_text()):
        if re.match(r"[a-z]+://", target):
            continue
        name, _, heading = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), f"{page}: {target}: no such file"
        assert CHECKOUT in there.parents, f"{page}: {target}: outside the checkout"
        assert not heading or heading in headings(there), f"{page}: {target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_and_tests_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    for name, function in _FILE.findall(text):
        path = CHECKOUT / name
        assert path.is_file(), f"{page}: {name}"
        if function:
            functions = {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
            assert function in functions, f"{page}: {name} has no {function}"
    for name in set(_DIRECTORY.findall(text)) - _PLANNED:
        assert (CHECKOUT / name).is_dir(), f"{page}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_that_are_shown_exist(page: Path) -> None:
    for command, verb in _ORDER.findall(page.read_text()):
        assert command in _COMMANDS, f"{page}: there is no locum {command}"
        assert command != "demo" or not verb or verb in demo.commands, f"{page}: there is no locum demo {verb}"


def test_there_are_documents() -> None:
    """An empty search would find nothing wrong."""
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/protocol.md"} <= set(NAMES)
