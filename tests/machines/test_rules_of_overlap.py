"""R22: on a planned move of a service that is not exclusive old and new overlap for `finish_s`, and nothing else is relaxed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from parts import LITTLE, TIMING, WITNESS, WWW, G, Guard, H, S, Sds, acknowledge, guard, said

from agent import channel
from agent.duty import Run
from agent.guarding import RunnerLost
from agent.takeover import Takeover
from agent.takeover_events import Checked, PointName, Surveyed
from bus.messages import (
    Accepted,
    Appointment,
    Beat,
    Grant,
    KeepAlive,
    Order,
    Recorded,
    Rejection,
    ReleaseAcknowledged,
    Released,
    ReleaseService,
    Renewal,
    Renewed,
)
from bus.step import Peer, Tick

FINISH_S = 4.0
SHARED = msgspec.structs.replace(WWW, exclusive=False, finish_s=FINISH_S)
OPERATOR = Peer("operator", "operator", 1)


def holder(definition: Any = SHARED, overlap_s: float = 0.0) -> Guard:
    """http serves www under epoch 1, as process 42; dns and ftp are its candidates."""
    held = Guard("http")
    held.runner(channel.Candidates(service="www", names=("ftp", "dns")))
    grant = Grant(
        service="www", epoch=1, grant_id=1001, to_incarnation=1, question=0, clean=True, overlap_s=overlap_s, definition=definition
    )
    renew(held, held.hear(WITNESS, grant))
    held.runner(channel.Spawn(service="www", epoch=1, grant_id=1001, argv=("run",), environment={}, output=""))
    held.tether(channel.Spawned(service="www", epoch=1, pid=42))
    held.runner(channel.Serving(service="www", epoch=1))
    return held


def renew(held: Guard, actions: list[Any]) -> list[Any]:
    renewal = said(actions, Renewal)[-1]
    return held.hear(WITNESS, Renewed(service="www", epoch=1, grant_id=1001, beat=renewal.beat))


def asked(held: Guard, seconds: float = 3 * G) -> list[Any]:
    """ftp asks for it; ftp and W answer everything.  What was said until the hold ended, or for so long."""
    actions = held.hear(guard("ftp"), ReleaseService(service="www", epoch=1))
    end = held.now + seconds
    while held.now < end and held.duty.holding:
        new = held.wait(TIMING.beat_s / 4)
        for beat in said(new, Beat):
            new += held.hear(guard("ftp"), acknowledge(beat))
        for appointment in said(new, Appointment):
            recorded = Recorded(service="www", epoch=1, grant_id=1001, number=appointment.number, secondary=appointment.secondary)
            new += held.hear(WITNESS, recorded)
        if said(new, Renewal) and held.duty.holding:
            new += renew(held, new)
        actions += new
    return actions


def finishing() -> tuple[Guard, list[Any]]:
    held = holder()
    actions = asked(held)
    assert held.duty.run is Run.FINISHING
    return held, actions


def test_epoch_is_released_at_once_and_the_process_serves_on() -> None:
    held, actions = finishing()
    assert said(actions, Released)[-1].overlap and held.duty.holding is None
    assert said(actions, channel.Finish) and not said(actions, channel.Stop | channel.Kill)
    later = held.wait(FINISH_S - H - LITTLE)
    assert not said(later, channel.Stop | channel.Kill | KeepAlive | Renewal), "it neither stops yet nor speaks for the service any more"


def test_tether_is_told_the_end_from_the_beginning() -> None:
    held, actions = finishing()
    assert said(actions, channel.Until)[-1].until_at <= held.now + FINISH_S
    assert not said(held.wait(FINISH_S - H - LITTLE), channel.Until), "and it is not put off"


def test_it_stops_in_an_orderly_way_and_is_killed_when_the_time_is_over() -> None:
    held, _ = finishing()
    (stop,) = said(held.wait(FINISH_S - H + LITTLE), channel.Stop)
    assert stop.within_s <= H
    assert held.duty.run is Run.STOPPING
    assert said(held.wait(H), channel.Kill)


def test_a_guard_that_was_late_kills_at_once() -> None:
    held, _ = finishing()
    held.now += FINISH_S + LITTLE
    assert said(held.machine.step(Tick(), held.now), channel.Kill)


def test_without_a_runner_it_is_killed() -> None:
    held, _ = finishing()
    held.machine.step(RunnerLost(), held.now)
    actions = held.wait(FINISH_S)
    assert said(actions, channel.Kill) and not said(actions, channel.Stop)


def test_one_that_dies_is_cleared_away_and_not_started_again() -> None:
    held, _ = finishing()
    (kill,) = said(held.tether(channel.Exited(service="www", epoch=1, pid=42, status=1)), channel.Kill)
    actions = held.tether(channel.Gone(service="www", number=kill.number))
    assert held.duty.run is Run.OFF and not said(actions, channel.Start | channel.Exited)


def test_released_says_so_until_it_has_stopped() -> None:
    held, _ = finishing()
    assert said(held.wait(3 * TIMING.beat_s), Released)[-1].overlap
    held.tether(channel.Gone(service="www"))
    held.tether(channel.Gone(service="www", spawn=1))
    assert not said(held.wait(3 * TIMING.beat_s), Released)[-1].overlap
    held.hear(WITNESS, ReleaseAcknowledged(service="www", epoch=1))
    assert not said(held.wait(3 * TIMING.beat_s), Released)


def test_the_released_epoch_is_burned_though_its_process_lives() -> None:
    held, _ = finishing()
    held.grant(epoch=1)
    assert held.duty.holding is None


def test_a_new_grant_starts_nothing_beside_what_finishes() -> None:
    held, _ = finishing()
    actions = held.grant(epoch=2)
    (kill,) = said(actions, channel.Kill)
    renewal = said(actions, Renewal)[-1]
    actions = held.hear(WITNESS, Renewed(service="www", epoch=2, grant_id=1002, beat=renewal.beat))
    assert not said(actions, channel.Start)
    assert said(held.tether(channel.Gone(service="www", number=kill.number)), channel.Start)


def test_a_server_that_finishes_may_stand_in_but_not_be_hot() -> None:
    held, _ = finishing()
    held.keep_alive(guard("ftp"), KeepAlive, epoch=2)
    assert held.duty.standing_in.role
    prepare = channel.Prepare(service="www", definition=SHARED, argv=("run",), environment={}, output="")
    assert [line.pid for line in said(held.runner(prepare), channel.Standby)] == [None]


def test_an_exclusive_service_stops_before_it_is_released() -> None:
    held = holder(WWW)
    actions = asked(held)
    assert said(actions, channel.Stop) and not said(actions, Released | channel.Finish)


def test_a_lapse_is_no_planned_move() -> None:
    held = holder()
    held.hear(guard("ftp"), ReleaseService(service="www", epoch=1))
    assert said(held.wait(H + LITTLE), channel.Kill)
    assert held.duty.run is Run.KILLING


def test_giving_up_is_no_planned_move() -> None:
    held = holder()
    actions = held.runner(channel.GiveUp(service="www", epoch=1, reason="it does not answer"))
    assert said(actions, channel.Kill) and not said(actions, Released)


def test_never_three_at_once() -> None:
    """While another may still finish nothing is handed over; by the slowest clock."""
    held = holder(overlap_s=5.0)
    began = held.now
    asked(held, seconds=2.5)
    assert held.duty.holding and held.duty.run is Run.ON
    while held.duty.run is Run.ON:
        asked(held, seconds=G)
    assert held.now - began > 5.0


# -- the runner


def test_a_runner_whose_service_finishes_writes_no_name_and_restarts_nothing() -> None:
    takeover = Takeover("www")
    takeover.step(channel.Start(service="www", epoch=1, grant_id=1001, definition=SHARED), 50.0)
    takeover.step(Surveyed("www", 1, None), 50.0)
    takeover.step(channel.Spawned(service="www", epoch=1, pid=42), 50.0)
    assert said(takeover.step(Checked("www", 1, True), 50.0), PointName)
    takeover.step(channel.Finish(service="www", epoch=1), 50.1)
    assert not takeover.step(Tick(), 60.0) and takeover.wake_at == float("inf")
    assert not takeover.step(channel.Exited(service="www", epoch=1, pid=42, status=1), 60.0)
    assert takeover.step(channel.Stop(service="www", epoch=1, within_s=1.0), 60.0)


# -- the witness


def sds(definition: Any = SHARED) -> Sds:
    """http holds www under epoch 1; email and ftp could."""
    central = Sds()
    central.wait(G + LITTLE)
    for name in ("http", "email", "ftp"):
        central.join(name)
    central.wait(TIMING.loadlevel_s, "http", "email", "ftp")
    case = central.machine.witness.cases["www"]
    case.record, case.used = msgspec.structs.replace(case.record, definition=definition, secondary="email", number=1), True
    central.wait(2 * TIMING.silent_s, "http", "email", "ftp")
    assert (central.record.holder, central.record.epoch) == ("http", 1)
    return central


def release(central: Sds, overlap: bool = True) -> list[Any]:
    released = Released(service="www", epoch=1, grant_id=central.record.grant_id, overlap=overlap)
    return central.hear(guard("http"), released)


def test_w_grants_at_once_and_says_for_how_long_another_may_finish() -> None:
    central = sds()
    actions = release(central)
    (grant,) = said(actions, Grant)
    assert grant.epoch == 2 and grant.overlap_s > FINISH_S + S
    assert said(actions, ReleaseAcknowledged)
    later = said(central.wait(2.0, "http", "email", "ftp"), Grant)[-1]
    assert grant.overlap_s - 2.5 < later.overlap_s < grant.overlap_s - 1.5, "repeated, it counts from when it is said"


def test_w_takes_no_overlap_of_an_exclusive_service() -> None:
    central = sds(WWW)
    assert not said(release(central), Grant | ReleaseAcknowledged)
    assert said(release(central, overlap=False), Grant)


def test_w_moves_nothing_while_another_may_finish() -> None:
    central = sds()
    release(central)
    holder = central.record.holder or ""
    case = central.machine.witness.cases["www"]
    case.record, case.used = msgspec.structs.replace(case.record, secondary="ftp", number=1), True
    central.machine.membership.presence[holder].serving = {"www": central.record.epoch}
    other = next(name for name in ("http", "email", "ftp") if name != holder)
    order = Order(verb="move", service="www", server=other)
    (refusal,) = said(central.hear(OPERATOR, order), Rejection)
    assert "may serve on" in refusal.text
    central.wait(1.5 * FINISH_S, "http", "email", "ftp")
    assert said(central.hear(OPERATOR, order), Accepted)


def test_w_that_starts_anew_takes_it_that_somebody_finishes() -> None:
    record = sds().record
    again = Sds(records=[msgspec.structs.replace(record, state="unheld")])
    for name in ("http", "email", "ftp"):
        again.join(name)
    (grant, *_) = said(again.wait(G + TIMING.silent_s, "http", "email", "ftp"), Grant)
    assert grant.overlap_s > 0


@pytest.mark.parametrize("overlap", [True, False])
def test_the_former_holder_is_not_granted_it_back_at_once(overlap: bool) -> None:
    central = sds()
    release(central, overlap)
    assert central.record.holder != "http"
