"""The secondary's side of one service: my promise to its holder, and my question to the SDS.

    idle --keep-alive--> standing in --silence longer than the promise--> asking
     ^                        ^                                             |
     |--dismissed, superseded-|<-----refusal: the holder is heard-----------|
     |<-----refusal: not the secondary, or the grant (R9)-------------------|

Rules held here: R7 (nobody is judged across a gap), R9 (one question, repeated
under rising numbers until the SDS answers; no acknowledgement meanwhile), R11
(appointments are numbered, lower numbers are ignored).
"""

from __future__ import annotations

import msgspec

from bus.config import Timing
from bus.messages import Acknowledgement, Beat, KeepAlive, Refusal, RemoveAssignment, Takeover
from bus.promise import Promise
from bus.step import LONG_AGO, NEVER


class Role(msgspec.Struct, frozen=True, order=True):
    """To be the secondary of this epoch, by the appointment of this number."""

    epoch: int
    number: int
    holder: str

    @property
    def rank(self) -> tuple[int, int]:
        """Later appointments rank higher."""
        return (self.epoch, self.number)


class StandingIn:
    """What one server owes the holder of one service, and may ask of the SDS."""

    def __init__(self, service: str, timing: Timing, promised_until: float) -> None:
        self._service = service
        self._timing = timing
        self.promise = Promise(timing, promised_until)
        self.role: Role | None = None
        self.heard_at = LONG_AGO
        self.keep_alives = 0
        """How many were heard in this role: for the history only."""
        self._dismissed = (0, 0)  # the highest rank that was taken from us
        self._question = 0  # the newest that was asked
        self._closed = 0  # the newest that needs no answer any more
        self._asked = (0, 0)  # the rank that the question is about
        self._asked_at: dict[int, float] = {}
        self._ask_at = LONG_AGO

    @property
    def asking(self) -> bool:
        """A question is open: W has neither granted nor refused the latest."""
        return self._question > self._closed

    def beat(self, beat: Beat, holder: str, now: float) -> Acknowledgement | None:
        """An assignment or a keep-alive; acknowledging it is a promise."""
        rank = (beat.epoch, beat.number)
        if self.asking and self._asked[0] == beat.epoch:
            return None
        if rank <= self._dismissed or (self.role and self.role.epoch == beat.epoch and self.role.number > beat.number):
            return None
        if self.role is None or self.role.rank != rank:
            self.keep_alives = 0
        self.role = Role(beat.epoch, beat.number, holder)
        self.heard_at = now
        self.keep_alives += isinstance(beat, KeepAlive)
        self.promise.give(beat.lease_s, beat.stop_s, now)
        return Acknowledgement(service=beat.service, epoch=beat.epoch, number=beat.number, beat=beat.beat, nonce=beat.nonce)

    def dismissed(self, message: RemoveAssignment) -> bool:
        """The holder has another secondary (P16).  True if that ended the role."""
        return self._dismiss(message.epoch, message.number)

    def refused(self, refusal: Refusal) -> bool:
        """W said no.  Refusing the latest question closes all.  True if that ended the role."""
        if refusal.question >= self._question:
            self._closed = max(self._closed, refusal.question)
        return refusal.reason == "not-secondary" and self._dismiss(refusal.epoch, refusal.number)

    def _dismiss(self, epoch: int, number: int) -> bool:
        if self.role and self.role.epoch <= epoch and self.role.rank <= (epoch, number):
            self._dismissed = max(self._dismissed, (epoch, number))
            self.role = None
            return True
        return False

    def granted(self, question: int) -> float | None:
        """The grant answers this question: when it was asked, or None if it is closed and the grant void."""
        if question <= self._closed:
            return None
        self._closed = max(self._closed, self._question)
        return self._asked_at.get(question, LONG_AGO)

    def superseded(self, epoch: int) -> bool:
        """A higher epoch is known.  True if that ended the role; an open question stays open (R9)."""
        if self.role and self.role.epoch < epoch:
            self.role = None
            return True
        return False

    def gap(self, now: float) -> None:
        """This guard was late by more than a little: it judges nobody across the gap (R7)."""
        if self.role:
            self.promise.extend(now + self._timing.lease_s)

    def question(self, epoch: int, knows: int, now: float) -> Takeover | None:
        """What to ask the SDS now, if anything.  `epoch` is the highest known, `knows` the SDS's incarnation."""
        over = self.role is not None and self.role.epoch == epoch and not self.promise.runs(now)
        if now < self._ask_at or not (over or self.asking):
            return None
        self._ask_at = now + 1.5 * self._timing.beat_s
        if over and self.role:
            self._asked = self.role.rank
        self._question += 1
        self._remember(now)
        return Takeover(
            service=self._service,
            epoch=self._asked[0],
            number=self._asked[1],
            question=self._question,
            knows=knows,
            lease_s=self._timing.lease_s,
            stop_s=self._timing.stop_s,
            silent_s=min(max(0.0, now - self.heard_at), 86_400.0),
        )

    def _remember(self, now: float) -> None:
        """A grant may answer an older question; beyond some it earns no lease anyway."""
        self._asked_at[self._question] = now
        if len(self._asked_at) > 16:
            del self._asked_at[min(self._asked_at)]

    def wake_at(self, epoch: int) -> float:
        """When to look again."""
        if self.asking:
            return self._ask_at
        if self.role and self.role.epoch == epoch:
            return max(self.promise.until + 1e-6, self._ask_at)
        return NEVER
