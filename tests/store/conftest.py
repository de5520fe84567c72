"""Real stores, each alone on its data: the embedded Valkey, Debian's Redis if it is there, and the twin."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sds.rows import AnyStore
from sds.store import Store
from sds.twin import StoreTwin
from sds.valkey import Valkey, _answering_pid
from tests.waiting import until


class Server:
    """A store's process, which a test may kill, stop and start again."""

    def __init__(self, kind: str, home: Path) -> None:
        self.kind = kind
        self.home = home
        self.stores: list[Store] = []
        self._valkey = Valkey(home)
        self._redis: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self.kind == "valkey":
            self._valkey.start(within_s=30)
            self.url, self.pid = self._valkey.url, self._valkey.pid
            return
        socket = self.home / "redis.sock"
        arguments = [
            "--port",
            "0",
            "--unixsocket",
            socket,
            "--dir",
            self.home,
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
        ]
        self._redis = subprocess.Popen(["redis-server", *arguments], stdout=subprocess.DEVNULL, start_new_session=True)
        self.url, self.pid = f"unix://{socket}", self._redis.pid
        until(lambda: _answering_pid(str(socket), "") == self.pid, 30)

    def signal(self, number: signal.Signals) -> None:
        if self._redis is not None:
            self._redis.send_signal(number)
        else:
            signal.pidfd_send_signal(self._valkey.fileno(), number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        until(lambda: self._redis.poll() is not None if self._redis else self._valkey.died())

    def stop(self) -> None:
        if self._redis is not None:
            self._redis.kill()
            self._redis.wait()
        self._valkey.stop()

    def store(self, cluster: str = "demo", file: str = "high-water.json", **limits: float) -> Store:
        self.stores.append(Store(self.url, cluster, self.home / file, **({"read_s": 10.0, "connect_s": 10.0} | limits)))
        return self.stores[-1]


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    if request.param == "redis" and shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    server = Server(request.param, tmp_path)
    server.start()
    yield server
    for store in server.stores:
        store.close()
    server.stop()


@pytest.fixture(params=["valkey", "redis", "twin"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnyStore]:
    """Something of the shape of a store."""
    if request.param == "twin":
        yield StoreTwin()
        return
    if request.param == "redis" and shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    server = Server(request.param, tmp_path)
    server.start()
    store = server.store()
    yield store
    store.close()
    server.stop()
