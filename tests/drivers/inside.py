"""Runs a file of tests in namespaces of its own, once, and tells what became of each of them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
LIMIT_S = 280

NAMESPACES = ("unshare", "--net", "--pid", "--mount", "--uts", "--ipc", "--fork", "--mount-proc", "--kill-child=SIGKILL")

Outcomes = list[ElementTree.Element]


def names(file: Path) -> list[str]:
    """The tests in it."""
    return re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)


def pytest_words(file: Path, report: str) -> list[str]:
    """The command that runs them, and writes its report there."""
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp=/run/tests", f"--junitxml={report}"]
    return [sys.executable, "-m", "pytest", *options, str(file)]


def run(words: Sequence[str], report: Path, said: Path) -> Outcomes:
    """Run it to its end; what its report says of each case."""
    with said.open("ab") as output:
        done = subprocess.run(words, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=LIMIT_S, check=False)
    try:
        root = ElementTree.fromstring(report.read_text())
    except (ElementTree.ParseError, OSError):
        raise AssertionError(f"the tests inside did not come to an end (status {done.returncode}):\n{said.read_text()[-5000:]}") from None
    return list(root.iter("testcase"))


def show(outcomes: Outcomes, name: str) -> None:
    """Pass, skip or fail as the test inside did."""
    cases = [case for case in outcomes if case.get("name", "").partition("[")[0] == name]
    assert cases, f"{name} was not run"
    for case in cases:
        for kind in ("failure", "error"):
            trouble = case.find(kind)
            assert trouble is None, trouble.text
    skipped = cases[0].find("skipped")
    if skipped is not None:
        pytest.skip(skipped.get("message", ""))
