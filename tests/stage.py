"""The paper's cluster in virtual time, without chance: the simulator's real machines, whose every delay is the middle one.

http, ftp and email are the homes of www, ftp and mail, as in section 3 of the
paper.  What happens is a matter of what a test orders, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import msgspec

from agent.choosing import ChoosingSettings
from agent.running import Ability
from bus.config import Timing
from bus.messages import Message, Order
from bus.step import Note, Peer
from bus.timeline import Transition
from bus.values import ServiceDefinition
from bus.wire import Header
from simulation.central import Central
from simulation.host import Behaviour, Host, Names
from simulation.judge import Judge
from simulation.world import SDS_HOST, World

HOMES = {"www": "http", "ftp": "ftp", "mail": "email"}
PORTS = {"www": 8081, "ftp": 2121, "mail": 2525}
SERVERS = ("http", "ftp", "email")


class Steady(Random):
    """Chance that always falls in the middle: however often it is asked, a story goes the same way."""

    def random(self) -> float:
        """The middle."""
        return 0.5


class Heard(NamedTuple):
    """A message that arrived, really encoded and decoded."""

    at: float
    sender: str
    part: str
    receiver: str
    message: Message


class NotingHost(Host):
    """A server whose guard's notes can be looked up."""

    note: Callable[[Transition], None]

    def _perform_guard(self, action: Any) -> None:
        if isinstance(action, Note):
            self.note(action.transition)
        super()._perform_guard(action)


class NotingCentral(Central):
    """An SDS whose notes can be looked up."""

    note: Callable[[Transition], None]

    def _perform(self, action: Any) -> None:
        if isinstance(action, Note):
            self.note(action.transition)
        super()._perform(action)


class Stage:
    """The cluster, what it said, and what happened."""

    def __init__(self, **definition: Any) -> None:
        self.timing = Timing.calm()
        self.world = World(0)
        self.world.random = Steady()
        self.world.timeline = []
        self.heard: list[Heard] = []
        self.events: list[dict[str, Any]] = []
        self.judge = Judge(self.world, tuple(HOMES))
        NotingHost.note = NotingCentral.note = staticmethod(self._note)  # type: ignore[assignment]
        self.central = NotingCentral(self.world, self.judge, self.timing, self.world.clock(0.0))
        names = Names()
        self.hosts = {name: self._host(name, names, definition) for name in SERVERS}
        self.central.subscribers = {name: Peer(name, "runner") for name in SERVERS}
        for name, door in list(self.world.doors.items()):
            self.world.doors[name] = self._tapped(name, door)
        self.central.start()

    def _host(self, name: str, names: Names, definition: dict[str, Any]) -> Host:
        homes = tuple(
            ServiceDefinition(
                **{"name": service, "fqdn": f"{service}.test", "port": PORTS[service], "home": home, "start": ("run",)}
                | {"failback_delay_s": 2.0, "restart_limit": 2}
                | definition
            )
            for service, home in HOMES.items()
            if home == name
        )
        ability = Ability(tuple(HOMES), {})
        choosing = ChoosingSettings(dwell_s=2.0)
        return NotingHost(self.world, self.judge, names, name, self.timing, self.world.clock(0.0), Behaviour(), homes, ability, choosing)

    def _tapped(self, receiver: str, door: Callable[[Header, Message, Any], None]) -> Callable[[Header, Message, Any], None]:
        def tap(header: Header, message: Message, to: Any) -> None:
            self.heard.append(Heard(self.world.now, header.sender, header.part, receiver, message))
            door(header, message, to)

        return tap

    def _note(self, transition: Transition) -> None:
        self.events.append({"at": f"{self.world.now:.3f}", "id": str(len(self.events)), **msgspec.to_builtins(transition)})

    # -- what a test does

    def boot(self, *servers: str) -> None:
        """Power on."""
        for name in servers:
            self.hosts[name].boot()

    def run(self, seconds: float) -> None:
        """Time passes; at most one server served each service."""
        self.world.run(self.world.now + seconds)
        assert self.judge.violation is None, self.judge.violation

    def until(self, condition: Callable[[], Any], within_s: float = 30.0) -> None:
        """Time passes until this is so."""
        end = self.world.now + within_s
        while not condition():
            assert self.world.now < end, f"not within {within_s:g} s; {self.said()[-12:]}"
            self.run(0.01)

    def settle(self) -> None:
        """Until every service is served, with a secondary."""

        def settled() -> bool:
            rows = self.status()["services"]
            return len(rows) == len(HOMES) and all(row["state"] == "serving" and row["secondary"] for row in rows)

        self.until(settled)

    def all_up(self) -> None:
        """The cluster of Fig. 2a: http comes last, so that its two candidates are equal."""
        self.boot("ftp", "email")
        self.run(3.0)
        self.boot("http")
        self.settle()

    def order(self, verb: str, service: str | None = None, server: str | None = None) -> None:
        """An operator's order."""
        self.central.order(Order(verb=verb, service=service, server=server))  # type: ignore[arg-type]

    def cut(self, one: str, other: str, both: bool = True) -> None:
        """No message passes any more."""
        self.world.network.cuts |= {(one, other)} | ({(other, one)} if both else set())

    # -- what it sees

    def status(self) -> dict[str, Any]:
        """As `status --json` prints it."""
        machine = self.central.machine
        assert machine is not None, "the SDS is down"
        sds = [{"name": SDS_HOST, "role": "active", "address": SDS_HOST}]
        return machine.status(sds, self.central._clock.at(self.world.now))

    def service(self, name: str) -> dict[str, Any]:
        """Its row in the status."""
        return next(row for row in self.status()["services"] if row["name"] == name)

    def answering(self, service: str) -> set[str]:
        """Who answers clients."""
        return set(self.judge.answering[service])

    def said(self) -> list[str]:
        """The timeline so far."""
        return self.world.timeline or []

    def arrivals(self, *kinds: type[Message], service: str | None = None, since: float = 0.0) -> list[Heard]:
        """The messages of these kinds that arrived, in order."""
        return [
            heard
            for heard in self.heard
            if heard.at >= since and isinstance(heard.message, kinds) and service in (None, getattr(heard.message, "service", None))
        ]
