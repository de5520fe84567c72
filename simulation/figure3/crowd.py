"""Many servers: does everyone's secondary pile up on one idle server?

Each server is the home of one service, and all can run all.  They come up one
after the other and appoint; one of them has next to nothing to do.  Then the
load of whoever stands in for most rises to the brim, and those who can leave
it do so, in turns, as runners do (agent/running.py).  All this with duties
counted into the priority, as the SDS does, and without.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import msgspec

from agent.choosing import Choosing, ChoosingSettings
from bus.values import ServerRow
from sds.priority import HELD, PROMISED, priority
from simulation.figure3.standins import row

COUNTS = (10, 20, 50, 100, 200)
STEP_S = 1.0
"""Between two looks; leaving takes its turns in the same time (agent/choosing.py)."""

LEAVING_S = 30.0
"""Time to leave, and a second for each turn."""

BUSY = 0.95


class Pile(msgspec.Struct, frozen=True):
    """How many services one server stands in for."""

    servers: int
    counted: bool  # whether duties count
    most: int  # at the most popular server, once all have appointed
    idle: int  # of all servers, how many stand in for nobody
    left: int  # how many services left the most popular server when its load rose
    most_then: int  # at the most popular server after that


class Crowd:
    """So many servers with a service each."""

    def __init__(self, count: int, counted: bool, dice: Random) -> None:
        self._counted = counted
        self._settings = ChoosingSettings() if counted else ChoosingSettings(own_promise=0)
        self.homes = {f"s{number:03}": f"h{number:03}" for number in range(count)}
        self._able = tuple(self.homes)
        self.loads = {home: round(dice.uniform(0.15, 0.6), 2) for home in self.homes.values()}
        self.loads[dice.choice(sorted(self.loads))] = 0.02
        self.secondary: dict[str, str] = {}
        self._choosing = {service: Choosing(self._settings) for service in self.homes}
        self._promised: Counter[str] = Counter()
        self._rows = {home: self._row(home) for home in self.loads}

    def _row(self, home: str) -> ServerRow:
        rank = priority(self.loads[home], 1, self._promised[home])
        return row(home, rank if self._counted else rank - HELD - PROMISED * self._promised[home], self._able)

    def _record(self, service: str, secondary: str) -> None:
        before = self.secondary.get(service)
        self.secondary[service] = secondary
        for name, more in ((before, -1), (secondary, 1)):
            if name is not None:
                self._promised[name] += more
                self._rows[name] = self._row(name)

    def appoint(self) -> None:
        """Everyone appoints, one after the other: each sees in the table what those before it did."""
        for service, home in self.homes.items():
            self._record(service, self._choosing[service].rank(service, home, self._rows)[0])

    def rise(self, name: str, level: float) -> None:
        """The load of a server is now this."""
        self.loads[name] = level
        self._rows[name] = self._row(name)

    def look(self, now: float) -> int:
        """Everyone looks at one and the same table; how many changed their secondary."""
        recorded, rows, changed = dict(self.secondary), dict(self._rows), 0
        waiting: Counter[str] = Counter()
        for service, home in self.homes.items():
            choosing, secondary = self._choosing[service], recorded[service]
            better = choosing.better(choosing.rank(service, home, rows), secondary, home, rows, now, waiting[secondary])
            waiting[secondary] += 1
            if better is not None:
                self._record(service, better)
                changed += 1
        return changed

    @property
    def popular(self) -> tuple[str, int]:
        """The server that stands in for most services, and for how many."""
        return max(self._promised.items(), key=lambda item: (item[1], item[0]))


def pile(count: int, counted: bool, seed: int) -> Pile:
    """One crowd, from the first appointment to its calm after the load has risen."""
    crowd = Crowd(count, counted, Random(f"crowd {seed} {count}"))
    crowd.appoint()
    name, most = crowd.popular
    idle = sum(1 for home in crowd.loads if home not in crowd.secondary.values())
    crowd.rise(name, BUSY)
    left = sum(crowd.look(step * STEP_S) for step in range(int((LEAVING_S + most) / STEP_S)))
    return Pile(servers=count, counted=counted, most=most, idle=idle, left=left, most_then=crowd.popular[1])
