"""The embedded store's process: started, killed, left behind, adopted, damaged."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from sds.door import Door
from sds.rows import Row, StoreError
from sds.store import Store
from sds.valkey import Valkey, _binary, _free_port
from tests.waiting import until

CHECKOUT = Path(__file__).parents[2]


class Embedded(Valkey):
    """One that a test forgets to stop is stopped all the same."""

    made: ClassVar[list[Embedded]] = []

    def __init__(self, state_dir: Path, door: Door | None = None) -> None:
        super().__init__(state_dir, door)
        self.made.append(self)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state directory in which nothing is left running."""
    yield tmp_path
    places = {valkey.dir.parent for valkey in Embedded.made} | {tmp_path}
    while Embedded.made:
        Embedded.made.pop().stop()
    for place in places:
        if (place / "store").is_dir():
            last = Valkey(place)
            last._take_directory()
            last._adopt()  # what a killed parent left
            last.stop()


def written(valkey: Valkey, state: Path, version: int = 1) -> Row:
    row = Row("service", "www", version, version, b"x")
    store = Store(valkey.url, "demo", state / "h.json", 10, 10)
    assert store.write([row]) == ()
    store.close()
    return row


def found(valkey: Valkey, state: Path) -> tuple[Row, ...]:
    store = Store(valkey.url, "demo", state / "h.json", 10, 10)
    try:
        return store.load().rows
    finally:
        store.close()


def test_it_starts_for_its_owner_alone_and_stops_and_keeps_its_data(state) -> None:
    valkey = Embedded(state)
    valkey.start()
    row = written(valkey, state)
    socket = state / "store" / "valkey.sock"
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600 and stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert os.getpgid(valkey.pid) == valkey.pid != os.getpgid(0)
    pid = valkey.pid
    valkey.start()
    assert valkey.pid == pid and not valkey.died()
    valkey.stop()
    assert valkey.died() and not Path(f"/proc/{pid}").exists()
    valkey.start()
    assert found(valkey, state) == (row,)
    valkey.stop()
    valkey.stop()


def test_it_is_started_again_when_it_was_killed(state) -> None:
    valkey = Embedded(state)
    valkey.start()
    row, pid = written(valkey, state), valkey.pid
    signal.pidfd_send_signal(valkey.fileno(), signal.SIGKILL)
    until(valkey.died)
    valkey.start()
    assert valkey.pid != pid and found(valkey, state) == (row,)
    valkey.stop()


def orphan(state: Path) -> int:
    """Start one in a process that is then killed; returns the server's pid."""
    program = """
import os, pathlib, sys
from sds.valkey import Valkey
valkey = Valkey(pathlib.Path(sys.argv[1]))
valkey.start()
print(valkey.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    parent = subprocess.run([sys.executable, "-c", program, state], cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    pid = int(parent.stdout)
    assert Path(f"/proc/{pid}").exists()
    return pid


def test_an_orphan_is_adopted(state) -> None:
    pid = orphan(state)
    valkey = Embedded(state)
    valkey.start()
    assert valkey.adopted and valkey.pid == pid and not valkey.died()
    row = written(valkey, state)
    signal.pidfd_send_signal(valkey.fileno(), signal.SIGKILL)
    until(valkey.died)
    valkey.start()
    assert not valkey.adopted and found(valkey, state) == (row,)
    valkey.stop()


def test_an_adopted_orphan_is_stopped(state) -> None:
    pid = orphan(state)
    valkey = Embedded(state)
    valkey.start()
    valkey.stop()
    until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize("spoil", ["stopped", "no socket", "no configuration"])
def test_an_orphan_that_does_not_answer_is_ended_first(state, spoil) -> None:
    pid = orphan(state)
    if spoil == "stopped":
        os.kill(pid, signal.SIGSTOP)
    elif spoil == "no socket":
        (state / "store" / "valkey.sock").unlink()
    else:
        (state / "store" / "valkey.conf").unlink()
    valkey = Embedded(state)
    valkey.start()
    assert valkey.pid != pid and not valkey.adopted
    until(lambda: not Path(f"/proc/{pid}").exists())
    written(valkey, state)
    valkey.stop()


def test_a_stranger_in_the_directory_is_left_alone(state) -> None:
    valkey = Embedded(state)
    valkey.start()
    valkey.stop()
    stranger = subprocess.Popen(["sleep", "60"], cwd=state / "store")
    try:
        valkey.start()
        assert stranger.poll() is None
        valkey.stop()
    finally:
        stranger.kill()
        stranger.wait()


def test_two_sds_cannot_share_a_store(state) -> None:
    valkey = Embedded(state)
    valkey.start()
    with pytest.raises(StoreError, match="another SDS uses this store"):
        Embedded(state).start()
    assert not valkey.died()
    valkey.stop()
    second = Embedded(state)
    second.start()
    second.stop()


def test_a_long_path_makes_it_listen_on_a_loopback_port_with_a_password(state) -> None:
    deep = state / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    valkey = Embedded(deep)
    valkey.start()
    row = written(valkey, deep)
    assert valkey.url.startswith("redis://:") and "@127.0.0.1:" in valkey.url
    port = valkey.url.rpartition(":")[2]
    with pytest.raises(StoreError, match="wants a password"):
        Store(f"redis://127.0.0.1:{port}", "demo", deep / "h.json").load()
    password = valkey.url.removeprefix("redis://:").partition("@")[0]
    assert password not in Path(f"/proc/{valkey.pid}/cmdline").read_text()
    assert stat.S_IMODE((deep / "store" / "valkey.conf").stat().st_mode) == 0o600
    valkey.stop()
    pid = orphan(deep)
    valkey.start()
    assert valkey.adopted and valkey.pid == pid and found(valkey, deep) == (row,)
    valkey.stop()


@pytest.mark.parametrize("name", ["with space", 'quo"te', "per%41cent", "frage?zeichen#x"])
def test_odd_paths_work(state, name) -> None:
    (state / name).mkdir()
    valkey = Embedded(state / name)
    valkey.start()
    row = written(valkey, state)
    assert found(valkey, state) == (row,)
    valkey.stop()


def test_an_unusable_directory_is_one_clear_line(state) -> None:
    (state / "file").write_text("")
    for place in (state / "file", Path("/proc/none")):
        with pytest.raises(StoreError, match="state_dir that can be written") as error:
            Embedded(place).start()
        assert "\n" not in str(error.value)


def test_a_torn_last_write_is_forgiven_and_damage_is_named_with_its_cure(state) -> None:
    valkey = Embedded(state)
    valkey.start()
    row = written(valkey, state)
    valkey.stop()
    [data] = (state / "store" / "appendonlydir").glob("*.incr.aof")
    whole = data.read_bytes()
    data.write_bytes(whole + b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$10\r\nabc")  # the power went
    valkey.start()
    assert found(valkey, state) == (row,)
    valkey.stop()
    data.write_bytes(whole + b"garbage\r\n" * 3 + whole)
    with pytest.raises(StoreError, match="append-only file is damaged") as error:
        valkey.start()
    line = str(error.value)
    assert "\n" not in line and valkey.died()
    command = line.partition("begins: ")[2]
    subprocess.run(["sh", "-c", f"yes | {command}"], check=True, capture_output=True, timeout=60)
    valkey.start()
    assert found(valkey, state) == (row,)
    valkey.stop()
    [base] = (state / "store" / "appendonlydir").glob("*.base.rdb")
    base.write_bytes(base.read_bytes()[:-8] + b"nonsense")
    with pytest.raises(StoreError, match="data is damaged: restore") as error:
        valkey.start()
    assert "\n" not in str(error.value)


def test_any_other_death_at_start_is_one_clear_line(state) -> None:
    (state / "store" / "valkey.sock" / "in the way").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"ended while starting|cannot start") as error:
        Embedded(state).start(within_s=5)
    assert "\n" not in str(error.value)
    (state / "store" / "valkey.sock" / "in the way").rmdir()
    (state / "store" / "valkey.sock").rmdir()


def test_the_binary_is_there() -> None:
    assert os.access(_binary(), os.X_OK)


# -- a door for those who want files (P4)


def with_door(state: Path, port: int = 0, password: str = "secret") -> Embedded:
    return Embedded(state, Door("demo", "127.0.0.1", port or _free_port(), password))


def test_with_a_door_nobody_comes_in_without_a_password_and_the_data_is_the_same(state: Path) -> None:
    plain = Embedded(state)
    plain.start()
    row = written(plain, state)
    plain.stop()
    valkey = with_door(state)
    valkey.start(within_s=30)
    assert found(valkey, state) == (row,)
    for url in (f"unix://{state}/store/valkey.sock", f"redis://127.0.0.1:{valkey._door.port}/0"):  # type: ignore[union-attr]
        with pytest.raises(StoreError, match="wants a password"):
            Store(url, "demo", state / "h.json", 10, 10).load()


def test_a_server_that_was_left_behind_is_adopted_only_if_it_has_the_same_door(state: Path) -> None:
    first = with_door(state)
    first.start(within_s=30)
    pid, door = first.pid, first._door
    assert door is not None
    os.close(first._lock)  # as if its parent had died
    first._lock = -1
    Embedded.made.remove(first)
    same = Embedded(state, door)
    same.start(within_s=30)
    assert same.adopted and same.pid == pid
    assert found(same, state) == ()
    os.close(same._lock)
    same._lock = -1
    Embedded.made.remove(same)
    other = with_door(state, door.port, "another password")
    other.start(within_s=30)
    assert not other.adopted and not Path(f"/proc/{pid}/exe").exists()
    first._child.wait() if first._child else None


def test_a_path_too_long_for_a_socket_has_the_sds_come_in_by_the_door(state: Path) -> None:
    deep = state / ("d" * 60) / ("e" * 60)
    valkey = with_door(deep)
    valkey.start(within_s=30)
    assert valkey.url.startswith("redis://sds:")
    row = written(valkey, deep)
    assert found(valkey, deep) == (row,)


def test_a_door_that_is_taken_is_one_line_with_the_keys(state: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(StoreError, match=r"files\.address and files\.port"):
            with_door(state, taken.getsockname()[1]).start(within_s=30)


@pytest.mark.parametrize("deep", [False, True], ids=["socket", "address"])
@pytest.mark.parametrize("door", [False, True], ids=["without", "with-a-door"])
def test_one_that_died_is_started_again_where_those_who_speak_to_it_find_it(state: Path, door: bool, deep: bool) -> None:
    home = state / ("d" * 60) / ("e" * 60) if deep else state
    valkey = with_door(home) if door else Embedded(home)
    valkey.start(within_s=30)
    row = written(valkey, home)
    store = Store(valkey.url, "demo", home / "h.json", 10, 10)
    os.kill(valkey.pid, signal.SIGKILL)
    until(valkey.died, 30)
    valkey.start(within_s=30)
    assert store.load().rows == (row,)
    store.close()
