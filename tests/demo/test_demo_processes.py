"""Finding the processes of a part, and ending them all, with real processes that multiply."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import until

from demo import ports, processes
from demo.ports import Endpoint
from demo.processes import MARK, PART, Process

RESTLESS = """
import os, subprocess, sys, time
depth = int(sys.argv[1])
while True:
    children = [subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'], env={}) for _ in range(2)]
    if depth:
        children.append(subprocess.Popen([sys.executable, '-S', '-c', os.environ['SELF'], str(depth - 1)]))
    time.sleep(0.05)
    for child in children[:2]:
        child.kill()
    for child in children[:2]:
        child.wait()
    if depth:
        children[2].kill()
        children[2].wait()
"""


@pytest.fixture
def restless(tmp_path: Path) -> Iterator[str]:
    """The mark of a part whose processes come and go all the time."""
    mark = str(tmp_path)
    environment = os.environ | {MARK: mark, PART: "http", "SELF": RESTLESS}
    top = subprocess.Popen([sys.executable, "-S", "-c", RESTLESS, "1"], env=environment)
    yield mark
    top.kill()
    top.wait()
    for entry in processes.of_state(mark):
        processes.send(entry.process, signal.SIGKILL)


def members(mark: str) -> list[Process]:
    return [entry.process for entry in processes.of_state(mark)]


def test_unmarked_descendants_belong_to_the_part(restless: str) -> None:
    def deep() -> bool:
        found = processes.of_state(restless)
        return len(found) >= 3 and all(entry.part == "http" for entry in found)

    until(deep, within_s=30)


def test_nothing_escapes_a_power_cut(restless: str) -> None:
    until(lambda: len(members(restless)) >= 4, within_s=30)
    killed = processes.kill(lambda: members(restless))
    until(lambda: not any(processes.alive(process) for process in killed), within_s=10)
    assert members(restless) == []


def test_what_is_seized_stands_still_and_goes_on(restless: str) -> None:
    until(lambda: len(members(restless)) >= 4, within_s=30)
    held = processes.seize(lambda: members(restless))
    until(lambda: all(now is None or now.stopped for now in (processes.look(p.pid) for p in held)), within_s=10)
    still = {(p.pid, p.started) for p in members(restless)}
    assert still <= {(p.pid, p.started) for p in held}
    for process in held:
        processes.send(process, signal.SIGCONT)
    until(lambda: {(p.pid, p.started) for p in members(restless)} - still, within_s=30)


def test_a_pid_used_again_is_not_signalled(tmp_path: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None and other.stdout is not None
        seen = until(lambda: processes.look(other.pid))
        assert seen is not None
        processes.send(seen._replace(started=seen.started - 1), signal.SIGKILL)
        other.stdin.write(b"alive\n")
        other.stdin.flush()
        assert other.stdout.readline() == b"alive\n"
        processes.send(seen, signal.SIGKILL)
        assert other.wait(timeout=10) == -signal.SIGKILL
    assert not processes.alive(seen)


@pytest.mark.parametrize(
    ("argv", "role"),
    [
        ("python -P -m cli.main agent --config x", "tether"),
        ("python -P -m cli.main sds --config x", "sds"),
        ("python -m agent.guard", "guard"),
        ("python -m agent.runner", "runner"),
        ("python -P -m demo.nameserver --port 1", "dns"),
        ("python -P -m demo.services.http", "service"),
        ("/x/valkey-server 127.0.0.1:0", "store"),
        ("/usr/bin/redis-server *:6379", "store"),
        ("sh -m", "service"),
        ("nginx: master", "service"),
    ],
)
def test_roles_are_read_from_the_command_line(argv: str, role: str) -> None:
    assert Process(1, 1, 0, False, tuple(argv.split())).role == role


def test_a_store_without_an_environment_is_known_by_its_directory(tmp_path: Path) -> None:
    """Valkey wipes its environment when it sets its title; an orphan must be found all the same."""
    program = tmp_path / "valkey-server"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"], cwd=tmp_path, env={}) as store:
        found = until(lambda: processes.of_state(str(tmp_path)))
        assert [(entry.part, entry.process.role, entry.process.pid) for entry in found] == [("store", "store", store.pid)]
        store.kill()


def test_who_listens_is_known_without_a_connection() -> None:
    with socket.socket() as door:
        door.bind(("127.0.1.77", 0))
        endpoint = Endpoint("127.0.1.77", door.getsockname()[1])
        assert ports.is_taken(endpoint) and not ports.is_open(endpoint)
        door.listen()
        assert ports.is_taken(endpoint) and ports.is_open(endpoint)
        assert f"pid {os.getpid()}" in ports.holder(endpoint)
        door.settimeout(0.1)
        with pytest.raises(TimeoutError):
            door.accept()
    assert not ports.is_taken(endpoint) and not ports.is_open(endpoint)


def test_a_listener_on_all_addresses_takes_the_port() -> None:
    with socket.socket() as door:
        door.bind(("0.0.0.0", 0))
        door.listen()
        endpoint = Endpoint("127.0.1.77", door.getsockname()[1])
        assert ports.is_taken(endpoint)
        assert f"pid {os.getpid()}" in ports.holder(endpoint)
