"""From readings of a host to the loadlevel that it reports (P9): 0 is idle, 1 is no help to anyone.

    cpu      the mean of utilisation and run queue, q / (1 + q) for q runnable processes per
             core: so two servers whose CPUs are both full still differ by how many wait
    memory   the greater of two.  Pressure (PSI): 1 when some process waited for memory a
             quarter of the time or more.  Room: 0 while half or more is available, 1 when a
             twentieth or less is; pressure shows only what hurts already, and a stand-in
             needs room for another service.  Without PSI it is room alone
    disk     the part of the time in which the busiest disk had something to do
    network  the busier direction of the busiest link, against the link's speed; a link whose
             speed nobody tells counts as idle
    level    the greatest of the four: whichever runs out first makes a server a bad choice

The level is smoothed exponentially, so that one busy moment moves no service.
"""

from __future__ import annotations

import math

import msgspec

SMOOTHING_S = 20.0
"""After this time a step in the load has arrived to 63 per cent.  Why 20: docs/figure3.md#smoothing."""

BEFORE = 0.125
"""For this part of the smoothing time the first level is taken to have been there already."""

STALLED_FULLY = 0.25
"""Waiting for memory for this part of the time is as bad as it can be."""


class Link(msgspec.Struct, frozen=True):
    """What passed one network interface since it is there, in bytes, and what could pass in a second."""

    received: int
    sent: int
    bytes_per_s: float  # each way; 0 if nobody tells


class Reading(msgspec.Struct, frozen=True):
    """The host at one moment."""

    busy_s: float  # processor time used or stolen since boot, all cores together
    total_s: float  # processor time there was
    runnable: int  # processes running or waiting for a core
    cores: int
    available: float  # the part of the memory that could be given out, 0..1
    stalled_s: float | None = None  # time in which some process waited for memory, since boot; None: not told (PSI)
    disks: dict[str, float] = {}  # time in which each disk had something to do, in seconds
    links: dict[str, Link] = {}


class Use(msgspec.Struct, frozen=True):
    """What was in use between two readings, each 0..1."""

    cpu: float
    memory: float
    disk: float = 0.0
    network: float = 0.0

    @property
    def level(self) -> float:
        """The combination above."""
        return max(self.cpu, self.memory, self.disk, self.network)


def at_first(now: Reading) -> Use:
    """By one reading alone: queue and room, since nothing else is known before a second one."""
    queue = _queue(now)
    return Use(cpu=processor(queue / (1 + queue), queue), memory=scarcity(now.available))


def between(before: Reading, now: Reading, elapsed_s: float) -> Use:
    """Between two readings that were taken `elapsed_s` apart."""
    return Use(
        cpu=processor(_share(now.busy_s - before.busy_s, now.total_s - before.total_s), _queue(now)),
        memory=max(scarcity(now.available), _pressure(before, now, elapsed_s)),
        disk=max((_share(busy - before.disks.get(name, busy), elapsed_s) for name, busy in now.disks.items()), default=0.0),
        network=max((_traffic(before.links.get(name, link), link, elapsed_s) for name, link in now.links.items()), default=0.0),
    )


def processor(utilisation: float, queue_per_core: float) -> float:
    """Rises with `utilisation` (0..1) and with the queue."""
    queue = max(0.0, queue_per_core)
    return (_clamp(utilisation) + queue / (1 + queue)) / 2


def scarcity(available: float) -> float:
    """Falls with the available part of the memory (0..1)."""
    return _clamp((0.5 - available) / (0.5 - 0.05))


def _pressure(before: Reading, now: Reading, elapsed_s: float) -> float:
    if before.stalled_s is None or now.stalled_s is None:
        return 0.0
    return _clamp(_share(now.stalled_s - before.stalled_s, elapsed_s) / STALLED_FULLY)


def _traffic(before: Link, now: Link, elapsed_s: float) -> float:
    most = max(now.received - before.received, now.sent - before.sent)
    return _share(most, elapsed_s * now.bytes_per_s)


def _queue(reading: Reading) -> float:
    return max(0, reading.runnable) / max(1, reading.cores)


def _share(part: float, whole: float) -> float:
    return _clamp(part / whole) if whole > 0 else 0.0


def _clamp(value: float) -> float:
    return min(1.0, max(0.0, value))


class Smoothed:
    """A level that follows another with a delay of `smoothing_s`, however often it is told; 0 follows at once.

    The first level counts as if it had been so for an eighth of that time: a
    moment that is busy by chance is not remembered for longer when it is the first.
    """

    def __init__(self, smoothing_s: float = SMOOTHING_S) -> None:
        self._smoothing_s = smoothing_s
        self._began_at: float | None = None
        self._at = 0.0
        self.level = 0.0

    def follow(self, level: float, now: float) -> float:
        """The smoothed level at `now`; the first is the level itself."""
        if self._began_at is None or self._smoothing_s <= 0:
            self._began_at = now - BEFORE * self._smoothing_s
            self.level = level
        elif now > self._at:
            fresh, known = (1 - math.exp(-(now - since) / self._smoothing_s) for since in (self._at, self._began_at))
            self.level += fresh / known * (level - self.level)
        self._at = max(self._at, now)
        return self.level
