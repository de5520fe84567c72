"""Start, check, name, announce one service, and every way in which that fails: P12-P14.

    idle --Start--> surveying --free--> starting --spawned--> checking --answers--> serving
      ^                |                   ^                     |                    |
      |                |--foreign          |--- died, within the restart budget ------|
      |<--Ended--------+------------------ gave up (the guard releases: R4, R14) -----|

A service that dies while its secondary waits hot is handed to it, if it and the
SDS agree at once (docs/decisions/0024); else it is started again in place.

A hot standby is not started but activated: its program runs, and its door, or
the kernel gate before it, is opened (idle --Start--> activating --opened--> checking).  If that fails in any way it
is killed, and the service started as if there had been none.

The guard decides whether the service may run; this machine decides how it is
brought up, and when to say that it cannot be.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from agent import channel, ocf_codes
from agent.takeover_events import (
    AskPort,
    Check,
    Checked,
    Heir,
    KillProgram,
    Moved,
    Outnamed,
    PointName,
    PortAsked,
    StopProgram,
    Survey,
    Surveyed,
    ToGuard,
    ToHistory,
    Told,
)
from bus.messages import Happened
from bus.step import NEVER

CHECK_EVERY_S = 0.02
"""Between two checks of a service that is starting."""

WATCH_EVERY_S = 1.0
"""Between two checks of a service that serves."""

SHORTEST_PAUSE_S = 0.05
"""Before a second start in place; doubled with each further one, 64 times at most."""

ACTIVATION_LIMIT_S = 2.0
"""A standby that was activated and does not answer by then is killed, and the service started anew."""

FAILED_CHECKS = 3
"""So many refusals in a row, while it serves, and its process is killed and started anew."""

ASK_PORT_AGAIN_S = 0.1
"""Between two questions whether a program answers at its server's new address, while that cannot be known."""

HEIR_ANSWERS_S = 0.1
"""A service that died is started again in place if its hot secondary and the SDS have not agreed by then to take it."""

FOLLOW_S = 1.0
"""A program that must be started anew at its server's new address may take so long to end by itself."""


class Stage(Enum):
    """How far the service is."""

    IDLE = "idle"
    SURVEYING = "surveying"
    ACTIVATING = "activating"
    STARTING = "starting"
    CHECKING = "checking"
    YIELDING = "yielding"  # it died, and who waits hot may take it
    SERVING = "serving"
    FINISHING = "finishing"  # beside the next holder (R22)
    STOPPING = "stopping"


class Takeover:
    """One service on this server, under whichever epoch the guard names."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.stage = Stage.IDLE
        self.order: channel.Start | None = None
        self._pid: int | None = None
        self._was_standby = False  # and does not answer yet
        self._deadline = NEVER
        self._next_check_at = NEVER
        self._respawn_at = NEVER
        self._refusals = 0
        self._following = False  # its program ends to be started at the server's new address
        self._kill_at = NEVER  # if it has not ended by then
        self._ask_port_at = NEVER
        self._starts: list[float] = []
        self._heir = ""  # who waits hot, of an end that is about to be known
        self._yielded: list[float] = []  # when it was left to an heir, under any epoch
        self._last_trouble = ""
        self._words = ""  # of its program's end, which is about to be known
        self._actions: list[Any] = []

    @property
    def wake_at(self) -> float:
        """When to step with a `Tick`."""
        return min(self._deadline, self._next_check_at, self._respawn_at, self._kill_at, self._ask_port_at)

    def step(self, event: Any, now: float) -> list[Any]:
        """One event; what to do about it."""
        self._actions = []
        match event:
            case channel.Start():
                self._begin(event, now)
            case channel.Stop():
                self._stop(event)
            case channel.Finish():
                self._finish(event)
            case channel.Ended():
                self._end()
            case Moved():
                self._moved(now)
            case (
                Surveyed()
                | Checked()
                | PortAsked()
                | Outnamed()
                | Told()
                | Heir()
                | channel.Spawned()
                | channel.SpawnFailed()
                | channel.Activated()
                | channel.Exited()
            ):
                if self.order and event.epoch == self.order.epoch:
                    self._news(event, now)
            case _:
                pass
        self._due(now)
        return self._actions

    def _news(self, event: Any, now: float) -> None:
        match event:
            case Surveyed():
                self._surveyed(event, now)
            case channel.Spawned():
                self._spawned(event, now)
            case channel.SpawnFailed():
                self._spawn_failed(event, now)
            case channel.Activated():
                self._activated(event, now)
            case Checked():
                self._checked(event, now)
            case Told():
                self._words = event.words
            case Heir():
                self._heir = event.server
            case channel.Exited():
                self._exited(event, now)
            case PortAsked():
                self._port_asked(event, now)
            case Outnamed():
                if self.stage is Stage.SERVING:
                    self._give_up(f"its name shows epoch {event.higher_epoch}: this holder is stale", event.higher_epoch)

    # -- bringing up

    def _begin(self, order: channel.Start, now: float) -> None:
        if self.order is None or self.order.epoch != order.epoch:
            self._starts.clear()
        self._end()
        self.order, self._pid = order, order.pid
        self._deadline = now + order.definition.start_limit_s
        if order.standby is not None:
            self._activate(order, now)
        elif order.pid is None:
            self.stage = Stage.SURVEYING
            self._actions.append(Survey(order.definition, order.epoch))
        else:
            self.stage, self._next_check_at = Stage.CHECKING, now

    def _activate(self, order: channel.Start, now: float) -> None:
        self.stage, self._pid, self._was_standby = Stage.ACTIVATING, order.standby, True
        self._deadline = now + min(order.definition.start_limit_s, ACTIVATION_LIMIT_S)
        self._starts.append(now)
        how = "by activating its hot standby" if order.definition.activate else "by opening the kernel gate before its hot standby"
        self._say_happened("starting", how)
        activate = channel.Activate(
            service=self.service, epoch=order.epoch, grant_id=order.grant_id, argv=order.definition.activate, environment={}, output=""
        )
        self._actions.append(ToGuard(activate))

    def _activated(self, event: channel.Activated, now: float) -> None:
        if self.stage is not Stage.ACTIVATING:
            return
        if event.status == 0:
            self.stage, self._next_check_at = Stage.CHECKING, now
            if self._following:  # it opened its door at the address of before
                self._follow(now)
        else:
            self._start_cold(event.reason or f"its activate program ended with status {event.status}", now)

    def _start_cold(self, why: str, now: float) -> None:
        """Whatever the standby is now, it is not the service: its death, once it is gone for sure, leads to a start."""
        order = self.order
        assert order is not None and self._pid is not None
        self._last_trouble = f"its hot standby could not be activated: {why}"
        self._was_standby = False
        self.stage, self._next_check_at, self._deadline = Stage.STARTING, NEVER, now + order.definition.start_limit_s
        self._actions.append(KillProgram(self._pid))

    def _surveyed(self, event: Surveyed, now: float) -> None:
        if self.stage is not Stage.SURVEYING:
            return
        if event.foreign:
            self._give_up(event.foreign)
        else:
            self._say_happened("starting", f"by the {self.order.definition.driver} driver" if self.order else "")
            self._spawn(now)

    def _spawn(self, now: float) -> None:
        order = self.order
        assert order is not None
        self.stage, self._next_check_at, self._respawn_at = Stage.STARTING, NEVER, NEVER
        self._starts = [at for at in self._starts if now - at < order.definition.restart_window_s] + [now]
        self._actions.append(
            ToGuard(
                channel.Spawn(
                    service=self.service,
                    epoch=order.epoch,
                    grant_id=order.grant_id,
                    argv=order.definition.start,
                    environment=order.definition.environment,
                    output="",
                )
            )
        )

    def _spawned(self, event: channel.Spawned, now: float) -> None:
        if self.stage in (Stage.SURVEYING, Stage.STARTING):  # SURVEYING: the runner before this one had asked for it
            self._pid = event.pid
            self.stage, self._next_check_at = Stage.CHECKING, now
            if self._following:
                self._follow(now)

    def _spawn_failed(self, event: channel.SpawnFailed, now: float) -> None:
        if self.stage is Stage.STARTING:
            self._last_trouble = event.reason
            self._try_again(now)

    def _checked(self, event: Checked, now: float) -> None:
        if self.stage is Stage.CHECKING:
            if event.answers:
                self._serve(now)
            else:
                self._last_trouble = event.text
                self._next_check_at = now + CHECK_EVERY_S
        elif self.stage is Stage.SERVING:
            self._next_check_at = now + WATCH_EVERY_S
            self._refusals = self._refusals + 1 if event.answers is False else 0
            if self._refusals >= FAILED_CHECKS and self._pid is not None:
                self._refusals = 0
                self._say_happened("restarted", f"its process lives but does not answer: {event.text}")
                self._actions.append(KillProgram(self._pid))

    def _serve(self, now: float) -> None:
        assert self.order is not None
        self.stage, self._deadline, self._refusals, self._was_standby = Stage.SERVING, NEVER, 0, False
        self._next_check_at = now + WATCH_EVERY_S
        self._actions.append(ToGuard(channel.Serving(service=self.service, epoch=self.order.epoch)))
        self._say_happened("serving", f"{self.order.definition.fqdn} answers here")
        self._actions.append(PointName(self.order.definition, self.order.epoch))

    # -- what goes wrong

    def _exited(self, event: channel.Exited, now: float) -> None:
        words, self._words = self._words, ""
        heir, self._heir = self._heir, ""
        if self.stage in (Stage.STOPPING, Stage.FINISHING):
            return
        how = f"signal {-event.status}" if event.status < 0 else f"status {event.status}"
        if self._pid is not None and (self._was_standby or self.stage is not Stage.STARTING):
            self._last_trouble = words or f"its process ended with {how}"  # else it was killed, and why is known
        self._pid, self._was_standby = None, False
        if self._following:
            self._following, self._kill_at = False, NEVER
            self._starts.clear()  # to follow its server is no failure
            self._deadline = now + self.order.definition.start_limit_s if self.order else NEVER
            self._spawn(now)
            return
        if self.order and self.order.definition.driver == "ocf" and self.stage is Stage.CHECKING and ocf_codes.hopeless(event.status):
            self._give_up(f"{self._last_trouble} ({ocf_codes.in_words(event.status)})")
            return
        if heir and self.stage is Stage.SERVING and self._may_yield(now):
            self._yield(heir, now)
        else:
            self._try_again(now)

    def _may_yield(self, now: float) -> bool:
        """What dies everywhere shall not go round and round: each server yields it as often as it would start it again."""
        assert self.order is not None
        definition = self.order.definition
        self._yielded = [at for at in self._yielded if now - at < definition.restart_window_s]
        return len(self._yielded) < definition.restart_limit

    def _yield(self, heir: str, now: float) -> None:
        """What waits hot serves sooner than anything that is started; but only if nobody has to be waited for."""
        order = self.order
        assert order is not None
        self.stage, self._next_check_at, self._deadline = Stage.YIELDING, NEVER, now + HEIR_ANSWERS_S
        self._yielded.append(now)
        reason = f"{self._last_trouble}, and {heir} waits hot"
        self._actions.append(ToGuard(channel.YieldToHot(service=self.service, epoch=order.epoch, reason=reason)))

    def _try_again(self, now: float) -> None:
        """Restart in place while the budget lasts, then hand over (section 5)."""
        order = self.order
        assert order is not None
        limit = order.definition.restart_limit
        recent = [at for at in self._starts if now - at < order.definition.restart_window_s]
        if len(recent) > limit:
            self._give_up(f"{self._last_trouble}, {len(recent)} times within {order.definition.restart_window_s:g} s")
            return
        self._say_happened("restarted", self._last_trouble)
        self._deadline = now + order.definition.start_limit_s
        self.stage, self._next_check_at = Stage.STARTING, NEVER
        immediately = len(recent) <= 1
        self._respawn_at = now if immediately else now + SHORTEST_PAUSE_S * 2 ** min(len(recent), 6)

    def _give_up(self, reason: str, seen_epoch: int = 0) -> None:
        order = self.order
        assert order is not None
        self._say_happened("start-failed", reason)
        line = channel.GiveUp(service=self.service, epoch=order.epoch, reason=reason, seen_epoch=seen_epoch)
        self._actions.append(ToGuard(line))
        self.stage = Stage.STOPPING
        self._wait_for_nothing()

    # -- the server moves (P20)

    def _moved(self, now: float) -> None:
        """A program that listens on all addresses goes on; one that is bound to the old address is started anew."""
        order = self.order
        nothing_runs = self._respawn_at != NEVER or self.stage in (Stage.IDLE, Stage.SURVEYING, Stage.YIELDING)
        if order is None or nothing_runs or self.stage in (Stage.FINISHING, Stage.STOPPING):
            return  # whatever starts from now on starts at the new address
        if self.stage is not Stage.SERVING:
            if order.definition.on_move == "restart":
                self._following = True
                if self.stage is Stage.CHECKING:
                    self._follow(now)
        elif order.definition.on_move == "keep":
            self._actions.append(PointName(order.definition, order.epoch))
        else:
            self._actions.append(AskPort(order.definition, order.epoch))

    def _port_asked(self, event: PortAsked, now: float) -> None:
        order = self.order
        if order is None or self.stage is not Stage.SERVING or self._following:
            return
        if event.answers is None:
            self._ask_port_at = now + ASK_PORT_AGAIN_S
        elif event.answers:
            self._actions.append(PointName(order.definition, order.epoch))
        else:
            self._say_happened("restarted", "its server moved, and it does not answer at the new address")
            self._follow(now)

    def _follow(self, now: float) -> None:
        """End the program under its epoch; its end is news, and then it is started at the new address."""
        order = self.order
        assert order is not None
        self._following = True
        self._next_check_at, self._kill_at = NEVER, now + FOLLOW_S
        self._deadline = now + FOLLOW_S + order.definition.start_limit_s
        self._actions.append(StopProgram(order.definition, order.epoch, self._pid, FOLLOW_S))

    # -- the end

    def _stop(self, event: channel.Stop) -> None:
        order = self.order
        if order is None or event.epoch != order.epoch:
            self._actions.append(ToGuard(channel.Stopped(service=self.service, epoch=event.epoch)))
            return
        self.stage = Stage.STOPPING
        self._wait_for_nothing()
        self._actions.append(StopProgram(order.definition, order.epoch, self._pid, event.within_s))

    def _finish(self, event: channel.Finish) -> None:
        """The next holder writes the name; what dies now is not started again."""
        if self.order is not None and event.epoch == self.order.epoch:
            self.stage = Stage.FINISHING
            self._wait_for_nothing()

    def _end(self) -> None:
        self.stage, self.order, self._pid = Stage.IDLE, None, None
        self._wait_for_nothing()
        self._refusals, self._was_standby = 0, False

    def _wait_for_nothing(self) -> None:
        self._deadline = self._next_check_at = self._respawn_at = self._kill_at = self._ask_port_at = NEVER
        self._following = False

    # -- time

    def _due(self, now: float) -> None:
        order = self.order
        if order is None:
            return
        if now >= self._deadline and self._was_standby:
            self._start_cold(f"it did not answer in time: {self._last_trouble or 'nothing came of it'}", now)
        if now >= self._deadline and self.stage is Stage.YIELDING:
            self._try_again(now)
        elif now >= self._deadline and self.stage is not Stage.SERVING:
            limit_s = order.definition.start_limit_s
            self._give_up(f"it did not answer within {limit_s:g} s" + (f": {self._last_trouble}" if self._last_trouble else ""))
            return
        if now >= self._respawn_at:
            self._spawn(now)
        if now >= self._next_check_at:
            self._next_check_at = NEVER
            self._actions.append(Check(order.definition, order.epoch))
        if now >= self._ask_port_at:
            self._ask_port_at = NEVER
            self._actions.append(AskPort(order.definition, order.epoch))
        if now >= self._kill_at:
            self._kill_at = NEVER
            if self._pid is not None:
                self._actions.append(KillProgram(self._pid))

    def _say_happened(self, kind: str, text: str) -> None:
        epoch = self.order.epoch if self.order else None
        self._actions.append(ToHistory(Happened(kind=kind, service=self.service, epoch=epoch, text=text[:2_000])))
