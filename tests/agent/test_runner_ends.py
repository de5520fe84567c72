"""A runner that is to end does so at once, whatever the thread of the files waits for."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from waiting import until

from agent import lines
from agent.parts import REFUSED
from bus import keys
from tests.drivers.inside import CHECKOUT

SETTINGS = """
cluster = "small"
name = "one"
address = "127.0.0.1"
state_dir = "{place}/state"
key_file = "{place}/one.key"
[sds]
address = "127.0.0.1"
port = {nobody}
updates_port = {nobody}
public_key_file = "{place}/one.key.pub"
[files]
url = "redis://127.0.0.1:{port}/0"
[[service]]
name = "www"
fqdn = "www.test"
port = 1
start = ["true"]
files = ["{place}/www"]
"""


class Dribbling:
    """A database of files that begins an answer, says a little of it again and again, and never comes to its end."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._ended = threading.Event()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        with suppress(OSError), self._door.accept()[0] as client:
            client.recv(4096)
            client.sendall(b"$1000000\r\n")
            self.asked.set()
            while not self._ended.wait(0.2):
                client.sendall(b"x")

    def close(self) -> None:
        self._ended.set()
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join()


@pytest.fixture
def database() -> Iterator[Dribbling]:
    made = Dribbling()
    yield made
    made.close()


def test_a_runner_ends_with_its_guard_though_its_files_are_under_way(tmp_path: Path, database: Dribbling) -> None:
    keys.make(tmp_path / "one.key")
    (tmp_path / "state").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
        (tmp_path / "one.toml").write_text(SETTINGS.format(place=tmp_path, nobody=port, port=database.port))
        guard, inherited = lines.pair()
        words = [sys.executable, "-P", "-m", "agent.runner", str(tmp_path / "one.toml"), "--guard-fd", str(inherited.fileno())]
        with (tmp_path / "said").open("wb") as said:
            runner = subprocess.Popen([*words, "--timing", "fast"], cwd=CHECKOUT, pass_fds=[inherited.fileno()], stderr=said,
                                      env={"PYTHONPATH": str(CHECKOUT)})  # fmt: skip
        inherited.close()
        try:
            until(lambda: database.asked.is_set() or runner.poll() is not None, within_s=60.0)
            assert runner.poll() is None, (tmp_path / "said").read_text()
            guard.close()
            assert runner.wait(60.0) == REFUSED
            assert "Traceback" not in (tmp_path / "said").read_text()
        finally:
            runner.kill()
            runner.wait()
