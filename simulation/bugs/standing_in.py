"""Bugs of the secondary: its promise, its question, what it acknowledges."""

from __future__ import annotations

import msgspec

from agent.duty import Duty
from agent.guarding import Guarding
from agent.holding import Holding
from agent.standing_in import StandingIn
from bus.config import Timing
from bus.messages import Acknowledgement, Beat, Grant, Message, Takeover
from bus.promise import Promise
from bus.step import LONG_AGO, NEVER, Peer
from sds.case import Case
from sds.witness import Witness
from simulation.bugs.planting import Put, bug


@bug("R5", "the secondary asks, and starts, while its own promise runs")
def impatient_secondary(put: Put) -> None:
    honest_question, honest_grant = StandingIn.question, Duty._grant

    def question(self: StandingIn, epoch: int, knows: int, now: float) -> Takeover | None:
        promise, self.promise = self.promise, Promise(self._timing, self.heard_at + self._timing.lease_s / 2)
        asked = honest_question(self, epoch, knows, now)
        self.promise = promise
        return asked

    def granted(self: Duty, grant: Grant, now: float) -> None:
        honest_grant(self, grant, now)
        self._start_after = LONG_AGO

    put(StandingIn, "question", question)
    put(Duty, "_grant", granted)


def acknowledged_while_asking(put: Put) -> None:
    """Keep-alives are acknowledged while a question is open; noticed only without the second look."""
    honest = StandingIn.beat

    def beat(self: StandingIn, message: Beat, holder: str, now: float) -> Acknowledgement | None:
        asked, self._asked = self._asked, (-1, 0)
        answer = honest(self, message, holder, now)
        self._asked = asked
        return answer

    put(StandingIn, "beat", beat)


@bug("R9", "a server starts on its grant though its own promise still runs, which it prolonged while asking")
def no_second_look(put: Put) -> None:
    honest = Duty._grant

    def granted(self: Duty, grant: Grant, now: float) -> None:
        honest(self, grant, now)
        self._start_after = LONG_AGO

    put(Duty, "_grant", granted)
    acknowledged_while_asking(put)


def resumed_on_any_word(put: Put) -> None:
    """After a lapse the secondary's word resumes the holder: harmless while that word is never given wrongly."""
    honest = Holding.acknowledged

    def acknowledged(self: Holding, sender: str, message: Acknowledgement, now: float) -> None:
        self.lapsed = False
        honest(self, sender, message, now)

    put(Holding, "acknowledged", acknowledged)


@bug("R5", "after a lapse the secondary's word resumes the holder", covered_by="no-second-look")
def resumed_by_secondary(put: Put) -> None:
    resumed_on_any_word(put)


@bug("R9", "a question is not repeated once its asker was dismissed")
def question_rests(put: Put) -> None:
    honest_question, honest_wake_at = StandingIn.question, StandingIn.wake_at

    def question(self: StandingIn, epoch: int, knows: int, now: float) -> Takeover | None:
        return honest_question(self, epoch, knows, now) if self.role else None

    def wake_at(self: StandingIn, epoch: int) -> float:
        return honest_wake_at(self, epoch) if self.role else NEVER

    put(StandingIn, "question", question)
    put(StandingIn, "wake_at", wake_at)


@bug("R11", "appointments have no order: neither W nor the secondary looks at their numbers")
def unnumbered(put: Put) -> None:
    honest_beat, honest_takeover, honest_appointment = StandingIn.beat, Witness._takeover, Witness._appointment

    def beat(self: StandingIn, message: Beat, holder: str, now: float) -> Acknowledgement | None:
        self._dismissed = (0, 0)
        if self.role and self.role.epoch == message.epoch and self.role.number > message.number:
            self.role = None
        return honest_beat(self, message, holder, now)

    def takeover(self: Witness, case: Case, sender: Peer, m: Takeover, now: float) -> None:
        honest_takeover(self, case, sender, msgspec.structs.replace(m, number=case.record.number), now)

    def appointment(self: Witness, case: Case, sender: Peer, m: Message, now: float) -> None:
        kept = case.record
        if m.number != kept.number:  # type: ignore[attr-defined]
            case.record = msgspec.structs.replace(kept, number=min(kept.number, m.number - 1))  # type: ignore[attr-defined]
        honest_appointment(self, case, sender, m, now)  # type: ignore[arg-type]
        case.record = kept

    put(StandingIn, "beat", beat)
    put(Witness, "_takeover", takeover)
    put(Witness, "_appointment", appointment)


@bug("R16", "a restarted guard acknowledges before W answered it; noticed where the secondary's word resumes a holder")
def forgetful_guard(put: Put) -> None:
    honest = Guarding.__init__

    def init(self: Guarding, name: str, incarnation: int, nonce: int, timing: Timing, now: float) -> None:
        honest(self, name, incarnation, nonce, timing, now)
        self._promised_until = LONG_AGO
        self._around.known = True

    put(Guarding, "__init__", init)
    resumed_on_any_word(put)


@bug("R18", "a lower incarnation of the SDS is listened to")
def lower_sds_heard(put: Put) -> None:
    honest = Guarding._receive

    def receive(self: Guarding, sender: Peer, message: Message, now: float) -> Duty | bool:
        if sender.part == "sds":
            sender = Peer(sender.name, sender.part, max(sender.incarnation, self._around.knows))
        return honest(self, sender, message, now)

    put(Guarding, "_receive", receive)
