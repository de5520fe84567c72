"""R7, R9, R11, R16, R18: what a secondary owes and may ask, seen at its guard."""

from __future__ import annotations

from typing import Any

from parts import LITTLE, TIMING, WITNESS, G, Guard, H, S, guard, said

from agent import channel
from agent.guarding import Several
from bus.messages import Acknowledgement, Assignment, Epochs, KeepAlive, Refusal, RemoveAssignment, Renewal, Report, Takeover
from bus.step import Peer, Received, Tick


def secondary() -> Guard:
    """A guard that http has just assigned, in epoch 1 by appointment 1."""
    standing_in = Guard("email")
    assert said(standing_in.keep_alive(guard("http"), Assignment), Acknowledgement)
    return standing_in


def asking() -> tuple[Guard, list[Takeover]]:
    """Its promise has run out, and it asks."""
    standing_in = secondary()
    questions = said(standing_in.wait(G + TIMING.tick_s), Takeover)
    assert questions
    return standing_in, questions


def refuse(standing_in: Guard, question: int, reason: Any = "holder-heard") -> list[Any]:
    return standing_in.hear(WITNESS, Refusal(service="www", epoch=1, number=1, question=question, reason=reason))


def test_r1_asks_only_after_its_promise_ran_out() -> None:
    standing_in = secondary()
    assert not said(standing_in.wait(G - LITTLE), Takeover)
    assert said(standing_in.wait(2 * LITTLE), Takeover)


def test_r7_nobody_is_judged_across_a_gap() -> None:
    standing_in = secondary()
    standing_in.now += 5 * G
    assert not said(standing_in.machine.step(Tick(), standing_in.now), Takeover)
    assert not said(standing_in.wait(H - LITTLE), Takeover)
    assert said(standing_in.wait(TIMING.beat_s), Takeover)


def test_r7_a_keep_alive_that_waits_is_heard_before_its_holder_is_judged() -> None:
    """The promise ran out a moment ago; what waits behind another message of the same service is the keep-alive that prolongs it."""
    standing_in = secondary()
    standing_in.wait(G - LITTLE)
    standing_in.now += 3 * LITTLE
    stale = Received(WITNESS, Refusal(service="www", epoch=1, number=1, question=0, reason="holder-heard"))
    beat = KeepAlive(service="www", epoch=1, grant_id=1001, number=1, beat=2, nonce=3, lease_s=H, stop_s=S)
    actions = standing_in.machine.step(Several((stale, Received(guard("http"), beat))), standing_in.now)
    assert said(actions, Acknowledgement) and not said(actions, Takeover)


def test_r9_question_is_repeated_under_rising_numbers_even_after_dismissal() -> None:
    standing_in, asked = asking()
    asked += said(standing_in.wait(4 * TIMING.beat_s), Takeover)
    standing_in.hear(guard("http"), RemoveAssignment(service="www", epoch=1, number=1))
    later = said(standing_in.wait(4 * TIMING.beat_s), Takeover)
    numbers = [question.question for question in asked + later]
    assert later and numbers == sorted(set(numbers))
    assert all((question.epoch, question.number, question.knows) == (1, 1, 1) for question in asked + later)


def test_r9_no_acknowledgement_while_a_question_is_open() -> None:
    """Neither a keep-alive nor a table closes it; the refusal of the latest does."""
    standing_in, _ = asking()
    question = said(standing_in.wait(2 * TIMING.beat_s), Takeover)[-1]
    assert not said(standing_in.keep_alive(guard("http"), KeepAlive, beat=2), Acknowledgement)
    refuse(standing_in, question.question - 1)
    assert not said(standing_in.keep_alive(guard("http"), KeepAlive, beat=3), Acknowledgement)
    refuse(standing_in, question.question)
    assert said(standing_in.keep_alive(guard("http"), KeepAlive, beat=4), Acknowledgement)


def test_r9_grant_that_answers_a_closed_question_is_void() -> None:
    standing_in, questions = asking()
    refuse(standing_in, questions[-1].question)
    standing_in.grant(epoch=2, question=questions[-1].question, clean=False)
    assert standing_in.duty.holding is None


def test_r9_grant_is_a_lease_from_the_asking_of_its_question() -> None:
    """Of the question that it answers, not of the newest."""
    standing_in, questions = asking()
    asked_at = standing_in.duty.standing_in._asked_at[questions[0].question]
    standing_in.wait(TIMING.beat_s * 2)
    assert said(standing_in.grant(epoch=2, question=questions[0].question, clean=False), channel.Start)
    assert standing_in.holding.leases.until("-witness") == asked_at + H


def test_r9_second_look_at_the_own_promise() -> None:
    """The promise was given anew after the asking: the start waits it out; a clean grant voids it."""
    standing_in, questions = asking()
    standing_in.duty.standing_in.promise.extend(standing_in.now + 0.3)
    assert not said(standing_in.grant(epoch=2, question=questions[-1].question, clean=False), channel.Start)
    assert not said(standing_in.wait(0.3 - LITTLE), channel.Start)
    assert said(standing_in.wait(2 * LITTLE), channel.Start)
    other = secondary()
    other.grant(epoch=2, clean=True)
    renewal = said(other.wait(TIMING.beat_s), Renewal)[-1]
    assert other.duty.standing_in.promise.runs(other.now)
    other.holding.leases.acknowledged(renewal.beat, "-witness", other.now, earns=True)
    assert said(other.wait(TIMING.beat_s), channel.Start)


def test_r11_lower_appointments_are_ignored() -> None:
    standing_in = secondary()
    assert said(standing_in.keep_alive(guard("http"), Assignment, number=3, beat=5), Acknowledgement)
    assert not said(standing_in.keep_alive(guard("http"), KeepAlive, number=2, beat=6), Acknowledgement)
    standing_in.hear(guard("http"), RemoveAssignment(service="www", epoch=1, number=3))
    assert not said(standing_in.keep_alive(guard("http"), KeepAlive, number=3, beat=7), Acknowledgement)
    assert said(standing_in.keep_alive(guard("http"), Assignment, number=4, beat=8), Acknowledgement)


def test_r11_older_dismissal_does_not_end_a_newer_appointment() -> None:
    standing_in = secondary()
    standing_in.keep_alive(guard("http"), Assignment, number=3, beat=5)
    standing_in.hear(guard("http"), RemoveAssignment(service="www", epoch=1, number=2))
    assert standing_in.duty.standing_in.role is not None


def test_r16_new_guard_acknowledges_nothing_before_w_answered_it() -> None:
    restarted = Guard(incarnation=2, admitted=False)
    assert not said(restarted.keep_alive(guard("http"), Assignment), Acknowledgement)
    restarted.hear(WITNESS, Epochs(incarnation=1, epochs={"www": 1}))
    assert not said(restarted.keep_alive(guard("http"), KeepAlive, beat=2), Acknowledgement), "that answered its predecessor"
    restarted.hear(WITNESS, Epochs(incarnation=2, epochs={"www": 1}))
    assert said(restarted.keep_alive(guard("http"), KeepAlive, beat=3), Acknowledgement)


def test_r16_new_guard_behaves_as_if_it_had_just_promised() -> None:
    restarted = Guard(incarnation=2, admitted=False)
    assert restarted.duty.standing_in.promise.until == restarted.now + G
    restarted.grant(epoch=4, clean=False)
    restarted.holding.leases.grant("-witness", restarted.now + 10)
    assert not said(restarted.wait(G - TIMING.beat_s), channel.Start)
    assert said(restarted.wait(TIMING.beat_s + LITTLE), channel.Start)


def test_r18_lower_incarnation_of_the_sds_is_ignored() -> None:
    restarted = Guard(incarnation=2, admitted=False)
    (report,) = said(restarted.hear(Peer("sds", "sds", 5), Epochs(incarnation=1, epochs={})), Report)
    assert report.knows == 5
    restarted.hear(Peer("sds", "sds", 4), Epochs(incarnation=2, epochs={}))
    assert not said(restarted.keep_alive(guard("http"), Assignment), Acknowledgement)
    restarted.hear(Peer("sds", "sds", 5), Epochs(incarnation=2, epochs={}))
    assert said(restarted.keep_alive(guard("http"), KeepAlive, beat=2), Acknowledgement)
