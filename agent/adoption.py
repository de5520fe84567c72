"""Which running processes are ours, and the end of those that should not be.

Everything that an agent starts bears marks in its environment: the agent's
identity and, for a service, its name, epoch and grant.  A descendant inherits
them, wherever it daemonises to.  Some programs wipe their environment (nginx
writes its title over it), so `remains` also goes by session, process group and
descent; the tether, as child subreaper, is the ancestor of them all (R5, R6).

Whoever can write a process's environment could have killed it anyway: without
root only processes of our own user can be read, and only those are found.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from typing import NoReturn

import msgspec

from agent import control_groups, kept
from bus.config import AgentConfig

_AGENT, _SERVICE, _EPOCH, _GRANT = b"LOCUM_AGENT", b"LOCUM_SERVICE", b"LOCUM_EPOCH", b"LOCUM_GRANT"
_ENVIRONMENT_BYTES = 256 * 1024
_AGAIN_S = 0.005
_SCANS = 3
_DYING_PRIORITY = 10  # below that of guard and tether


class LeftoverError(Exception):
    """A process of ours cannot be ended.  Nothing may be started here while it lives."""


class Adopted(msgspec.Struct, frozen=True):
    """A process of ours: who it is for the kernel, and what it was started for."""

    pid: int
    started: int  # clock ticks since boot: with the pid it names one process for good
    service: str | None = None  # None: a part of the agent itself, or what the runner called
    epoch: int = 0
    grant_id: int = 0


class Stat(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the kernel says of a process (proc(5), /proc/PID/stat)."""

    pid: int
    state: bytes
    parent: int
    group: int
    session: int
    started: int

    @property
    def zombie(self) -> bool:
        """It has ended, and its parent has not asked how."""
        return self.state in (b"Z", b"X")


def identity(config: AgentConfig) -> str:
    """The agent's mark: no two installations on one host share it."""
    return f"{config.cluster}/{config.name}@{os.path.realpath(config.state_dir)}"


def marks(agent_id: str, service: str, epoch: int, grant_id: int) -> dict[str, str]:
    """The environment by which a service's processes are known."""
    return {"LOCUM_AGENT": agent_id, "LOCUM_SERVICE": service, "LOCUM_EPOCH": str(epoch), "LOCUM_GRANT": str(grant_id)}


def processes() -> dict[int, Stat]:
    """Every process of this pid namespace; about 5 us each."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            stat = stat_of(int(name))
            if stat is not None:
                found[stat.pid] = stat
    return found


def stat_of(pid: int) -> Stat | None:
    """None: there is no such process."""
    text = _read(f"/proc/{pid}/stat", 1024)
    # The name in brackets is the process's own choice: count the fields from behind it.
    fields = text[text.rfind(b")") + 2 :].split(b" ", 20)
    if len(fields) < 21:
        return None
    return Stat(pid, fields[0], int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def _read(path: str, limit: int) -> bytes:
    """What is there; nothing if the process vanished or is not ours to look at."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, limit)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _marks_of(pid: int) -> dict[bytes, bytes]:
    environment = _read(f"/proc/{pid}/environ", _ENVIRONMENT_BYTES)
    if _AGENT not in environment:
        return {}
    return {key: value for key, _, value in (entry.partition(b"=") for entry in environment.split(b"\0")) if key.startswith(b"LOCUM_")}


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else 0


def _adopted(stat: Stat, agent: bytes) -> Adopted | None:
    if stat.zombie:
        return None
    found = _marks_of(stat.pid)
    if found.get(_AGENT) != agent:
        return None
    service = found.get(_SERVICE, b"").decode(errors="replace") or None
    return Adopted(stat.pid, stat.started, service, _number(found.get(_EPOCH, b"")), _number(found.get(_GRANT, b"")))


def find(agent_id: str, service: str | None = None) -> list[Adopted]:
    """The running processes that bear this agent's mark, or this service's of it; never the caller or its ancestors."""
    agent, every = agent_id.encode(), processes()
    caller: Stat | None = every.get(os.getpid())
    while caller is not None:
        caller = every.get(every.pop(caller.pid).parent)
    adopted = (_adopted(stat, agent) for stat in every.values())
    return [one for one in adopted if one is not None and service in (None, one.service)]


def remains(agent_id: str, wanted: Collection[str], mains: Mapping[str, Collection[int]], parts: Collection[int]) -> dict[str, list[Stat]]:
    """What is left of each wanted service, as the tether, which calls this, sees it.

    `mains` gives the pids that were main processes of each service, and so its
    sessions; `parts` are guard and runner.  A zombie counts until it is reaped:
    it may have forked a moment before it died.  An orphan that hides all its
    marks counts for every service: better one killed too many than one left.

    Nothing is missed: every process of a service descends from a child of the
    tether, and a child that dies during the scan stays a zombie, for the tether
    alone reaps it, before or after.
    """
    agent = agent_id.encode()
    for _ in range(_SCANS - 1):
        try:
            return _Family(agent, mains, parts, strict=True).left(wanted)
        except _Torn:
            continue
    return _Family(agent, mains, parts, strict=False).left(wanted)


class _Torn(Exception):
    """Processes came and went during the scan so that it contradicts itself."""


# Owners that are no services; a service's name bears no such sign.
_FOREIGN, _TETHER, _OWN, _STRAY = "/foreign", "/tether", "/own", "/stray"


class _Family:
    """One scan of the tether's descendants, and whose they are."""

    def __init__(self, agent: bytes, mains: Mapping[str, Collection[int]], parts: Collection[int], strict: bool) -> None:
        self._agent = agent
        self._strict = strict
        self._sessions = {pid: service for service, pids in mains.items() for pid in pids}
        self._owners = {0: _FOREIGN, os.getpid(): _TETHER, **dict.fromkeys(parts, _OWN)}
        self._every = processes()

    def left(self, wanted: Collection[str]) -> dict[str, list[Stat]]:
        """The processes of each wanted service; strays are of each."""
        left: dict[str, list[Stat]] = {service: [] for service in wanted}
        for pid in list(self._every):
            owner = self._owner(pid)
            for service in wanted if owner == _STRAY else (owner,):
                if service in left:
                    left[service].append(self._every[pid])
        return left

    def _owner(self, pid: int) -> str:
        """Up to the nearest ancestor whose owner is known, and down again."""
        line = []
        while pid not in self._owners:
            line.append(pid)
            pid = self._parent(pid)
        owner = self._owners[pid]
        for descendant in reversed(line):
            owner = self._owners[descendant] = self._inherited(self._every[descendant], owner)
        return owner

    def _inherited(self, stat: Stat, parents: str) -> str:
        if parents == _FOREIGN:
            return _FOREIGN
        for number in (stat.pid, stat.session, stat.group):
            if number in self._sessions:
                return self._sessions[number]
        found = _marks_of(stat.pid)
        if found.get(_AGENT) == self._agent:
            return found[_SERVICE].decode(errors="replace") if _SERVICE in found else _OWN
        return _STRAY if parents == _TETHER else parents

    def _parent(self, pid: int) -> int:
        """The parent's pid; asked again if the parent went before its own entry was read."""
        stat = self._every[pid]
        while stat.parent and stat.parent not in self._every:
            fresh = stat_of(pid)
            if fresh is None:
                return 0
            stat = self._every[pid] = fresh
            parent = stat_of(stat.parent)
            if parent is not None:
                self._every[parent.pid] = parent
        # A parent is never younger: this one's number is another's by now.
        if stat.parent and self._every[stat.parent].started > stat.started:
            if self._strict:
                raise _Torn
            return 0
        return stat.parent


def end(pid: int, started: int) -> None:
    """SIGKILL that very process, and no later one of its number."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        stat = stat_of(pid)
        if stat is not None and stat.started == started:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            hasten(pid)
    except OSError:
        pass  # gone, or not ours to end: the next scan says which
    finally:
        os.close(fd)


def hasten(pid: int) -> None:
    """Let a process that was sent SIGKILL die before all others run; without the right to, nothing happens.

    Dying takes the processor, and on a busy host a normal process waits for it
    a tenth of a second, with its sockets open.  It runs no instruction of its own.
    """
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(_DYING_PRIORITY))
    except OSError:
        pass


def end_leftovers(agent_id: str, within_s: float, sessions: Collection[int] = ()) -> int:
    """Kill whatever bears this agent's mark, or is of these sessions; how many there were, once verified.

    Raises `LeftoverError` if something lives on after `within_s`.
    """
    ended: set[tuple[int, int]] = set()
    give_up_at = time.clock_gettime(time.CLOCK_BOOTTIME) + within_s
    while True:
        left = _leftovers(agent_id, sessions)
        if not left:
            return len(ended)
        for one in left:
            end(one.pid, one.started)
            ended.add((one.pid, one.started))
        if time.clock_gettime(time.CLOCK_BOOTTIME) > give_up_at:
            raise LeftoverError(_complaint(agent_id, left[0]))
        time.sleep(_AGAIN_S)


def _leftovers(agent_id: str, sessions: Collection[int]) -> list[Adopted]:
    """By mark, session, record (agent/kept.py) and descent.

    Whose descendants bear no mark comes after them: without it they would be lost.
    """
    left = {one.pid: one for one in find(agent_id)}
    every = processes()
    caller: Stat | None = every.get(os.getpid())
    while caller is not None:
        caller = every.get(every.pop(caller.pid).parent)
    this_boot = kept.boot()
    recorded = {pid: service for service, record in kept.all_below(_run_directory(agent_id)) for pid in _recorded(record, this_boot)}
    for stat in every.values():
        if not stat.zombie and stat.pid not in left and (stat.session in sessions or stat.pid in recorded):
            left[stat.pid] = Adopted(stat.pid, stat.started, recorded.get(stat.pid))
    below = {stat.pid: _ancestor(stat, left, every) for stat in every.values() if not stat.zombie and stat.pid not in left}
    parents = set(below.values())
    hidden = [Adopted(pid, every[pid].started, left[ancestor].service) for pid, ancestor in below.items() if ancestor is not None]
    return hidden + [one for one in left.values() if one.pid not in parents]


def _recorded(record: kept.Record, this_boot: str) -> list[int]:
    """The processes that a record tells of; those of a unit's group only while its main process was not known."""
    starting = record.boot == this_boot and record.group and not record.sessions
    return control_groups.members(record.group) if starting else kept.owned(record, this_boot)


def _ancestor(stat: Stat, among: Collection[int], every: Mapping[int, Stat]) -> int | None:
    """The nearest of them from which a process descends."""
    for _ in range(len(every)):
        parent = every.get(stat.parent)
        if parent is None or parent.pid in among:
            return parent.pid if parent else None
        stat = parent
    return None  # pids were given anew during the scan: the next one shows


def _run_directory(agent_id: str) -> str:
    """Where an agent's services have their directories."""
    return os.path.join(agent_id.partition("@")[2], "run")


def _complaint(agent_id: str, one: Adopted) -> str:
    of = f"service {one.service}, epoch {one.epoch}" if one.service else "a part of the agent"
    return f"{agent_id}: process {one.pid} ({of}) of an earlier run cannot be ended: end it by hand (kill -9 {one.pid}), then start again"


def end_all_after_tether(agent_id: str, sessions: Callable[[], Collection[int]]) -> Callable[[], NoReturn]:
    """For the guard: when the tether dies, end every service, wherever it daemonised to, and this process.

    The tether has the kernel send its guard SIGHUP then, which is obeyed from
    now on.  The end of the tether's line comes a little earlier, and the guard
    must not simply leave on it: it calls what is returned instead.  `sessions`
    gives the main processes' pids as `Spawned` said them, until `Gone`: for
    services that wipe their environment.
    """

    def end_all() -> NoReturn:
        try:
            end_leftovers(agent_id, 5.0, sessions())
        finally:
            os._exit(1)

    signal.signal(signal.SIGHUP, lambda *_: end_all())
    return end_all
