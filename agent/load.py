"""Reads how busy this host is, or only what one agent runs, by psutil and /proc (P9).

What the figures mean, and what is made of them, is in agent/loadlevel.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from agent.loadlevel import SMOOTHING_S, Link, Reading, Smoothed, at_first, between

PRESSURE = Path("/proc/pressure/memory")
"""Pressure stall information: not every kernel has it."""

_NOT_DISKS = ("loop", "ram", "zram", "sr", "fd")  # what the kernel lists among disks and no hardware of its own is busy for


class LoadError(Exception):
    """The load could not be read.  The last level stands."""


def read_host() -> Reading:
    """This host now; raises `LoadError`."""
    try:
        times = psutil.cpu_times()
        memory = psutil.virtual_memory()
        with open("/proc/loadavg") as text:
            runnable = int(text.read().split()[3].partition("/")[0])
        disks, links = _disks(), _links()
    except (psutil.Error, OSError, ValueError, IndexError) as error:
        raise LoadError(f"the host's load cannot be read: {error}") from None
    # guest time is in user time already
    total_s = times.user + times.nice + times.system + times.idle + times.iowait + times.irq + times.softirq + times.steal
    return Reading(
        busy_s=total_s - times.idle - times.iowait,
        total_s=total_s,
        runnable=max(0, runnable - 1),  # the reader itself runs at this moment
        cores=len(os.sched_getaffinity(0)),
        available=memory.available / max(1, memory.total),
        stalled_s=stalled_s(PRESSURE),
        disks=disks,
        links=links,
    )


def stalled_s(path: Path) -> float | None:
    """For how long some process has waited for memory, as a pressure file tells; None if there is none to be read."""
    try:
        text = path.read_text()
        some = next(line for line in text.splitlines() if line.startswith("some "))
        return int(some.rpartition("total=")[2]) / 1e6
    except (OSError, StopIteration, ValueError):
        return None


def _disks() -> dict[str, float]:
    counters = psutil.disk_io_counters(perdisk=True) or {}
    busy = {name: getattr(disk, "busy_time", None) for name, disk in counters.items() if not name.startswith(_NOT_DISKS)}
    return {name: milliseconds / 1000 for name, milliseconds in busy.items() if milliseconds is not None}


def _links() -> dict[str, Link]:
    counters, stats = psutil.net_io_counters(pernic=True), psutil.net_if_stats()
    megabit = 1e6 / 8
    return {
        name: Link(passed.bytes_recv, passed.bytes_sent, max(0, stats[name].speed) * megabit)
        for name, passed in counters.items()
        if name in stats and stats[name].isup and name != "lo"
    }


def agent_reader(tether_pid: int) -> Callable[[], Reading]:
    """A reader of the processor time of one agent and its services: for hosts that several agents share."""

    def read() -> Reading:
        try:
            tether = psutil.Process(tether_pid)
            times = [process.cpu_times() for process in (tether, *tether.children(recursive=True))]
        except psutil.Error as error:
            raise LoadError(f"the agent's load cannot be read: {error}") from None
        cores = len(os.sched_getaffinity(0))
        busy_s = sum(spent.user + spent.system for spent in times)
        return Reading(busy_s, time.clock_gettime(time.CLOCK_BOOTTIME) * cores, 0, cores, 1.0)

    return read


class Load:
    """The smoothed loadlevel; ask it every half second or so."""

    def __init__(self, read: Callable[[], Reading] = read_host, smoothing_s: float = SMOOTHING_S) -> None:
        self._read = read
        self._smoothed = Smoothed(smoothing_s)
        self._before: Reading | None = None
        self._read_at = 0.0

    def sample(self, now: float) -> float:
        """The level at `now`, 0..1; what cannot be read leaves it as it was."""
        try:
            reading = self._read()
        except LoadError:
            return self._smoothed.level
        use = at_first(reading) if self._before is None else between(self._before, reading, now - self._read_at)
        self._before, self._read_at = reading, now
        return self._smoothed.follow(use.level, now)
