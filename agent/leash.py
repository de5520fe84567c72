"""What the tether must spawn and kill, and when.

    none --Spawn, Prepare--> starting --ran--> running --its end--> ended      says Exited
      ^                         |                 |                    |
      |                         +----- Kill, Until passed, guard gone -+
      |                                           v
      +----------- none left ---------------- killing                          says Gone

The guard says at every beat until when a service may live.  If nothing newer
comes, the tether kills by itself half an S after that instant: the guard, if it
were well, would have killed at it, within the half of S that is its own
(R1, R6).  When the guard is gone everything is killed.

What was started by Prepare is shut: a hot standby, which serves nobody and so
lives without a lease, until killed or activated.  Activate puts it on the leash
of its epoch; what opens its door, if anything must be run for that, runs as part
of it, and dies with it.

Killing is repeated until a scan finds nothing of the service; only then it is
`Gone`, and only from `none` may it be spawned: never two lives of a service
here, and none under a lower epoch than one that was seen (R8).
"""

from __future__ import annotations

from typing import Literal, Union

import msgspec

from agent.channel import Activate, Activated, Exited, Gone, Kill, Line, Prepare, Spawn, Spawned, SpawnFailed, Until
from bus.step import NEVER, Tick

FIRST_AGAIN_S = 0.002
"""Killing is repeated after this time, and then at twice the interval each time ..."""

LAST_AGAIN_S = 0.05
"""... up to this, so that a process that the kernel cannot end costs no processor."""

STUCK_S = 5.0
"""Killing that takes longer is remarked upon, once."""


# -- news ----------------------------------------------------------------------------------


class ProcessStarted(msgspec.Struct, frozen=True):
    """The service's program runs."""

    service: str
    epoch: int
    pid: int


class ProcessFailed(msgspec.Struct, frozen=True):
    """The service's program could not be run; nothing of it is left."""

    service: str
    epoch: int
    reason: str


class ProcessEnded(msgspec.Struct, frozen=True):
    """The service's main process ended; its descendants may live on."""

    service: str
    pid: int
    status: int


class ActivationEnded(msgspec.Struct, frozen=True):
    """The program that opens a standby's door ended, or could not be run."""

    service: str
    epoch: int
    status: int
    reason: str = ""


class NoneLeft(msgspec.Struct, frozen=True):
    """A scan begun after the last kill found no process of the service."""

    service: str


class GuardGone(msgspec.Struct, frozen=True):
    """The guard ended: whatever it said before no longer counts."""


class GuardUp(msgspec.Struct, frozen=True):
    """A new guard was started; not before `clear`."""


Event = Union[
    Spawn, Prepare, Activate, Kill, Until, ProcessStarted, ProcessFailed, ProcessEnded, ActivationEnded, NoneLeft, GuardGone, GuardUp, Tick
]


# -- what to do ----------------------------------------------------------------------------


class Launch(msgspec.Struct, frozen=True):
    """Run this program; the answer is `ProcessStarted` or `ProcessFailed`."""

    spawn: Spawn


class LaunchActivation(msgspec.Struct, frozen=True):
    """Run this beside the service's main process, as part of it; the answer is `ActivationEnded`."""

    activate: Activate


class KillAll(msgspec.Struct, frozen=True):
    """SIGKILL all processes of these services, then scan; the answer is `NoneLeft`, if so."""

    services: tuple[str, ...]


class Say(msgspec.Struct, frozen=True):
    """Tell the guard."""

    line: Line


class Remark(msgspec.Struct, frozen=True):
    """Something that a person reading the log must see."""

    text: str


Action = Union[Launch, LaunchActivation, KillAll, Say, Remark]


# -- the machine ---------------------------------------------------------------------------


class _Service:
    """One service as the tether sees it."""

    __slots__ = ("again_at", "again_s", "epoch", "ordered", "shut", "spawn", "state", "stuck_at", "until_at")

    def __init__(self) -> None:
        self.state: Literal["none", "starting", "running", "ended", "killing"] = "none"
        self.epoch = 0  # the highest seen; never forgotten
        self.ordered = 0  # the number of the guard's order to kill it; 0 if there was none
        self.spawn = 0  # the number of the guard's newest order to spawn it, obeyed or not
        self.shut = False  # a standby that was not activated
        self.until_at: float | None = None
        self.again_at = NEVER
        self.again_s = FIRST_AGAIN_S
        self.stuck_at = NEVER


class Leash:
    """All services of one tether."""

    def __init__(self, lease_s: float, guard_kill_s: float) -> None:
        """`lease_s` is H; `guard_kill_s` is S/2, the guard's part of S."""
        self._lease_s = lease_s
        self._margin_s = guard_kill_s
        self._services: dict[str, _Service] = {}
        self._guard = True

    @property
    def clear(self) -> bool:
        """Nothing lives and nothing is being killed: a new guard may be started."""
        return all(service.state == "none" for service in self._services.values())

    @property
    def killing(self) -> tuple[str, ...]:
        """The services that are being killed."""
        return tuple(name for name, service in self._services.items() if service.state == "killing")

    @property
    def wake_at(self) -> float:
        """When a `Tick` is due."""
        return min((self._due_at(service) for service in self._services.values()), default=NEVER)

    def _due_at(self, service: _Service) -> float:
        if service.state == "none":
            return NEVER
        if service.state == "killing":
            return service.again_at
        return NEVER if service.until_at is None else service.until_at + self._margin_s

    def step(self, event: Event, now: float) -> list[Action]:
        """News in, what to do about it out.  A line that a dead guard said is ignored."""
        match event:
            case Tick():
                return self._tick(now)
            case Until() if self._guard:
                self._service(event.service).until_at = event.until_at
            case Spawn() if self._guard:
                return self._spawn(event, now)
            case Prepare() if self._guard:
                return self._prepare(event)
            case Activate() if self._guard:
                return self._activate(event, now)
            case Kill() if self._guard:
                self._service(event.service).ordered = event.number
                return self._kill_at_once((event.service,), now)
            case ProcessStarted():
                return self._started(event)
            case ProcessFailed():
                return self._failed(event)
            case ProcessEnded():
                return self._ended(event, now)
            case ActivationEnded():
                return self._say(Activated(service=event.service, epoch=event.epoch, status=event.status, reason=event.reason))
            case NoneLeft():
                return self._none_left(event.service)
            case GuardGone():
                return self._guard_gone(now)
            case GuardUp():
                assert self.clear, f"a new guard beside {self._services}"
                self._guard = True
        return []

    def _service(self, name: str) -> _Service:
        return self._services.setdefault(name, _Service())

    def _say(self, line: Line) -> list[Action]:
        return [Say(line)] if self._guard else []

    def _why_not(self, service: _Service) -> str:
        """Why nothing may be started; empty if it may."""
        if service.state == "killing":
            return "it is being killed, and processes of it may be left"
        if service.state != "none":
            what = "a standby" if service.shut else f"epoch {service.epoch}"
            return f"{what} of it has not been killed, and processes of it may be left"
        return ""

    def _prepare(self, prepare: Prepare) -> list[Action]:
        service = self._service(prepare.service)
        service.spawn = prepare.number
        reason = self._why_not(service)
        if reason:
            return self._say(SpawnFailed(service=prepare.service, epoch=0, reason=reason))
        service.state, service.ordered, service.shut, service.until_at = "starting", 0, True, None
        return [
            Launch(
                Spawn(
                    service=prepare.service,
                    epoch=0,
                    grant_id=0,
                    argv=prepare.argv,
                    environment=prepare.environment,
                    output=prepare.output,
                    keeper=prepare.keeper,
                )
            )
        ]

    def _activate(self, activate: Activate, now: float) -> list[Action]:
        service = self._service(activate.service)
        service.spawn = activate.number
        if not (service.shut and service.state == "running" and activate.epoch >= service.epoch):
            reason = "there is no standby of it that could be activated"
            return self._say(Activated(service=activate.service, epoch=activate.epoch, status=1, reason=reason))
        service.shut, service.epoch = False, activate.epoch
        self._begin_leash(service, now)
        if not activate.argv:
            return self._say(Activated(service=activate.service, epoch=activate.epoch, status=0))
        return [LaunchActivation(activate)]

    def _spawn(self, spawn: Spawn, now: float) -> list[Action]:
        service = self._service(spawn.service)
        service.spawn = spawn.number
        reason = self._why_not(service)
        if spawn.epoch < service.epoch:
            reason = f"epoch {spawn.epoch} is over: epoch {service.epoch} was started here since"
        if reason:
            return self._say(SpawnFailed(service=spawn.service, epoch=spawn.epoch, reason=reason))
        service.state, service.epoch, service.ordered, service.shut = "starting", spawn.epoch, 0, False
        self._begin_leash(service, now)
        return [Launch(spawn)]

    def _begin_leash(self, service: _Service, now: float) -> None:
        if service.until_at is None or service.until_at <= now:
            service.until_at = now + self._lease_s  # spawn and activation are said under a lease, which ends by then

    def _started(self, event: ProcessStarted) -> list[Action]:
        service = self._service(event.service)
        if service.state != "starting":
            return []
        service.state = "running"
        return self._say(Spawned(service=event.service, epoch=event.epoch, pid=event.pid))

    def _failed(self, event: ProcessFailed) -> list[Action]:
        service = self._service(event.service)
        if service.state != "starting":
            return []
        service.state, service.until_at, service.shut = "none", None, False
        return self._say(SpawnFailed(service=event.service, epoch=event.epoch, reason=event.reason))

    def _ended(self, event: ProcessEnded, now: float) -> list[Action]:
        service = self._service(event.service)
        exited = Exited(service=event.service, epoch=0 if service.shut else service.epoch, pid=event.pid, status=event.status)
        if service.state == "killing":
            told = [] if service.ordered else self._say(exited)
            return told + self._kill((event.service,), now)  # likely the last process: look at once
        if service.state == "none":
            return []
        service.state = "ended"
        return self._say(exited)

    def _guard_gone(self, now: float) -> list[Action]:
        self._guard = False
        alive = tuple(name for name, service in self._services.items() if service.state != "none")
        for service in self._services.values():
            service.until_at = None
        return self._kill_at_once(alive, now)

    def _tick(self, now: float) -> list[Action]:
        actions: list[Action] = []
        due = tuple(name for name, service in self._services.items() if self._due_at(service) <= now)
        for name in due:
            service = self._services[name]
            if service.state != "killing":
                actions += self._overdue(name, service, now)
        return actions + self._kill(due, now)

    def _overdue(self, name: str, service: _Service, now: float) -> list[Action]:
        assert service.until_at is not None
        reason = f"the guard let it live until {now - service.until_at:.3f} s ago and has not killed it"
        actions: list[Action] = [Remark(f"{name}: killed by the tether: {reason}")]
        if service.state == "starting":
            actions += self._say(SpawnFailed(service=name, epoch=service.epoch, reason=f"killed by the tether: {reason}"))
        return actions

    def _kill_at_once(self, names: tuple[str, ...], now: float) -> list[Action]:
        for name in names:
            self._service(name).again_s = FIRST_AGAIN_S
        return self._kill(names, now)

    def _kill(self, names: tuple[str, ...], now: float) -> list[Action]:
        actions: list[Action] = [KillAll(names)] if names else []
        for name in names:
            service = self._service(name)
            if service.state != "killing":
                service.state, service.again_s, service.stuck_at = "killing", FIRST_AGAIN_S, now + STUCK_S
            service.again_at = now + service.again_s
            service.again_s = min(2 * service.again_s, LAST_AGAIN_S)
            if service.stuck_at <= now:
                service.stuck_at = NEVER
                actions.append(
                    Remark(f"{name}: SIGKILL has not ended all of it within {STUCK_S:g} s; trying on, and not starting it meanwhile")
                )
        return actions

    def _none_left(self, name: str) -> list[Action]:
        service = self._service(name)
        if service.state != "killing":
            return []
        number = service.ordered
        service.state, service.until_at, service.ordered, service.shut = "none", None, 0, False
        return self._say(Gone(service=name, number=number, spawn=service.spawn))
