"""The cluster of Figure 3 as the real machines live it: guards, runners and an SDS in virtual time.

Far too slow for 24 hours of every setting; so the experiment takes from here how
long a service is out when its holder dies, and when it is handed back; and
what the stand-ins of the experiment choose is held against what is chosen here
(`recorded`).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from agent.choosing import ChoosingSettings
from agent.loadlevel import Smoothed
from agent.running import Ability
from bus.config import Timing
from bus.step import Peer
from bus.values import ServiceDefinition, is_server
from simulation.central import Central
from simulation.figure3.loads import Course
from simulation.figure3.setting import PRIMARY, SERVERS
from simulation.host import Host, Names
from simulation.judge import Judge
from simulation.processes import Behaviour
from simulation.world import World

SERVICE = "www"
SETTLING_S = 6.0
FAILBACK_S = 2.0

CLOCK_ERROR = 0.001
"""Of all clocks: so that nobody's clock excludes it, in a life of many minutes (R2)."""


class Outages(msgspec.Struct, frozen=True):
    """For how long nobody served, in as many lives."""

    takeover_s: tuple[float, ...]  # the holder lost power
    failback_s: tuple[float, ...]  # it got its service back


class Machines:
    """Three servers, of which the first is the home of a service that all can run."""

    def __init__(self, seed: int, choosing: ChoosingSettings | None = None) -> None:
        self.timing = Timing.calm()
        self.world = World(seed)
        self.judge = Judge(self.world, (SERVICE,))
        self.central = Central(self.world, self.judge, self.timing, self.world.clock(CLOCK_ERROR))
        names = Names()
        self.hosts = {name: self._host(name, names, choosing or ChoosingSettings()) for name in SERVERS}
        self.central.subscribers = {name: Peer(name, "runner") for name in SERVERS}
        self.central.start()
        for host in self.hosts.values():
            self.world.after(self.world.random.uniform(0, 0.3), host.boot)

    def _host(self, name: str, names: Names, choosing: ChoosingSettings) -> Host:
        home = ServiceDefinition(
            name=SERVICE, fqdn=f"{SERVICE}.sim", port=80, home=PRIMARY, start=("run",), failback_delay_s=FAILBACK_S, standby="warm"
        )
        homes = (home,) if name == PRIMARY else ()
        clock = self.world.clock(CLOCK_ERROR)
        return Host(self.world, self.judge, names, name, self.timing, clock, Behaviour(), homes, Ability((SERVICE,), {}), choosing)

    def run(self, seconds: float) -> None:
        """Time passes; no rule may be broken meanwhile."""
        self.world.run(self.world.now + seconds)
        assert self.judge.violation is None, self.judge.violation

    @property
    def holder(self) -> str | None:
        """On record."""
        record = self.central.record(SERVICE)
        return record.holder if record else None

    @property
    def secondary(self) -> str | None:
        """On record, if it is a server."""
        record = self.central.record(SERVICE)
        return record.secondary if record and is_server(record.secondary) else None


def outages(lives: int) -> Outages:
    """Measured in so many lives, each of which is one seed."""
    takeovers, failbacks = [], []
    for seed in range(lives):
        machines = Machines(seed)
        machines.run(SETTLING_S)
        assert machines.holder == PRIMARY and machines.secondary, f"seed {seed}: not served and backed after {SETTLING_S:g} s"
        machines.run(machines.world.random.uniform(0, 1))
        died_at = machines.world.now
        machines.hosts[PRIMARY].crash()
        machines.run(5.0)
        takeovers.append(machines.judge.longest_outage_s(SERVICE, died_at))
        returned_at = machines.world.now
        machines.hosts[PRIMARY].boot()
        machines.run(FAILBACK_S + 8.0)
        assert machines.holder == PRIMARY, f"seed {seed}: the service did not go home"
        failbacks.append(machines.judge.longest_outage_s(SERVICE, returned_at))
    return Outages(tuple(takeovers), tuple(failbacks))


def recorded(seed: int, loads: Mapping[str, Course], until_s: float, smoothing_s: float) -> list[tuple[float, str]]:
    """The secondaries of the primary's service while it is up: from when, and who."""
    machines = Machines(seed)
    found: list[tuple[float, str]] = []
    smoothed = {name: Smoothed(smoothing_s) for name in loads}
    for name, course in loads.items():
        machines.hosts[name].load(round(course.at(0.0), 2))
    machines.run(1.0)
    while machines.world.now < until_s:
        for name, course in loads.items():
            machines.hosts[name].load(round(smoothed[name].follow(course.at(machines.world.now), machines.world.now), 2))
        machines.run(machines.timing.loadlevel_s)
        secondary = machines.secondary
        if secondary and (not found or found[-1][1] != secondary):
            found.append((machines.world.now, secondary))
    return found
