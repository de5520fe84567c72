"""Real time for guard and tether, as far as this host grants it.

The class in force chooses the timing preset (R3): with SCHED_FIFO the longest
gap of a busy two-core machine was 39 ms, with nice -20 some hundred, otherwise
half a second.  Nothing here fails: what cannot be had is said.
"""

from __future__ import annotations

import gc
import os
import resource
from pathlib import Path

import msgspec

from agent import kernel
from bus.config import Scheduling

FIFO_PRIORITY = 20
"""Above every normal process, below the kernel's own threads (50)."""

NICE = -20
_OOM_PROTECTED = -900
_CAP_IPC_LOCK = 14


class InForce(msgspec.Struct, frozen=True):
    """What this process was given."""

    scheduling: Scheduling
    guards: tuple[str, ...]  # for status: sched-fifo or nice, memory-locked, oom-protected
    lacks: tuple[str, ...]  # sentences: what could not be had, and why


def take(preferred: Scheduling = "fifo", *, threads_inherit: bool = False) -> InForce:
    """Take the best class up to `preferred`, lock memory, hide from the out-of-memory killer.

    Children never inherit it.  Nor do threads, unless `threads_inherit`: the
    guard's zmq threads must have it, so the guard takes it with that, makes its
    sockets, and then calls `stop_inheritance`.
    """
    guards: list[str] = []
    lacks: list[str] = []
    flag = 0 if threads_inherit else os.SCHED_RESET_ON_FORK
    scheduling = _class(preferred, flag, lacks)
    if scheduling != "other":
        guards.append("sched-fifo" if scheduling == "fifo" else "nice")
    _try(_lock_memory, "memory-locked", guards, lacks)
    _try(_hide_from_oom, "oom-protected", guards, lacks)
    return InForce(scheduling, tuple(guards), tuple(lacks))


def _class(preferred: Scheduling, flag: int, lacks: list[str]) -> Scheduling:
    if preferred == "fifo":
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO | flag, os.sched_param(FIFO_PRIORITY))
            return "fifo"
        except OSError as error:
            lacks.append(f"no SCHED_FIFO: {error.strerror}")
    if preferred in ("fifo", "nice"):
        try:
            os.setpriority(os.PRIO_PROCESS, 0, NICE)
            os.sched_setscheduler(0, os.SCHED_OTHER | flag, os.sched_param(0))
            _lift_autogroup()
            return "nice"
        except OSError as error:
            lacks.append(f"no nice {NICE}: {error.strerror}")
    return "other"


def _lift_autogroup() -> None:
    """Under autogroup scheduling nice counts only within a session: lift the session's group too (sched(7)).

    But only a session that the agent leads, as under an init system.  Of any
    other, a terminal's say, everything else would be lifted too, for good.
    """
    if os.getsid(0) not in (os.getpid(), os.getppid()):
        return
    try:
        Path("/proc/self/autogroup").write_text(str(NICE))
    except OSError:
        pass


def _try(attempt: object, word: str, guards: list[str], lacks: list[str]) -> None:
    assert callable(attempt)
    try:
        attempt()
        guards.append(word)
    except OSError as error:
        lacks.append(f"not {word}: {error.strerror}")


def _lock_memory() -> None:
    """A limit that is met later would make an allocation fail: lock only if there is none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if not capable(_CAP_IPC_LOCK):
        if hard != resource.RLIM_INFINITY:
            raise PermissionError(1, f"RLIMIT_MEMLOCK is {hard // 1024} KiB: raise it to unlimited (LimitMEMLOCK=infinity)")
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    kernel.lock_memory()


def capable(capability: int) -> bool:
    """Whether this process has that capability, by its number (capabilities(7))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> capability & 1)
    return False


def _hide_from_oom() -> None:
    Path("/proc/self/oom_score_adj").write_text(str(_OOM_PROTECTED))


def stop_inheritance() -> None:
    """From now on neither threads nor children inherit the class in force."""
    policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, os.sched_getparam(0))


def be_quiet() -> None:
    """No garbage collection from now on: for a process that makes no cycles once it runs."""
    gc.collect()
    gc.freeze()
    gc.disable()


def probe() -> Scheduling:
    """What `take` would give, without keeping it.  For the calling thread, which should not be the guard's."""
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | (policy & os.SCHED_RESET_ON_FORK), os.sched_param(FIFO_PRIORITY))
        os.sched_setscheduler(0, policy, param)
        return "fifo"
    except OSError:
        pass
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        return "nice"
    except OSError:
        return "other"
