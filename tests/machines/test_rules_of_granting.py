"""R5, R8-R10, R12-R16, R18, R20: what the SDS grants, records, pauses for and refuses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from parts import LITTLE, TIMING, WWW, G, H, S, Sds, guard, recipients, said

from bus.messages import (
    Accepted,
    Appointment,
    AreYouThere,
    Grant,
    Order,
    Recorded,
    Refusal,
    Registration,
    Rejection,
    ReleaseAcknowledged,
    Released,
    Renewal,
    Renewed,
    Report,
    Superseded,
    Takeover,
)
from bus.step import Peer, Received
from bus.values import ALONE, NOBODY, Hold
from sds.case import LONGEST_BACK_OFF_S, Record, Written
from sds.membership import Server
from sds.rows import HighWater
from sds.witness import RETURN_S


def renew(sds: Sds, grant: Grant, holder: str = "http", serving: bool = True) -> list[Any]:
    renewal = Renewal(service="www", epoch=grant.epoch, grant_id=grant.grant_id, beat=1, lease_s=H, stop_s=S, serving=serving)
    return sds.hear(guard(holder, grant.to_incarnation), renewal)


def appoint(sds: Sds, grant: Grant, number: int, secondary: str, holder: str = "http") -> list[Any]:
    appointment = Appointment(service="www", epoch=grant.epoch, grant_id=grant.grant_id, number=number, secondary=secondary)
    return sds.hear(guard(holder, grant.to_incarnation), appointment)


def ask(sds: Sds, grant: Grant, question: int, number: int = 1, asker: str = "email", knows: int = 1) -> list[Any]:
    takeover = Takeover(service="www", epoch=grant.epoch, number=number, question=question, knows=knows, lease_s=H, stop_s=S)
    return sds.hear(guard(asker), takeover)


def release(sds: Sds, grant: Grant, holder: str = "http", failed: bool = False) -> list[Any]:
    return sds.hear(guard(holder, grant.to_incarnation), Released(service="www", epoch=grant.epoch, grant_id=grant.grant_id, failed=failed))


def held(*others: str, **how: Any) -> tuple[Sds, Grant]:
    """http has registered first, holds www in epoch 1 and has renewed just now; the others are up too."""
    sds = Sds(**how)
    actions = sds.join("http")
    for name in others:
        sds.join(name)
    grant = said(actions + sds.wait(G + 2 * TIMING.beat_s, "http", *others), Grant)[0]
    keep(sds, grant, TIMING.silent_s, *others)
    return sds, grant


def keep(sds: Sds, grant: Grant, seconds: float, *others: str) -> None:
    """Time passes while http renews."""
    for _ in range(int(seconds / TIMING.beat_s) + 1):
        sds.wait(TIMING.beat_s, "http", *others)
        renew(sds, grant)


def backed() -> tuple[Sds, Grant]:
    """Likewise, with email on record as its secondary."""
    sds, grant = held("email", "ftp")
    assert said(appoint(sds, grant, 1, "email"), Recorded)
    return sds, grant


def restarted(version: int = 4, written: int = 4, epoch: int = 7, secondary: str = "email", holder: str = "http") -> Sds:
    """An SDS that starts with that holder on record, and whose own file knows `written` writes."""
    record = Record(
        definition=WWW,
        version=version,
        epoch=epoch,
        grant_id=70,
        holder=holder,
        holder_incarnation=1,
        secondary=secondary,
        number=1,
        state="held",
    )
    servers = [Server(name=name, incarnation=1) for name in ("http", "email", "ftp")]
    return Sds([record], servers, {"www": HighWater(written, 9)}, incarnation=2)


def test_r15_first_start_is_the_homes() -> None:
    """Nobody else is granted a service that its home never brought up; the home gets epoch 1."""
    sds = Sds()
    sds.join("email")
    assert not said(sds.wait(2.0, "email"), Grant)
    (grant, *_) = said(sds.join("http") + sds.wait(TIMING.beat_s, "http", "email"), Grant)
    assert (grant.epoch, grant.question, grant.clean) == (1, 0, True)
    assert sds.record.holder == "http"


def test_r15_service_may_get_another_home_before_it_ever_ran() -> None:
    sds = Sds()
    sds.join("http", able=())
    sds.join("ftp")
    sds.wait(2.0, "http", "ftp")
    assert sds.record.state == "new"
    elsewhere = msgspec.structs.replace(WWW, home="ftp")
    for name, services in (("http", ()), ("ftp", (elsewhere,))):
        registration = Registration(address=name, peer_port=5760, services=services, able=("www",), lease_s=H, stop_s=S)
        sds.hear(Peer(name, "runner", 1), registration)
    sds.wait(1.0, "http", "ftp")
    assert (sds.record.holder, sds.record.definition.home) == ("ftp", "ftp")


def test_r8_grant_is_written_before_it_leaves() -> None:
    sds = Sds()
    sds.holds_back = True
    actions = sds.join("http") + sds.wait(G + 1.0, "http")
    first = sds.held_back.pop()
    actions += sds.step(Written("www", first.record.version)) + sds.wait(1.0, "http")
    assert not said(actions, Grant) and sds.held_back
    assert said(sds.step(Written("www", sds.held_back[0].record.version)), Grant)


def test_r8_grant_that_answers_nothing_is_repeated_until_renewed() -> None:
    sds = Sds()
    actions = sds.join("http") + sds.wait(G + 1.0, "http")
    grants = said(actions, Grant)
    assert len(grants) > 2 and len({grant.grant_id for grant in grants}) == 1
    assert said(renew(sds, grants[0]), Renewed)
    assert not said(sds.wait(1.0, "http"), Grant)


def test_r8_speaker_under_another_grant_is_told() -> None:
    sds, grant = held()
    stale = msgspec.structs.replace(grant, epoch=grant.epoch - 1, grant_id=1)
    (denial,) = said(renew(sds, stale), Superseded)
    assert (denial.epoch, denial.grant_id, denial.refused_grant_id) == (1, grant.grant_id, 1)


def test_r5_w_refuses_while_its_own_promise_runs() -> None:
    sds, grant = backed()
    (refusal,) = said(ask(sds, grant, question=1), Refusal)
    assert refusal.reason == "holder-heard"
    sds.wait(G + LITTLE, "email", "ftp")
    (asked,) = said(ask(sds, grant, question=2), Grant)
    assert (asked.epoch, asked.question, asked.clean) == (2, 2, False)
    assert sds.record.holder == "email"


def test_r9_only_the_recorded_secondary_is_granted_on_asking() -> None:
    sds, grant = backed()
    sds.wait(G + LITTLE, "email", "ftp")
    (refusal,) = said(ask(sds, grant, question=1, asker="ftp"), Refusal)
    assert refusal.reason == "not-secondary"
    (refusal,) = said(ask(sds, grant, question=1, number=0), Refusal)
    assert refusal.reason == "not-secondary"


def test_r9_refused_numbers_and_other_incarnations_of_w_are_ignored() -> None:
    sds, grant = backed()
    ask(sds, grant, question=5)
    sds.wait(G + LITTLE, "email", "ftp")
    assert not said(ask(sds, grant, question=5), Grant | Refusal)
    assert not said(ask(sds, grant, question=6, knows=0), Grant | Refusal)
    assert said(ask(sds, grant, question=6), Grant)


def test_r9_same_grant_is_repeated_with_the_number_it_first_answered() -> None:
    """The repetition prolongs no promise of W's: unused, the grant is burned in time."""
    sds, grant = backed()
    sds.wait(G + LITTLE, "email", "ftp")
    (first,) = said(ask(sds, grant, question=3), Grant)
    sds.wait(G / 2, "email", "ftp")
    (again,) = said(ask(sds, grant, question=4), Grant)
    assert again == first
    (third,) = said(sds.wait(G / 2 + TIMING.loadlevel_s, "email", "ftp"), Grant)[:1]
    assert third.epoch == 3


def test_r10_w_may_grant_another_while_nobody_is_recorded() -> None:
    sds, _ = held("email")
    assert not said(sds.wait(G - TIMING.loadlevel_s / 2, "email"), Grant)
    (grant,) = said(sds.wait(TIMING.loadlevel_s, "email"), Grant)[:1]
    assert grant.epoch == 2 and sds.record.holder == "email"


def test_r10_recording_alone_ends_the_lease_from_w() -> None:
    """Whether or not the holder serves already."""
    sds = Sds()
    actions = sds.join("http") + sds.join("email") + sds.wait(G + 2 * TIMING.beat_s, "http", "email")
    grant = said(actions, Grant)[0]
    renew(sds, grant, serving=False)
    appoint(sds, grant, 1, "email")
    assert not said(sds.wait(4 * G, "email"), Grant)


def test_r11_lower_numbers_are_answered_with_the_record() -> None:
    sds, grant = held("email", "ftp")
    appoint(sds, grant, 3, "email")
    (answer,) = said(appoint(sds, grant, 2, "ftp"), Recorded)
    assert (answer.number, answer.secondary) == (3, "email")


def test_r12_w_agrees_to_no_secondary_only_if_nobody_else_can() -> None:
    sds, grant = held("email")
    (answer,) = said(appoint(sds, grant, 1, ALONE), Recorded)
    assert answer.secondary == NOBODY
    keep(sds, grant, TIMING.silent_s)
    (answer,) = said(appoint(sds, grant, 1, ALONE), Recorded)
    assert answer.secondary == ALONE


def test_r13_w_alone_chooses_no_third() -> None:
    """Until an operator vouches that the holder is dead."""
    sds, _ = backed()
    assert not said(sds.wait(10 * G, "ftp"), Grant)
    operator = Peer("someone", "operator")
    assert said(sds.hear(operator, Order(verb="confirm-dead", server="ftp")), Rejection), "ftp is alive"
    actions = sds.hear(operator, Order(verb="confirm-dead", server="http"))
    assert recipients(actions, Grant) == ["ftp"]


def test_r13_server_that_is_heard_after_all_is_not_dead() -> None:
    """An operator's word holds until the server speaks, though nobody could be chosen until then."""
    sds, grant = backed()
    sds.machine.membership.drain("ftp", True)
    sds.wait(10 * G, "ftp")
    operator = Peer("someone", "operator")
    assert said(sds.hear(operator, Order(verb="confirm-dead", server="http")), Accepted)
    hold = Hold(service="www", epoch=1, grant_id=grant.grant_id, number=1, secondary="email")
    sds.hear(guard("http"), Report(knows=1, holds=(hold,)))
    assert not said(sds.wait(10 * G, "email"), Grant), "email keeps the holder alive"


def test_r13_sds_that_has_just_started_knows_nobody_dead() -> None:
    sds = restarted()
    operator = Peer("someone", "operator")
    (rejection,) = said(sds.hear(operator, Order(verb="confirm-dead", server="http")), Rejection)
    assert "has just started" in rejection.text
    sds.wait(G + TIMING.silent_s + LITTLE)
    assert said(sds.hear(operator, Order(verb="confirm-dead", server="http")), Accepted)


def test_r13_dead_holder_of_a_suspect_record_is_replaced() -> None:
    """Declared dead once, it neither keeps the record suspect nor the service unserved."""
    sds = restarted(version=3)
    sds.join("ftp")
    sds.wait(G + TIMING.silent_s + LITTLE, "ftp")
    operator = Peer("someone", "operator")
    for server in ("http", "email"):
        assert said(sds.hear(operator, Order(verb="confirm-dead", server=server)), Accepted)
    sds.wait(1.0, "ftp")
    assert (sds.record.holder, sds.record.epoch) == ("ftp", 10)


def come_back(sds: Sds, name: str, incarnation: int, *alive: str) -> list[Any]:
    """This server's guard is started anew, and admitted once its predecessor was silent for one G."""
    sds.hear(guard(name, incarnation), Report(knows=1))
    sds.wait(G + LITTLE, *alive)
    return sds.join(name, incarnation)


def test_r13_secondary_that_came_back_replaces_a_silent_holder() -> None:
    """Neither its old incarnation's word nor its new one's can keep the holder alive: not before one more G, though."""
    sds, _ = backed()
    sds.wait(RETURN_S, "ftp")
    come_back(sds, "email", 2, "ftp")
    sds.wait(G - 2 * LITTLE, "email", "ftp")
    sds.hear(guard("email", 2), Report(knows=1))
    assert sds.record.epoch == 1
    sds.wait(4 * LITTLE, "email", "ftp")
    actions = sds.hear(guard("email", 2), Report(knows=1)) + sds.wait(TIMING.loadlevel_s, "email", "ftp")
    assert recipients(actions, Grant)[:1] == ["email"] and sds.record.epoch == 2
    assert not said(actions, Grant)[0].clean


def test_r13_sds_that_has_just_started_lets_the_holder_come_back_first() -> None:
    sds = restarted()
    come_back(sds, "email", 2)
    sds.wait(2 * G, "email")
    sds.hear(guard("email", 2), Report(knows=2))
    sds.wait(RETURN_S / 2, "email")
    assert sds.record.epoch == 7
    sds.hear(guard("email", 2), Report(knows=2))
    sds.wait(RETURN_S / 2, "email")
    assert (sds.record.holder, sds.record.epoch) == ("email", 10)


def test_r13_secondary_that_came_back_under_a_bridged_holder_replaces_nobody() -> None:
    """The SDS's own word may have led the holder from the old incarnation's word to the new one's."""
    sds, grant = backed()
    sds.hear(guard("email", 2), Report(knows=1))
    keep(sds, grant, G + LITTLE, "ftp")
    sds.join("email", 2)
    sds.wait(4 * G, "email", "ftp")
    sds.hear(guard("email", 2), Report(knows=1))
    assert not said(sds.wait(G, "email", "ftp"), Grant)


def test_r13_secondary_that_came_back_and_hears_the_holder_replaces_nobody() -> None:
    sds, _ = backed()
    sds.wait(G + LITTLE, "ftp")
    come_back(sds, "email", 2, "ftp")
    sds.hear(guard("email", 2), Report(knows=1, stands_in={"www": 1}))
    sds.wait(2 * G, "email", "ftp")
    sds.hear(guard("email", 2), Report(knows=1, stands_in={"www": 1}))
    assert not said(sds.wait(G, "email", "ftp"), Grant)


def test_r8_grant_below_what_its_guard_knows_raises_the_next() -> None:
    sds, grant = held("email")
    sds.hear(guard("http"), Superseded(service="www", epoch=9, grant_id=0))
    sds.hear(guard("email"), Superseded(service="www", epoch=30, grant_id=0))
    (next_grant, *_) = said(release(sds, grant) + sds.wait(G, "http", "email"), Grant)
    assert next_grant.epoch == 10, "the word of another than the holder raises nothing"


def test_r14_w_grants_the_recorded_secondary_at_once() -> None:
    sds, grant = backed()
    actions = release(sds, grant)
    assert said(actions, ReleaseAcknowledged) and recipients(actions, Grant) == ["email"]
    assert said(actions, Grant)[0].clean
    assert said(release(sds, grant), ReleaseAcknowledged), "asked again, it answers again"
    assert sds.record.epoch == 2


def test_r14_server_that_failed_is_not_the_next() -> None:
    sds, grant = held("email")
    release(sds, grant, failed=True)
    sds.wait(TIMING.loadlevel_s, "http", "email")
    assert sds.record.holder == "email"


def test_r14_target_of_a_move_that_failed_before_gets_it_and_not_the_one_that_just_left() -> None:
    """Else the service goes back to whoever released it, is moved again, and so for ever."""
    sds, grant = held("email")
    appoint(sds, grant, 1, "email")
    (second, *_) = said(release(sds, grant), Grant)
    (*_, third) = said(release(sds, second, "email", failed=True) + sds.wait(TIMING.beat_s, "http", "email"), Grant)
    assert sds.record.holder == "http" and said(renew(sds, third), Renewed)
    for _ in range(int(LONGEST_BACK_OFF_S / TIMING.beat_s) + 1):
        sds.wait(TIMING.beat_s, "http", "email")
        renew(sds, third)
    assert said(appoint(sds, third, 1, "email"), Recorded)
    release(sds, third)
    assert sds.record.holder == "email"


def test_r15_holder_that_comes_back_with_nothing_has_released() -> None:
    sds, grant = backed()
    actions = sds.hear(guard("http", 2), Report(knows=1))
    assert sds.record.state == "held", "the old incarnation may live"
    sds.wait(G + LITTLE, "email", "ftp")
    actions = sds.join("http", incarnation=2) + sds.wait(TIMING.loadlevel_s, "http", "email", "ftp")
    assert said(actions, Grant) and sds.record.epoch == 2
    assert not said(renew(sds, grant), Renewed), "a lower incarnation is not heard"


def test_r16_w_grants_nothing_for_one_promise_after_its_start() -> None:
    sds = restarted()
    sds.join("email")
    grant = Grant(service="www", epoch=7, grant_id=70, to_incarnation=1, question=0, clean=True, definition=WWW)
    (refusal,) = said(ask(sds, grant, question=1, knows=2), Refusal)
    assert refusal.reason == "holder-heard"
    sds.wait(G + LITTLE, "email")
    assert said(ask(sds, grant, question=2, knows=2), Grant)


def test_r16_grant_of_an_earlier_w_is_not_handed_out_in_the_pause() -> None:
    """The W that wrote it may not have known, and may have promised the holder before it another lease."""
    sds = restarted(holder="email", secondary="http")
    sds.join("email")
    old = Grant(service="www", epoch=6, grant_id=60, to_incarnation=1, question=0, clean=True, definition=WWW)
    assert not said(ask(sds, old, question=1, knows=2), Grant)
    sds.wait(G + LITTLE, "email")
    assert said(ask(sds, old, question=2, knows=2), Grant)


def test_r18_no_write_no_grant_and_no_epoch_twice() -> None:
    sds, grant = backed()
    sds.fails = True
    actions = release(sds, grant)
    assert not said(actions, Grant | ReleaseAcknowledged)
    sds.fails = False
    sds.wait(TIMING.beat_s, "email", "ftp")
    sds.fails = True
    release(sds, grant)
    sds.wait(1.0, "email", "ftp")
    sds.fails = False
    sds.wait(1.0, "email", "ftp")
    (second,) = said(release(sds, grant), Grant)
    assert second.epoch >= 2 and sds.record.epoch == second.epoch


def test_r18_older_store_is_suspect_until_everyone_concerned_reported() -> None:
    """To this incarnation of W, and not before one G; the next grant exceeds the file's epoch."""
    sds = restarted(version=3)
    sds.join("http")
    sds.join("email")
    case = sds.machine.witness.cases["www"]
    assert case.suspects == {"http", "email"}
    grant = Grant(service="www", epoch=7, grant_id=70, to_incarnation=1, question=0, clean=True, definition=WWW)
    assert not said(renew(sds, grant), Renewed)
    sds.wait(G + LITTLE, "http", "email")
    hold = Hold(service="www", epoch=7, grant_id=70, number=1, secondary="email")
    sds.hear(guard("http"), Report(knows=1, holds=(hold,)))
    assert case.suspects == {"http", "email"}, "that report was for another incarnation of W"
    sds.hear(guard("http"), Report(knows=2, holds=(hold,)))
    sds.hear(guard("email"), Report(knows=2))
    assert case.suspects is None
    keep(sds, grant, TIMING.silent_s, "email")
    (next_grant,) = said(release(sds, grant), Grant)
    assert next_grant.epoch == 10


def test_r18_release_that_the_store_forgot_is_taken_from_the_holders_report() -> None:
    """It said so once and was acknowledged: nothing but its empty report, still empty after one G, tells of it."""
    sds = restarted(version=3)
    sds.join("http")
    sds.join("email")
    sds.wait(TIMING.silent_s + G, "http", "email")
    sds.hear(guard("email"), Report(knows=2))
    sds.hear(guard("http"), Report(knows=2))
    sds.wait(G - LITTLE, "http", "email")
    sds.hear(guard("http"), Report(knows=2))
    assert sds.record.state == "held", "it may still be stopping"
    sds.wait(2 * LITTLE, "http", "email")
    actions = sds.hear(guard("http"), Report(knows=2)) + sds.wait(TIMING.loadlevel_s, "http", "email")
    assert said(actions, Grant)[0].epoch == 10


def test_r18_server_that_stands_in_for_an_unknown_holder_keeps_the_record_suspect() -> None:
    """It may be keeping alive whom the SDS has forgotten, until it asks to replace it."""
    sds = restarted(version=3)
    sds.join("http")
    sds.join("email")
    sds.wait(TIMING.silent_s + 2 * G, "http", "email")
    for _ in range(3):
        sds.hear(guard("http"), Report(knows=2))
        sds.hear(guard("email"), Report(knows=2, stands_in={"www": 12}))
        assert not said(sds.wait(G, "http", "email"), Grant)
    unknown = Grant(service="www", epoch=12, grant_id=70, to_incarnation=1, question=0, clean=True, definition=WWW)
    ask(sds, unknown, question=1, knows=2)
    actions = sds.hear(guard("http"), Report(knows=2)) + sds.wait(TIMING.loadlevel_s, "http", "email")
    assert said(actions, Grant)[0].epoch == 13


def test_r18_reported_hold_waits_until_the_word_given_to_the_holder_on_record_is_over() -> None:
    """That holder was resumed on our word, and gets no more of it; until then it serves."""
    sds, grant = held("email")
    report = Report(knows=1, holds=(Hold(service="www", epoch=2, grant_id=90, number=0, secondary=NOBODY),))
    sds.hear(guard("email"), report)
    assert sds.record.epoch == 1 and not said(renew(sds, grant), Renewed)
    sds.wait(G + LITTLE, "http", "email")
    sds.hear(guard("email"), report)
    assert (sds.record.epoch, sds.record.holder) == (2, "email")


def test_r18_reported_hold_above_the_record_is_adopted() -> None:
    sds = restarted(version=3)
    sds.join("email")
    sds.wait(G + LITTLE, "email")
    hold = Hold(service="www", epoch=9, grant_id=90, number=2, secondary="ftp")
    sds.hear(guard("email"), Report(knows=2, holds=(hold,)))
    record = sds.record
    assert (record.epoch, record.grant_id, record.holder, record.secondary, record.number) == (9, 90, "email", "ftp", 2)


def test_r20_second_live_server_of_a_name_is_refused() -> None:
    """Both ends learn why: the newcomer by a rejection, everyone by the history."""
    sds, _ = held()
    second = guard("http", 2)
    actions = sds.hear(second, Report(knows=1))
    assert [(action.to, type(action.message)) for action in actions] == [(guard("http", 1), AreYouThere)]
    assert not said(sds.hear(guard("http", 1), Report(knows=1)), Rejection), "words said before the challenge prove nothing"
    challenge = said(actions, AreYouThere)[0].challenge
    actions = sds.hear(guard("http", 1), Report(knows=1, answers=challenge))
    (rejection,) = said(actions, Rejection)
    assert rejection.code == "name-taken" and rejection.highest == 1
    assert [action.to for action in actions if getattr(action, "message", None) is rejection] == [second]
    assert sds.machine.membership.incarnation("http") == 1


def test_r20_new_incarnation_is_admitted_once_the_old_one_is_silent() -> None:
    sds, _ = held("email")
    sds.hear(guard("http", 2), Report(knows=1))
    sds.wait(G - LITTLE, "email")
    sds.hear(guard("http", 2), Report(knows=1))
    assert sds.machine.membership.incarnation("http") == 1
    sds.wait(2 * LITTLE, "email")
    sds.hear(guard("http", 2), Report(knows=1))
    assert sds.machine.membership.incarnation("http") == 2
    (rejection,) = said(sds.hear(guard("http", 1), Report(knows=1)), Rejection)
    assert (rejection.code, rejection.highest) == ("stale-incarnation", 2)


@pytest.mark.parametrize("part", ["operator", "viewer"])
def test_only_servers_may_speak_of_services(part: Any) -> None:
    sds, grant = held()
    renewal = Renewal(service="www", epoch=1, grant_id=grant.grant_id, beat=1, lease_s=H, stop_s=S, serving=True)
    (rejection,) = said(sds.step(Received(Peer("http", part, 1), renewal)), Rejection)
    assert rejection.code == "not-allowed"
