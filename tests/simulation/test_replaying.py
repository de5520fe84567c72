"""One seed is one life, wherever it is lived; the command line says what broke and how to see it again."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.bugs import BUGS

HOUSE = Path(__file__).resolve().parents[2]
STORM, SINGLE = 3, 14


def simulation(*arguments: str, hash_seed: str = "random") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(HOUSE), "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-m", "simulation", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("seed", [STORM, SINGLE])
def test_same_seed_is_the_same_life(seed: int) -> None:
    """In every process, whatever its hash seed."""
    one, other = (simulation("--seed", str(seed), hash_seed=hash_seed) for hash_seed in ("1", "2"))
    assert one.returncode == other.returncode == 0
    assert len(one.stdout.splitlines()) > 30
    assert one.stdout == other.stdout


def test_life_that_breaks_nothing_exits_0() -> None:
    ended = simulation("--seed", str(STORM))
    assert ended.returncode == 0, ended.stdout[-2_000:]
    assert ended.stdout.endswith(f"seed {STORM}, storm: nothing was broken\n")


def test_life_with_a_bug_exits_1_and_shows_the_violation() -> None:
    seed = BUGS["lease-from-receipt"].first_seed
    ended = simulation("--seed", str(seed), "--bug", "lease-from-receipt")
    assert ended.returncode == 1
    assert "*** VIOLATION" in ended.stdout


def test_failure_is_printed_with_the_command_that_replays_it() -> None:
    first = BUGS["leases-ignored"].first_seed
    found = simulation("--first", str(first), "--runs", "3", "--jobs", "1", "--bug", "leases-ignored", "--stop")
    assert found.returncode == 1
    failure, command = found.stdout.splitlines()[:2]
    python, *arguments = shlex.split(command)
    assert python == "python" and arguments[:2] == ["-m", "simulation"]
    again = simulation(*arguments[2:])
    assert again.returncode == 1 and failure.strip() in again.stdout


def test_search_that_finds_nothing_exits_0_and_sums_up() -> None:
    ended = simulation("--first", "13", "--runs", "2", "--jobs", "2")
    assert ended.returncode == 0
    assert ended.stdout.startswith("2 lives") and ended.stdout.endswith("nothing was broken\n")


@pytest.mark.parametrize(
    "arguments", [(), ("--runs", "0"), ("--runs", "many"), ("--seed", "1", "--bug", "none-such"), ("--jobs", "0", "--runs", "1")]
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    ended = simulation(*arguments)
    assert ended.returncode == 2 and not ended.stdout and "usage:" in ended.stderr
