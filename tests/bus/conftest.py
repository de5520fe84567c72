"""A server's end, clients' ends, and a loop that lets them work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from bus.keys import Secret, Trust
from bus.sockets import Dealer, Router
from bus.wire import Header
from bus.zap import context
from tests.waiting import until

SDS = Header("demo", "sds", "sds", 1)


class Bench:
    """One router, and as many dealers as a test wants."""

    def __init__(self) -> None:
        self.server_secret = Secret.new()
        self.secrets = {name: Secret.new() for name in ("http", "ftp", "email", "anna", "eve")}
        self.trust = Trust.of(
            {"server": {n: self.secrets[n].public for n in ("http", "ftp")}, "operator": {"anna": self.secrets["anna"].public}}
        )
        self.open: list[Any] = []
        self.router = self.keep(Router("127.0.0.1", 0, self.server_secret, self.trust, SDS))

    def keep(self, thing: Any) -> Any:
        self.open.append(thing)
        return thing

    def drop(self, thing: Any) -> None:
        self.open.remove(thing)
        thing.close()

    def dealer(self, name: str = "http", **header: Any) -> Dealer:
        fields = {"cluster": "demo", "sender": name, "part": "runner", "incarnation": 1} | header
        secret = self.secrets[name]
        return self.keep(Dealer("127.0.0.1", self.router.port, self.server_secret.public, secret, Header(**fields)))

    def raw(self, name: str = "http") -> zmq.Socket[bytes]:
        """A DEALER with a good key that can say anything."""
        socket = context().socket(zmq.DEALER)
        socket.linger = 0
        socket.curve_serverkey = self.server_secret.public.encode()
        socket.curve_secretkey = self.secrets[name].z85.encode()
        socket.curve_publickey = self.secrets[name].public.encode()
        socket.connect(f"tcp://127.0.0.1:{self.router.port}")
        return self.keep(socket)

    def hear(self, count: int = 1, within_s: float = 10.0) -> list[Any]:
        """The next messages that the router hears."""
        heard: list[Any] = []

        def enough() -> bool:
            heard.extend(self.router.receive())
            return len(heard) >= count

        until(enough, within_s)
        return heard

    def say(self, dealer: Dealer, message: Any, within_s: float = 10.0) -> None:
        """Send as soon as there is a connection; the router does its chores meanwhile."""
        until(lambda: (self.serve(), dealer.send(message))[1], within_s)

    def serve(self) -> None:
        """Let the router's door work, and nothing else."""
        for chore in self.router.chores:
            chore.drain()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    for thing in reversed(bench.open):
        thing.close()
