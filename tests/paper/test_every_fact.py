"""Every fact of the paper has a test that quotes its number, or a line in docs/divergence.md that says how it stands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PAPER = Path(__file__).parent
DIVERGENCE = (PAPER.parents[1] / "docs" / "divergence.md").read_text()
FACTS = range(1, 26)
FIGURE_3 = range(26, 30)

_NUMBERS = re.compile(r"\bP(\d+)(?:(?:-| to )P?(\d+))?\b")


def numbers(text: str) -> set[int]:
    """The facts that a text names: P7, and all of P7-P9 or P7 to P9."""
    return {fact for found in _NUMBERS.finditer(text) for fact in range(int(found[1]), int(found[2] or found[1]) + 1)}


def docstrings() -> Iterator[tuple[str, str]]:
    """The docstrings of all tests of the paper, and of the files that hold them."""
    for path in sorted(PAPER.glob("test_*.py")):
        if path == Path(__file__):
            continue
        tree = ast.parse(path.read_text())
        tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        assert tests, f"{path.name} has no test"
        yield path.name, ast.get_docstring(tree) or ""
        yield from ((f"{path.name}::{test.name}", ast.get_docstring(test) or "") for test in tests)


TESTED = {fact for _, text in docstrings() for fact in numbers(text)}


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: f"P{fact}")
def test_fact_is_tested_or_accounted_for(fact: int) -> None:
    assert fact in TESTED or fact in numbers(DIVERGENCE), f"P{fact} stands in no test of tests/paper and not in docs/divergence.md"


def test_what_is_accounted_for_alone_is_said_to_be_missing() -> None:
    """A fact without a test is one that docs/divergence.md calls not there yet, or replaced."""
    missing = numbers(DIVERGENCE.partition("## What of the paper is not there yet")[2])
    replaced = numbers(DIVERGENCE.partition("## What is different")[2].partition("## What of the paper")[0])
    assert set(FACTS) - TESTED <= missing | replaced


@pytest.mark.parametrize("fact", FIGURE_3, ids=lambda fact: f"P{fact}")
def test_the_simulation_of_the_paper_is_named(fact: int) -> None:
    """Fig. 3 is named in docs/divergence.md, whether it is drawn already or not."""
    assert fact in TESTED or fact in numbers(DIVERGENCE)


def test_no_other_fact_is_quoted() -> None:
    for where, text in docstrings():
        assert numbers(text) <= {*FACTS, *FIGURE_3}, where


def test_numbers_are_read_as_people_read_them() -> None:
    assert numbers("P7, P8-P10 and P12 to P14 (P1), RP3, P") == {1, 7, 8, 9, 10, 12, 13, 14}
