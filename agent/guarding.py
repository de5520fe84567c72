"""The guard's decisions: which duty each event concerns, and what the SDS must hear.

Rules held here: R7 (a late guard drains first and judges nobody across the
gap), R16 (a new incarnation holds nothing, has as good as promised for one G,
and acknowledges nothing before W answered its report), R18 (reports name the
SDS that was last heard; a lower SDS is ignored).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from agent import channel
from agent.duty import Duty
from agent.surroundings import SDS, Run, Surroundings, ToRunner
from bus.config import Timing
from bus.messages import (
    Acknowledgement,
    AreYouThere,
    Beat,
    Epochs,
    Grant,
    Message,
    Recorded,
    Refusal,
    Rejection,
    ReleaseAcknowledged,
    ReleaseService,
    RemoveAssignment,
    Renewed,
    Report,
    Superseded,
)
from bus.step import LONG_AGO, Note, Peer, Received, Send, Tick
from bus.timeline import Transition
from bus.values import Hold


class Several(msgspec.Struct, frozen=True):
    """All messages that waited, in order: heard before anybody is judged by any of them (R7)."""

    messages: tuple[Received, ...]


class FromRunner(msgspec.Struct, frozen=True):
    """The runner said something."""

    line: channel.Line


class FromTether(msgspec.Struct, frozen=True):
    """The tether said something."""

    line: channel.Line


class GateNews(msgspec.Struct, frozen=True):
    """The kernel gate (R6) is in force and keeps these ports shut but for their leases; or is not, and why.

    So it is once the wish of this `number` was heard: of a later one it says nothing.
    """

    in_force: bool
    reason: str = ""
    ports: frozenset[int] = frozenset()
    number: int = 0


class RunnerLost(msgspec.Struct, frozen=True):
    """The runner's line ended."""


class Quit(msgspec.Struct, frozen=True):
    """This guard may not go on; `beyond` is the incarnation that the next one must exceed."""

    reason: str
    beyond: int = 0


HAND_OVER_S = 12.0
"""An agent that ends gives up what nobody took by then; its tether waits a little longer."""

OF_A_SERVICE = (
    Beat,
    Acknowledgement,
    RemoveAssignment,
    Superseded,
    Grant,
    Refusal,
    Renewed,
    Recorded,
    ReleaseService,
    ReleaseAcknowledged,
)
"""What a guard hears about a service; whatever else a peer may say is none of its business."""

FROM_SDS = (Epochs, AreYouThere, Rejection, Grant, Refusal, Renewed, Recorded, ReleaseAcknowledged)
"""What only the SDS may say."""


class Guarding:
    """All duties of one guard.

    `incarnation` is higher than any earlier one of this server; `nonce` is
    drawn anew by each guard (R21).
    """

    def __init__(self, name: str, incarnation: int, nonce: int, timing: Timing, now: float) -> None:
        self._timing = timing
        self._actions: list[Any] = []
        self._beat = 0
        self._around = Surroundings(name, incarnation, nonce, timing, self._next_beat, self._emit)
        self._began_at = now
        self._promised_until = now + timing.promise_s
        self.duties: dict[str, Duty] = {}
        self._alarms: dict[str, float] = {}  # when each duty wants to be looked at
        self._refused_for = ""
        self._wake_at = now
        self._report_at = now
        self._runner_lost_at = now
        self._hand_over_by: float | None = None
        self._handed_over_said = False
        self._gate_said: channel.Gate | None = None

    def _next_beat(self) -> int:
        self._beat += 1
        return self._beat

    def _emit(self, action: Any) -> None:
        self._actions.append(action)

    def duty(self, service: str) -> Duty:
        """The duty for this service, about to be told something; made when first heard of."""
        found = self.duties.get(service)
        if found is None:
            found = self.duties[service] = Duty(service, self._around, self._promised_until)
        self._alarms[service] = LONG_AGO
        return found

    @property
    def wake_at(self) -> float:
        """When to step with a `Tick`."""
        return self._wake_at

    def step(self, event: Any, now: float) -> list[Any]:
        """One event; what to do about it."""
        self._actions = []
        self._mind_the_gap(now)
        match event:
            case Received():
                self._hear((event,), now)
            case Several():
                self._hear(event.messages, now)
            case Tick():
                self._tick(now)
            case FromRunner():
                self._from_runner(event.line, now)
            case FromTether():
                self._from_tether(event.line, now)
            case RunnerLost():
                self._around.runner_here = False
                self._runner_lost_at = now
            case GateNews():
                self._gate(event, now)
            case _:
                raise AssertionError(f"a guard gets no {event!r}")
        self._set_alarm(now)
        return self._actions

    def _mind_the_gap(self, now: float) -> None:
        """Before anything else after a late awakening: what is still queued may speak for whom we would judge (R7)."""
        if now - self._wake_at > self._timing.lease_s / 2:
            self._wake_at = now
            self._look_at_all()
            for duty in self.duties.values():
                duty.gap(now)

    # -- messages

    def _hear(self, received: Iterable[Received], now: float) -> None:
        """Take in all that waits, and only then look who may go on, and who has fallen silent (R7)."""
        told = [self._receive(event.sender, event.message, now) for event in received]
        for duty in dict.fromkeys(duty for duty in told if isinstance(duty, Duty)):
            duty.tick(now)
        if now >= self._report_at and any(told):
            self._report(now)

    def _receive(self, sender: Peer, message: Message, now: float) -> Duty | bool:
        """The duty that was told something; else whether the message was for us."""
        if isinstance(message, FROM_SDS) and sender.part != "sds":
            return False
        if sender.part == "sds":
            if sender.incarnation < self._around.knows:
                self._refused(f"an SDS of incarnation {sender.incarnation} speaks, {self._around.knows} was heard before: not believed")
                return False
            if sender.incarnation > self._around.knows:
                self._around.knows = sender.incarnation
                self._report_at = now
                self._look_at_all()
        match message:
            case Epochs():
                self._epochs(message, now)
            case AreYouThere():
                self._report(now, message.challenge)
            case Rejection():
                self._rejected(message)
            case _ if isinstance(message, OF_A_SERVICE):
                duty = self.duty(message.service)
                duty.receive(sender, message, now)
                return duty
            case _:
                self._refused(f"{sender.name} sent a {type(message).__name__}, which no guard is told")
        return True

    def _epochs(self, message: Epochs, now: float) -> None:
        if message.incarnation != self._around.incarnation:
            return
        self._around.known = True
        self._look_at_all()
        for service, epoch in message.epochs.items():
            self.duty(service).learn(epoch, now)

    def _rejected(self, message: Rejection) -> None:
        """Only an SDS that knows us better ends us; one that cannot talk to us must not stop what we hold."""
        if message.code in ("stale-incarnation", "name-taken"):
            self._emit(Quit(message.text, message.highest))
        else:
            self._refused(message.text)

    def _refused(self, text: str) -> None:
        """Once, not at every repetition."""
        if text != self._refused_for:
            self._refused_for = text
            self._emit(Note(Transition(kind="refused", server=self._around.name, text=text)))

    def _report(self, now: float, answers: int = 0) -> None:
        self._report_at = now + (self._timing.loadlevel_s if self._around.known else self._timing.promise_s / 3)
        holds = tuple(
            Hold(
                service=duty.service,
                epoch=duty.holding.epoch,
                grant_id=duty.holding.grant_id,
                number=duty.holding.recorded_number,
                secondary=duty.holding.recorded,
            )
            for duty in self.duties.values()
            if duty.holding
        )
        stands_in = {duty.service: duty.standing_in.role.epoch for duty in self.duties.values() if duty.standing_in.role}
        running_s = now - self._began_at
        report = Report(knows=self._around.knows, holds=holds, stands_in=stands_in, answers=answers, running_s=running_s)
        self._emit(Send(SDS, report))

    # -- runner and tether

    def _from_runner(self, line: channel.Line, now: float) -> None:
        match line:
            case channel.HandOver():
                if self._hand_over_by is None:
                    self._hand_over_by = now + min(max(16 * self._timing.promise_s, 4.0), HAND_OVER_S)
                self._hand_over(self._hand_over_by, now)
            case channel.Peers() | channel.MovedTo():
                pass
            case _:
                self.duty(line.service).from_runner(line, now)  # type: ignore[attr-defined]

    def _from_tether(self, line: channel.Line, now: float) -> None:
        if isinstance(line, channel.RunnerUp):
            self._around.runner_here = True
            self._handed_over_said = False
            self._look_at_all()
            self._emit(ToRunner(channel.Welcome(incarnation=self._around.incarnation)))
            if self._gate_said:
                self._emit(ToRunner(self._gate_said))
            for duty in self.duties.values():
                duty.welcome_runner(now)
        else:
            self.duty(line.service).from_tether(line, now)  # type: ignore[attr-defined]

    # -- the kernel gate

    @property
    def doors(self) -> dict[int, float]:
        """The port of every service of which anything may run here, and until when it may be reached (R6)."""
        doors: dict[int, float] = {}
        for duty in self.duties.values():
            door = duty.door
            if door is not None:
                port, until = door
                doors[port] = max(until, doors.get(port, LONG_AGO))
        return doors

    @property
    def wish(self) -> int:
        """The number of what `doors` says: higher whenever a standby began to wait for its port to be shut."""
        return self._around.wish

    def _gate(self, news: GateNews, now: float) -> None:
        said = channel.Gate(in_force=news.in_force, reason=news.reason)
        if said != self._gate_said:
            self._gate_said = said
            self._emit(ToRunner(said))
        self._around.gate = news.in_force
        for duty in self.duties.values():
            if duty.gate(news.ports, news.number, now):
                self._alarms[duty.service] = LONG_AGO

    # -- time

    def _tick(self, now: float) -> None:
        if now >= self._report_at:
            self._report(now)
        away = not self._around.runner_here and now - self._runner_lost_at > self._timing.runner_grace_s
        for duty in self.duties.values():
            if away and duty.holding:
                duty.drop(f"the runner is away for {now - self._runner_lost_at:.1f} s", now, failed=True)
            if away:
                duty.end_standby("nobody looks whether it is shut", now)
            if away or self._alarms[duty.service] <= now:
                self._alarms[duty.service] = LONG_AGO
                duty.tick(now)
        if self._hand_over_by is not None:
            self._hand_over(self._hand_over_by, now)

    def _hand_over(self, by: float, now: float) -> None:
        """Move what is held; what nobody took in time is given up."""
        self._look_at_all()
        for duty in self.duties.values():
            if now < by:
                duty.hand_over(now)
            else:
                duty.drop("this server is ending, and nobody took over in time", now, orderly=True)
        busy = any(duty.holding or duty.releases or not duty.shut for duty in self.duties.values())
        if not busy and not self._handed_over_said:
            self._handed_over_said = True
            self._emit(ToRunner(channel.HandedOver()))

    def _look_at_all(self) -> None:
        for service in self._alarms:
            self._alarms[service] = LONG_AGO

    def _set_alarm(self, now: float) -> None:
        due = self._report_at
        for service, alarm_at in self._alarms.items():
            if alarm_at == LONG_AGO:
                alarm_at = self._alarms[service] = self.duties[service].wake_at(now)
            if alarm_at < due:
                due = alarm_at
        if not self._around.runner_here and any(duty.holding or duty.run is Run.STANDBY for duty in self.duties.values()):
            due = min(due, max(self._runner_lost_at + self._timing.runner_grace_s + 1e-6, now + self._timing.tick_s))
        if self._hand_over_by is not None and not self._handed_over_said:
            due = min(due, now + self._timing.beat_s)
        self._wake_at = due
