"""The real machines live through the weather of many seeds, and break no rule.

LOCUM_SEEDS says how many (300; 2,000 where changes are merged).
"""

from __future__ import annotations

import multiprocessing
import os

import pytest

from simulation.__main__ import command, search
from simulation.life import kind_of

SEEDS = int(os.environ.get("LOCUM_SEEDS", "300"))


@pytest.mark.timeout(120 + 2 * SEEDS)
def test_no_life_breaks_a_rule() -> None:
    outcomes = list(search(range(SEEDS), None, None, multiprocessing.cpu_count()))
    assert len(outcomes) == SEEDS
    failed = [f"{outcome.failure}\n    {command(outcome.seed, None, None)}" for outcome in outcomes if outcome.failure]
    assert not failed, "\n".join([f"{len(failed)} of {SEEDS} lives broke a rule; replay one with its command:", *failed])


def test_every_twenty_seeds_hold_storms_single_faults_and_a_quiet_life() -> None:
    kinds = [kind_of(seed) for seed in range(20)]
    assert {kind: kinds.count(kind) for kind in ("storm", "single", "quiet")} == {"storm": 13, "single": 6, "quiet": 1}
