"""R4, R5, R8, R10-R12, R14: what a holder may do, seen at its guard."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from parts import LITTLE, TIMING, WITNESS, G, Guard, H, S, acknowledge, guard, recipients, said

from agent import channel
from agent.duty import Run
from agent.guarding import RunnerLost, Several
from bus.messages import (
    Appointment,
    Assignment,
    Beat,
    KeepAlive,
    Recorded,
    ReleaseAcknowledged,
    Released,
    ReleaseService,
    Renewal,
    Renewed,
    Superseded,
)
from bus.step import NEVER, Received
from bus.values import ALONE, NOBODY


def renew(holder: Guard, actions: list[Any]) -> list[Any]:
    """W answers the newest renewal."""
    renewal = said(actions, Renewal)[-1]
    return holder.hear(WITNESS, Renewed(service="www", epoch=renewal.epoch, grant_id=renewal.grant_id, beat=renewal.beat))


def record(holder: Guard, secondary: str, number: int) -> list[Any]:
    """W says who is on record."""
    held = holder.holding
    message = Recorded(service="www", epoch=held.epoch, grant_id=held.grant_id, number=number, secondary=secondary)
    return holder.hear(WITNESS, message)


def candidates(holder: Guard, *names: str, better: str | None = None) -> list[Any]:
    return holder.runner(channel.Candidates(service="www", names=names, better=better))


def granted(*names: str) -> tuple[Guard, list[Any]]:
    """A guard with a grant, and what it said last; these are its candidates."""
    holder = Guard()
    candidates(holder, *names)
    return holder, holder.grant()


def serving(*names: str) -> Guard:
    """A holder that serves on W's word, with nobody recorded."""
    holder, actions = granted(*names)
    renew(holder, actions)
    spawn = channel.Spawn(service="www", epoch=1, grant_id=1001, argv=("run",), environment={}, output="")
    assert said(holder.runner(spawn), channel.Spawn)
    holder.tether(channel.Spawned(service="www", epoch=1, pid=42))
    holder.runner(channel.Serving(service="www", epoch=1))
    assert holder.duty.run is Run.ON
    return holder


def backed() -> Guard:
    """A holder that serves on the word of ftp, its recorded secondary; W was heard longer ago than H."""
    holder = serving("ftp", "dns")
    answer(holder, "ftp", H + LITTLE)
    record(holder, "ftp", 1)
    answer(holder, "ftp", H + TIMING.beat_s)
    assert holder.holding.leases.until("-witness") < holder.now
    return holder


def answer(holder: Guard, secondary: str, seconds: float, witness: bool = False) -> list[Any]:
    """Time passes, and this secondary acknowledges what it gets; W too, if so."""
    end, actions = holder.now + seconds, []
    while holder.now < end:
        new = holder.wait(min(TIMING.beat_s / 4, end - holder.now))
        for action in [a for a in new if getattr(getattr(a, "to", None), "name", "") == secondary]:
            new += holder.hear(guard(secondary), acknowledge(action.message)) if isinstance(action.message, Beat) else []
        if (witness or holder.holding.recorded == NOBODY) and said(new, Renewal):
            new += renew(holder, new)
        actions += new
    return actions


def test_r4_no_spawn_without_a_lease() -> None:
    holder, actions = granted()
    renew(holder, actions)
    assert said(holder.wait(0), channel.Spawn) == []
    late = channel.Spawn(service="www", epoch=1, grant_id=1001, argv=("run",), environment={}, output="")
    holder.now += H + LITTLE
    actions = holder.runner(late)
    assert said(actions, channel.SpawnFailed) and not said(actions, channel.Spawn)


def test_r4_runner_that_returns_is_told_what_runs() -> None:
    holder = serving("ftp")
    holder.machine.step(RunnerLost(), holder.now)
    actions = answer(holder, "ftp", 1.0)
    assert said(actions, KeepAlive) or said(actions, Assignment)
    (start,) = said(holder.tether(channel.RunnerUp()), channel.Start)
    assert (start.epoch, start.pid) == (1, 42)


def test_r4_runner_that_returns_while_a_dead_process_is_cleared_away_starts_anew() -> None:
    """The end of that process would mean nothing to it."""
    holder = backed()
    holder.machine.step(RunnerLost(), holder.now)
    (kill,) = said(holder.tether(channel.Exited(service="www", epoch=1, pid=42, status=1)), channel.Kill)
    holder.tether(channel.RunnerUp())
    actions = holder.tether(channel.Gone(service="www", number=kill.number))
    assert said(actions, channel.Start) and not said(actions, channel.Exited)


def test_r4_runner_that_stays_away_costs_the_service() -> None:
    holder = backed()
    holder.machine.step(RunnerLost(), holder.now)
    answer(holder, "ftp", TIMING.runner_grace_s - LITTLE)
    assert holder.duty.run is Run.ON
    assert said(holder.wait(2 * TIMING.beat_s), channel.Kill)
    (released,) = said(holder.tether(channel.Gone(service="www", spawn=1)), Released)
    assert released.failed


def test_secondary_that_could_not_run_it_is_replaced() -> None:
    """Section 5: it acknowledges, but drains, lacks the program or has lost its runner; the runner's word must be fresh."""
    holder = backed()
    candidates(holder, "dns")
    actions = answer(holder, "ftp", TIMING.beat_s)
    assert recipients(actions, Assignment) == ["dns"]
    stale = backed()
    assert not said(answer(stale, "ftp", TIMING.silent_s + G), Assignment), "an old word of the runner replaces nobody"


def test_r5_lease_over_cuts_off_and_only_w_resumes() -> None:
    """Only W's word, and only after the stop was verified."""
    holder = backed()
    actions = holder.wait(H + LITTLE)
    assert said(actions, channel.Kill) and holder.holding.lapsed
    renew(holder, actions)
    assert holder.holding.lapsed, "the stop is not verified yet"
    holder.tether(channel.Gone(service="www", spawn=1))
    actions = holder.wait(TIMING.beat_s + LITTLE)
    for beat in said(actions, KeepAlive):
        holder.hear(guard("ftp"), acknowledge(beat))
    assert holder.holding.lapsed and holder.duty.run is Run.OFF, "the secondary's word resumes nobody"
    assert said(renew(holder, actions), channel.Start)
    assert not holder.holding.lapsed


def test_r5_stop_that_cannot_be_verified_gives_up_the_lease_and_never_says_released() -> None:
    """A process that the kernel cannot end must not be kept in office by a guard that is well (decision 14)."""
    holder = backed()
    holder.tether(channel.Exited(service="www", epoch=1, pid=42, status=1))
    assert holder.duty.run is Run.KILLING
    actions = answer(holder, "ftp", S + TIMING.runner_answer_s - LITTLE)
    assert said(actions, KeepAlive) and holder.duty.holding
    holder.wait(TIMING.beat_s)
    actions = holder.wait(10 * G)
    assert not holder.duty.holding and not said(actions, Beat | Renewal | Released)
    (released,) = said(holder.tether(channel.Gone(service="www", number=1)), Released)
    assert released.failed


def test_a_runner_that_says_it_is_looking_has_the_time_of_a_start() -> None:
    """Files are looked at and agents asked for longer than a runner may be silent (decision 8)."""
    for says_so in (False, True):
        holder, actions = granted("ftp")
        renew(holder, actions)
        if says_so:
            holder.runner(channel.Surveying(service="www", epoch=1))
        answer(holder, "ftp", TIMING.runner_answer_s + TIMING.beat_s, witness=True)
        assert bool(holder.duty.holding) is says_so
    answer(holder, "ftp", holder.holding.definition.start_limit_s, witness=True)
    assert not holder.duty.holding, "one that hangs after that is given up too"


def test_r5_start_that_hangs_with_its_runner_is_given_up() -> None:
    """The runner gives up a start that takes too long, unless it hangs itself (decision 14)."""
    holder, actions = granted("ftp")
    renew(holder, actions)
    spawn = channel.Spawn(service="www", epoch=1, grant_id=1001, argv=("run",), environment={}, output="")
    holder.runner(spawn)
    holder.tether(channel.Spawned(service="www", epoch=1, pid=42))
    limit_s = holder.holding.definition.start_limit_s + TIMING.runner_answer_s
    answer(holder, "ftp", limit_s - TIMING.beat_s, witness=True)
    assert holder.duty.run is Run.STARTING
    holder.wait(2 * TIMING.beat_s)
    assert not holder.duty.holding and holder.duty.run is Run.KILLING


def test_r5_tether_is_told_until_when_the_service_may_live() -> None:
    holder = serving("ftp")
    until = said(answer(holder, "ftp", TIMING.beat_s * 2), channel.Until)
    assert until and holder.now < until[-1].until_at <= holder.now + H


def test_r5_end_that_crossed_a_new_start_says_nothing_of_it() -> None:
    """The tether struck by itself while the guard was late; its word comes after the guard's next order (decision 11)."""
    holder, actions = granted()
    renew(holder, actions)
    spawn = channel.Spawn(service="www", epoch=1, grant_id=1001, argv=("run",), environment={}, output="")
    holder.runner(spawn)
    holder.tether(channel.SpawnFailed(service="www", epoch=1, reason="killed by the tether"))
    (second,) = said(holder.runner(spawn), channel.Spawn)
    assert second.number == 2
    holder.tether(channel.Gone(service="www", spawn=1))
    assert holder.duty.run is Run.STARTING
    actions = holder.hear(WITNESS, Superseded(service="www", epoch=2, grant_id=5)) + holder.wait(TIMING.beat_s)
    assert said(actions, channel.Kill) and not said(actions, Released)
    holder.tether(channel.Gone(service="www", spawn=2))
    assert holder.duty.run is Run.OFF


def test_r8_burned_epoch_is_never_served() -> None:
    """Even if its grant arrives again, later."""
    holder = serving()
    holder.runner(channel.GiveUp(service="www", epoch=1, reason="it does not start"))
    holder.tether(channel.Gone(service="www", spawn=1))
    holder.grant(epoch=1)
    assert holder.duty.holding is None
    holder.grant(epoch=2)
    assert holder.holding.epoch == 2


def test_r8_lower_epoch_is_answered_with_the_higher() -> None:
    holder, _ = granted()
    holder.grant(epoch=5)
    (answer,) = said(holder.keep_alive(guard("http"), KeepAlive, epoch=4), Superseded)
    assert answer.epoch == 5


def test_r8_equal_epochs_with_different_grants_stop_both() -> None:
    holder = serving()
    actions = holder.keep_alive(guard("ftp"), KeepAlive, epoch=1, grant_id=4711)
    assert said(actions, Superseded) and said(actions, channel.Kill)


def test_r8_unasked_grant_starts_on_the_first_renewal() -> None:
    holder, actions = granted()
    assert not said(actions, channel.Start)
    assert said(renew(holder, actions), channel.Start)


def test_r8_grant_to_another_incarnation_is_not_mine() -> None:
    holder = Guard(incarnation=3)
    holder.grant(incarnation=2)
    assert holder.duty.holding is None


def test_r10_only_w_carries_while_nobody_is_recorded() -> None:
    holder = serving("ftp")
    held = holder.holding
    actions = holder.wait(TIMING.beat_s)
    (beat,) = said(actions, Assignment)[-1:]
    holder.hear(guard("ftp"), acknowledge(beat))
    assert held.leases.until("ftp") > held.leases.until("-witness")
    assert held.serve_until() == held.leases.until("-witness")


def test_r11_recording_is_asked_for_after_the_candidates_word() -> None:
    holder = serving("ftp")
    actions = holder.wait(TIMING.beat_s)
    assert recipients(actions, Assignment) == ["ftp"] and not said(actions, Appointment)
    actions = holder.hear(guard("ftp"), acknowledge(said(actions, Assignment)[-1]))
    (appointment,) = said(actions, Appointment)
    assert (appointment.secondary, appointment.number) == ("ftp", 1)


def test_r11_every_server_that_may_be_recorded_counts_while_undecided() -> None:
    holder = backed()
    held = holder.holding
    candidates(holder, "dns", "ftp", better="dns")
    actions = holder.wait(TIMING.beat_s + LITTLE)
    for beat in said(actions, KeepAlive):
        holder.hear(guard("ftp"), acknowledge(beat))
    assert held.serve_until() == held.leases.until("ftp"), "not yet sent to W: only the recorded one counts"
    actions = holder.hear(guard("dns"), acknowledge(said(actions, Assignment)[-1]))
    assert said(actions, Appointment)
    assert set(held.voters()) == {"ftp", "dns"}
    held.leases.grant("dns", holder.now + 100)
    assert held.serve_until() == held.leases.until("ftp")
    record(holder, "dns", 2)
    assert held.serve_until() == holder.now + 100


def test_r11_numbers_only_go_forward() -> None:
    holder = backed()
    record(holder, "dns", 5)
    record(holder, "ftp", 4)
    assert holder.holding.recorded == "dns"


def test_r11_refused_change_is_superseded() -> None:
    """W says nothing to number 2: the present secondary is appointed anew, under number 3."""
    holder = backed()
    candidates(holder, "dns", "ftp", better="dns")
    actions = holder.wait(TIMING.beat_s + LITTLE)
    holder.hear(guard("dns"), acknowledge(said(actions, Assignment)[-1]))
    appointments = said(answer(holder, "ftp", 3 * G, witness=True), Appointment)
    assert {(a.number, a.secondary) for a in appointments} >= {(2, "dns"), (3, "ftp")}


def test_r11_w_is_asked_at_the_first_unanswered_keep_alive() -> None:
    holder = backed()
    answer(holder, "ftp", 3 * TIMING.beat_s)
    assert not said(answer(holder, "ftp", TIMING.beat_s), Renewal), "while the secondary answers, W is left alone"
    assert said(holder.wait(TIMING.beat_s + H / 3 + LITTLE), Renewal)


def test_r12_alone_only_once_w_agreed() -> None:
    holder = serving()
    candidates(holder)
    answer(holder, "", 2 * TIMING.beat_s)
    assert ALONE in holder.holding.voters()
    assert holder.holding.serve_until() < holder.now + H
    record(holder, ALONE, 1)
    assert holder.holding.serve_until() == float("inf")


def test_r12_appointment_ends_the_freedom_of_the_lone() -> None:
    holder = serving()
    candidates(holder)
    answer(holder, "", 2 * TIMING.beat_s)
    record(holder, ALONE, 1)
    candidates(holder, "ftp")
    actions = holder.wait(2 * TIMING.beat_s)
    holder.hear(guard("ftp"), acknowledge(said(actions, Assignment)[-1]))
    assert holder.holding.serve_until() < float("inf")


def test_r14_stop_begins_with_the_fresh_word_of_w_and_of_the_target() -> None:
    """The target is made secondary first; after the stop began there is no keep-alive and no renewal."""
    holder = backed()
    holder.hear(guard("dns"), ReleaseService(service="www", epoch=1))
    actions = answer(holder, "ftp", TIMING.beat_s, witness=True)
    holder.hear(guard("dns"), acknowledge(said(actions, Assignment)[-1]))
    record(holder, "dns", 2)
    assert holder.holding.target == "dns" and holder.duty.run is Run.ON
    actions = answer_until_released(holder, "dns")
    assert said(actions, channel.Stop)
    assert holder.duty.holding is None
    assert not said(holder.wait(H / 2), KeepAlive | Renewal)


def answer_until_released(holder: Guard, secondary: str) -> list[Any]:
    actions: list[Any] = []
    for _ in range(40):
        new = holder.wait(TIMING.beat_s / 4)
        for beat in said(new, Beat):
            new += holder.hear(guard(secondary), acknowledge(beat))
        if said(new, Renewal) and holder.duty.holding:
            new += renew(holder, new)
        actions += new
        if holder.duty.holding is None:
            return actions
    raise AssertionError("the planned stop never began")


def test_r14_released_is_repeated_after_the_verified_stop() -> None:
    holder = serving()
    actions = holder.runner(channel.GiveUp(service="www", epoch=1, reason="it does not start"))
    assert said(actions, channel.Kill)
    assert not said(actions + holder.wait(S), Released), "not before the tether said Gone"
    holder.tether(channel.Gone(service="www", spawn=1))
    assert len(said(holder.wait(3 * TIMING.beat_s), Released)) >= 2
    holder.hear(WITNESS, ReleaseAcknowledged(service="www", epoch=1))
    assert not said(holder.wait(3 * TIMING.beat_s), Released)


@pytest.mark.parametrize("number", [0, 1])
def test_r8_lost_to_another_grant(number: int) -> None:
    """W denies this grant: the holder stops, whether W names a higher epoch or another grant of the same."""
    holder = serving()
    denial = Superseded(service="www", epoch=1 + number, grant_id=4711, refused_grant_id=1001)
    assert said(holder.hear(WITNESS, denial), channel.Kill)
    assert holder.duty.holding is None


def test_nobody_is_recorded_only_while_the_lease_of_w_runs() -> None:
    """R10, R11: else W, whose promise is over too, would replace this holder at once, while it still stops."""
    holder = backed()
    holder.holding.definition = msgspec.structs.replace(holder.holding.definition, alone="yield")
    silent_at, actions = holder.now, []
    while NOBODY not in [change.secondary for change in holder.holding.undecided.values()]:
        candidates(holder)
        actions += holder.wait(TIMING.beat_s)
        assert holder.now < silent_at + 4 * G
    actions += holder.wait(TIMING.beat_s)
    assert not [message for message in said(actions, Appointment) if message.secondary == NOBODY]
    actions = renew(holder, holder.wait(TIMING.beat_s)) + holder.wait(TIMING.beat_s)
    assert [message.secondary for message in said(actions, Appointment)][-1] == NOBODY
    assert holder.holding.leases.until("-witness") > holder.now


def test_r7_all_that_waited_is_heard_before_the_lease_is_looked_at() -> None:
    """A guard that is a little late finds two messages: the older earns nothing, the newer does."""
    holder = backed()
    beat = said(holder.wait(2 * TIMING.beat_s + LITTLE), KeepAlive)[-1]
    lease_over = holder.holding.serve_until()
    holder.now = lease_over + LITTLE
    assert holder.now - holder.machine.wake_at < H / 2, "late, but by too little to be taken for a gap"
    older = Received(WITNESS, ReleaseAcknowledged(service="www", epoch=0))
    actions = holder.machine.step(Several((older, Received(guard("ftp"), acknowledge(beat)))), holder.now)
    assert not said(actions, channel.Kill) and not holder.holding.lapsed
    assert holder.holding.serve_until() > holder.now


def test_r7_what_waited_too_long_saves_nobody() -> None:
    holder = backed()
    beats = said(holder.wait(2 * TIMING.beat_s + LITTLE), KeepAlive)[-2:]
    holder.now += H
    actions = holder.machine.step(Several(tuple(Received(guard("ftp"), acknowledge(beat)) for beat in beats)), holder.now)
    assert said(actions, channel.Kill) and holder.holding.lapsed


def test_r6_the_door_is_open_as_long_as_the_lease_and_gone_with_the_service() -> None:
    holder = backed()
    port = holder.holding.definition.port
    assert holder.machine.doors == {port: holder.holding.serve_until()}
    before = holder.machine.doors[port]
    answer(holder, "ftp", TIMING.beat_s)
    assert holder.machine.doors[port] > before
    holder.runner(channel.GiveUp(service="www", epoch=1, reason="broken"))
    assert holder.machine.doors[port] <= holder.now + H, "its last word may leave; nothing is prolonged"
    holder.tether(channel.Gone(service="www", number=1, spawn=1))
    assert holder.machine.doors == {}


def test_r6_a_lapse_shuts_the_door_at_once() -> None:
    holder = backed()
    port = holder.holding.definition.port
    holder.wait(H + LITTLE)
    assert holder.holding.lapsed and holder.machine.doors[port] <= holder.now


def test_r6_a_holder_that_was_alone_and_gives_up_has_an_end_again() -> None:
    """R12: no lease, so no end; but once it gives up, not for longer than a lease."""
    holder = serving("ftp")
    record(holder, ALONE, 1)
    holder.wait(LITTLE)
    port = holder.holding.definition.port
    assert holder.machine.doors == {port: NEVER}
    holder.runner(channel.GiveUp(service="www", epoch=1, reason="broken"))
    assert holder.machine.doors[port] <= holder.now + H


def died() -> tuple[Guard, list[Any]]:
    """A holder whose process died and is gone, and what it said; the runner would leave the service to its secondary, which waits hot."""
    holder = backed()
    actions = holder.tether(channel.Exited(service="www", epoch=1, pid=42, status=-9))
    actions += holder.tether(channel.Gone(service="www", number=1))
    assert said(actions, channel.Exited)[0].epoch == 1 and holder.duty.run is Run.STARTING
    return holder, actions


def dead() -> Guard:
    return died()[0]


YIELD = channel.YieldToHot(service="www", epoch=1, reason="its process ended with signal 9, and ftp waits hot")
SPAWN = channel.Spawn(service="www", epoch=1, grant_id=1001, argv=("run",), environment={}, output="")


def test_r14_what_died_is_left_to_a_hot_secondary_on_the_fresh_word_of_w() -> None:
    holder, actions = died()
    assert said(actions, Renewal), "W is asked at once"
    assert not said(holder.runner(YIELD), channel.Kill), "nothing is given up yet"
    actions = renew(holder, actions)
    assert said(actions, channel.Kill) and not said(actions, Released), "not before it is verified that nothing runs"
    (released,) = said(holder.tether(channel.Gone(service="www", number=2)), Released)
    assert (released.epoch, released.failed, "ftp waits hot" in released.reason) == (1, False, True)
    assert not said(holder.runner(SPAWN), channel.Spawn), "R8: that epoch is burned here"


def test_what_died_is_started_again_if_w_says_nothing() -> None:
    holder = dead()
    holder.runner(YIELD)
    assert not said(answer(holder, "ftp", 0.1), Released)
    assert said(holder.runner(SPAWN), channel.Spawn)
    holder.tether(channel.Spawned(service="www", epoch=1, pid=43))
    holder.runner(channel.Serving(service="www", epoch=1))
    assert not said(answer(holder, "ftp", 2.0, witness=True), Released), "and it stays, though W is there again"


def test_a_lapse_ends_the_wish_to_yield() -> None:
    """W's word resumes the epoch, and then there is no reason to leave."""
    holder = dead()
    holder.runner(YIELD)
    holder.wait(H + S)
    assert holder.holding.lapsed
    holder.tether(channel.Gone(service="www", number=2))
    renew(holder, holder.wait(TIMING.beat_s))
    assert holder.duty.run is Run.STARTING and holder.holding.target is None
    assert not said(answer(holder, "ftp", 1.0, witness=True), Released)


def test_a_server_that_ends_while_it_would_yield_gives_the_service_up() -> None:
    holder = dead()
    holder.runner(YIELD)
    assert said(holder.runner(channel.HandOver()), channel.Kill)
    assert said(holder.tether(channel.Gone(service="www", number=2)), Released)


def test_only_what_is_recorded_and_undisputed_is_yielded_to() -> None:
    holder = dead()
    record(holder, NOBODY, 2)
    actions = holder.runner(YIELD)
    assert holder.holding.target is None and not said(actions, channel.Kill)
