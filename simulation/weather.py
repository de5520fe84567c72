"""Storms and quiet days, drawn from the seed.

Delays may exceed a lease, messages may be lost, doubled and reordered, links
cut one way or slow; guards, runners, processes, servers and the SDS die and return;
anything may be paused; alarms are late; the store is slow, refuses or forgets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bus.messages import Order
from bus.values import is_server
from sds.case import Record
from simulation.scenes import Scene
from simulation.world import SDS_HOST

if TYPE_CHECKING:
    from simulation.host import Host
    from simulation.life import Life


class Storm:
    """Chaos from a first moment until it is called off."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.over = False
        self._world = life.world
        self._random = life.world.random

    def begin(self) -> None:
        """Draw what kind of storm this is, and let it loose."""
        random, network, promise_s = self._random, self._world.network, self.life.timing.promise_s
        network.loss = random.choice((0.0, 0.0, 0.1, 0.4))
        network.duplication = random.choice((0.0, 0.05, 0.2))
        network.delay_s = random.choice((0.01, 0.05, 0.3, 2.5))
        network.tail = random.choice((0.0, 0.02, 0.1))
        network.tail_delay_s = 3 * promise_s
        for host in self.life.hosts.values():
            host.behaviour.start_fails = random.choice((0.0, 0.05, 0.3))
            host.behaviour.activate_s = random.choice((0.05, 0.05, self.life.timing.lease_s, 2 * promise_s))
            host.behaviour.stop_hangs = random.choice((0.0, 0.0, 0.3))
            host.behaviour.late_s = random.choice((0.0, 0.0, self.life.timing.stop_s / 4, self.life.timing.stop_s))
            host.behaviour.rough = random.random() < 0.7
        self._deaths_every_s = random.choice(((1.0, 8.0), (3.0, 20.0)))
        self.life.central.write_s = random.choice((0.02, 0.02, 1.0))
        calm_s = random.uniform(1.0, 4.0)
        faults = [self._cuts, self._deaths, self._pauses, self._small_deaths, self._loads, self._orders, self._store]
        if random.random() < 0.6:
            faults.append(self._aimed)
        if random.random() < 0.5:
            self.life.central.after_write.append(self._at_write)
        for fault in faults:
            self._world.after(calm_s + random.uniform(0.0, 6.0), self._loop, fault)

    def end(self) -> None:
        """Heal everything."""
        self.over = True
        network = self._world.network
        network.loss = network.duplication = network.tail = 0.0
        network.delay_s = 0.01
        network.cuts = set()
        network.slow = {}
        self.life.central.write_s = 0.02
        self.life.central.refuses_writes = False
        for host in self.life.hosts.values():
            host.behaviour.start_fails = host.behaviour.stop_hangs = host.behaviour.late_s = 0.0
            host.behaviour.rough = False
            host.behaviour.activate_s = 0.05
            host.resume()
            for part in ("guard", "runner"):
                host.pause_part(part, False)
            if host.ending:
                host.terminate()
            host.boot()
        if self.life.central.machine is None:
            self.life.central.start()
        for name in self.life.names:
            self._resume(name)

    def _loop(self, fault: Callable[[], float]) -> None:
        if not self.over:
            self._world.after(fault(), self._loop, fault)

    def _cuts(self) -> float:
        random, network = self._random, self._world.network
        everyone = self.life.everyone
        kind = random.random()
        if kind < 0.25:
            network.cuts = set()
        elif kind < 0.45:
            side = set(random.sample(everyone, random.randint(1, 3)))
            network.cuts = {(x, y) for x in everyone for y in everyone if (x in side) != (y in side)}
        else:
            for _ in range(random.randint(1, 3)):
                x, y = random.sample(everyone, 2)
                network.cuts |= {(x, y)} if random.random() < 0.6 else {(x, y), (y, x)}
        return random.uniform(0.3, 7.0)

    def _aimed(self) -> float:
        """The voters of one service are beset while something changes."""
        random, life = self._random, self.life
        service = random.choice(life.services)
        record = life.central.record(service)
        if record is None or record.holder is None:
            return random.uniform(0.3, 2.0)
        Scene(self, service).play()
        change = random.random()
        if change < 0.3 and is_server(record.secondary):
            life.hosts[record.secondary].load(1.0)
        elif change < 0.5:
            life.central.order(Order(verb="move", service=service, server=random.choice(life.names)))
        elif change < 0.6:
            self._leave_alone(service, record.holder)
        return random.uniform(0.5, 6.0)

    def _leave_alone(self, service: str, holder: str) -> None:
        """Everybody else who could run it loses power, for long enough to be seen as silent."""
        for name in sorted(self.life.able[service] - {holder}):
            self.life.hosts[name].crash()
            self._world.after(self._random.uniform(1.5, 5.0), self.life.hosts[name].boot)

    def _at_write(self, record: Record) -> None:
        """The worst moment: the SDS has decided, and nobody else knows it yet."""
        random = self._random
        if self.over or random.random() > 0.2:
            return
        Scene(self, record.definition.name).play()
        if random.random() < 0.4:
            self._world.after(random.uniform(0.0, 0.3), self.kill_sds, random.uniform(0.05, 0.8), random.random() < 0.5)

    def _deaths(self) -> float:
        random = self._random
        everyone = self.life.everyone
        victims = everyone if random.random() < 0.05 else random.sample([*everyone, SDS_HOST], random.choice((1, 1, 1, 2)))
        for victim in dict.fromkeys(victims):
            away_s = random.uniform(0.05, 0.8) if random.random() < 0.5 else random.uniform(0.1, 8.0)
            if victim == SDS_HOST:
                self.kill_sds(away_s, random.random() < 0.3)
            elif random.random() < 0.5:
                self.life.hosts[victim].crash()
                self._world.after(away_s, self.life.hosts[victim].boot)
            else:
                self.life.hosts[victim].kill_guard()
        return random.uniform(*self._deaths_every_s)

    def kill_sds(self, away_s: float, lost_write: bool) -> None:
        """It dies and comes back; the store may have lost what it was told last (R18)."""
        if self.over:
            return
        self.life.central.crash()
        self._world.after(away_s, self._start_sds, lost_write)

    def _start_sds(self, lost_write: bool) -> None:
        if self.life.central.machine is None:
            if lost_write and not self.over:
                self.life.central.disk.lose_last_write()
            self.life.central.start()

    def _pauses(self) -> float:
        random, life = self._random, self.life
        host = life.hosts[random.choice(life.names)]
        length_s = random.uniform(0.1, 3 * life.timing.promise_s)
        if random.random() < 0.5:
            host.pause()
            self._world.after(length_s, host.resume)
        else:
            part = random.choice(("guard", "runner"))
            host.pause_part(part, True)
            self._world.after(length_s, host.pause_part, part, False)
        return random.uniform(2.0, 20.0)

    def _small_deaths(self) -> float:
        random, life = self._random, self.life
        host = life.hosts[random.choice(life.names)]
        kind = random.random()
        if kind < 0.45:
            host.kill_runner()
        elif kind < 0.9:
            host.kill_process(random.choice(life.services))
        else:
            host.terminate()
        return random.uniform(1.0, 8.0)

    def _loads(self) -> float:
        random, life = self._random, self.life
        life.hosts[random.choice(life.names)].load(random.random())
        return random.uniform(0.3, 3.0)

    def _orders(self) -> float:
        random, life = self._random, self.life
        name = random.choice(life.names)
        verb = random.choice(("move", "move", "move", "drain", "resume", "resume"))
        if verb == "move":
            service = random.choice(life.services)
            life.central.order(Order(verb="move", service=service, server=name))
            if random.random() < 0.3:  # and on, while a former holder may still finish
                again = Order(verb="move", service=service, server=random.choice(life.names))
                self._world.after(random.uniform(0.5, 2.5), life.central.order, again)
        elif verb == "drain":
            life.central.order(Order(verb="drain", server=name))
            self._world.after(random.uniform(1.0, 6.0), self._resume, name)
        else:
            life.central.order(Order(verb="resume", server=name))
        return random.uniform(1.0, 10.0)

    def _resume(self, name: str) -> None:
        self.life.central.order(Order(verb="resume", server=name))

    def _store(self) -> float:
        if self._random.random() < 0.3:
            self.life.central.refuses_writes = True
            self._world.after(self._random.uniform(0.05, 3.0), self._store_back)
        return self._random.uniform(2.0, 15.0)

    def _store_back(self) -> None:
        self.life.central.refuses_writes = False


class Breeze:
    """Loads that differ by less than the margin of choosing, with peaks shorter than the dwell time: no reason to move."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._random = life.world.random

    def begin(self) -> None:
        """For good."""
        for host in self._life.hosts.values():
            usual = self._random.choice((0.05, 0.15))
            host.load(usual)
            self._life.world.after(self._random.uniform(2.0, 10.0), self._peak, host, usual)

    def _peak(self, host: Host, usual: float) -> None:
        length_s = self._random.uniform(0.5, 2.5)
        host.load(0.9)
        self._life.world.after(length_s, host.load, usual)
        self._life.world.after(length_s + self._random.uniform(8.0, 30.0), self._peak, host, usual)
