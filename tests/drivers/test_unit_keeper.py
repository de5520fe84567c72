"""What a unit keeper does when it is to end while systemctl is under way (decision 21).

A systemctl that hangs stands in for systemd's, and a directory of that shape for the control group.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from waiting import until

from tests.drivers.inside import CHECKOUT

SOON_S = 30.0
BOOT = f"import sys; sys.path[:0] = [{str(CHECKOUT)!r}]; from agent.drivers.unit_keeper import main; main()"

Begin = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def member() -> Iterator[subprocess.Popen[bytes]]:
    """The one process of the unit's group."""
    process = subprocess.Popen(["tail", "-f", "/dev/null"])
    yield process
    process.kill()
    process.wait()


def hanging(place: Path, verb: str) -> int:
    """The systemctl that hangs in this verb, once it does."""
    return until(lambda: (place / verb).exists() and int((place / verb).read_text()), within_s=SOON_S)


@pytest.fixture
def begin(tmp_path: Path, member: subprocess.Popen[bytes]) -> Iterator[Begin]:
    """A unit keeper whose systemctl hangs in these verbs."""
    begun: list[subprocess.Popen[bytes]] = []
    group, place, systemctl = tmp_path / "group", shlex.quote(str(tmp_path)), tmp_path / "systemctl"
    group.mkdir()
    (group / "cgroup.procs").write_text(f"{member.pid}\n")
    (tmp_path / "run").mkdir()

    def start(*hangs: str) -> subprocess.Popen[bytes]:
        systemctl.write_text(
            f"#!/bin/sh\n[ $2 = show ] && echo {member.pid}\ncase $2 in {'|'.join(hangs)}) ;; *) exit 0 ;; esac\n"
            f"echo $$ >{place}/new && mv {place}/new {place}/$2\nexec sleep 1000\n"
        )
        systemctl.chmod(0o755)
        words = [sys.executable, "-I", "-S", "-c", BOOT, str(systemctl), "www.service", str(group)]
        begun.append(subprocess.Popen(words, env={"PATH": os.environ["PATH"], "LOCUM_RUN": str(tmp_path / "run")}))
        return begun[0]

    yield start
    for keeper in begun:
        keeper.kill()
        keeper.wait()
    for verb in ("start", "stop", "show"):
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((tmp_path / verb).read_text()), signal.SIGKILL)


@pytest.mark.parametrize("verb", ["start", "show"])
def test_the_group_is_killed_first_when_the_tether_dies_during_a_start(
    begin: Begin, member: subprocess.Popen[bytes], tmp_path: Path, verb: str
) -> None:
    keeper = begin(verb, "stop")
    hanging(tmp_path, verb)
    keeper.send_signal(signal.SIGHUP)
    until(lambda: member.poll() is not None, within_s=SOON_S)


def test_the_group_is_killed_at_once_when_the_tether_dies_during_a_stop(
    begin: Begin, member: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    keeper = begin("start", "stop")
    hanging(tmp_path, "start")
    keeper.send_signal(signal.SIGTERM)
    hanging(tmp_path, "stop")
    assert member.poll() is None, "systemd ends it, in order"
    keeper.send_signal(signal.SIGHUP)
    until(lambda: member.poll() is not None, within_s=SOON_S)
