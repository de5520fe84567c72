"""`locum test`: the tests of a checkout."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from cli.outcome import Misconfigured

_CHECKOUT = Path(__file__).resolve().parent.parent

_FEWEST = 2
"""Tests at once, however few the cores: most of them wait for something most of the time."""


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": ["--help"]})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Run the tests of this checkout; ARGUMENTS are pytest's.

    What they need is installed first.  What cannot run here is skipped, and
    named with its reason.

    \b
    Examples:
      ./locum test                    all of them
      ./locum test tests/cli          one directory
      ./locum test -k takeover -x     those of that name, up to the first failure
      ./locum test -n 0               one after the other
    """
    if not (_CHECKOUT / "tests").is_dir():
        raise Misconfigured("there are no tests here: they are in the source checkout, not in what is installed")
    os.chdir(_CHECKOUT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *_at_once(arguments), *arguments])


def _at_once(arguments: tuple[str, ...]) -> list[str]:
    """Tests run side by side, unless it is said how; those that share addresses stay together (tests/conftest.py)."""
    if any(word.startswith("-n") or word in ("--pdb", "--numprocesses") for word in arguments):
        return []
    return ["-n", str(max(_FEWEST, len(os.sched_getaffinity(0))))]
