"""One fault alone, in a quiet cluster: what the bounds of R3 and of section 4 promise for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bus.messages import Order, Report
from bus.values import is_server
from bus.wire import Header
from simulation.world import SDS_HOST

if TYPE_CHECKING:
    from simulation.life import Life

FAULTS = (
    "crash server",
    "kill guard",
    "kill runner",
    "kill process",
    "crash sds",
    "store refuses",
    "cut both ways",
    "cut one way",
    "cut one way",
    "slow one way",
    "pause server",
    "pause guard",
    "pause runner",
    "second server",
)
"""The single faults, the likeliest to hide something twice."""


class SingleFault:
    """One fault in a quiet cluster, at a steady moment, during a change of secondary, or during a move."""

    def __init__(self, life: Life) -> None:
        random = life.world.random
        self._life = life
        self.kind = random.choice(FAULTS)
        self.moment = random.choice(("steady", "change", "move"))
        self.service = random.choice(life.services)
        self.lasts = random.random() < 0.5
        self.length_s = random.uniform(life.timing.lease_s, 8 * life.timing.promise_s)
        self.first, self.second = random.sample(life.everyone, 2)  # the ends of a link that is cut
        self._aims = random.random() < 0.6
        self.victim = random.choice(life.names)
        self.hit: set[str] = set()  # services whose holder the fault strikes
        self._mid_stop = self._without_witness = False
        if self.kind.startswith("pause"):
            self.lasts = False

    @property
    def grace_s(self) -> float:
        """A planned move needs W from the stop until the new holder is backed: its absence costs its length.

        A stop begins only with W's fresh word (R14): one that began well after W died gets no grace.  To the new
        holder a link to W that is cut, one way or both, is W's absence.
        """
        if not self._without_witness or self.moment != "move" or not self._mid_stop:
            return 0.0
        return float("inf") if self.lasts else self.length_s + self._life.timing.promise_s

    def prepare(self) -> None:
        """Begin the change or the move in whose middle the fault falls."""
        record = self._life.central.record(self.service)
        others = [name for name in self._life.names if record and name not in (record.holder, record.secondary)]
        if self.moment == "change" and others and record and is_server(record.secondary):
            self._life.hosts[record.secondary].load(1.0)
        elif self.moment == "move" and others:
            self._life.central.order(Order(verb="move", service=self.service, server=others[0]))
        if self._aims and record and record.holder and others:
            concerned = {SDS_HOST, record.holder, others[0], *([record.secondary] if is_server(record.secondary) else [])}
            self.first, self.second = self._life.world.random.sample(sorted(concerned), 2)

    def strike(self) -> None:
        """The fault, and its end if it has one."""
        life, world = self._life, self._life.world
        host = life.hosts[self.victim]
        self.hit = {service for service in life.services if self._strikes_holder(service)}
        world.say("--- fault:", self.kind, self.victim, self.first, self.second, f"{self.length_s:.2f} s", "lasts" if self.lasts else "")
        world.after(2 * life.timing.lease_s, self._look)
        undo: Callable[[], None] | None = None
        match self.kind:
            case "crash server":
                host.crash()
                undo = host.boot
            case "kill guard":
                host.kill_guard()
            case "kill runner":
                host.kill_runner()
            case "kill process":
                host.kill_process(self.service)
            case "crash sds":
                life.central.crash()
                undo = self._start_sds
            case "store refuses":
                life.central.refuses_writes = True
                undo = self._store_back
            case "cut both ways" | "cut one way":
                both = {(self.first, self.second), (self.second, self.first)}
                world.network.cuts = both if self.kind == "cut both ways" else {(self.first, self.second)}
                undo = world.network.cuts.clear
            case "slow one way":
                world.network.slow = {(self.first, self.second): 3 * life.timing.promise_s}
                undo = world.network.slow.clear
            case "second server":
                for number in range(int(self.length_s / life.timing.loadlevel_s) + 1):
                    world.after(number * life.timing.loadlevel_s, self._impostor_reports, host.incarnation + 1)
            case "pause server":
                host.pause()
                undo = host.resume
            case _:
                part = self.kind.removeprefix("pause ")
                host.pause_part(part, True)
                world.after(self.length_s, host.pause_part, part, False)
        if undo and not self.lasts:
            world.after(self.length_s, undo)

    def _look(self) -> None:
        record = self._life.central.record(self.service)
        link_cut = self.kind in ("cut both ways", "cut one way", "slow one way") and SDS_HOST in (self.first, self.second)
        lonely = link_cut and record is not None and record.holder in (self.first, self.second)
        self._without_witness = lonely or self.kind in ("crash sds", "store refuses")
        self._mid_stop = self.kind == "store refuses" or not self._life.judge.answering[self.service]

    def _strikes_holder(self, service: str) -> bool:
        if self.kind == "kill process":
            return service == self.service
        record = self._life.central.record(service)
        struck = self.kind in ("crash server", "kill guard", "pause server", "pause guard")
        return struck and record is not None and record.holder == self.victim

    def _impostor_reports(self, incarnation: int) -> None:
        """A second live server of this name, made by copying the first (R20)."""
        central = self._life.central
        report = Report(knows=central.disk.incarnation)
        self._life.world.send(self.victim, SDS_HOST, Header("sim", self.victim, "guard", incarnation), report, None)

    def _start_sds(self) -> None:
        self._life.central.start()

    def _store_back(self) -> None:
        self._life.central.refuses_writes = False
