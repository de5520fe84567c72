"""The SDS's loop: receive, step, persist, send.

On asyncio; the store is written by a thread of its own (sds/keeper.py), so a
slow disk delays grants and nothing else: renewals need no disk (R18).  What it
decides is in sds/description.py.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import signal
import sys
import time
from collections import OrderedDict
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bus.addresses import written
from bus.config import ConfigError, SdsConfig, Timing
from bus.keys import Trust, check, load_secret
from bus.log import Log, take_over_logging, wall_clock
from bus.messages import History, HistoryRequest, Join, Message, Rejection, Status, StatusRequest, TokenRequest
from bus.polling import AsyncPoller
from bus.sockets import BindError, Heard, Publisher, Router
from bus.step import Note, Peer, Received, Send, Tick
from bus.timeline import Transition
from bus.wire import Header
from sds.admission import Admission, Book, BookNotWritten, BookWritten, Relisted, TrustChanged, WriteBook
from sds.book import BookFile
from sds.case import Record, Write, WriteFailed, Written
from sds.description import Outlived, Publish, ServerWriteFailed, ServiceDescription, Turned, WriteServer
from sds.door import door
from sds.keeper import Keeper, Outcome, load
from sds.looking_back import Wanted
from sds.membership import Server
from sds.store import Loaded, Row, Store, StoreError
from sds.valkey import Valkey
from sds.welcome import place

REFUSED, MISCONFIGURED = 1, 2

Kept = TypeVar("Kept")

QUESTIONS_LIMIT = 1_000
"""Questions whose answer is awaited, at most."""

REBIND_S = 0.005
"""Between two attempts to listen again on a port that was just given up."""

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

    def __init__(self, config: SdsConfig, loaded: Loaded, incarnation: int, keeper: Keeper, book: BookFile, log: Log) -> None:
        self._config = config
        self._book = book
        self._keeper = keeper
        self._log = log
        self._began_at = clock()
        self._secret = load_secret(Path(config.key_file))
        listed = Trust.load(Path(config.trust_file)).owners()
        self._header = Header(config.cluster, config.name, "sds", incarnation)
        admission = Admission(book.read(), listed, place(config), clock(), time.time())
        self._router = Router(config.address, config.port, self._secret, Trust(admission.doors()), self._header)
        self._publisher: Publisher | None = self._new_publisher(admission)
        self._machine = ServiceDescription(
            cluster=config.cluster,
            incarnation=incarnation,
            timing=Timing.preset(config.timing, "fifo") if config.timing != "auto" else Timing.lan(),
            servers=_decoded(loaded, "server", _servers),
            records=_decoded(loaded, "service", _records),
            high_water=loaded.high_water,
            public_key_of=lambda name: admission.key_of("server", name),
            draw=lambda: secrets.randbits(60) + 1,
            now=clock(),
            admission=admission,
        )
        self._turned: list[Turned] = []
        self._router.refusals.tell = self._turned_away
        self._asking: OrderedDict[Peer, bytes] = OrderedDict()
        self._questions = itertools.count(1)
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
        self._complain()
        text, evidence = f"incarnation {incarnation}", {"incarnation": incarnation}
        self._note(Transition(kind="sds-started", server=config.name, text=text, evidence=evidence))

    async def run(self) -> int:
        """Until SIGTERM or SIGINT, or a fault of our own; the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._read_trust_again)
        self._begin(self._keeper.work())
        for socket in self._sockets():
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
        for socket in self._sockets():
            socket.close()
        self._poller.close()
        return self._code

    def _sockets(self) -> list[Router | Publisher]:
        return [self._router, *([self._publisher] if self._publisher else [])]

    def _new_publisher(self, admission: Admission) -> Publisher:
        """Updates are not for those who hold but a token."""
        publisher = Publisher(self._config.address, self._config.updates_port, self._secret, Trust(admission.owners()), self._header)
        publisher.refusals.tell = self._turned_away
        return publisher

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
            status = self._machine.status(self._sds_status(), clock()) | {"store": self._store_status()}
            self._router.send(heard.connection, Status(status=status))
        elif header.part in ("operator", "viewer") and isinstance(message, HistoryRequest):
            self._ask_history(heard.connection, message)
        elif header.part not in ("guard", "runner"):
            self._answer_person(heard)
        else:
            self._connections[header.sender, header.part, header.incarnation] = heard.connection
            if header.incarnation > self._newest.get((header.sender, header.part), -1):
                self._newest[header.sender, header.part] = header.incarnation
            self._step(Received(Peer(header.sender, header.part, header.incarnation), message))

    def _answer_person(self, heard: Heard) -> None:
        """Each question under a number of its own, since one name may ask several things at a time."""
        if isinstance(heard.message, Join | TokenRequest):
            try:
                check(heard.message.public_key)
            except ValueError as error:
                self._router.send(heard.connection, Rejection(code="bad-request", text=str(error)))
                return
        asker = Peer(heard.header.sender, heard.header.part, next(self._questions))
        self._asking[asker] = heard.connection
        if len(self._asking) > QUESTIONS_LIMIT:
            self._asking.popitem(last=False)
        self._step(Received(asker, heard.message))

    def _sds_status(self) -> list[dict[str, Any]]:
        place, uptime_s = written(self._config.address, self._config.port), round(clock() - self._began_at, 3)
        return [{"name": self._config.name, "role": "active", "address": place, "uptime_s": uptime_s}]

    def _store_status(self) -> dict[str, Any]:
        wrote_at = self._keeper.wrote_at
        return {"state": self._keeper.state, "last_write_s": None if wrote_at is None else round(clock() - wrote_at, 3)}

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

    # -- whose keys are trusted

    async def _write_book(self, book: Book) -> None:
        try:
            await self._keeper.perform(lambda: self._book.write(book))
        except StoreError as error:
            self._log(str(error))
            self._step(BookNotWritten(str(error)))
        else:
            self._step(BookWritten())

    def _read_trust_again(self) -> None:
        """SIGHUP.  Nothing but trust changes: leases, promises and the table are not touched."""
        try:
            listed = Trust.load(Path(self._config.trust_file)).owners()
        except ConfigError as error:
            self._log(f"{error}; everything stays as it was")
            return
        self._step(Relisted(listed))
        self._complain()

    def _complain(self) -> None:
        for line in self._machine.admission.complaints():
            self._log(f"{self._config.trust_file}: {line}")

    def _change_trust(self) -> None:
        admission = self._machine.admission
        self._router.trust = Trust(admission.doors())
        if self._publisher is None:
            return  # the next one is being made, and will know
        before, now = self._publisher.trust.owners(), admission.owners()
        self._publisher.trust = Trust(now)
        if before.keys() - now.keys():
            self._poller.unregister(self._publisher)
            self._publisher.close()
            self._publisher = None
            self._begin(self._publish_anew())

    async def _publish_anew(self) -> None:
        """PUB cannot hang up on one subscriber whose key is revoked: all are hung up on, and those who may come back."""
        while self._publisher is None:
            self._poller.poke()
            await asyncio.sleep(REBIND_S)  # libzmq frees the port a moment after the socket was closed
            try:
                self._publisher = self._new_publisher(self._machine.admission)
            except BindError:
                continue
        self._poller.register(self._publisher)

    # -- what goes out

    def _step(self, event: Any) -> None:
        for action in self._machine.step(event, clock()):
            match action:
                case Send():
                    self._send(action.to, action.message)
                case Publish():
                    if self._publisher is not None:  # an update may be lost
                        self._publisher.send(action.update)
                case WriteBook():
                    self._begin(self._write_book(action.book))
                case TrustChanged():
                    self._change_trust()
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
        asking = self._asking.pop(to, None)
        if asking is not None:
            self._router.send(asking, message)
            return
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
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what it asks for is about to be done: the trust file is read
    valkey: Valkey | None = None
    try:
        valkey = Valkey(Path(config.state_dir), door(config)) if config.store == "embedded" else None
        Path(config.state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        load_secret(Path(config.key_file))
        Trust.load(Path(config.trust_file))
        place(config)
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
    book = BookFile(Path(config.state_dir) / "joined.json", config.cluster)
    server = SdsServer(config, loaded, incarnation, keeper, book, log)
    return await server.run(), server.outlived


if __name__ == "__main__":
    sys.exit("use `locum sds --config FILE`")
