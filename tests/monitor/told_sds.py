"""An SDS that tells what it was told to tell, on real sockets, from a thread of its own."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import msgspec
from recording import recorded

from bus import keys
from bus.messages import (
    Accepted,
    History,
    HistoryRequest,
    Message,
    Order,
    Rejection,
    Status,
    StatusRequest,
    Table,
    TableRequest,
    TableUpdate,
)
from bus.polling import Poller
from bus.sockets import Publisher, Router
from bus.wire import Header

CLUSTER = "demo"


class ToldSds:
    """Answers with the recording's first status and table, until told otherwise; notes what it is ordered."""

    def __init__(self, directory: Path) -> None:
        for name in ("sds", "monitor", "operator"):
            keys.make(directory / f"{name}.key")
        self.public_key_file = directory / "sds.key.pub"
        self.trust = keys.Trust.of(
            {
                "viewer": {"monitor": keys.load_public(directory / "monitor.key.pub")},
                "operator": {"operator": keys.load_public(directory / "operator.key.pub")},
            }
        )
        self._secret = keys.load_secret(directory / "sds.key")
        messages = list(recorded())
        self.status = next(message["status"] for _, kind, message in messages if kind == "Status")
        self.table = msgspec.convert(next(message for _, kind, message in messages if kind == "Table"), Table)
        self.events: list[dict[str, Any]] = [event for _, kind, message in messages if kind == "History" for event in message["events"]]
        self.orders: list[Order] = []
        self.refusal: str | None = None
        """Why orders are refused, if they are."""
        self.mute = False
        self.router_port = self.updates_port = 0
        self._sayings: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._ended = False
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._up.wait(20)

    def publish(self, update: TableUpdate) -> None:
        """To all who listen."""
        self._sayings.put(update)

    def seq(self) -> int:
        """The number of the newest update."""
        return self.table.seq

    def change(self, **changed: Any) -> None:
        """An update in which www's row is changed so; table and status say the same from now on."""
        rows = {row.definition.name: row for row in self.table.services}
        row = msgspec.structs.replace(rows["www"], **changed)
        seq = self.table.seq + 1
        self.table = msgspec.structs.replace(self.table, seq=seq, services=tuple((rows | {"www": row}).values()))
        shown = {key: value for key, value in changed.items() if key in ("holder", "epoch", "secondary", "state", "reason")}
        services = [service | shown if service["name"] == "www" else service for service in self.status["services"]]
        self.status = self.status | {"seq": seq, "services": services}
        self.publish(TableUpdate(seq=seq, services=(row,)))

    def end(self) -> None:
        """Close the sockets and the thread."""
        self._ended = True
        self._thread.join(20)

    def _run(self) -> None:
        header = Header(CLUSTER, "sds", "sds", 1)
        router = Router("127.0.0.1", 0, self._secret, self.trust, header)
        publisher = Publisher("127.0.0.1", 0, self._secret, self.trust, header)
        self.router_port, self.updates_port = router.port, publisher.port
        poller = Poller()
        poller.register(router)
        poller.register(publisher)
        self._up.set()
        while not self._ended:
            poller.wait(0.01)
            for chore in publisher.chores:
                chore.drain()
            for heard in router.receive():
                if not self.mute:
                    router.send(heard.connection, self._answer(heard.message))
            while not self._sayings.empty():
                publisher.send(self._sayings.get())
            if not self.mute:
                publisher.send(TableUpdate(seq=self.table.seq))
        for socket in (router, publisher):
            poller.unregister(socket)
            socket.close()

    def _answer(self, message: Message) -> Message:
        match message:
            case StatusRequest():
                return Status(status=self.status)
            case TableRequest():
                return self.table
            case HistoryRequest():
                return History(events=tuple(self.events[-message.limit :]))
            case Order() if self.refusal is None:
                self.orders.append(message)
                return Accepted(text=f"{message.verb}: it is done")
            case Order():
                return Rejection(code="not-allowed", text=self.refusal)
            case _:
                return Rejection(code="not-allowed", text=f"not {type(message).__name__}")
