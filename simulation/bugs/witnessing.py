"""Bugs of the SDS as witness: grants, records, what it believes after a restart."""

from __future__ import annotations

from typing import Any

import msgspec

from bus.messages import Message, Renewal, Report, Takeover
from bus.promise import Promise
from bus.step import LONG_AGO, Peer
from bus.values import is_server
from sds.case import Case, Ground, Record, WriteFailed, Written
from sds.membership import Membership
from sds.witness import Witness
from simulation.bugs.planting import Put, bug


@bug("R5", "W grants while its own promise to the holder runs")
def impatient_witness(put: Put) -> None:
    honest = Witness._takeover

    def takeover(self: Witness, case: Case, sender: Peer, m: Takeover, now: float) -> None:
        case.promise = Promise(self._timing)
        honest(self, case, sender, m, now)

    put(Witness, "_takeover", takeover)


@bug("R8", "a grant leaves before it is written")
def granted_before_written(put: Put) -> None:
    honest = Witness._grant

    def grant(self: Witness, case: Case, server: str, ground: Ground) -> None:
        honest(self, case, server, ground)
        assert case.under_way
        kept, case.record = case.record, case.under_way[0]
        case.question, case.clean = ground.question, ground.clean
        self._send_grant(case, LONG_AGO)
        case.record = kept

    put(Witness, "_grant", grant)


@bug("R18", "what the store refused is granted all the same")
def granted_though_refused(put: Put) -> None:
    def write_failed(self: Witness, event: WriteFailed, now: float) -> None:
        self._written(Written(event.service, event.version), now)

    put(Witness, "_write_failed", write_failed)


@bug("R8", "an epoch whose write failed is issued again")
def epoch_issued_twice(put: Put) -> None:
    honest = Witness._write_failed

    def write_failed(self: Witness, event: WriteFailed, now: float) -> None:
        case = self.cases[event.service]
        floor = case.epoch_floor
        honest(self, event, now)
        case.epoch_floor = floor

    put(Witness, "_write_failed", write_failed)


@bug("R8", "W answers while a write is under way")
def answers_while_writing(put: Put) -> None:
    put(Case, "closed", property(lambda case: case.suspects is not None))


@bug("R9", "a question that named another incarnation of W is answered")
def stale_question_answered(put: Put) -> None:
    honest = Witness._takeover

    def takeover(self: Witness, case: Case, sender: Peer, m: Takeover, now: float) -> None:
        honest(self, case, sender, msgspec.structs.replace(m, knows=self._incarnation), now)

    put(Witness, "_takeover", takeover)


@bug("R9", "a question at or below a refused one is answered")
def refused_question_answered(put: Put) -> None:
    honest = Witness._takeover

    def takeover(self: Witness, case: Case, sender: Peer, m: Takeover, now: float) -> None:
        case.refused.clear()
        honest(self, case, sender, m, now)

    put(Witness, "_takeover", takeover)


@bug("R9", "a repeated grant prolongs W's promise, and answers the newest question")
def repeat_prolongs(put: Put) -> None:
    honest = Witness._takeover

    def takeover(self: Witness, case: Case, sender: Peer, m: Takeover, now: float) -> None:
        record = case.record
        mine = (record.holder, record.holder_incarnation) == (sender.name, sender.incarnation)
        if record.state == "held" and mine and record.epoch > m.epoch:
            case.question = m.question
            case.promise.give(self._timing.lease_s, self._timing.stop_s, now)
        honest(self, case, sender, m, now)

    put(Witness, "_takeover", takeover)


@bug("R10", "W promises nothing with a grant")
def grant_without_promise(put: Put) -> None:
    honest = Witness._send_grant

    def send_grant(self: Witness, case: Case, now: float) -> None:
        if not case.used:
            case.promise = Promise(self._timing)
        honest(self, case, now)

    put(Witness, "_send_grant", send_grant)


@bug("R10", "the lease from W ends with a recorded secondary and serving, not with the record alone")
def until_serving(put: Put) -> None:
    honest_renewal, honest_look = Witness._renewal, Witness._look_after
    served: set[tuple[int, int]] = set()

    def renewal(self: Witness, case: Case, sender: Peer, m: Renewal, now: float) -> None:
        if m.serving:
            served.add((m.epoch, m.grant_id))
        honest_renewal(self, case, sender, m, now)

    def look_after(self: Witness, case: Case, now: float) -> None:
        honest_look(self, case, now)
        record = case.record
        unserved = record.state == "held" and (record.epoch, record.grant_id) not in served
        if unserved and not case.closed and is_server(record.secondary) and not case.promise.runs(now):
            self._choose(case, now, Ground(kind="unbacked", why="it is not serving yet"), besides=record.holder)

    put(Witness, "_renewal", renewal)
    put(Witness, "_look_after", look_after)


@bug("R13", "W picks a third when it hears neither holder nor secondary")
def third_picked(put: Put) -> None:
    honest = Witness._look_after

    def look_after(self: Witness, case: Case, now: float) -> None:
        honest(self, case, now)
        record = case.record
        if record.state == "held" and not case.closed and not case.promise.runs(now) and self._both_silent(record, now):
            self._choose(case, now, Ground(kind="both-silent", why="holder and secondary are silent"), besides=record.holder)

    put(Witness, "_look_after", look_after)


@bug("R15", "incarnations have no order: whoever speaks, speaks for the name")
def incarnations_unordered(put: Put) -> None:
    honest_admits, honest_report = Membership.admits, Witness._report

    def admits(self: Membership, sender: Peer, message: Message, now: float) -> tuple[bool, list[Any]]:
        server = self.servers.get(sender.name)
        if server and server.incarnation != sender.incarnation:
            self.servers[sender.name] = msgspec.structs.replace(server, incarnation=sender.incarnation, version=server.version + 1)
        return honest_admits(self, sender, message, now)

    def report(self: Witness, case: Case, sender: Peer, m: Report, now: float) -> None:
        if sender.incarnation < case.record.holder_incarnation:
            sender = Peer(sender.name, sender.part, case.record.holder_incarnation + 1)
        honest_report(self, case, sender, m, now)

    put(Membership, "admits", admits)
    put(Witness, "_report", report)


@bug("R15", "a holder that came back with nothing is not taken for a release")
def return_is_no_release(put: Put) -> None:
    honest = Witness._report

    def report(self: Witness, case: Case, sender: Peer, m: Report, now: float) -> None:
        if case.suspects is None and sender.name == case.record.holder:
            sender = Peer(sender.name, sender.part, case.record.holder_incarnation)
        honest(self, case, sender, m, now)

    put(Witness, "_report", report)


@bug("R8", "whatever a holder says counts for its newest epoch")
def old_epoch_released(put: Put) -> None:
    def holds(self: Witness, case: Case, sender: Peer, epoch: int, grant_id: int) -> bool:
        return case.record.state == "held" and case.record.holder == sender.name

    put(Witness, "_holds", holds)


@bug("R16", "W does not pause after its start")
def no_pause(put: Put) -> None:
    honest = Witness.__init__

    def init(self: Witness, *arguments: Any, **named: Any) -> None:
        honest(self, *arguments, **named)
        self.quiet_until = LONG_AGO

    put(Witness, "__init__", init)


@bug("R18", "a write that the store lost goes unnoticed")
def lost_write_unnoticed(put: Put) -> None:
    honest = Case.__init__

    def init(self: Case, record: Record, *arguments: Any) -> None:
        honest(self, record, *arguments)
        self.suspects = None

    put(Case, "__init__", init)


@bug("R18", "a suspect record is trusted on reports to another incarnation of W, and at once")
def early_report_trusted(put: Put) -> None:
    honest = Witness._report

    def report(self: Witness, case: Case, sender: Peer, m: Report, now: float) -> None:
        quiet_until, self.quiet_until = self.quiet_until, LONG_AGO
        honest(self, case, sender, msgspec.structs.replace(m, knows=self._incarnation), now)
        self.quiet_until = quiet_until

    put(Witness, "_report", report)
