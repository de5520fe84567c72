"""One life of a cluster: four servers, three services, one SDS, and what becomes of them.

storm    chaos, then healing: safety throughout, then liveness within a bound
single   one fault alone: no service is out for longer than `Timing` says
quiet    no fault: nothing moves
"""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.choosing import ChoosingSettings
from agent.running import Ability
from bus.config import Timing
from bus.messages import Order
from bus.step import Peer
from bus.values import ServiceDefinition, is_server
from simulation.central import Central
from simulation.faults import SingleFault
from simulation.host import Host, Names
from simulation.judge import Judge
from simulation.processes import Behaviour
from simulation.weather import Breeze, Storm
from simulation.world import SDS_HOST, World

Kind = Literal["storm", "single", "quiet"]

NAMES = ("a", "b", "c", "d")
HOMES = {"x": "a", "y": "b", "z": "c"}
HOT = ("y", "z")
"""Whose secondary keeps the program started, but shut."""

FINISH_S = {"z": 2.0}
"""Those that are not exclusive, and for how long a former holder may serve on (R22)."""


class Outcome(msgspec.Struct, frozen=True):
    """How a life went."""

    seed: int
    kind: Kind
    failure: str | None
    simulated_s: float
    settled_s: float = 0.0  # storm: after healing, until everything was served and backed
    outage_s: float = 0.0  # single: the longest
    label: str = ""  # single: the fault and its moment


def kind_of(seed: int) -> Kind:
    """Every seed has its kind: of twenty, thirteen storms, six single faults, one quiet life."""
    rest = seed % 20
    return "quiet" if rest == 19 else "single" if rest >= 13 else "storm"


class Life:
    """A world with a cluster in it."""

    def __init__(self, seed: int, kind: Kind, timeline: list[str] | None = None) -> None:
        self.seed, self.kind = seed, kind
        self.timing = Timing.calm()
        self.world = World(seed)
        self.world.timeline = timeline
        random = self.world.random
        self.names = NAMES
        self.services = tuple(HOMES)
        self.everyone = [*NAMES, SDS_HOST]
        late = (1 + self.timing.clock_error) / (1 - self.timing.clock_error)
        self.judge = Judge(self.world, self.services, {name: (s + self.timing.stop_s) * late for name, s in FINISH_S.items()})
        self.central = Central(self.world, self.judge, self.timing, self.world.clock(self.timing.clock_error))
        yields = kind == "storm" and random.random() < 0.25
        everywhere = kind != "storm" or random.random() < 0.5
        self.able = {service: self._able(home, everywhere) for service, home in HOMES.items()}
        names = Names()
        delay_s = random.choice((2.0, 5.0)) if kind == "storm" else 2.0
        choosing = ChoosingSettings(margin=10, dwell_s=0.5) if kind != "quiet" else ChoosingSettings()
        self.hosts = {
            name: Host(
                self.world,
                self.judge,
                names,
                name,
                self.timing,
                self.world.clock(self.timing.clock_error),
                Behaviour(),
                self._homes(name, yields, delay_s),
                self._ability(name),
                choosing,
            )
            for name in NAMES
        }
        self.central.subscribers = {name: Peer(name, "runner") for name in NAMES}
        self.central.start()
        for host in self.hosts.values():
            host.compare = self._compare
            self.world.after(random.uniform(0, 0.3), host.boot)

    def _able(self, home: str, everywhere: bool) -> set[str]:
        """Who can run a service of this home: with one other alone, its holder is often alone."""
        random = self.world.random
        return set(NAMES) if everywhere else {home, *random.sample([name for name in NAMES if name != home], random.choice((1, 2)))}

    def _homes(self, name: str, yields: bool, failback_delay_s: float) -> tuple[ServiceDefinition, ...]:
        return tuple(
            ServiceDefinition(
                name=service,
                fqdn=f"{service}.sim",
                port=80,
                home=home,
                start=("run",),
                alone="yield" if yields else "keep",
                failback_delay_s=failback_delay_s,
                restart_limit=2,
                start_limit_s=3.0,
                standby="hot" if service in HOT else "warm",
                prepare=("test",) if service == "z" else (),
                activate=("open",),
                exclusive=service not in FINISH_S,
                finish_s=FINISH_S.get(service, 6.0),
            )
            for service, home in HOMES.items()
            if home == name
        )

    def _ability(self, name: str) -> Ability:
        able = tuple(sorted(service for service in HOMES if name in self.able[service]))
        return Ability(able, {service: "not here" for service in HOMES if service not in able})

    def settled(self, service: str) -> bool:
        """Served by its recorded holder, as the SDS knows, and backed by a secondary on record, whose word carries it; no change open."""
        machine, record = self.central.machine, self.central.record(service)
        if machine is None or record is None or record.holder is None or record.state != "held" or not is_server(record.secondary):
            return False
        host = self.hosts[record.holder]
        duty = host.guard.duties.get(service) if host.guard else None
        holding = duty.holding if duty else None
        return (
            host.name in self.judge.answering[service]
            and machine.membership.presence[host.name].serving.get(service) == record.epoch
            and holding is not None
            and holding.epoch == record.epoch
            and holding.recorded == record.secondary
            and not holding.undecided
            and holding.leases.until(record.secondary) > host.now
        )

    @property
    def bound_s(self) -> float:
        """Within this everything must be served and backed after healing.

        A back-off after failed starts, and the admission of returning guards
        after one G, come on top of what the rules themselves need.
        """
        return 12 * self.timing.promise_s + 2 * Behaviour().start_s

    # -- the three kinds

    def play(self) -> Outcome:
        """Live it."""
        if self.kind == "storm":
            return self._storm()
        if self.kind == "single":
            return self._single()
        return self._quiet()

    def _failed(self, text: str | None, settled_s: float = 0.0, outage_s: float = 0.0, label: str = "") -> Outcome:
        failure = str(self.judge.violation) if self.judge.violation else text
        return Outcome(self.seed, self.kind, failure, self.world.now, settled_s, outage_s, label)

    def _storm(self) -> Outcome:
        storm = Storm(self)
        storm.begin()
        self._run_compared(self.world.random.uniform(20.0, 50.0))
        if self.judge.violation:
            return self._failed(None)
        self.world.say("--- healed")
        storm.end()
        healed_at = self.world.now
        settled: dict[str, float] = {}
        while len(settled) < len(self.services) and self.world.now < healed_at + 2 * self.bound_s and not self.world.stopped:
            self.world.run(self.world.now + 0.1)
            for service in self.services:
                if service not in settled and self.settled(service):
                    settled[service] = self.world.now - healed_at
        slowest = max(settled.get(service, 2 * self.bound_s) for service in self.services)
        text = f"liveness: {slowest:.1f} s after healing, the bound is {self.bound_s:.1f} s" if slowest > self.bound_s else None
        return self._failed(text, settled_s=slowest)

    def _run_compared(self, until: float) -> None:
        """Live on; meanwhile each holder's view is held against the SDS's record."""
        while self.world.now < until and not self.world.stopped:
            self.world.run(min(until, self.world.now + 0.1))
            for host in self.hosts.values():
                self._compare(host)

    def _compare(self, host: Host) -> None:
        machine = self.central.machine
        for service, duty in host.guard.duties.items() if host.guard else ():
            held = duty.holding
            case = machine.witness.cases.get(service) if machine and held else None
            if held is None or held.lapsed or case is None or case.suspects is not None or case.record.state != "held":
                continue
            if case.record.grant_id == held.grant_id:
                self.judge.counted_on(host.name, held.voters(), case.record)
            elif case.record.epoch > held.epoch and not self.judge.overlaps.left_behind(service, held.epoch):
                self.judge.replaced(host.name, held.serve_until() - host.now, case.record)

    def _settle(self, within_s: float) -> bool:
        end = self.world.now + within_s
        while self.world.now < end and not self.world.stopped:
            self.world.run(self.world.now + 0.25)
            if all(self.settled(service) for service in self.services):
                return True
        return False

    def _single(self) -> Outcome:
        if not self._settle(6.0):
            return self._failed("liveness: six seconds after a first start not everything is served and backed")
        fault = SingleFault(self)
        self.world.run(6.0 + self.world.random.uniform(0, 1.0))
        fault.prepare()
        self.world.run(self.world.now + self.world.random.uniform(0, 2.0))
        fault.strike()
        struck_at = self.world.now
        self.world.run(struck_at + 20.0)
        outages = {service: self.judge.longest_outage_s(service, struck_at) for service in self.services}
        texts = [
            f"outage: {service} {outages[service]:.2f} s, the bound is {limit_s:.2f} s"
            for service in self.services
            if outages[service] > (limit_s := self._outage_limit_s(service, fault))
        ]
        if not texts and not fault.lasts and not self._settle(6.0):
            texts.append("liveness: long after a single fault not everything is served and backed")
        return self._failed(texts[0] if texts else None, outage_s=max(outages.values()), label=f"{fault.kind}, {fault.moment}")

    def _outage_limit_s(self, service: str, fault: SingleFault) -> float:
        """No outage at all, unless the fault strikes the holder or a planned move is about (section 4)."""
        start_s = Behaviour().start_s + 0.1
        if service in self.judge.moved:
            return self.timing.move_bound_s(start_s) + fault.grace_s
        return self.timing.outage_bound_s(start_s) if service in fault.hit else 0.0

    def _quiet(self) -> Outcome:
        Breeze(self).begin()
        if not self._settle(6.0):
            return self._failed("liveness: six seconds after a first start not everything is served and backed")
        self.world.run(35.0)
        before = self.judge.changes
        self.world.run(85.0)
        moved = self.judge.changes - before
        worst = max(self.judge.longest_outage_s(service, 6.0) for service in self.services)
        if moved or worst:
            return self._failed(f"economy: {moved} changes, {worst:.2f} s unserved, though nothing failed")
        return self._failed(self._ordered_move())

    def _ordered_move(self) -> str | None:
        """A move that an operator orders is one change of holder, to its target; it costs a stop and a start, or nothing (R22)."""
        service = self.world.random.choice(self.services)
        before = self.central.record(service)
        assert before is not None
        target = self.world.random.choice([name for name in self.names if name != before.holder])
        ordered_at = self.world.now
        self.central.order(Order(verb="move", service=service, server=target))
        self.world.run(ordered_at + 6.0)
        after = self.central.record(service)
        if after is None or after.holder != target or not self.settled(service):
            return f"liveness: {service} was to move to {target}; six seconds later it is with {after.holder if after else None}"
        if after.epoch != before.epoch + 1:
            return f"economy: {service} changed hands {after.epoch - before.epoch} times to move to {target}"
        outage_s = self.judge.longest_outage_s(service, ordered_at)
        limit_s = 0.0 if service in FINISH_S else self.timing.stop_s + Behaviour().start_s + 0.2
        return f"outage: {service} {outage_s:.2f} s in a planned move, the bound is {limit_s:.2f} s" if outage_s > limit_s else None
