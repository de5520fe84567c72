"""The holder's side of one service: one grant, from its arrival to its end.

    granted --a lease--> may serve --no acknowledgement left--> lapsed --W's word--> may serve
                            |-- target recorded, both voters fresh --> ready to move

Whom the holder counts on (R10-R12): W always; else every server that W may have
recorded as its secondary, and W alone where it may have recorded nobody.  An
appointment is undecided from its sending to W until W names a number as high.

    holder              candidate               SDS
      |----Assignment n---->|                     |
      |<--Acknowledgement---|                     |
      |----Appointment n------------------------->|  write
      |<---------------------------Recorded n-----|
      |----KeepAlive n----->|                     |
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.lease import WITNESS, Leases
from bus.config import Timing
from bus.messages import (
    Acknowledgement,
    Appointment,
    Assignment,
    Beat,
    Grant,
    KeepAlive,
    Message,
    Recorded,
    RemoveAssignment,
    Renewal,
    Renewed,
)
from bus.step import LONG_AGO, NEVER, Draw
from bus.values import ALONE, NOBODY, is_server


class Undecided:
    """An appointment that W has not answered yet."""

    def __init__(self, secondary: str, now: float) -> None:
        self.secondary = secondary
        self.born_at = now
        self.acknowledged = not is_server(secondary)
        self.sent = False  # W may have recorded it


class Choice:
    """Whom the runner would appoint: the ranked candidates, and one worth a change."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.better: str | None = None
        self.known_at = LONG_AGO

    def is_fresh(self, now: float, timing: Timing) -> bool:
        """Whether the runner has said so lately."""
        return now - self.known_at < timing.silent_s

    def forget(self) -> None:
        """What was true under an earlier grant need not be so any more."""
        self.names, self.better, self.known_at = (), None, LONG_AGO


Out = list[tuple[str, Message]]
"""What to send: to a server's guard, or to WITNESS."""


class Holding:
    """The right to serve under one grant: who acknowledged, who is recorded, who shall be."""

    def __init__(self, grant: Grant, timing: Timing, choice: Choice, next_beat: Draw, nonce: int, now: float) -> None:
        self.service = grant.service
        self.epoch = grant.epoch
        self.grant_id = grant.grant_id
        self.definition = grant.definition
        self._timing = timing
        self._choice = choice
        self._next_beat = next_beat
        self._nonce = nonce
        self._born_at = now
        self.leases = Leases(timing.lease_s)
        self.recorded: str = NOBODY
        self.recorded_number = 0
        self._number = 0
        self.undecided: dict[int, Undecided] = {}
        self._failed_at: dict[str, float] = {}  # candidates that did not acknowledge
        self.lapsed = False
        self.target: str | None = None
        self._target_until = LONG_AGO
        self._beat_at = LONG_AGO
        self._renew_at = LONG_AGO

    # -- may I serve?

    def voters(self) -> tuple[str, ...]:
        """Everyone whom W may have recorded: R11."""
        if not self.undecided:
            return (self.recorded,)
        return (self.recorded, *(change.secondary for change in self.undecided.values() if change.sent))

    def serve_until(self) -> float:
        """Until when this holder may serve, as things stand: R1, R10-R12."""
        if self.lapsed:
            return LONG_AGO
        until = self.leases.until
        witness_until, servers_until = until(WITNESS), NEVER
        for voter in self.voters():
            if voter == NOBODY:
                return witness_until
            if voter != ALONE:
                servers_until = min(servers_until, until(voter))
        return max(witness_until, servers_until)

    def lapse(self) -> None:
        """Nothing carries this holder any more: only W's word of this epoch resumes it (R5)."""
        self.lapsed = True
        self.leases.void()

    def heard_nothing_s(self, voters: Iterable[str], now: float) -> dict[str, float | None]:
        """Since when each voter, and the SDS, gave no acknowledgement; None: never.  For the history only."""
        heard_at = self.leases.heard_at
        names = {**{voter: voter for voter in voters if is_server(voter)}, "sds": WITNESS}
        return {name: round(now - heard_at[voter], 3) if voter in heard_at else None for name, voter in names.items()}

    # -- what comes in

    def acknowledged(self, sender: str, message: Acknowledgement, now: float) -> None:
        """A candidate or the secondary promised."""
        if message.nonce != self._nonce or not self.leases.acknowledged(message.beat, sender, now, earns=not self.lapsed):
            return
        change = self.undecided.get(message.number)
        if change is not None and change.secondary == sender:
            change.acknowledged = True

    def renewed(self, message: Renewed, now: float, stopped: bool) -> bool:
        """W promised.  True if that ended a lapse, for which the stop must have been verified."""
        if not self.leases.acknowledged(message.beat, WITNESS, now, earns=True):
            return False
        if self.lapsed and stopped and self.leases.until(WITNESS) > now:
            self.lapsed = False
            return True
        return False

    def record(self, message: Recorded, now: float) -> Out:
        """W names the secondary on record; the former one is dismissed (P16)."""
        out: Out = []
        if message.number < self.recorded_number:
            return out
        if self.recorded != message.secondary and is_server(self.recorded):
            out.append((self.recorded, self._dismissal(self.recorded_number)))
        self.recorded, self.recorded_number = message.secondary, message.number
        for number in [number for number in self.undecided if number <= message.number]:
            del self.undecided[number]
        self.leases.heard_at.setdefault(self.recorded, now)
        return out

    def move(self, target: str, now: float) -> None:
        """A planned move to this server is wanted (R14); it is forgotten if it takes too long."""
        self.target = target
        self._target_until = now + max(8 * self._timing.promise_s, 2.0)

    def ready_to_move(self, now: float) -> bool:
        """The target is recorded and fresh, so is W: the stop may begin (R14)."""
        return (
            self.target is not None
            and self.recorded == self.target
            and not self.undecided
            and self.leases.until(self.target) > now
            and self.leases.until(WITNESS) > now
        )

    # -- what goes out

    def tick(self, serving: bool, now: float) -> Out:
        """The beat, when it is due; and at once to W when a keep-alive has gone unanswered for H/3."""
        out: Out = []
        beating = now >= self._beat_at
        if beating:
            self._beat_at = now + self._timing.beat_s
            if self.target and now > self._target_until:
                self.target = None
            self._choose(serving, now)
            out += self._beats(now)
        late = self._late(now)
        if now >= self._renew_at and (late or self.lapsed or not serving or self.target or self._counts_on_witness()):
            self._renew_at = now + (self._timing.beat_s / 2 if late else self._timing.beat_s)
            out.append((WITNESS, self._renewal(serving, now)))
        if self.undecided:
            out += self._appointments(beating, now)
        return out

    def wake_at(self, now: float) -> float:
        """When to look again: the beat, the end of the lease, or the limit of an answer."""
        due = min(self._beat_at, max(self._answer_due_at(), self._renew_at))
        until = self.serve_until()
        return min(due, until) if until > now else due

    def _counts_on_witness(self) -> bool:
        return self.recorded == NOBODY or any(change.sent or change.secondary == NOBODY for change in self.undecided.values())

    def _answer_due_at(self) -> float:
        answered = self.leases.answered_at
        oldest = NEVER
        for voter in self.voters():
            oldest = min(oldest, answered.get(voter, NEVER))
        return oldest + self._timing.beat_s + self._timing.lease_s / 3

    def _late(self, now: float) -> bool:
        return now >= self._answer_due_at()

    def _beats(self, now: float) -> Out:
        out: Out = []
        listeners = {self.recorded_number: (self.recorded, True)}
        listeners |= {number: (change.secondary, change.acknowledged) for number, change in self.undecided.items()}
        for number, (voter, acknowledged) in listeners.items():
            if is_server(voter):
                beat = self._next_beat()
                self.leases.sent(beat, voter, now)
                self.leases.answered_at.setdefault(voter, now)
                kind: type[Beat] = KeepAlive if acknowledged else Assignment
                out.append((voter, self._message(kind, number, beat)))
        return out

    def _message(self, kind: type[Beat], number: int, beat: int) -> Beat:
        return kind(
            service=self.service,
            epoch=self.epoch,
            grant_id=self.grant_id,
            number=number,
            beat=beat,
            nonce=self._nonce,
            lease_s=self._timing.lease_s,
            stop_s=self._timing.stop_s,
        )

    def _renewal(self, serving: bool, now: float) -> Renewal:
        beat = self._next_beat()
        self.leases.sent(beat, WITNESS, now)
        return Renewal(
            service=self.service,
            epoch=self.epoch,
            grant_id=self.grant_id,
            beat=beat,
            lease_s=self._timing.lease_s,
            stop_s=self._timing.stop_s,
            serving=serving,
        )

    def _dismissal(self, number: int) -> RemoveAssignment:
        return RemoveAssignment(service=self.service, epoch=self.epoch, number=number)

    def _appointments(self, beating: bool, now: float) -> Out:
        """Ask W to record: first only after the candidate's word, and while it or W's carries us (R11)."""
        out: Out = []
        for number, change in self.undecided.items():
            if change.sent and not beating:
                continue
            if change.sent or self._may_ask(change, now):
                change.sent = True
                out.append((WITNESS, self._appointment(number, change.secondary)))
        return out

    def _may_ask(self, change: Undecided, now: float) -> bool:
        if change.secondary == ALONE:
            return True
        if change.secondary == NOBODY:  # once that is recorded only W's word counts, and W may replace us the moment it lapses (R10)
            return self.leases.until(WITNESS) > now
        carried = max(self.leases.until(WITNESS), self.leases.until(change.secondary)) > now
        return change.acknowledged and carried

    def _appointment(self, number: int, secondary: str) -> Appointment:
        return Appointment(service=self.service, epoch=self.epoch, grant_id=self.grant_id, number=number, secondary=secondary)

    # -- whom to appoint

    def _choose(self, serving: bool, now: float) -> None:
        """Begin a change of secondary if one is due and none is under way: P10, R11, R12."""
        promise_s = self._timing.promise_s
        if self.undecided:
            newest = max(self.undecided)
            change = self.undecided[newest]
            age = now - change.born_at
            if age < (2 * promise_s if change.acknowledged else promise_s):
                return
            if not change.acknowledged:
                self._failed_at[change.secondary] = now
                del self.undecided[newest]
        wanted = self._wanted(serving, now)
        if wanted is not None:
            self._number = max(self._number, self.recorded_number) + 1
            self.undecided[self._number] = Undecided(wanted, now)
            self.leases.answered_at.pop(wanted, None)

    def _wanted(self, serving: bool, now: float) -> str | None:
        if self.target:
            return self.target if self.recorded != self.target else None
        if self._choice.better and serving and self._choice.better != self.recorded:
            better, self._choice.better = self._choice.better, None
            return better
        if not is_server(self.recorded) or self._silent(now) or self._unfit(now):
            return self._replacement(now)
        return self.recorded if self.undecided else None

    def _silent(self, now: float) -> bool:
        return now - self.leases.heard_at.get(self.recorded, self._born_at) > self._timing.promise_s

    def _unfit(self, now: float) -> bool:
        """It acknowledges, and could not run the service: it drains, lacks the program, its runner is away, its clock is wrong."""
        return self._choice.is_fresh(now, self._timing) and self.recorded not in self._choice.names

    def _replacement(self, now: float) -> str | None:
        """Another candidate; else the same anew; else nobody, if the runner's word is fresh."""
        others = [name for name in self._choice.names if name != self.recorded]
        if others:
            return min(others, key=lambda name: self._failed_at.get(name, LONG_AGO))
        if self.recorded in self._choice.names:
            return self.recorded
        if self._choice.is_fresh(now, self._timing):
            nobody = NOBODY if self.definition.alone == "yield" else ALONE
            return nobody if self.recorded != nobody else None
        return None
