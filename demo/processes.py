"""Which processes belong to which part of a demo, found in /proc without root.

Every process of a demo bears the demo's state directory in its environment
(`MARK`), with its part (`PART`, or `LOCUM_SERVER` for a service).  Descendants
of such a process belong to its part too, and a store is known by the directory
it works in, since Valkey wipes its own environment.  A process is named by pid
and start time together, so that a pid used again is never mistaken.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from demo.ports import Endpoint, is_open

MARK = "LOCUM_DEMO"
"""In the environment of every process of a demo: its state directory."""

PART = "LOCUM_DEMO_PART"
"""In the environment of every process of a demo: the part it was started for."""

_MODULES = {
    "agent.guard": "guard",
    "agent.runner": "runner",
    "agent.tether": "tether",
    "sds.server": "sds",
    "demo.nameserver": "dns",
    "monitor": "monitor",
}
_COMMANDS = {"agent": "tether", "sds": "sds", "monitor": "monitor"}
_STORES = ("valkey-server", "redis-server")


class Process(NamedTuple):
    """One process that lives (a zombie does not)."""

    pid: int
    started: int  # clock ticks since the machine's start
    parent: int
    stopped: bool  # by SIGSTOP
    argv: tuple[str, ...]

    @property
    def role(self) -> str:
        """What it is in the cluster, by its command line; a program that is none of ours is a service."""
        if self.argv and Path(self.argv[0].split(" ")[0].rstrip(":")).name in _STORES:
            return "store"
        if "-m" not in self.argv[:-1]:
            return "service"
        at = self.argv.index("-m") + 1
        module, rest = self.argv[at], self.argv[at + 1 : at + 2]
        if module == "cli.main" and rest:
            return _COMMANDS.get(rest[0], "service")
        return _MODULES.get(module, "service")


def look(pid: int) -> Process | None:
    """The process with that pid, if it lives."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    if fields[0] in "ZX":
        return None
    argv = tuple(word.decode(errors="replace") for word in command.rstrip(b"\0").split(b"\0")) if command else ()
    return Process(pid, int(fields[19]), int(fields[1]), fields[0] == "T", argv)


def living() -> dict[int, Process]:
    """Every process of this machine that lives and has a command line."""
    seen = (look(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {process.pid: process for process in seen if process is not None and process.argv}


def _environment(pid: int) -> dict[str, str]:
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (entry.decode(errors="replace").partition("=") for entry in raw.split(b"\0") if entry.startswith(b"LOCUM_"))
    return {key: value for key, _, value in pairs}


def _works_below(pid: int, directory: str) -> bool:
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd")).is_relative_to(directory)
    except OSError:
        return False


def _line(everyone: dict[int, Process], pid: int) -> Iterable[int]:
    """A process, its parent, and so on upwards."""
    while pid in everyone:
        yield pid
        pid = everyone[pid].parent


def _same_network(pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")
    except OSError:
        return False


def _is_standby(bears: dict[str, str]) -> bool:
    """It was started to stay shut, and nobody listens yet where it is to listen."""
    if bears.get("LOCUM_STANDBY") != "1":
        return False
    return not is_open(Endpoint(bears.get("LOCUM_ADDRESS", "0.0.0.0"), int(bears.get("LOCUM_PORT", "0"))))


class Marked(NamedTuple):
    """A process of a demo: whose, and of which part."""

    state: str
    part: str
    process: Process
    standby: bool = False  # a hot standby that was not activated

    @property
    def role(self) -> str:
        """What it is in the cluster."""
        return "standby" if self.standby else self.process.role


def marked() -> list[Marked]:
    """Every process of any demo in this network namespace, but for this process and those above it."""
    everyone = living()
    found: dict[int, Marked] = {}
    above = set(_line(everyone, os.getpid()))
    for process in everyone.values():
        bears = _environment(process.pid)
        if process.pid not in above and MARK in bears and _same_network(process.pid):
            part = bears.get("LOCUM_SERVER") or bears.get(PART, "")
            found[process.pid] = Marked(bears[MARK], part, process, _is_standby(bears))
    grown = True
    while grown:
        children = [p for p in everyone.values() if p.parent in found and p.pid not in found and p.pid not in above]
        found |= {p.pid: found[p.parent]._replace(process=p) for p in children}
        grown = bool(children)
    return [entry._replace(part="store") if entry.process.role == "store" else entry for entry in found.values()]


def of_state(state: str) -> list[Marked]:
    """Every process of the demo in this state directory, an orphaned store included."""
    found = [entry for entry in marked() if entry.state == state]
    known = {entry.process.pid for entry in found}
    strays = [p for p in living().values() if p.role == "store" and p.pid not in known and _works_below(p.pid, state)]
    return found + [Marked(state, "store", process) for process in strays]


def alive(process: Process) -> bool:
    """Whether this very process still lives."""
    now = look(process.pid)
    return now is not None and now.started == process.started


def send(process: Process, number: signal.Signals) -> None:
    """Signal this very process; one that is gone is no error."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if alive(process):
            signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        pass
    finally:
        os.close(handle)


def seize(find: Callable[[], Iterable[Process]]) -> list[Process]:
    """SIGSTOP all that `find` finds, tethers first, until it finds nobody new: nothing can be started meanwhile."""
    held: dict[tuple[int, int], Process] = {}
    while fresh := [p for p in find() if (p.pid, p.started) not in held]:
        for process in sorted(fresh, key=lambda p: p.role != "tether"):
            send(process, signal.SIGSTOP)
            held[process.pid, process.started] = process
    return list(held.values())


def kill(find: Callable[[], Iterable[Process]]) -> list[Process]:
    """SIGKILL all that `find` finds, as a power cut would: nobody outlives another long enough to react."""
    held = seize(find)
    for process in held:
        send(process, signal.SIGKILL)
    return held


async def gone(processes: Iterable[Process], within_s: float) -> bool:
    """Wait until none of these lives; False if one still does after `within_s`."""
    deadline = time.clock_gettime(time.CLOCK_BOOTTIME) + within_s
    left = list(processes)
    while left := [p for p in left if alive(p)]:
        if time.clock_gettime(time.CLOCK_BOOTTIME) >= deadline:
            return False
        await asyncio.sleep(0.01)
    return True
