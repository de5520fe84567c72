"""What must hold at every instant, whatever the weather: the safety rule, seen from outside.

The judge knows which processes live, which grants left the SDS and which
records its store ever had.  It does no arithmetic of leases and promises; it
only hears, now and then, on whom a holder counts and for how long.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from bus.messages import Grant
from bus.values import NOBODY
from sds.case import Record
from simulation.overlaps import Overlaps
from simulation.questions import Questions
from simulation.readings import Readings
from simulation.world import World


class Violation(msgspec.Struct, frozen=True):
    """What was broken, and when."""

    at_s: float
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.at_s:.3f} s: {self.text}"


class Outage(msgspec.Struct, frozen=True):
    """For how long nobody answered for a service."""

    service: str
    began_s: float
    ended_s: float

    @property
    def length_s(self) -> float:
        """Seconds."""
        return self.ended_s - self.began_s


class Judge:
    """Keeps the books of one life; the first violation ends it."""

    def __init__(self, world: World, services: tuple[str, ...], finish_s: Mapping[str, float] | None = None) -> None:
        self._world = world
        self.violation: Violation | None = None
        self.overlaps = Overlaps(world, self._accuse, finish_s or {})
        self.questions = Questions(self._accuse)
        self.readings = Readings(self._accuse)
        self.alive: dict[str, dict[str, int]] = {service: {} for service in services}  # by server: the epoch
        self.answering: dict[str, set[str]] = {service: set() for service in services}
        self.outages: list[Outage] = []
        self.changes = 0  # grants and changes of secondary
        self.moved: set[str] = set()  # services of which a planned move was ever wished for
        self._dark_since: dict[str, float] = dict.fromkeys(services, 0.0)
        self._stored: dict[str, set[tuple[int, int]]] = {service: set() for service in services}
        self._replaced: dict[tuple[str, int], Record] = {}  # by service and grant: the record before it
        self._stored_grants: dict[tuple[str, int], int] = {}
        self._grants: dict[tuple[str, int], int] = {}
        self._highest: dict[str, int] = dict.fromkeys(services, 0)
        self._burned: set[tuple[str, int]] = set()
        self._vouched: set[str] = set()

    def _accuse(self, rule: str, text: str) -> None:
        if self.violation is None:
            self.violation = Violation(self._world.now, rule, text)
            self._world.say("*** VIOLATION", rule, text)
            self._world.stopped = True

    # -- processes

    def lives(self, server: str, service: str, epoch: int, grant_id: int) -> None:
        """A process of this service runs here, for the world to see."""
        self.alive[service][server] = epoch
        self._world.say(server, service, "process up, epoch", epoch)
        complaint = self.overlaps.complaint(service, self.alive[service])
        if complaint:
            self._accuse("one server", complaint)
        if (service, epoch) in self._burned and not self.overlaps.finishing(server, service, epoch):
            self._accuse("R8 burned", f"{service} runs on {server} under epoch {epoch}, which was released")
        if (epoch, grant_id) not in self._stored[service]:
            self._accuse("R8 stored", f"{service} runs on {server} under epoch {epoch}, which the store never had")

    def dies(self, server: str, service: str) -> None:
        """It runs here no more."""
        if self.alive[service].pop(server, None) is not None:
            self._world.say(server, service, "process gone")
        self.answers(server, service, False)

    def answers(self, server: str, service: str, yes: bool) -> None:
        """Whether clients would get an answer from it."""
        answering = self.answering[service]
        before = bool(answering)
        if yes:
            answering.add(server)
        else:
            answering.discard(server)
        if bool(answering) == before:
            return
        if answering:
            self.outages.append(Outage(service, self._dark_since[service], self._world.now))
        else:
            self._dark_since[service] = self._world.now

    def longest_outage_s(self, service: str, since_s: float) -> float:
        """The longest time unserved that ended, or goes on, after this instant."""
        lengths = [outage.length_s for outage in self.outages if outage.service == service and outage.ended_s > since_s]
        if not self.answering[service]:
            lengths.append(self._world.now - self._dark_since[service])
        return max(lengths, default=0.0)

    # -- the SDS

    def stored(self, old: Record | None, new: Record) -> None:
        """The store took a record."""
        service = new.definition.name
        self._stored[service].add((new.epoch, new.grant_id))
        if self._stored_grants.setdefault((service, new.epoch), new.grant_id) != new.grant_id:
            self._accuse("R8 one grant", f"{service} epoch {new.epoch} was stored with two grants")
        if old is None:
            return
        if new.secondary != old.secondary or new.grant_id != old.grant_id:
            self.changes += 1
        if new.grant_id != old.grant_id:
            self._replaced[service, new.grant_id] = old

    def wishes(self, services: Collection[str]) -> None:
        """The planned moves that the SDS has under way."""
        self.moved.update(services)
        self.overlaps.wishes(services)
        if len(services) > 1:
            self._accuse("one move at a time", f"{', '.join(services)} are being moved at once")

    def granted(self, grant: Grant, holder: str, witness: int) -> None:
        """A grant leaves this incarnation of the SDS, perhaps not for the first time."""
        service = grant.service
        first = (service, grant.epoch) not in self._grants
        if self._grants.setdefault((service, grant.epoch), grant.grant_id) != grant.grant_id:
            self._accuse("R8 one grant", f"{service} epoch {grant.epoch} was granted twice")
        if (grant.epoch, grant.grant_id) not in self._stored[service]:
            self._accuse("R8 written first", f"{service} epoch {grant.epoch} left before it was stored")
        if not first:
            return
        if grant.epoch <= self._highest[service]:
            self._accuse("R8 epochs rise", f"{service} epoch {grant.epoch} after {self._highest[service]}")
        self._highest[service] = max(self._highest[service], grant.epoch)
        if grant.question:
            self.questions.granted(witness, holder, grant)
        old = self._replaced.get((service, grant.grant_id))
        if old is not None:
            self._entitled(grant, old, holder)

    def _entitled(self, grant: Grant, old: Record, holder: str) -> None:
        """Only the recorded secondary, or whom R10, R13, R14 and R15 allow."""
        service, asked = grant.service, grant.question > 0
        if asked and holder != old.secondary:
            self._accuse("R9 secondary", f"{service} was granted to {holder} on asking; recorded is {old.secondary}")
        third = not asked and old.state == "held" and old.secondary not in (NOBODY, holder) and old.holder not in self._vouched
        if third and not self.overlaps.third(service, grant.epoch):
            self._accuse("R13 a third", f"{service} was granted to {holder} unasked, with {old.secondary} on record")

    def counted_on(self, holder: str, voters: tuple[str, ...], record: Record) -> None:
        """This holder, who has not lapsed, counts on these; the secondary on record must be among them, or W's word alone counts."""
        if record.secondary not in voters and NOBODY not in voters:
            text = f"{record.definition.name}'s holder {holder} counts on {voters}; on record is {record.secondary}"
            self._accuse("R11 counted on", text)

    def replaced(self, holder: str, lease_s: float, record: Record) -> None:
        """The SDS has granted a service of this holder to another: no lease may be left of it."""
        if lease_s > 0:
            text = f"{holder} may serve {record.definition.name} for {lease_s:.3f} s, while epoch {record.epoch} is {record.holder}'s"
            self._accuse("R1 lease", text)

    def released(self, service: str, epoch: int) -> None:
        """Its holder said that it stopped."""
        self._burned.add((service, epoch))

    def finishes(self, server: str, service: str, epoch: int, ending: bool) -> None:
        """Its holder said that it gave its epoch up and serves on (R22); `ending`: its agent is to end."""
        self.overlaps.finishes(server, service, epoch, ending, self._finished)

    def _finished(self, server: str, service: str, epoch: int) -> None:
        if self.alive[service].get(server) == epoch:
            self._accuse("R22 ends", f"{server} still runs {service} under epoch {epoch}, which it gave up long ago")

    def vouched(self, server: str) -> None:
        """An operator said that it is dead."""
        self._vouched.add(server)
