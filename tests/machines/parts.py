"""One guard or one SDS without a world around it: it hears what a test says, at the time that a test says."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, TypeVar

from agent import channel
from agent.duty import Duty
from agent.guarding import FromRunner, FromTether, Guarding
from agent.holding import Holding
from bus.config import Timing
from bus.messages import Acknowledgement, Beat, Epochs, Grant, Loadlevel, Message, Registration, Report
from bus.step import Peer, Received, Send, Tick
from bus.values import ServiceDefinition
from sds.case import Record, Write, WriteFailed, Written
from sds.description import ServiceDescription, WriteServer
from sds.membership import Server
from sds.rows import HighWater

TIMING = Timing.calm()
H, S, G = TIMING.lease_s, TIMING.stop_s, TIMING.promise_s
LITTLE = 0.001
WWW = ServiceDefinition(name="www", fqdn="www.test", port=8081, home="http", start=("run",))
WITNESS = Peer("sds", "sds", 1)

Kind = TypeVar("Kind")


def guard(name: str, incarnation: int = 1) -> Peer:
    """The guard of that server, as a sender."""
    return Peer(name, "guard", incarnation)


def said(actions: Iterable[Any], kind: type[Kind]) -> list[Kind]:
    """The messages and lines of this kind among the actions."""
    found = [action.message if isinstance(action, Send) else getattr(action, "line", action) for action in actions]
    return [message for message in found if isinstance(message, kind)]


def recipients(actions: Iterable[Any], kind: type[Message]) -> list[str]:
    """To whom messages of this kind go."""
    return [action.to.name for action in actions if isinstance(action, Send) and isinstance(action.message, kind)]


class Guard:
    """A guard whose runner and tether are the test."""

    def __init__(self, name: str = "email", incarnation: int = 1, nonce: int = 7, admitted: bool = True) -> None:
        self.name, self.incarnation = name, incarnation
        self.now = 100.0
        self.machine = Guarding(name, incarnation, nonce, TIMING, self.now)
        self.tether(channel.RunnerUp())
        if admitted:
            self.admit()

    def admit(self) -> list[Any]:
        """The SDS answers this incarnation's report, which was made long ago."""
        self.wait(2 * G)
        return self.hear(WITNESS, Epochs(incarnation=self.incarnation, epochs={}))

    def wait(self, seconds: float) -> list[Any]:
        """Time passes, and every alarm rings when it is due."""
        end, actions = self.now + seconds, []
        while self.machine.wake_at <= end:
            self.now = max(self.now, self.machine.wake_at) + 1e-6
            actions += self.machine.step(Tick(), self.now)
        self.now = max(self.now, end)
        return actions

    def hear(self, sender: Peer, message: Message) -> list[Any]:
        return self.machine.step(Received(sender, message), self.now)

    def runner(self, line: channel.Line) -> list[Any]:
        return self.machine.step(FromRunner(line), self.now)

    def tether(self, line: channel.Line) -> list[Any]:
        return self.machine.step(FromTether(line), self.now)

    @property
    def duty(self) -> Duty:
        return self.machine.duty("www")

    @property
    def holding(self) -> Holding:
        assert self.duty.holding
        return self.duty.holding

    def grant(self, epoch: int = 1, question: int = 0, clean: bool = True, grant_id: int = 0, incarnation: int = 0) -> list[Any]:
        """A grant arrives."""
        grant = Grant(
            service="www",
            epoch=epoch,
            grant_id=grant_id or 1000 + epoch,
            to_incarnation=incarnation or self.incarnation,
            question=question,
            clean=clean,
            definition=WWW,
        )
        return self.hear(WITNESS, grant)

    def keep_alive(self, sender: Peer, kind: type[Beat], epoch: int = 1, number: int = 1, beat: int = 1, grant_id: int = 0) -> list[Any]:
        """A keep-alive or an assignment arrives."""
        message = kind(
            service="www",
            epoch=epoch,
            grant_id=grant_id or 1000 + epoch,
            number=number,
            beat=beat,
            nonce=3,
            lease_s=H,
            stop_s=S,
        )
        return self.hear(sender, message)


def acknowledge(beat: Beat) -> Acknowledgement:
    """What a secondary answers to this."""
    return Acknowledgement(service=beat.service, epoch=beat.epoch, number=beat.number, beat=beat.beat, nonce=beat.nonce)


class Sds:
    """An SDS whose store is the test: it takes every write, unless told to fail."""

    def __init__(
        self,
        records: Iterable[Record] = (),
        servers: Iterable[Server] = (),
        high_water: dict[str, HighWater] | None = None,
        incarnation: int = 1,
    ) -> None:
        self.now = 500.0
        self.fails = False
        self.holds_back = False
        self.held_back: list[Write] = []
        self.machine = ServiceDescription(
            cluster="test",
            incarnation=incarnation,
            timing=TIMING,
            servers=servers,
            records=records,
            high_water=high_water or {},
            public_key_of=lambda name: f"key of {name}",
            draw=itertools.count(9_000).__next__,
            now=self.now,
        )
        self.step(Tick())

    def step(self, event: Any) -> list[Any]:
        """One event, and the store's answers to what it leads to."""
        actions = self.machine.step(event, self.now)
        for action in list(actions):
            if isinstance(action, WriteServer) or not isinstance(action, Write):
                continue
            if self.holds_back:
                self.held_back.append(action)
            elif self.fails:
                actions += self.step(WriteFailed(action.service, action.record.version, "the disk is full"))
            else:
                actions += self.step(Written(action.service, action.record.version))
        return actions

    def hear(self, sender: Peer, message: Message) -> list[Any]:
        return self.step(Received(sender, message))

    def wait(self, seconds: float, *alive: str) -> list[Any]:
        """Time passes; these servers go on reporting."""
        actions: list[Any] = []
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + TIMING.loadlevel_s / 4, end)
            for name in alive:
                actions += self.speak(name)
            actions += self.step(Tick())
        return actions

    def speak(self, name: str) -> list[Any]:
        """A word of both parts of a server, which changes nothing."""
        incarnation = self.machine.membership.incarnation(name)
        holds = self.machine.membership.presence[name].serving
        actions = self.hear(Peer(name, "runner", incarnation), Loadlevel(loadlevel=0.0, seq=self.machine.table.seq, serving=holds))
        self.machine.membership.presence[name].guard_heard_at = self.now
        return actions

    def join(self, name: str, incarnation: int = 1, able: tuple[str, ...] = ("www",)) -> list[Any]:
        """A server reports, registers and tells its load."""
        services = (WWW,) if name == WWW.home else ()
        registration = Registration(address=name, peer_port=5760, services=services, able=able, lease_s=H, stop_s=S)
        actions = self.hear(guard(name, incarnation), Report(knows=self.machine.witness._incarnation))
        actions += self.hear(Peer(name, "runner", incarnation), registration)
        actions += self.hear(Peer(name, "runner", incarnation), Loadlevel(loadlevel=0.0, seq=0))
        return actions

    @property
    def record(self) -> Record:
        return self.machine.witness.cases["www"].record
