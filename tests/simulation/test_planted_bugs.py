"""A simulator that nobody saw fail proves nothing: it must notice every planted bug.

Each bug comes with the seed of a life in which it is noticed, so that this is
quick.  A bug without one on record is skipped, unless LOCUM_SEARCH is set.
When a change of the machines or of the weather has made that seed another
life, seeds are searched, and `python -m simulation.bugs` notes the new one.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings

import pytest

from agent.duty import Duty
from simulation.__main__ import search
from simulation.bugs import BUGS, planted
from simulation.bugs.noticing import seen_without, shows
from simulation.bugs.seeds import SEEDS

MOST = 2_000
"""A bug that so many lives do not show means that the weather or the judge lacks something."""


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", sorted(BUGS))
def test_planted_bug_is_noticed(name: str) -> None:
    bug = BUGS[name]
    if name not in SEEDS and not os.environ.get("LOCUM_SEARCH"):
        pytest.skip(f"no life that shows {name} is on record yet: LOCUM_SEARCH=1 searches, python -m simulation.bugs {name} notes it")
    if shows(bug, bug.first_seed):
        return
    for outcome in search(range(MOST), None, name, multiprocessing.cpu_count()):
        if outcome.failure and not seen_without(bug, outcome.seed):
            warnings.warn(f"{name} is noticed at seed {outcome.seed}, not {bug.first_seed}: python -m simulation.bugs {name}", stacklevel=1)
            return
    raise AssertionError(f"{name} ({bug.rule}: {bug.text}) goes unnoticed in {MOST} lives: python -m simulation --runs {MOST} --bug {name}")


def test_bug_is_taken_out_again() -> None:
    before = dict(vars(Duty))
    with planted("off-before-gone"):
        assert vars(Duty)["_kill"] is not before["_kill"]
    assert dict(vars(Duty)) == before


def test_bug_says_which_rule_it_leaves_out() -> None:
    for bug in BUGS.values():
        assert bug.rule.startswith(("R", "section")) and bug.text and bug.name == bug.name.lower().replace("_", "-")
