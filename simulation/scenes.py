"""What befalls the three voters of one service, when it hurts: two acts, and a death between them.

In each act links between the voters are cut or slow, one way or both; or one of
the three is cut off from everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bus.values import is_server
from simulation.world import SDS_HOST, Link

if TYPE_CHECKING:
    from simulation.weather import Storm


class Scene:
    """One such drama."""

    def __init__(self, storm: Storm, service: str) -> None:
        self._storm = storm
        self._life = storm.life
        self._random = storm.life.world.random
        self._cut: set[Link] = set()
        self._slow: set[Link] = set()
        self._voters = self._who(service)

    def _who(self, service: str) -> list[str]:
        """The SDS, the holder, its secondary; where there is none, somebody who may become it."""
        record = self._life.central.record(service)
        if record is None or record.holder is None:
            return [SDS_HOST, *self._random.sample(self._life.names, 2)]
        others = sorted(self._life.able[service] - {record.holder})
        second = [record.secondary] if is_server(record.secondary) else others and [self._random.choice(others)]
        return [SDS_HOST, record.holder, *second]

    def play(self) -> None:
        """Begin, now."""
        self._draw()
        self._after_a_while(self._incident)

    def _after_a_while(self, what: Callable[[], None]) -> None:
        promise_s, random = self._life.timing.promise_s, self._random
        length_s = random.uniform(0.02, 0.3) if random.random() < 0.3 else random.uniform(0.2, 3.0) * promise_s
        self._life.world.after(length_s, what)

    def _draw(self) -> None:
        """How the links are in this act."""
        random, everyone, three = self._random, self._life.everyone, self._voters
        kind = random.random()
        if kind < 0.2:
            alone = random.choice(three)
            cut, slow = {link for x in everyone if x != alone for link in ((alone, x), (x, alone))}, set[Link]()
        elif kind < 0.6 and len(three) == 3:
            one, two, third = random.sample(three, 3)
            cut = {(one, two), (two, one)} if random.random() < 0.3 else {(one, two)}
            near = random.choice((one, two))
            slow = {(near, third), (third, near)}
        else:
            links = [(x, y) for x in three for y in three if x != y]
            cut = {link for link in links if random.random() < 0.25}
            slow = {link for link in links if link not in cut and random.random() < 0.25}
        self._set(cut, slow)

    def _set(self, cut: set[Link], slow: set[Link]) -> None:
        network = self._life.world.network
        network.cuts -= self._cut
        for link in self._slow:
            network.slow.pop(link, None)
        self._cut, self._slow = cut, slow
        network.cuts |= cut
        network.slow |= dict.fromkeys(slow, 3 * self._life.timing.promise_s)

    def _end(self) -> None:
        self._set(set(), set())

    def _incident(self) -> None:
        """Perhaps somebody dies; then the second act: what was cut heals, or everything is drawn anew."""
        if self._storm.over:
            self._end()
            return
        random, life = self._random, self._life
        kind, victim = random.random(), random.choice(self._voters[1:])
        if kind < 0.3:
            self._storm.kill_sds(random.uniform(0.05, 0.8), random.random() < 0.5)
        elif kind < 0.7:
            life.hosts[victim].kill_guard()
        elif kind < 0.8:
            life.hosts[victim].crash()
            life.world.after(random.uniform(0.05, 3.0), life.hosts[victim].boot)
        if random.random() < 0.5:
            self._set(set(), self._slow)
        else:
            self._draw()
        self._after_a_while(self._end)
