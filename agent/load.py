"""The loadlevel that a server reports (P9): 0 is idle, 1 is no help to anyone.

    busy     the mean of the CPU's utilisation and of the run queue, q / (1 + q) for q
             runnable processes per core: so two servers whose CPUs are both full still
             differ by how many wait
    memory   0 while half or more is available, 1 when a twentieth or less is
    level    the greater of the two: whichever runs out first makes a server a bad choice

The level is smoothed exponentially over `SMOOTHING_S`, so that one busy moment
moves no service.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable

import msgspec
import psutil

SMOOTHING_S = 5.0
"""After this time a step in the load has arrived to 63 per cent."""


class Reading(msgspec.Struct, frozen=True):
    """The host at one moment."""

    busy_s: float  # processor time used or stolen since boot, all cores together
    total_s: float  # processor time there was
    runnable: int  # processes running or waiting for a core
    cores: int
    available: float  # the part of the memory that could be given out, 0..1


class LoadError(Exception):
    """The host's load could not be read.  The last level stands."""


def read_host() -> Reading:
    """This host now; raises `LoadError`."""
    try:
        times = psutil.cpu_times()
        memory = psutil.virtual_memory()
        with open("/proc/loadavg") as text:
            runnable = int(text.read().split()[3].partition("/")[0])
    except (psutil.Error, OSError, ValueError, IndexError) as error:
        raise LoadError(f"the host's load cannot be read: {error}") from None
    # guest time is in user time already
    total_s = times.user + times.nice + times.system + times.idle + times.iowait + times.irq + times.softirq + times.steal
    busy_s = total_s - times.idle - times.iowait
    cores = len(os.sched_getaffinity(0))
    # The reader itself runs at this moment.
    return Reading(busy_s, total_s, max(0, runnable - 1), cores, memory.available / max(1, memory.total))


def agent_reader(tether_pid: int) -> Callable[[], Reading]:
    """A reader of what one agent and its services use: for hosts that several agents share."""

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


def level(cpu: float, queue_per_core: float, available: float) -> float:
    """The combination above; rises with `cpu` (0..1) and the queue, falls with `available` (0..1)."""
    busy = (_clamp(cpu) + max(0.0, queue_per_core) / (1 + max(0.0, queue_per_core))) / 2
    memory = _clamp((0.5 - available) / (0.5 - 0.05))
    return max(busy, memory)


def _clamp(value: float) -> float:
    return min(1.0, max(0.0, value))


class Load:
    """The smoothed loadlevel; ask it every half second or so."""

    def __init__(self, read: Callable[[], Reading] = read_host, smoothing_s: float = SMOOTHING_S) -> None:
        self._read = read
        self._smoothing_s = smoothing_s
        self._before: Reading | None = None
        self._sampled_at = 0.0
        self._level: float | None = None

    def sample(self, now: float) -> float:
        """The level at `now`, 0..1.  The first one goes by queue and memory alone."""
        try:
            reading = self._read()
        except LoadError:
            return self._level or 0.0
        queue = reading.runnable / max(1, reading.cores)
        before, self._before = self._before, reading
        if before is None or self._level is None:
            cpu = queue / (1 + queue)
            self._level = level(cpu, queue, reading.available)
        else:
            total_s = reading.total_s - before.total_s
            cpu = (reading.busy_s - before.busy_s) / total_s if total_s > 0 else 0.0
            weight = 1 - math.exp(-max(0.0, now - self._sampled_at) / self._smoothing_s)
            self._level += weight * (level(cpu, queue, reading.available) - self._level)
        self._sampled_at = now
        return self._level
