"""Promises, appointments, grants: the W of the safety rule.

    new --its home is up--> held --Released, or its holder came back empty--> unheld
                             ^ |--silence of the holder, its secondary asks--|   |
                             | |--silence while nobody is recorded (R10)-----|   |
                             |<------------------grant: epoch + 1----------------|

Rules held here: R8 (a grant is written before it leaves, one per epoch), R9
(only the recorded secondary is granted on asking), R10-R12 (renewals and
appointments), R13 (no third without confirmation), R14, R15 (who comes next),
R16 (nothing for one G after the start), R18 (an older store is suspect).

While a write is under way everything about its service is ignored: it will be
repeated, and to answer from either side of the write could help two holders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from bus.config import Timing
from bus.messages import (
    Appointment,
    Grant,
    Message,
    Recorded,
    Refusal,
    ReleaseAcknowledged,
    Released,
    Renewal,
    Renewed,
    Report,
    Superseded,
    Takeover,
)
from bus.step import NEVER, Draw, Note, Peer, Send
from bus.timeline import Transition
from bus.values import ALONE, NOBODY, Hold, ServiceDefinition, is_server
from sds.case import LONGEST_BACK_OFF_S, Case, Failure, Ground, Record, Roster, Write, WriteFailed, Written
from sds.rows import HighWater
from sds.succession import next_holder

RETURN_S = 10.0
"""After its own start the SDS leaves a silent holder this long to come back: after a blackout machines boot in any order."""

LARGEST_STEP = 1_000_000
"""An epoch that stands in DNS raises the next grant by so much at most: a forged record must not use up the numbers."""


class Witness:
    """The SDS's word about who may hold what."""

    def __init__(
        self,
        records: Iterable[Record],
        high_water: dict[str, HighWater],
        roster: Roster,
        timing: Timing,
        incarnation: int,
        draw: Draw,
        quiet_until: float,
    ) -> None:
        self._roster = roster
        self._timing = timing
        self._incarnation = incarnation
        self._draw = draw
        self.quiet_until = quiet_until
        self._actions: list[Any] = []
        self.cases = {r.definition.name: Case(r, timing, high_water.get(r.definition.name)) for r in records}
        self._high_water = high_water
        for case in self.cases.values():
            if not case.record.definition.exclusive:  # whether anybody finishes, the one before knew
                case.may_finish(timing.stop_s, timing.clock_error, quiet_until)
            if self._high_water_version(case) > case.record.version + 1:
                self._suspect_everyone(case)

    # -- the door

    def step(self, event: Any, now: float) -> list[Any]:
        """One event; what to do about it."""
        self._actions = []
        match event:
            case Written():
                self._written(event, now)
            case WriteFailed():
                self._write_failed(event, now)
            case _:
                raise AssertionError(f"a witness gets no {event!r}")
        return self._actions

    def receive(self, sender: Peer, message: Message, now: float) -> list[Any]:
        """A message of an admitted guard: it is not dead, whatever an operator said (R13)."""
        self._actions = []
        for case in self.cases.values():
            case.vouched.discard(sender.name)
        if isinstance(message, Report):
            for case in self.cases.values():
                self._report(case, sender, message, now)
            return self._actions
        if not isinstance(message, Renewal | Appointment | Takeover | Released | Superseded):
            return self._actions
        found = self.cases.get(message.service)
        if found is not None and found.suspects is not None and isinstance(message, Takeover):
            self._asked_in_suspicion(found, found.suspects, sender, message, now)
        if found is None or found.closed:
            return self._actions
        match message:
            case Renewal():
                self._renewal(found, sender, message, now)
            case Appointment():
                self._appointment(found, sender, message, now)
            case Takeover():
                self._takeover(found, sender, message, now)
            case Released():
                self._released(found, sender, message, now)
            case Superseded():
                self._grant_refused(found, sender, message)
        return self._actions

    def define(self, definition: ServiceDefinition, now: float) -> list[Any]:
        """The home describes its service: a first record, or one for the next epoch (R15)."""
        self._actions = []
        case = self.cases.get(definition.name)
        if case is None:
            high_water = self._high_water.get(definition.name)
            case = self.cases[definition.name] = Case(Record(definition=definition), self._timing, high_water)
            if high_water:
                self._suspect_everyone(case)
                return self._actions
            self._note(case, "defined", f"by its home {definition.home}", definition.home)
            self._write(case, case.record, lambda _: None)
        else:
            case.wanted = definition
            self._propose(case)
        return self._actions

    def _propose(self, case: Case) -> None:
        """What the home said last comes into force with the next epoch, the first at once; said in a busy moment, it waits."""
        definition = case.wanted
        if definition is None or case.closed:
            return
        case.wanted = None
        record = case.record
        if definition in (record.definition, record.proposed):
            return
        if record.state == "new":
            self._note(case, "defined", "anew, before it ever ran", definition.home)
            self._write(case, msgspec.structs.replace(record, definition=definition), lambda _: None)
        else:
            self._note(case, "defined", "anew; in force with the next epoch", definition.home)
            self._write(case, msgspec.structs.replace(record, proposed=definition), lambda _: None)

    def returned(self, server: str, now: float) -> None:
        """It came up anew: what it could not run before it may be able to run now, and it stands by nobody."""
        for case in self.cases.values():
            case.failures.pop(server, None)
            bridged = case.promise.runs(now) or now <= self.quiet_until
            if case.record.state == "held" and case.record.secondary == server and not case.closed and not bridged:
                case.returned_at = now

    def _suspect_everyone(self, case: Case) -> None:
        """The store lost more than its last write: nobody knows who was granted what, so everyone must report (R18)."""
        case.suspects = {case.record.definition.home, *self._roster.everyone()}
        case.trust_after = self.quiet_until + self._timing.silent_s

    def tick(self, now: float) -> list[Any]:
        """Grant what nobody holds, or whom silence took; repeat grants that were not used."""
        self._actions = []
        for case in self.cases.values():
            if case.suspects is not None and not case.suspicion_told:
                case.suspicion_told = True
                waiting_for = sorted(case.suspects)
                text = f"the store is older than it was: waiting for {', '.join(waiting_for) or 'any report'}"
                self._note(case, "suspect", text, evidence={"waiting_for": waiting_for})
            if case.suspects is not None and case.vouched and not case.under_way and now > self.quiet_until:
                self._clear_vouched(case, case.suspects)
            if now > self.quiet_until and not case.closed and now >= case.retry_at:
                self._propose(case)
                self._look_after(case, now)
        return self._actions

    def wake_at(self, now: float) -> float:
        """When something of this becomes due."""
        due = NEVER
        for case in self.cases.values():
            if case.closed:
                continue
            not_before = max(self.quiet_until + self._timing.tick_s, case.retry_at)
            if case.record.state != "held":
                due = min(due, max(not_before, now + self._timing.beat_s))
                continue
            if not case.used and not case.question:
                due = min(due, max(not_before, case.repeat_at))
            if case.deserted:
                not_before = max(not_before, self.quiet_until + RETURN_S)
            if case.record.secondary == NOBODY or case.deserted or case.record.holder in case.vouched:
                due = min(due, max(not_before, case.promise.until + self._timing.tick_s))
        return due

    def confirm_dead(self, server: str, now: float) -> list[Any]:
        """An operator vouches that this server is dead: whoever stood by it may be replaced (R13)."""
        for case in self.cases.values():
            if case.suspects is not None or (case.record.state == "held" and case.record.holder == server):
                case.vouched.add(server)
        return self.tick(now)

    # -- writing

    def _write(self, case: Case, record: Record, then: Callable[[float], None]) -> None:
        case.attempt = max(case.attempt, self._high_water_version(case)) + 1
        record = msgspec.structs.replace(record, version=case.attempt)
        case.under_way = (record, then)
        self._actions.append(Write(record.definition.name, record))

    def _high_water_version(self, case: Case) -> int:
        high_water = self._high_water.get(case.record.definition.name)
        return high_water.version if high_water else 0

    def _written(self, event: Written, now: float) -> None:
        case = self.cases[event.service]
        if case.under_way is None or case.under_way[0].version != event.version:
            return
        case.record, then = case.under_way
        case.under_way = None
        case.attended()
        case.epoch_floor = max(case.epoch_floor, case.record.epoch)
        then(now)

    def _write_failed(self, event: WriteFailed, now: float) -> None:
        case = self.cases[event.service]
        if case.under_way is None or case.under_way[0].version != event.version:
            return
        case.epoch_floor = max(case.epoch_floor, case.under_way[0].epoch)
        case.under_way = None
        case.retry_at = now + self._timing.beat_s
        self._note(case, "store-failed", event.reason)

    # -- what the holder says

    def _holds(self, case: Case, sender: Peer, epoch: int, grant_id: int) -> bool:
        record = case.record
        return record.state == "held" and (record.epoch, record.grant_id, record.holder) == (epoch, grant_id, sender.name)

    def _deny(self, case: Case, sender: Peer, epoch: int, grant_id: int) -> None:
        record = case.record
        if (record.epoch, record.grant_id) != (epoch, grant_id):
            self._send(
                sender,
                Superseded(service=record.definition.name, epoch=record.epoch, grant_id=record.grant_id, refused_grant_id=grant_id),
            )

    def _renewal(self, case: Case, sender: Peer, m: Renewal, now: float) -> None:
        if not self._holds(case, sender, m.epoch, m.grant_id):
            self._deny(case, sender, m.epoch, m.grant_id)
            return
        case.promise.give(m.lease_s, m.stop_s, now)
        case.attended()
        case.used = True
        if m.serving:
            case.failures.pop(sender.name, None)
        self._send(sender, Renewed(service=m.service, epoch=m.epoch, grant_id=m.grant_id, beat=m.beat))

    def _appointment(self, case: Case, sender: Peer, m: Appointment, now: float) -> None:
        record = case.record
        if not self._holds(case, sender, m.epoch, m.grant_id):
            self._deny(case, sender, m.epoch, m.grant_id)
            return
        if m.number <= record.number or (m.secondary == ALONE and not self._agrees_alone(case, now)):
            self._answer_recorded(case, sender)
            return
        changed = m.secondary != record.secondary

        def then(at: float) -> None:
            if changed:
                self._note_secondary(case, record.secondary, at)
            self._answer_recorded(case, sender)

        self._write(case, msgspec.structs.replace(record, number=m.number, secondary=m.secondary), then)

    def _note_secondary(self, case: Case, before: str, now: float) -> None:
        record = case.record
        evidence: dict[str, Any] = {"number": record.number, "before": before if is_server(before) else None}
        if record.secondary == ALONE:
            evidence["candidates"] = self._candidates(case, record.holder, now)
            self._note(case, "alone", f"nobody else can run it, appointment {record.number}", evidence=evidence)
        else:
            evidence["secondary"] = record.secondary
            self._note(case, "recorded", f"secondary {record.secondary}, appointment {record.number}", evidence=evidence)

    def _candidates(self, case: Case, besides: str | None, now: float) -> list[dict[str, Any]]:
        """Who else could have it at this moment, and why one could not: for the history."""
        return self._roster.candidates(case.record.definition.name, besides, now)

    def _answer_recorded(self, case: Case, sender: Peer) -> None:
        record = case.record
        self._send(
            sender,
            Recorded(
                service=record.definition.name,
                epoch=record.epoch,
                grant_id=record.grant_id,
                number=record.number,
                secondary=record.secondary,
            ),
        )

    def _agrees_alone(self, case: Case, now: float) -> bool:
        """R12: only if nobody else can run it, which W cannot know soon after its start."""
        if now < self.quiet_until + self._timing.silent_s:
            return False
        name = case.record.definition.name
        others = (server for server in self._roster.ranked() if server != case.record.holder)
        return all(self._roster.why_not(server, name, now) is not None for server in others)

    def _released(self, case: Case, sender: Peer, m: Released, now: float) -> None:
        if not self._holds(case, sender, m.epoch, m.grant_id):
            self._acknowledge_release(sender, m)
            return
        if m.overlap:
            if case.record.definition.exclusive:
                return  # nobody may; it will say so again once it has stopped
            case.may_finish(self._roster.timing_of(sender.name)[1], self._timing.clock_error, now)
        case.left_until[sender.name] = now + 2 * self._timing.promise_s
        case.epoch_floor = max(case.epoch_floor, min(m.seen_epoch, case.epoch_floor + LARGEST_STEP))
        if m.failed:
            count = case.failures[sender.name].count + 1 if sender.name in case.failures else 1
            back_off_s = min(self._timing.promise_s * 2 ** max(0, count - 3), LONGEST_BACK_OFF_S)
            case.failures[sender.name] = Failure(count, now + back_off_s)

        def then(at: float) -> None:
            self._acknowledge_release(sender, m)
            secondary = case.record.secondary if is_server(case.record.secondary) else None
            evidence = {"failed": m.failed, "secondary": secondary, "candidates": self._candidates(case, sender.name, at)}
            self._note(case, "released", m.reason, sender.name, evidence)
            if at > self.quiet_until:
                self._look_after(case, at)

        self._write(case, msgspec.structs.replace(case.record, state="unheld"), then)

    def _acknowledge_release(self, sender: Peer, m: Released) -> None:
        self._send(sender, ReleaseAcknowledged(service=m.service, epoch=m.epoch))

    # -- what a guard reports

    def _report(self, case: Case, sender: Peer, m: Report, now: float) -> None:
        record = case.record
        hold = next((hold for hold in m.holds if hold.service == record.definition.name), None)
        stood_by = m.stands_in.get(record.definition.name, 0)
        seen = max(hold.epoch if hold else 0, stood_by)
        if case.suspects is None and seen > record.epoch and case.under_way is None:
            case.suspects = {sender.name}  # a grant that this SDS knows nothing of: its state is not what it was
        if case.suspects is not None:
            case.epoch_floor = max(case.epoch_floor, seen)
            self._report_to_suspicion(case, case.suspects, sender, hold, m, now)
            return
        if record.secondary == sender.name and case.returned_at is not None:
            self._look_at_returned(case, case.returned_at, stood_by > 0, now)
        came_back_empty = record.holder == sender.name and sender.incarnation > record.holder_incarnation and hold is None
        if record.state == "held" and came_back_empty and case.under_way is None:

            def then(at: float) -> None:
                text = f"{sender.name} came back under incarnation {sender.incarnation}, holding nothing"
                self._note(case, "unheld", text, evidence={"incarnation": sender.incarnation, "before": record.holder_incarnation})
                if at > self.quiet_until:
                    self._look_after(case, at)

            self._write(case, msgspec.structs.replace(record, state="unheld"), then)

    def _look_at_returned(self, case: Case, returned_at: float, stands_in: bool, now: float) -> None:
        """A secondary that came up anew still stands by nobody: then no word of before can carry the holder on.

        What the holder asked before its lease ran out could be acknowledged
        late, and be worth something, until one more G has passed.
        """
        if stands_in:
            case.attended()
        elif now > returned_at + self._timing.promise_for(*self._roster.timing_of(case.record.holder or "")):
            case.deserted = True

    def _report_to_suspicion(self, case: Case, suspects: set[str], sender: Peer, hold: Hold | None, m: Report, now: float) -> None:
        """R18: the store is older than this SDS's own file; those concerned say what they hold.

        Who stands in for a holder that the record does not know may be keeping
        it alive, and stays suspect until it asks to replace it.
        """
        if m.knows != self._incarnation or now <= self.quiet_until or case.under_way:
            return
        record = case.record
        if hold and (hold.epoch, hold.number) > (record.epoch, record.number):
            if sender.name != record.holder and case.promise.runs(now):
                return  # the holder on record may live on our own word, which it gets no more: this one says so again
            adopted = msgspec.structs.replace(
                record,
                epoch=hold.epoch,
                grant_id=hold.grant_id,
                holder=sender.name,
                holder_incarnation=sender.incarnation,
                number=hold.number,
                secondary=hold.secondary,
                state="held",
            )
            self._write(case, adopted, lambda _: self._trust(case, f"{sender.name} holds epoch {hold.epoch}"))
            return
        if record.state == "held" and record.holder == sender.name:
            self._suspect_a_lost_release(case, hold is None, now)
        stands_by_unknown = m.stands_in.get(record.definition.name, 0) > record.epoch
        if now > case.trust_after and not stands_by_unknown:
            self._cleared(case, suspects, sender.name)

    def _asked_in_suspicion(self, case: Case, suspects: set[str], sender: Peer, m: Takeover, now: float) -> None:
        """Its promise to the holder has run out, and while it asks it gives no other."""
        if m.knows == self._incarnation and now > max(self.quiet_until, case.trust_after) and case.under_way is None:
            case.epoch_floor = max(case.epoch_floor, min(m.epoch, case.epoch_floor + LARGEST_STEP))
            self._cleared(case, suspects, sender.name)

    def _suspect_a_lost_release(self, case: Case, given_up: bool, now: float) -> None:
        """The holder on record holds nothing: the store forgot that it released, and it will not say so again.

        It must say so still after one G, since it may be stopping, and once
        everyone had time to report.
        """
        if given_up and not case.given_up:
            case.trust_after = max(now + self._timing.promise_s, self.quiet_until + self._timing.silent_s)
        case.given_up = given_up

    def _cleared(self, case: Case, suspects: set[str], server: str) -> None:
        """This server reported nothing above the record, or is dead for sure."""
        suspects.discard(server)
        if not suspects:
            record = msgspec.structs.replace(case.record, state="unheld") if case.given_up else case.record
            self._write(case, record, lambda _: self._trust(case, "everyone concerned has reported"))

    def _clear_vouched(self, case: Case, suspects: set[str]) -> None:
        """Those declared dead need not report; that the holder is dead goes on to count."""
        for server in sorted(case.vouched & suspects):
            self._cleared(case, suspects, server)
        case.vouched &= {case.record.holder or ""}

    def _trust(self, case: Case, why: str) -> None:
        """Only once the mended record is stored: a write that fails leaves it as suspect as it was."""
        case.suspects = None
        self._note(case, "trusted", why)

    # -- what a secondary asks

    def _takeover(self, case: Case, sender: Peer, m: Takeover, now: float) -> None:
        record = case.record
        refused = case.refused.get((sender.name, sender.incarnation), 0)
        if m.knows != self._incarnation or m.question <= refused:
            return
        mine = record.state == "held" and record.holder == sender.name and record.holder_incarnation == sender.incarnation
        if mine and record.epoch > m.epoch:
            if now > self.quiet_until:
                self._send_grant(case, now)
            return
        reason: Literal["not-secondary", "holder-heard"] | None = None
        if record.state != "held" or (m.epoch, m.number, sender.name) != (record.epoch, record.number, record.secondary):
            reason = "not-secondary"
        elif case.promise.runs(now) or now <= self.quiet_until:
            reason = "holder-heard"
        if reason:
            case.refused[sender.name, sender.incarnation] = m.question
            refusal = Refusal(service=m.service, epoch=record.epoch, number=record.number, question=m.question, reason=reason)
            self._send(sender, refusal)
            self._note_refusal(case, sender, m, reason, now)
            return
        heard = now - self._roster.heard_at(record.holder or "")
        agrees = f"the SDS heard it {heard:.2f} s ago" if heard < 3600 else "the SDS never heard it"
        self._roster.lost(record.holder or "")
        why = f"{record.holder} silent {m.silent_s:.2f} s, {agrees}"
        evidence: dict[str, Any] = {
            "holder": record.holder,
            "secondary_heard_nothing_s": m.silent_s,
            "sds_heard_nothing_s": min(heard, 1e9),
        }
        evidence |= {"number": m.number, "candidates": self._candidates(case, None, now)}
        ground = Ground(kind="asked", why=why, question=m.question, clean=False, timing=(m.lease_s, m.stop_s), evidence=evidence)
        self._grant(case, sender.name, ground)

    def _note_refusal(self, case: Case, sender: Peer, m: Takeover, reason: str, now: float) -> None:
        """That it asked in vain, and what the SDS knew better."""
        record = case.record
        heard_s = now - self._roster.heard_at(record.holder or "")
        if reason == "not-secondary":
            text = f"{sender.name} asks to take over, but is not the secondary on record"
        elif case.promise.runs(now):
            text = f"{sender.name} asks to take over, but the SDS still hears {record.holder}: the link between the two may be at fault"
        else:
            text = f"{sender.name} asks to take over, but the SDS has just started and waits out what it may have promised"
        evidence = {
            "message": "Takeover",
            "code": reason,
            "by": sender.name,
            "number": m.number,
            "recorded": record.secondary if is_server(record.secondary) else None,
            "recorded_number": record.number,
            "holder_heard_s": round(heard_s, 3) if heard_s < 1e9 else None,
            "promised_s": round(max(0.0, max(case.promise.until, self.quiet_until) - now), 3),
        }
        self._note(case, "refused", text, sender.name, evidence)

    def _grant_refused(self, case: Case, sender: Peer, m: Superseded) -> None:
        """The guard that was granted it knows a higher epoch, so the next grant must exceed that (R8)."""
        if sender.name == case.record.holder and sender.incarnation == case.record.holder_incarnation:
            case.epoch_floor = max(case.epoch_floor, min(m.epoch, case.epoch_floor + LARGEST_STEP))

    # -- granting

    def _look_after(self, case: Case, now: float) -> None:
        record = case.record
        if case.closed:
            return
        if record.state == "new":
            self._choose(case, now, Ground(kind="first", why="it begins at its home"))
        elif record.state == "unheld":
            self._choose(case, now, Ground(kind="released", why=f"{record.holder} holds it no more"))
        elif record.secondary == NOBODY and not case.promise.runs(now):
            self._choose(case, now, Ground(kind="unbacked", why=f"{record.holder} is silent and had no secondary"), record.holder)
        elif case.deserted and not case.promise.runs(now) and now > self.quiet_until + RETURN_S:
            self._give_to_returned(case, record.secondary, now)
        elif record.holder in case.vouched and not case.promise.runs(now):
            self._choose(case, now, Ground(kind="vouched", why=f"an operator confirmed that {record.holder} is dead"), record.holder)
        elif not record.definition.exclusive and not case.promise.runs(now) and self._both_silent(record, now):
            self._choose(case, now, Ground(kind="both-silent", why="holder and secondary are silent"), record.holder)
        if not case.used and not case.closed and not case.question and now >= case.repeat_at:
            self._send_grant(case, now)

    def _give_to_returned(self, case: Case, secondary: str, now: float) -> None:
        """It would have asked, had it not been restarted: only it, so that this is no choice of W alone (R13)."""
        if self._roster.why_not(secondary, case.record.definition.name, now) is None:
            why = f"{case.record.holder} is silent, and {secondary} came up anew and has no promise to it"
            evidence = {"candidates": self._candidates(case, None, now)}
            self._grant(case, secondary, Ground(kind="returned", why=why, clean=False, evidence=evidence))
        else:
            case.retry_at = now + self._timing.beat_s

    def _both_silent(self, record: Record, now: float) -> bool:
        names = (record.holder or "", record.secondary)
        return not any(self._roster.is_up(name, now) for name in names)

    def _choose(self, case: Case, now: float, ground: Ground, besides: str | None = None) -> None:
        """Grant it to whoever comes next, answering no question: R10, R14, R15."""
        settling = now <= self.quiet_until + self._timing.silent_s
        server = next_holder(case, self._roster, now, settling, besides)
        if server is None:
            case.retry_at = now + self._timing.beat_s
        else:
            evidence = {"candidates": self._candidates(case, None, now)}
            self._grant(case, server, msgspec.structs.replace(ground, evidence=evidence))

    def _grant(self, case: Case, server: str, ground: Ground) -> None:
        """Epoch + 1, written before it leaves (R8)."""
        old = case.record
        evidence = {
            "ground": ground.kind,
            "from": old.holder,
            "from_epoch": old.epoch,
            "secondary": old.secondary if is_server(old.secondary) else None,
            "question": ground.question,
        } | ground.evidence
        new = msgspec.structs.replace(
            old,
            definition=old.proposed or old.definition,
            proposed=None,
            epoch=max(old.epoch, case.epoch_floor) + 1,
            grant_id=self._draw(),
            holder=server,
            holder_incarnation=self._roster.incarnation(server),
            secondary=NOBODY,
            number=0,
            state="held",
        )

        def then(now: float) -> None:
            case.question, case.clean, case.used = ground.question, ground.clean, False
            case.promise.give(*(ground.timing or self._roster.timing_of(server)), now)
            case.vouched.clear()
            self._note(case, "granted", ground.why, server, evidence)
            self._send_grant(case, now)

        self._write(case, new, then)

    def _send_grant(self, case: Case, now: float) -> None:
        """The same grant, as often as needed; a repetition earns no lease and prolongs no promise (R9)."""
        record = case.record
        case.repeat_at = now + self._timing.beat_s
        grant = Grant(
            service=record.definition.name,
            epoch=record.epoch,
            grant_id=record.grant_id,
            to_incarnation=record.holder_incarnation,
            question=case.question,
            clean=case.clean,
            overlap_s=min(max(0.0, case.finishing_until - now), 86_400.0),
            definition=record.definition,
        )
        self._send(Peer(record.holder or "", "guard", record.holder_incarnation), grant)

    # -- saying

    def _send(self, to: Peer, message: Message) -> None:
        self._actions.append(Send(to, message))

    def _note(self, case: Case, kind: str, text: str, server: str | None = None, evidence: dict[str, Any] | None = None) -> None:
        record = case.record
        self._actions.append(
            Note(
                Transition(
                    kind=kind,
                    server=server or record.holder,
                    service=record.definition.name,
                    epoch=record.epoch,
                    text=text,
                    evidence=evidence or {},
                )
            )
        )
