"""An SDS that only talks: a small cluster of which one service changes twenty times a second."""

from __future__ import annotations

import threading
from pathlib import Path

from bench.asking import monotonic
from bus import keys
from bus.messages import History, HistoryRequest, Message, Status, StatusRequest, Table, TableRequest, TableUpdate
from bus.polling import Poller
from bus.sockets import Publisher, Router
from bus.values import ServerRow, ServiceDefinition, ServiceRow
from bus.wire import Header

CLUSTER = "bench"
_SERVERS = ("http", "ftp", "email")


def _server(name: str) -> ServerRow:
    return ServerRow(
        name=name, address="192.0.2.1", peer_port=5760, public_key="k" * 40, incarnation=1, state="up", loadlevel=0.1, priority=10
    )


def _service(number: int) -> ServiceRow:
    www = ServiceDefinition(name="www", fqdn="www.test", port=80, home="http")
    return ServiceRow(definition=www, epoch=1, holder="http", secondary="email", state="serving", reason=f"update {number}")


class TalkingSds:
    """In a thread; `sent_at` holds when each update was published."""

    def __init__(self, directory: Path, every_s: float) -> None:
        for name in ("sds", "monitor"):
            keys.make(directory / f"{name}.key")
        self.sent_at: list[float] = [monotonic()]
        self._every_s = every_s
        self._secret = keys.load_secret(directory / "sds.key")
        self._trust = keys.Trust.of({"viewer": {"monitor": keys.load_public(directory / "monitor.key.pub")}})
        self._up, self._ended = threading.Event(), threading.Event()
        self.ports = (0, 0)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._up.wait()

    def end(self) -> None:
        """Fall silent for good."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        header = Header(CLUSTER, "sds", "sds", 1)
        router = Router("127.0.0.1", 0, self._secret, self._trust, header)
        publisher = Publisher("127.0.0.1", 0, self._secret, self._trust, header)
        self.ports = (router.port, publisher.port)
        poller = Poller()
        poller.register(router)
        poller.register(publisher)
        self._up.set()
        while not self._ended.is_set():
            poller.wait(max(0.0, self.sent_at[-1] + self._every_s - monotonic()))
            for chore in publisher.chores:
                chore.drain()
            for heard in router.receive():
                router.send(heard.connection, self._answer(heard.message))
            if monotonic() >= self.sent_at[-1] + self._every_s:
                number = len(self.sent_at)
                self.sent_at.append(monotonic())
                publisher.send(TableUpdate(seq=number, services=(_service(number),)))
        for socket in (router, publisher):
            poller.unregister(socket)
            socket.close()

    def _answer(self, message: Message) -> Message:
        number = len(self.sent_at) - 1
        servers = tuple(_server(name) for name in _SERVERS)
        match message:
            case TableRequest():
                return Table(seq=number, incarnation=0, servers=servers, services=(_service(number),))
            case HistoryRequest():
                return History(events=())
            case StatusRequest():
                rows = [{"name": name, "address": "192.0.2.1", "state": "up", "last_seen_s": 0.1, "guards": []} for name in _SERVERS]
                www = {"name": "www", "fqdn": "www.test", "port": 80, "home": "http", "holder": "http", "epoch": 1, "secondary": "email"}
                return Status(status={"cluster": CLUSTER, "seq": number, "sds": [], "servers": rows, "services": [www]})
            case _:
                raise AssertionError(f"a monitor asks no {type(message).__name__}")
