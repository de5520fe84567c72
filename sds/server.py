"""The SDS's loop: receive, step, persist, send.

On asyncio; the store is written by a thread of its own (sds/keeper.py), so a
slow disk delays grants and nothing else: renewals need no disk (R18).  What it
decides is in sds/description.py.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bus.addresses import written
from bus.config import ConfigError, SdsConfig, Timing
from bus.keys import Trust, load_secret
from bus.log import Log, take_over_logging, wall_clock
from bus.messages import History, HistoryRequest, Message, Rejection, Status, StatusRequest
from bus.polling import AsyncPoller
from bus.sockets import BindError, Heard, Publisher, Router
from bus.step import Note, Peer, Received, Send, Tick
from bus.timeline import Transition
from bus.wire import Header
from sds.case import Record, Write, WriteFailed, Written
from sds.description import Outlived, Publish, ServerWriteFailed, ServiceDescription, Turned, WriteServer
from sds.keeper import Keeper, Outcome, load
from sds.looking_back import Wanted
from sds.membership import Server
from sds.store import Loaded, Row, Store, StoreError
from sds.valkey import Valkey

REFUSED, MISCONFIGURED = 1, 2

Kept = TypeVar("Kept")

_records = msgspec.msgpack.Decoder(Record)
_servers = msgspec.msgpack.Decoder(Server)


def clock() -> float:
    """CLOCK_BOOTTIME (R2)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _decoded(loaded: Loaded, kind: str, decoder: msgspec.msgpack.Decoder[Kept]) -> list[Kept]:
    """The rows of this kind; raises `StoreError` with the name of one that is none of ours."""
    found = []
    for row in loaded.rows:
        if row.kind == kind:
            try:
                found.append(decoder.decode(row.payload))
            except (msgspec.MsgspecError, RecursionError) as error:
                remedy = "was it written by a later release? upgrade this SDS, or restore the store from a backup"
                raise StoreError(f"the store's row {row.key} cannot be understood ({error}): {remedy}") from None
    return found


class SdsServer:
    """Sockets and store around the machine."""

    def __init__(self, config: SdsConfig, loaded: Loaded, incarnation: int, keeper: Keeper, log: Log) -> None:
        self._config = config
        self._keeper = keeper
        self._log = log
        self._began_at = clock()
        secret = load_secret(Path(config.key_file))
        trust = Trust.load(Path(config.trust_file))
        header = Header(config.cluster, config.name, "sds", incarnation)
        self._public_keys = trust.keys("server")
        self._router = Router(config.address, config.port, secret, trust, header)
        self._publisher = Publisher(config.address, config.updates_port, secret, trust, header)
        self._machine = ServiceDescription(
            cluster=config.cluster,
            incarnation=incarnation,
            timing=Timing.preset(config.timing, "fifo") if config.timing != "auto" else Timing.lan(),
            servers=_decoded(loaded, "server", _servers),
            records=_decoded(loaded, "service", _records),
            high_water=loaded.high_water,
            public_key_of=lambda name: self._public_keys.get(name, ""),
            draw=lambda: secrets.randbits(60) + 1,
            now=clock(),
        )
        self._turned: list[Turned] = []
        self._router.refusals.tell = self._publisher.refusals.tell = self._turned_away
        self._connections: dict[tuple[str, str, int], bytes] = {}
        self._newest: dict[tuple[str, str], int] = {}
        self._readers: set[bytes] = set()  # connections whose question about the history is being answered
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._code = 0
        self.outlived = 0
        """The later incarnation that a server has heard, if this one must give way to it."""
        self._poller = AsyncPoller()
        keeper.done = self._stored
        text, evidence = f"incarnation {incarnation}", {"incarnation": incarnation}
        self._note(Transition(kind="sds-started", server=config.name, text=text, evidence=evidence))

    async def run(self) -> int:
        """Until SIGTERM or SIGINT, or a fault of our own; the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        self._begin(self._keeper.work())
        for socket in (self._router, self._publisher):
            self._poller.register(socket)
        while not self._stopping.is_set():
            await self._poller.wait(max(0.0, min(1.0, self._machine.wake_at - clock())))
            for heard in self._router.receive():
                self._hear(heard)
            turned, self._turned = self._turned, []
            for refusal in turned:
                self._step(refusal)
            if self._machine.wake_at <= clock():
                self._step(Tick())
        self._log("ending")
        for task in list(self._tasks):
            task.cancel()
        await self._keeper.close()
        for socket in (self._router, self._publisher):
            socket.close()
        self._poller.close()
        return self._code

    def _stop(self) -> None:
        self._stopping.set()
        self._poller.poke()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log(f"a task failed: {task.exception()!r}")
            self._code = REFUSED
            self._stop()

    # -- what comes in

    def _hear(self, heard: Heard) -> None:
        header, message = heard.header, heard.message
        if header.part in ("operator", "viewer") and isinstance(message, StatusRequest):
            self._router.send(heard.connection, Status(status=self._machine.status(self._sds_status(), clock())))
        elif header.part in ("operator", "viewer") and isinstance(message, HistoryRequest):
            self._ask_history(heard.connection, message)
        else:
            self._connections[header.sender, header.part, header.incarnation] = heard.connection
            if header.incarnation > self._newest.get((header.sender, header.part), -1):
                self._newest[header.sender, header.part] = header.incarnation
            self._step(Received(Peer(header.sender, header.part, header.incarnation), message))

    def _sds_status(self) -> list[dict[str, Any]]:
        return [{"name": self._config.name, "role": "active", "address": written(self._config.address, self._config.port)}]

    def _ask_history(self, connection: bytes, question: HistoryRequest) -> None:
        """One question at a time for each who asks: the others it would only have to wait for itself."""
        if connection not in self._readers:
            self._readers.add(connection)
            self._begin(self._history(connection, question))

    async def _history(self, connection: bytes, question: HistoryRequest) -> None:
        wanted = Wanted(question, wall_clock())
        try:
            events = await self._keeper.events(question.limit, wanted)
        except StoreError as error:
            self._router.send(connection, Rejection(code="store", text=f"the history cannot be read: {error}"))
            return
        finally:
            self._readers.discard(connection)
        shown = tuple({"id": event.id} | msgspec.json.decode(event.payload) for event in events)
        self._router.send(connection, History(events=shown))

    def _turned_away(self, reason: str, who: str, text: str) -> None:
        """Told in the middle of receiving: the machine hears of it afterwards."""
        self._turned.append(Turned(reason, f"{who}: {text}"))

    def _stored(self, outcome: Outcome) -> None:
        row, reason = outcome.row, outcome.reason
        if row.kind == "server":
            if reason is not None:
                self._step(ServerWriteFailed(row.name))
        elif reason is None:
            self._step(Written(row.name, row.version))
        else:
            self._step(WriteFailed(row.name, row.version, reason))

    # -- what goes out

    def _step(self, event: Any) -> None:
        for action in self._machine.step(event, clock()):
            match action:
                case Send():
                    self._send(action.to, action.message)
                case Publish():
                    self._publisher.send(action.update)
                case Write():
                    record = action.record
                    payload = msgspec.msgpack.encode(record)
                    self._keeper.write(Row("service", action.service, record.version, record.epoch, payload))
                case WriteServer():
                    server = action.server
                    self._keeper.write(Row("server", server.name, server.version, 0, msgspec.msgpack.encode(server)))
                case Note():
                    self._note(action.transition)
                case Outlived():
                    self._log(
                        f"a server has heard incarnation {action.incarnation} of this SDS, this is an earlier one: its state was lost "
                        "or restored from a backup; starting again above that number, and asking every server what it holds"
                    )
                    self.outlived = action.incarnation
                    self._stop()
                case _:
                    raise AssertionError(f"no such action: {action!r}")
        self._poller.poke()

    def _send(self, to: Peer, message: Message) -> None:
        incarnation = to.incarnation or self._newest.get((to.name, to.part), 0)
        connection = self._connections.get((to.name, to.part, incarnation))
        if connection is not None and not self._router.send(connection, message):
            del self._connections[to.name, to.part, incarnation]

    def _note(self, transition: Transition) -> None:
        self._log.transition(transition)
        event = {
            "at": wall_clock().isoformat(timespec="milliseconds"),
            "kind": transition.kind,
            "service": transition.service,
            "server": transition.server,
            "epoch": transition.epoch,
            "text": transition.text,
            "evidence": transition.evidence,
        }
        self._keeper.append(msgspec.json.encode(event))


def main(config: SdsConfig, log_format: str = "text") -> int:
    """Be the SDS of this cluster; the exit status: 0 ended as asked, 1 refused, 2 the config cannot be used."""
    log = Log(config.name, "sds", log_format)
    take_over_logging(log)
    valkey = Valkey(Path(config.state_dir)) if config.store == "embedded" else None
    try:
        Path(config.state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        load_secret(Path(config.key_file))
        Trust.load(Path(config.trust_file))
        return _live(config, valkey, log)
    except ConfigError as error:
        log(str(error))
        return MISCONFIGURED
    except (StoreError, BindError) as error:
        log(str(error))
    except OSError as error:
        log(f"{error.filename or config.state_dir}: {error.strerror}: give a state_dir that can be written")
    finally:
        if valkey is not None:
            valkey.stop()
    return REFUSED


def _live(config: SdsConfig, valkey: Valkey | None, log: Log) -> int:
    """One incarnation after another, as long as a server has heard a later one than we are."""
    beyond = 0
    while True:
        url = config.store
        if valkey is not None:
            valkey.start()
            url = valkey.url
        store, reader = (Store(url, config.cluster, Path(config.state_dir) / "high-water.json") for _ in range(2))
        loaded, incarnation = load(store, beyond)
        keeper = Keeper(store, reader, valkey, config.history_limit, log)
        code, beyond = asyncio.run(_serve(config, keeper, loaded, incarnation, log))
        if not beyond:
            return code


async def _serve(config: SdsConfig, keeper: Keeper, loaded: Loaded, incarnation: int, log: Log) -> tuple[int, int]:
    server = SdsServer(config, loaded, incarnation, keeper, log)
    return await server.run(), server.outlived


if __name__ == "__main__":
    sys.exit("use `locum sds --config FILE`")
