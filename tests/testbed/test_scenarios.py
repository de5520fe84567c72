"""Scenarios played on the bed, judged by what clients saw (vagrant/scenarios)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from standing_bed import StandingBed

SCENARIOS = Path(__file__).resolve().parents[2] / "vagrant" / "scenarios"
WITHIN_S = 280


def played(bed: StandingBed, *words: str) -> subprocess.CompletedProcess[str]:
    environment = bed.environment | {"LOCUM_PYTHON": sys.executable}
    return subprocess.run(
        [SCENARIOS / words[0], *words[1:]],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WITHIN_S,
    )


@pytest.mark.parametrize(
    "words",
    [
        ("paper.sh",),
        ("one-failure.sh", "service-killed"),
        ("one-failure.sh", "guard-killed"),
        ("one-failure.sh", "sds-killed"),
        ("partition.sh", "http", "email"),
        ("partition.sh", "email", "http", "--one-way"),
        ("partition.sh", "sds", "http"),
    ],
    ids=" ".join,
)
def test_a_scenario_ends_well(healed: StandingBed, words: tuple[str, ...]) -> None:
    done = played(healed, *words)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "served by" in done.stdout and "WRONG" not in done.stdout


def test_the_single_failures_are_those_of_the_scripts(healed: StandingBed) -> None:
    listed = played(healed, "one-failure.sh", "--list").stdout.split()
    assert {"host-crashed", "host-isolated", "dns-killed", "disk-full", "clock-stepped"} <= set(listed) and len(listed) == 17


@pytest.mark.parametrize("words", [("one-failure.sh", "flood"), ("two-hosts.sh", "http", "http"), ("partition.sh", "http")])
def test_a_wrong_call_of_a_scenario_is_told_the_usage(healed: StandingBed, words: tuple[str, ...]) -> None:
    done = played(healed, *words)
    assert done.returncode == 2 and done.stdout.startswith("usage: ")
