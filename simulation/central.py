"""The SDS in virtual time: the real machine, its store and its high-water file.

The store keeps encoded records by version, as the real one does: a write of an
older version than the stored one is refused, and so is one of an SDS that died
before another began; a lost write is noticed by the file, written after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bus.config import Timing
from bus.messages import Grant, Message, Refusal
from bus.step import Note, Peer, Received, Send, Tick
from bus.timeline import line
from bus.wire import Header
from sds.case import Record, Write, WriteFailed, Written
from sds.description import Publish, ServerWriteFailed, ServiceDescription, WriteServer
from sds.membership import Server
from sds.rows import HighWater
from simulation.alarm import Alarm
from simulation.judge import Judge
from simulation.world import SDS_HOST, Clock, World

_records = msgspec.msgpack.Decoder(Record)
_servers = msgspec.msgpack.Decoder(Server)


class Disk:
    """What survives the SDS: the store, and the SDS's own file."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.servers: dict[str, bytes] = {}
        self.high_water: dict[str, HighWater] = {}
        self.incarnation = 0
        self._before: tuple[str, bytes | None] | None = None

    def write(self, record: Record, incarnation: int) -> None:
        """Take the record, then note it in the file; nothing of an SDS that another has followed."""
        if incarnation < self.incarnation:
            raise ValueError("a later SDS has begun")
        name = record.definition.name
        stored = self.records.get(name)
        old = _records.decode(stored) if stored else None
        if old is not None and record.version <= old.version:
            raise ValueError(f"version {record.version} after {old.version}")
        self._before = (name, stored)
        self.records[name] = msgspec.msgpack.encode(record)
        known = self.high_water.get(name, HighWater(0, 0))
        self.high_water[name] = HighWater(max(known.version, record.version), max(known.epoch, record.epoch))

    def lose_last_write(self) -> None:
        """The store turns out older than the file says (R18)."""
        if self._before is None:
            return
        name, stored = self._before
        self._before = None
        if stored is None:
            del self.records[name]
        else:
            self.records[name] = stored


class Central:
    """One SDS: up or down, over a disk."""

    def __init__(self, world: World, judge: Judge, timing: Timing, clock: Clock) -> None:
        self._world = world
        self._judge = judge
        self._timing = timing
        self._clock = clock
        self.disk = Disk()
        self.machine: ServiceDescription | None = None
        self.refuses_writes = False
        self.write_s = 0.02  # a write takes so long at most
        self._header = Header("sim", "sds", "sds", 0)
        self._life = 0
        self._alarm = Alarm(world, clock, self._tick)
        self.subscribers: dict[str, Peer] = {}
        self.after_write: list[Callable[[Record], None]] = []  # who wants to know what the store took
        world.doors[SDS_HOST] = self.receive

    # -- life and death

    def start(self) -> None:
        """A new incarnation, from what the disk has."""
        self.disk.incarnation += 1
        self._life += 1
        self._header = Header("sim", "sds", "sds", self.disk.incarnation)
        self.machine = ServiceDescription(
            cluster="sim",
            incarnation=self.disk.incarnation,
            timing=self._timing,
            servers=[_servers.decode(row) for row in self.disk.servers.values()],
            records=[_records.decode(row) for row in self.disk.records.values()],
            high_water=dict(self.disk.high_water),
            public_key_of=lambda name: f"key of {name}",
            draw=self._world.draw,
            now=self._clock.at(self._world.now),
        )
        self._world.say("sds", "starts, incarnation", self.disk.incarnation)
        self._step(Tick())

    def crash(self) -> None:
        """All at once; writes under way may or may not reach the store."""
        if self.machine:
            self._world.say("sds", "crashes")
        self.machine = None
        self._life += 1
        self._alarm.clear()

    # -- events

    def receive(self, header: Header, message: Message, _: Any) -> None:
        """A message arrived."""
        if self.machine:
            self._step(Received(Peer(header.sender, header.part, header.incarnation), message))

    def order(self, message: Message) -> None:
        """An operator's order, as if it had come in."""
        if self.machine:
            self._step(Received(Peer("operator", "operator", 1), message))

    def _step(self, event: Any) -> None:
        machine = self.machine
        assert machine is not None
        for action in machine.step(event, self._clock.at(self._world.now)):
            self._perform(action)
        if machine.moves.wishes:
            self._judge.wishes(machine.moves.wishes)
        self._alarm.set(machine.wake_at, self._timing.tick_s)

    def _tick(self) -> None:
        self._step(Tick())

    def _perform(self, action: Any) -> None:
        match action:
            case Send() if action.to.part == "operator":
                self._world.say("operator hears:", action.message)
            case Send():
                self._show(action.message, action.to)
                self._world.send(SDS_HOST, action.to.name, self._header, action.message, action.to)
            case Publish():
                if self.machine:
                    self._judge.readings.published(self.machine.table)
                self._world.publish(SDS_HOST, self._header, action.update, self.subscribers)
            case Write():
                delay_s = self._world.random.uniform(0.001, self.write_s)
                known = self.record(action.service)
                self._world.after(delay_s, self._write, self._life, self.disk.incarnation, action, known)
            case WriteServer():
                self._write_server(action)
            case Note():
                if self._world.timeline is not None:
                    self._world.say(line(action.transition))
            case _:
                raise AssertionError(f"no such action: {action!r}")

    def _show(self, message: Message, to: Peer) -> None:
        """What the judge reads of what the SDS says."""
        if isinstance(message, Grant):
            self._judge.granted(message, to.name, self.disk.incarnation)
        elif isinstance(message, Refusal):
            self._judge.questions.refused(self.disk.incarnation, to.name, to.incarnation, message)

    # -- the store

    def record(self, service: str) -> Record | None:
        """What the SDS believes to be on record, if it is up."""
        case = self.machine.witness.cases.get(service) if self.machine else None
        return case.record if case else None

    def _write(self, life: int, incarnation: int, write: Write, known: Record | None) -> None:
        """The write reaches the store, even if the SDS died meanwhile; then its answer reaches the SDS.

        What the SDS then may grant is judged by what it knew: an answer that
        was lost leaves the store ahead of it, which is safe.
        """
        if life != self._life and self._world.random.random() < 0.5:
            return
        result: Written | WriteFailed
        try:
            if self.refuses_writes:
                raise ValueError("the store refuses")
            self.disk.write(write.record, incarnation)
            self._judge.stored(known, write.record)
            for tell in self.after_write:
                tell(write.record)
            result = Written(write.service, write.record.version)
            if self._world.random.random() < 0.002:
                result = WriteFailed(write.service, write.record.version, "the store's answer was lost")
        except ValueError as error:
            result = WriteFailed(write.service, write.record.version, str(error))
        if life == self._life and self.machine:
            self._step(result)

    def _write_server(self, action: WriteServer) -> None:
        if self.refuses_writes:
            assert self.machine
            self.machine.step(ServerWriteFailed(action.server.name), self._clock.at(self._world.now))
        else:
            self.disk.servers[action.server.name] = msgspec.msgpack.encode(action.server)
