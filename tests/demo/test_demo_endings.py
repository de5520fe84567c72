"""How a demo ends, and how it starts again: each test has demos of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running_demo import CHECKOUT, HOMES, RunningDemo, environment, locum
from waiting import until

from demo import presence
from demo.processes import MARK, of_state

Start = Callable[..., RunningDemo]


def test_sigint_leaves_nothing_even_of_paused_and_killed_parts(start: Start) -> None:
    demo = start()
    demo.ready()
    demo.done("kill", "http")
    demo.done("pause", "ftp")
    demo.done("pause", "dns")
    began_at = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert demo.end(signal.SIGINT) == 0, demo.said()
    assert time.clock_gettime(time.CLOCK_BOOTTIME) - began_at < 10
    assert demo.left() == []
    assert presence.running() is None


def test_sigint_leaves_nothing_though_the_state_is_named_by_a_link(start: Start, tmp_path: Path) -> None:
    """And though the SDS, whose the store is, was killed before."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    demo = start("link/state")
    demo.ready()
    assert {"sds", "store"} <= {row["part"] for row in demo.ps()}
    demo.done("kill", "sds")
    assert demo.end(signal.SIGINT) == 0, demo.said()
    assert of_state(str(tmp_path / "real" / "state")) == []


def test_a_lost_key_is_made_anew_and_trusted(start: Start) -> None:
    first = start()
    first.ready()
    assert first.end() == 0
    (first.state / "keys" / "http.key").unlink()
    again = start()
    again.ready()
    assert "trust.toml: names a key that is no longer there" in again.said()
    assert again.end() == 0


def test_a_blackout_is_survived(start: Start) -> None:
    """R15, R18: everything is SIGKILLed at once; on the same state all is served at home again, under higher epochs."""
    first = start()
    first.ready()
    before = {service: first.served(service, lambda _: True) for service in HOMES}
    kept = {path: path.read_bytes() for path in [*first.state.glob("keys/*"), *first.state.glob("*.toml")]}
    first.power_cut()
    assert first.left() == []
    again = start()
    again.ready()
    after = {service: again.served(service, lambda _: True) for service in HOMES}
    for service, home in HOMES.items():
        assert after[service].server == home
        assert after[service].epoch > before[service].epoch
    assert {path: path.read_bytes() for path in kept} == kept, "a second start regenerates nothing"
    kinds = [line.split('"kind": "')[1].split('"')[0] for line in locum("history", "--json").stdout.splitlines()]
    assert kinds.count("sds-started") >= 2, "the history of before is remembered"
    assert again.end() == 0
    assert again.left() == []


def test_an_ended_demo_starts_again_at_home(start: Start) -> None:
    first = start()
    first.ready()
    before = {service: first.served(service, lambda _: True).epoch for service in HOMES}
    assert first.end(signal.SIGTERM) == 0, first.said()
    again = start()
    again.ready()
    assert all(again.served(service, lambda _: True).epoch > before[service] for service in HOMES)
    assert again.end() == 0


def test_leftovers_of_a_killed_demo_are_ended_and_nobody_elses(start: Start) -> None:
    first = start()
    first.ready()
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=environment() | {"LOCUM_SERVER": "http"})
    try:
        first.process.kill()
        first.process.wait()
        assert first.left()
        assert locum("demo", "ps").returncode == 3
        again = start("other")
        again.ready()
        assert f"left by a demo that is gone (state {first.state})" in again.said()
        assert first.left() == []
        assert bystander.poll() is None
        assert again.end() == 0
    finally:
        bystander.kill()
        bystander.wait()


def test_a_part_that_dies_by_itself_is_started_again(start: Start) -> None:
    demo = start()
    demo.ready()
    (pid,) = [row["pid"] for row in demo.ps() if row["part"] == "dns"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: [row for row in demo.ps() if row["part"] == "dns" and row["pid"] != pid], within_s=30, every_s=0.1)
    assert "dns ended by itself by SIGKILL" in demo.said()
    demo.settled()
    assert demo.end() == 0


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    if presence.running():
        pytest.skip("a demo runs on this machine already")
    for kind, where in ((socket.SOCK_STREAM, ("127.0.1.12", 8081)), (socket.SOCK_DGRAM, ("127.0.1.14", 10053))):
        with socket.socket(socket.AF_INET, kind) as foreign:
            foreign.bind(where)
            if kind == socket.SOCK_STREAM:
                foreign.listen()
            refused = locum("demo", "--state", str(tmp_path / "state"))
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"{where[0]}:{where[1]} is taken by another program" in refused.stderr
        assert f"pid {os.getpid()}" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert not (tmp_path / "state" / "keys").exists()


def test_a_state_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    if presence.running():
        pytest.skip("a demo runs on this machine already")
    (tmp_path / "file").write_text("")
    refused = locum("demo", "--state", str(tmp_path / "file" / "state"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert str(tmp_path / "file" / "state") in refused.stderr and "--state" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_without_a_demo_its_verbs_find_nothing() -> None:
    if presence.running():
        pytest.skip("a demo runs on this machine already")
    for words in (["demo", "ps"], ["demo", "kill", "http"], ["status"], ["status", "--json"], ["history"]):
        done = locum(*words)
        assert (done.returncode, done.stdout) == (3, ""), words
        assert "./locum demo" in done.stderr


def test_what_a_dead_demo_left_lying_is_no_demo(tmp_path: Path) -> None:
    """The lock file and the socket of a demo that was killed keep nobody out."""
    if presence.running():
        pytest.skip("a demo runs on this machine already")
    state = tmp_path / "state"
    state.mkdir()
    script = "import sys, pathlib, demo.presence as p; held = p.Presence(pathlib.Path(sys.argv[1])); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(state)],
        cwd=CHECKOUT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refused = locum("demo", "--state", str(state))
        assert refused.returncode == 1 and f"pid {holder.pid}" in refused.stderr, refused
        holder.kill()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(state / "demo.sock"))
    assert (state / "demo.lock").read_text() == f"{holder.pid}\n"
    assert presence.running() is None
    claimed = presence.Presence(state)
    assert (state / "demo.lock").read_text() == f"{os.getpid()}\n"
    claimed.release()
    assert presence.running() is None


def test_a_mark_by_accident_does_not_end_ourselves(tmp_path: Path) -> None:
    """A demo started from a shell that bears the mark of another is not its own leftover."""
    if presence.running():
        pytest.skip("a demo runs on this machine already")
    with socket.socket() as foreign:
        foreign.bind(("127.0.1.11", 8081))
        foreign.listen()
        marked = subprocess.run(
            ["sh", "-c", f'"{sys.executable}" -P -m cli.main demo --state "{tmp_path}/state"; echo "shell $?"'],
            env=environment() | {MARK: str(tmp_path / "old")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert marked.stdout == "shell 1\n", marked
