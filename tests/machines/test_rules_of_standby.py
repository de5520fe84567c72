"""R4, R5, R6, R14: a hot standby serves nobody until it was activated under a lease, seen at its guard."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from parts import LITTLE, TIMING, WITNESS, WWW, G, Guard, H, guard, said

from agent import channel
from agent.duty import Run
from agent.guarding import GateNews, RunnerLost
from bus.messages import Grant, KeepAlive, Released, RemoveAssignment, Renewal, Renewed, Takeover
from bus.step import LONG_AGO

HOT = msgspec.structs.replace(WWW, standby="hot", activate=("open",))


def prepare(definition: Any = HOT) -> channel.Prepare:
    return channel.Prepare(service="www", definition=definition, argv=("run",), environment={}, output="")


def activate(epoch: int = 2) -> channel.Activate:
    return channel.Activate(service="www", epoch=epoch, grant_id=1000 + epoch, argv=("open",), environment={}, output="")


def hot() -> Guard:
    """A secondary of http whose standby is process 42."""
    secondary = Guard()
    secondary.keep_alive(guard("http"), KeepAlive)
    assert said(secondary.runner(prepare()), channel.Prepare)
    (line,) = said(secondary.tether(channel.Spawned(service="www", epoch=0, pid=42)), channel.Standby)
    assert (line.pid, line.definition, secondary.duty.run) == (42, HOT, Run.STANDBY)
    return secondary


def granted(secondary: Guard, definition: Any = HOT) -> list[Any]:
    """The holder fell silent; the secondary asked and was granted epoch 2."""
    asked = said(secondary.wait(G + 2 * TIMING.beat_s), Takeover)
    grant = Grant(service="www", epoch=2, grant_id=1002, to_incarnation=1, question=asked[-1].question, clean=False, definition=definition)
    actions = secondary.hear(WITNESS, grant)
    return actions + secondary.wait(2 * LITTLE)


def activating() -> Guard:
    secondary = hot()
    (start,) = said(granted(secondary), channel.Start)
    assert (start.standby, start.pid) == (42, None)
    assert said(secondary.runner(activate()), channel.Activate)
    return secondary


def test_only_a_secondary_may_have_its_program_started() -> None:
    (line,) = said(Guard().runner(prepare()), channel.Standby)
    assert line.pid is None and line.reason


def test_r4_no_activation_without_a_lease() -> None:
    secondary = hot()
    granted(secondary)
    secondary.now += H + LITTLE
    actions = secondary.runner(activate())
    assert [line.status for line in said(actions, channel.Activated)] == [1] and not said(actions, channel.Activate)


@pytest.mark.parametrize("epoch", [1, 3])
def test_r8_no_activation_of_another_epoch(epoch: int) -> None:
    secondary = hot()
    granted(secondary)
    assert not said(secondary.runner(activate(epoch)), channel.Activate)


def test_no_activation_before_a_grant() -> None:
    assert not said(hot().runner(activate(1)), channel.Activate)


def test_r6_tether_is_told_until_when_an_activated_standby_may_live() -> None:
    secondary = hot()
    granted(secondary)
    actions = secondary.runner(activate())
    kinds = [
        type(line) for line in (getattr(action, "line", None) for action in actions) if isinstance(line, channel.Until | channel.Activate)
    ]
    assert kinds == [channel.Until, channel.Activate]
    assert said(actions, channel.Until)[0].until_at <= secondary.now + H


def test_r5_lease_over_in_the_middle_of_an_activation_kills_it() -> None:
    secondary = activating()
    actions = secondary.wait(H + LITTLE)
    assert said(actions, channel.Kill) and secondary.holding.lapsed
    assert not said(secondary.runner(activate()), channel.Activate), "and it is not activated again"


BEHIND = msgspec.structs.replace(HOT, activate=())
"""A service whose program listens at once: it can be hot only behind the kernel gate."""


def gate(secondary: Guard, in_force: bool, *ports: int, wish: int | None = None) -> list[Any]:
    number = secondary.machine.wish if wish is None else wish
    return secondary.machine.step(GateNews(in_force, "" if in_force else "it broke", frozenset(ports), number), secondary.now)


def behind_gate() -> Guard:
    """A secondary of http whose standby listens as process 42, behind the gate."""
    secondary = Guard()
    secondary.keep_alive(guard("http"), KeepAlive)
    gate(secondary, True)
    assert not said(secondary.runner(prepare(BEHIND)), channel.Prepare), "not before its port is shut"
    assert secondary.machine.doors == {BEHIND.port: LONG_AGO}
    assert not said(gate(secondary, True, BEHIND.port + 1), channel.Prepare), "that is another's"
    assert said(gate(secondary, True, BEHIND.port), channel.Prepare)
    (line,) = said(secondary.tether(channel.Spawned(service="www", epoch=0, pid=42)), channel.Standby)
    assert (line.pid, secondary.duty.run) == (42, Run.STANDBY)
    return secondary


def test_r6_without_the_gate_nothing_is_started_that_listens() -> None:
    secondary = Guard()
    secondary.keep_alive(guard("http"), KeepAlive)
    actions = secondary.runner(prepare(BEHIND))
    assert "kernel gate" in said(actions, channel.Standby)[0].reason and not said(actions, channel.Prepare)


def test_r6_the_gate_opens_under_the_lease_and_not_before() -> None:
    secondary = behind_gate()
    actions = granted(secondary, BEHIND)
    assert [start.standby for start in said(actions, channel.Start)] == [42]
    assert secondary.machine.doors == {BEHIND.port: secondary.holding.serve_until()}
    line = channel.Activate(service="www", epoch=2, grant_id=1002, argv=(), environment={}, output="")
    assert said(secondary.runner(line), channel.Activate)
    over_at = secondary.holding.serve_until()
    actions = secondary.wait(H + LITTLE)
    assert said(actions, channel.Kill) and secondary.machine.doors[BEHIND.port] <= over_at


def test_r6_a_gate_that_is_lost_costs_the_standby_its_life() -> None:
    secondary = behind_gate()
    actions = gate(secondary, False)
    assert said(actions, channel.Kill) and said(actions, channel.Gate) == [channel.Gate(in_force=False, reason="it broke")]
    actions = secondary.tether(channel.Gone(service="www", number=1, spawn=1))
    assert "kernel gate" in said(actions, channel.Standby)[0].reason and not secondary.machine.doors


def test_r6_a_standby_that_is_shut_by_itself_needs_no_gate_and_is_gated_all_the_same() -> None:
    secondary = hot()
    assert secondary.machine.doors == {HOT.port: LONG_AGO}
    assert not gate(secondary, False) or secondary.duty.run is Run.STANDBY


def test_r6_standby_that_is_ended_while_it_waits_for_the_gate_is_never_started() -> None:
    secondary = Guard()
    secondary.keep_alive(guard("http"), KeepAlive)
    gate(secondary, True)
    secondary.runner(prepare(BEHIND))
    assert said(secondary.runner(channel.EndStandby(service="www")), channel.Kill)
    secondary.tether(channel.Gone(service="www", number=1, spawn=0))
    assert not said(gate(secondary, True, BEHIND.port), channel.Prepare) and secondary.duty.run is Run.OFF


def test_r6_standby_made_anew_before_any_news_wishes_for_its_door_anew() -> None:
    """The door looks as before: without a number nobody would answer, and it would wait for ever."""
    secondary = behind_gate()
    before, doors = secondary.machine.wish, secondary.machine.doors
    (kill,) = said(secondary.runner(channel.EndStandby(service="www")), channel.Kill)
    secondary.tether(channel.Gone(service="www", number=kill.number))
    assert not said(secondary.runner(prepare(BEHIND)), channel.Prepare)
    assert secondary.machine.doors == doors and secondary.machine.wish > before
    assert said(gate(secondary, True, BEHIND.port), channel.Prepare)
    assert not said(gate(secondary, True, BEHIND.port), channel.Prepare), "once"


def test_r6_news_from_before_the_standby_start_nothing() -> None:
    """The port was shut for the standby before, and may be just let go."""
    secondary = behind_gate()
    before = secondary.machine.wish
    (kill,) = said(secondary.runner(channel.EndStandby(service="www")), channel.Kill)
    secondary.tether(channel.Gone(service="www", number=kill.number))
    secondary.runner(prepare(BEHIND))
    assert not said(gate(secondary, True, BEHIND.port, wish=before), channel.Prepare)
    assert said(gate(secondary, True, BEHIND.port, wish=before + 1), channel.Prepare)


def test_a_runner_that_returns_hears_of_the_gate() -> None:
    secondary = behind_gate()
    assert said(secondary.tether(channel.RunnerUp()), channel.Gate) == [channel.Gate(in_force=True)]


def test_r14_released_at_once_while_shut_and_not_before_gone_once_activated() -> None:
    secondary = hot()
    granted(secondary)
    secondary.holding.leases.void()
    secondary.duty.run = Run.STANDBY  # the grant came, and no lease yet
    assert said(secondary.runner(channel.GiveUp(service="www", epoch=2, reason="a file is missing")), Released)
    secondary = activating()
    actions = secondary.runner(channel.GiveUp(service="www", epoch=2, reason="it does not answer"))
    (kill,) = said(actions, channel.Kill)
    assert not said(actions, Released)
    assert said(secondary.tether(channel.Gone(service="www", number=kill.number)), Released)


def test_standby_of_another_description_is_killed_and_the_service_started() -> None:
    secondary = hot()
    actions = granted(secondary, definition=msgspec.structs.replace(HOT, start=("another",)))
    assert not said(actions, channel.Start)
    (kill,) = said(actions, channel.Kill)
    secondary.holding.leases.grant("-witness", secondary.now + H)
    actions = secondary.tether(channel.Gone(service="www", number=kill.number)) + secondary.wait(TIMING.beat_s)
    (start,) = said(actions, channel.Start)
    assert start.standby is None and start.pid is None


def test_standby_lives_on_through_a_change_of_holder_and_ends_when_not_wanted() -> None:
    secondary = hot()
    secondary.hear(guard("http"), RemoveAssignment(service="www", epoch=1, number=1))
    assert not said(secondary.wait(G / 2), channel.Kill)
    secondary.keep_alive(guard("ftp"), KeepAlive, epoch=2)
    for _ in range(20):
        secondary.wait(TIMING.beat_s)
        secondary.keep_alive(guard("ftp"), KeepAlive, epoch=2)
    assert secondary.duty.run is Run.STANDBY
    secondary.hear(guard("ftp"), RemoveAssignment(service="www", epoch=2, number=1))
    assert said(secondary.wait(G + LITTLE), channel.Kill)


def test_standby_that_dies_is_cleared_away_and_told() -> None:
    secondary = hot()
    (kill,) = said(secondary.tether(channel.Exited(service="www", epoch=0, pid=42, status=1)), channel.Kill)
    (line,) = said(secondary.tether(channel.Gone(service="www", number=kill.number)), channel.Standby)
    assert line.pid is None and "status 1" in line.reason and secondary.duty.run is Run.OFF


def test_standby_that_cannot_be_started_is_told() -> None:
    secondary = Guard()
    secondary.keep_alive(guard("http"), KeepAlive)
    secondary.runner(prepare())
    (line,) = said(secondary.tether(channel.SpawnFailed(service="www", epoch=0, reason="no such program")), channel.Standby)
    assert line.reason == "no such program" and secondary.duty.run is Run.OFF


def test_death_in_the_middle_of_an_activation_is_told_under_its_epoch() -> None:
    secondary = hot()
    granted(secondary)
    (kill,) = said(secondary.tether(channel.Exited(service="www", epoch=0, pid=42, status=-9)), channel.Kill)
    (exited,) = said(secondary.tether(channel.Gone(service="www", number=kill.number)), channel.Exited)
    assert exited.epoch == 2


def test_r4_runner_that_returns_is_told_of_the_standby() -> None:
    secondary = hot()
    secondary.machine.step(RunnerLost(), secondary.now)
    (line,) = said(secondary.tether(channel.RunnerUp()), channel.Standby)
    assert (line.pid, line.definition) == (42, HOT)


def test_r4_runner_that_returns_activates_what_was_not_and_adopts_what_was() -> None:
    secondary = hot()
    granted(secondary)
    secondary.machine.step(RunnerLost(), secondary.now)
    (start,) = said(secondary.tether(channel.RunnerUp()), channel.Start)
    assert (start.standby, start.pid) == (42, None)
    secondary.runner(activate())
    secondary.machine.step(RunnerLost(), secondary.now)
    (start,) = said(secondary.tether(channel.RunnerUp()), channel.Start)
    assert (start.standby, start.pid) == (None, 42)


def test_r4_standby_that_nobody_looks_after_is_killed() -> None:
    secondary = hot()
    secondary.machine.step(RunnerLost(), secondary.now)
    kills: list[Any] = []
    end = secondary.now + TIMING.runner_grace_s + TIMING.beat_s
    while secondary.now < end:
        kills += said(secondary.wait(TIMING.beat_s), channel.Kill)
        secondary.keep_alive(guard("http"), KeepAlive)
    assert kills


def test_activated_standby_serves_as_any_other() -> None:
    secondary = activating()
    secondary.tether(channel.Activated(service="www", epoch=2, status=0))
    secondary.runner(channel.Serving(service="www", epoch=2))
    assert secondary.duty.run is Run.ON
    actions = secondary.wait(TIMING.beat_s)
    renewal = said(actions, Renewal)[-1]
    secondary.hear(WITNESS, Renewed(service="www", epoch=2, grant_id=1002, beat=renewal.beat))
    assert said(secondary.wait(H + LITTLE), channel.Kill)
