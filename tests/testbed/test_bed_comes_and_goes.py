"""A bed that is made beside another, interrupted half-built, made again, and taken down."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from standing_bed import TESTBED, StandingBed, mounts_of
from waiting import until


@pytest.fixture
def other(bed: StandingBed, tmp_path: Path) -> Iterator[StandingBed]:
    """Nothing yet, beside the standing bed, whose wheels it takes."""
    (tmp_path / "cache").symlink_to(bed.state / "cache")
    standing = StandingBed(tmp_path)
    yield standing
    standing.testbed("down")


def begin(bed: StandingBed) -> subprocess.Popen[str]:
    """An `up` that has made its first hosts."""
    process = subprocess.Popen([TESTBED, "up"], env=bed.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until(lambda: "http" in bed.inits(), 60)
    return process


def nothing_is_left(bed: StandingBed) -> None:
    assert bed.inits() == {}
    until(lambda: not mounts_of(bed.state / "disks"), 20)
    assert not (bed.state / "disks").exists()


def test_an_up_that_is_ended_clears_away_what_it_made(other: StandingBed) -> None:
    process = begin(other)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in said
    nothing_is_left(other)


def test_an_up_that_was_killed_is_cleared_away_by_the_next_one(bed: StandingBed, other: StandingBed) -> None:
    process = begin(other)
    process.kill()
    process.wait(timeout=30)
    remains = other.inits()
    assert "switch" in remains
    made = other.testbed("up", within_s=300)
    assert made.returncode == 0, made.stdout + made.stderr
    assert made.stdout.startswith("plan:") and made.stdout.rstrip().endswith("up: Fig. 2a")
    assert not set(remains.values()) & set(other.inits().values())
    services = {service["name"]: service for service in other.status()["services"]}
    assert (services["www"]["holder"], services["www"]["secondary"]) == ("http", "email")
    assert other.testbed("down").returncode == 0
    nothing_is_left(other)
    assert {"switch", "http"} <= bed.inits().keys(), "the other bed went with it"


def test_down_and_status_without_a_bed(tmp_path: Path) -> None:
    nobody = StandingBed(tmp_path / "none")
    assert nobody.testbed("down").returncode == 0
    done = nobody.testbed("status")
    assert done.returncode == 1 and "vagrant/testbed up" in done.stderr and done.stderr.count("\n") == 1


def test_two_do_not_change_one_bed(bed: StandingBed) -> None:
    with subprocess.Popen(["flock", bed.state / "lock", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin and holder.stdout
        holder.stdin.write(b"held\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == b"held\n"
        done = bed.testbed("up")
        holder.stdin.close()
    assert done.returncode == 1 and "another testbed is at work" in done.stderr
