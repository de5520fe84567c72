"""`locum test`: the tests of a checkout."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from cli.outcome import Misconfigured

_CHECKOUT = Path(__file__).resolve().parent.parent


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
    """
    if not (_CHECKOUT / "tests").is_dir():
        raise Misconfigured("there are no tests here: they are in the source checkout, not in what is installed")
    os.chdir(_CHECKOUT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])
