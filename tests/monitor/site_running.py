"""A monitor as it runs: a process of its own on a free port, asked over HTTP and Socket.IO."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import socketio
from told_sds import CLUSTER, ToldSds
from waiting import until

CHECKOUT = Path(__file__).resolve().parents[2]
SOON_S = 30.0
"""Generous: what is asserted is that it comes, not when."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.code = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def cookie(self) -> str:
        """The cookie that it sets, as it is sent back."""
        return (self.headers["Set-Cookie"] or "").partition(";")[0]


class Page:
    """A browser's Socket.IO connection, and what it was told."""

    def __init__(self, url: str, transports: list[str]) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._lock = threading.Lock()
        self.io = socketio.Client(reconnection=False)
        for name in ("snapshot", "delta"):
            self.io.on(name, lambda data, name=name: self.told.append((name, data)))
        self.io.connect(url, transports=transports, wait_timeout=20)

    def state(self) -> dict[str, Any]:
        """The state as this page has put it together, once it has a snapshot."""
        from recording import patched

        told = until(lambda: list(self.told), within_s=SOON_S)
        begin = max(index for index, (name, _) in enumerate(told) if name == "snapshot")
        page = told[begin][1]
        for _, delta in told[begin + 1 :]:
            page = patched(page, delta)
        return page

    def close(self) -> None:
        self.io.disconnect()


class Site:
    """One monitor that watches a told SDS."""

    def __init__(self, directory: Path, sds: ToldSds, **settings: Any) -> None:
        self.directory = directory
        self.sds = sds
        self.port = free_port()
        values: dict[str, Any] = {
            "cluster": CLUSTER,
            "port": self.port,
            "state_dir": str(directory / "monitor"),
            "key_file": str(directory / "monitor.key"),
            "operator_key_file": str(directory / "operator.key"),
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in (values | settings).items()]
        lines += ["[sds]", 'address = "127.0.0.1"', f"port = {sds.router_port}", f"updates_port = {sds.updates_port}"]
        lines += [f"public_key_file = {json.dumps(str(sds.public_key_file))}"]
        self.settings = directory / f"monitor-{self.port}.toml"
        self.settings.write_text("\n".join(lines) + "\n")
        self.log = directory / f"monitor-{self.port}.log"
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cli.main", "monitor", "--config", str(self.settings)],
                env={key: value for key, value in os.environ.items() if not key.startswith("LOCUM_")} | {"PYTHONPATH": str(CHECKOUT)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def ready(self) -> Site:
        """Once it answers and has heard the SDS."""

        def answers() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError):
                return bool(self.get("/api/status").code == 200)
            return False

        until(answers, within_s=SOON_S, every_s=0.05)
        return self

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, None, headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.ask("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"} | headers)

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SOON_S)
        try:
            connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def log_in(self, password: str) -> dict[str, str]:
        """The headers of an operator."""
        answer = self.post("/login", {"password": password})
        assert answer.code == 200, answer.text
        return {"Cookie": answer.cookie, "X_CSRF_Token": answer.json["csrf"]}

    @contextlib.contextmanager
    def page(self, *transports: str) -> Iterator[Page]:
        """A page that is open."""
        page = Page(f"http://127.0.0.1:{self.port}", list(transports or ("websocket",)))
        try:
            yield page
        finally:
            page.close()

    def open(self) -> socket.socket:
        """A connection on which nothing was said yet."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=SOON_S)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(SOON_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
