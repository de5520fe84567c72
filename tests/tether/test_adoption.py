"""Which processes are ours, told from real ones."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent import adoption
from agent.listeners import listening
from tests.tether.conftest import alive, needs_rights
from tests.waiting import until


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    children: list[subprocess.Popen[bytes]] = []

    def start(environment: dict[str, str], *argv: str) -> subprocess.Popen[bytes]:
        children.append(subprocess.Popen(argv or ("/bin/sleep", "1000"), env=environment, start_new_session=True))
        return children[-1]

    yield start
    for child in children:
        try:
            os.killpg(child.pid, signal.SIGKILL)  # also when it is dead itself, as long as its group is not
        except ProcessLookupError:
            pass
        child.wait()


def identity(tmp_path: Path) -> str:
    return f"test/one@{tmp_path}"


def test_marks_are_found_with_what_they_say(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    agent_id = identity(tmp_path)
    www = start(adoption.marks(agent_id, "www", 3, 77))
    part = start({"LOCUM_AGENT": agent_id})
    start(adoption.marks(agent_id + "x", "www", 3, 77))
    start({"OTHER": f"LOCUM_AGENT={agent_id}"})
    found = until(lambda: len(got := adoption.find(agent_id)) == 2 and got)
    one, other = sorted(found, key=lambda process: process.service or "~")
    assert (one.pid, one.service, one.epoch, one.grant_id) == (www.pid, "www", 3, 77)
    assert (other.pid, other.service) == (part.pid, None)
    assert adoption.find(agent_id, "www") == [one] and adoption.find(agent_id, "mail") == []


def test_marks_that_make_no_sense_do_no_harm(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    agent_id = identity(tmp_path)
    child = start({"LOCUM_AGENT": agent_id, "LOCUM_SERVICE": "", "LOCUM_EPOCH": "-1e9", "LOCUM_GRANT": "²"})
    (found,) = until(lambda: adoption.find(agent_id))
    assert (found.pid, found.service, found.epoch, found.grant_id) == (child.pid, None, 0, 0)


def test_the_dead_and_the_zombie_are_not_found(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    agent_id = identity(tmp_path)
    child = start(adoption.marks(agent_id, "www", 3, 77))
    until(lambda: adoption.find(agent_id))
    child.kill()
    until(lambda: (stat := adoption.stat_of(child.pid)) and stat.zombie)
    assert adoption.find(agent_id) == []
    child.wait()
    assert adoption.stat_of(child.pid) is None


def test_a_name_of_brackets_and_spaces_is_read_past(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 2 3"
    program.symlink_to("/bin/sleep")
    child = start({}, str(program), "1000")
    stat = until(lambda: (stat := adoption.stat_of(child.pid)) and stat.session == child.pid and stat)
    assert stat.parent == os.getpid() and stat.state in (b"S", b"R", b"D")


def test_a_later_process_of_the_same_number_is_not_ended(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = start({})
    stat = adoption.stat_of(child.pid)
    assert stat
    adoption.end(child.pid, stat.started - 1)
    assert child.poll() is None and alive(child.pid)
    adoption.end(child.pid, stat.started)
    assert child.wait(10) == -9
    adoption.end(child.pid, stat.started)  # nobody there: nothing happens


def test_leftovers_are_ended_and_counted(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    agent_id = identity(tmp_path)
    script = "trap '' TERM; for i in 1 2 3; do setsid sleep 1000 & done; wait"  # nobody but the marks knows them
    child = start(adoption.marks(agent_id, "www", 3, 77), "/bin/sh", "-c", script)
    bystander = start({})
    until(lambda: len(adoption.find(agent_id)) == 4)
    assert adoption.end_leftovers(agent_id, 10.0) == 4
    assert adoption.find(agent_id) == [] and adoption.end_leftovers(agent_id, 10.0) == 0
    assert child.wait(10) == -9 and bystander.poll() is None


def test_leftovers_without_marks_are_ended_by_their_session(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    child = start({}, "/bin/sh", "-c", "env -i sleep 1000 & wait")
    until(lambda: sum(stat.session == child.pid for stat in adoption.processes().values()) == 2)
    assert adoption.end_leftovers(identity(tmp_path), 10.0, sessions=(child.pid,)) == 2
    assert child.wait(10) == -9


def test_leftovers_that_hide_are_ended_by_descent(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    """They come before the marked process above them: once that is gone nothing tells whose they are."""
    agent_id = identity(tmp_path)
    child = start(adoption.marks(agent_id, "www", 3, 77), "/bin/sh", "-c", "setsid env -i sleep 1000 & exec sleep 1000")

    def hidden() -> list[int]:
        below = [stat.pid for stat in adoption.processes().values() if stat.parent == child.pid]
        return [pid for pid in below if Path(f"/proc/{pid}/environ").read_bytes() == b""]

    (pid,) = until(hidden)
    assert len(adoption.find(agent_id)) == 1
    assert adoption.end_leftovers(agent_id, 10.0) == 2
    assert child.wait(10) == -9 and not alive(pid)


@needs_rights
def test_what_cannot_be_ended_is_one_clear_line(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    """Another user's process, which a root without CAP_KILL may look at but not end."""
    agent_id = identity(tmp_path)
    child = start(adoption.marks(agent_id, "www", 3, 77), "setpriv", "--reuid=65534", "--clear-groups", "sleep", "1000")
    until(lambda: Path(f"/proc/{child.pid}").stat().st_uid == 65534)
    code = "import sys\nfrom agent import adoption as a\ntry: a.end_leftovers(sys.argv[1], 0.1)\nexcept a.LeftoverError as e: print(e)"
    argv = ["setpriv", "--bounding-set=-kill", "--inh-caps=-kill", sys.executable, "-c", code, agent_id]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, cwd=Path(__file__).parent.parent.parent)
    assert done.stdout.startswith(f"{agent_id}: process {child.pid} (service www, epoch 3) of an earlier run cannot be ended:"), done
    assert len(done.stdout.splitlines()) == 1 and child.poll() is None


def test_a_scan_is_fast(start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    """Not a figure to hold: only that nobody makes it slow by an order."""
    start({}, "/bin/sh", "-c", "for i in $(seq 100); do sleep 1000 & done; wait")
    until(lambda: len(adoption.processes()) > 100)
    begun = time.perf_counter()
    adoption.find(identity(tmp_path))
    assert time.perf_counter() - begun < 1.0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_listening_tells_an_open_port_from_a_closed_one(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((address, 0))
        port = server.getsockname()[1]
        assert not listening(address, port)
        server.listen(1)
        assert listening(address, port)
    assert not listening(address, port)


def test_a_full_queue_is_somebody() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        clients = [socket.socket() for _ in range(4)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(address)
        assert listening(*address)
        for client in clients:
            client.close()


def test_an_address_of_nobody_is_silent() -> None:
    assert not listening("not an address", 80)
