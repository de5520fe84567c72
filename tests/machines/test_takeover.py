"""P12-P14, R4, section 5: start, check, name; restart in place within the budget, then hand over."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest
from parts import WWW, said

from agent import channel
from agent.takeover import ACTIVATION_LIMIT_S, ASK_PORT_AGAIN_S, FAILED_CHECKS, FOLLOW_S, HEIR_ANSWERS_S, WATCH_EVERY_S, Takeover
from agent.takeover_events import (
    AskPort,
    Check,
    Checked,
    Heir,
    KillProgram,
    Moved,
    Outnamed,
    PointName,
    PortAsked,
    StopProgram,
    Survey,
    Surveyed,
    ToHistory,
    Told,
)
from bus.step import Tick

BUDGET = msgspec.structs.replace(WWW, restart_limit=2, restart_window_s=60.0)


class Server:
    """One service on one server; processes and checks are the test's."""

    def __init__(self) -> None:
        self.machine = Takeover("www")
        self.now = 50.0
        self.pid = 100

    def step(self, event: Any) -> list[Any]:
        return self.machine.step(event, self.now)

    def moves(self) -> list[Any]:
        """The server is at another address."""
        return self.step(Moved("10.0.0.2"))

    def start(self, epoch: int = 1, pid: int | None = None) -> list[Any]:
        return self.step(channel.Start(service="www", epoch=epoch, grant_id=1001, definition=BUDGET, pid=pid))

    def up(self) -> list[Any]:
        """The process runs, and answers its first check."""
        self.pid += 1
        self.step(channel.Spawned(service="www", epoch=1, pid=self.pid))
        return self.step(Checked("www", 1, True))

    def dies(self) -> list[Any]:
        return self.step(channel.Exited(service="www", epoch=1, pid=self.pid, status=1))

    def wait(self, seconds: float) -> list[Any]:
        self.now += seconds
        return self.step(Tick())


def serving() -> Server:
    server = Server()
    server.start()
    server.step(Surveyed("www", 1, None))
    server.up()
    return server


def test_service_is_named_once_it_answers() -> None:
    server = Server()
    assert said(server.start(), Survey)
    assert said(server.step(Surveyed("www", 1, None)), channel.Spawn)
    assert said(server.step(channel.Spawned(service="www", epoch=1, pid=7)), Check)
    assert not said(server.step(Checked("www", 1, False, "refused")), PointName)
    actions = server.step(Checked("www", 1, True))
    assert said(actions, channel.Serving) and said(actions, PointName)


def test_r4_running_process_is_adopted_not_started() -> None:
    server = Server()
    actions = server.start(pid=7)
    assert said(actions, Check) and not said(actions, channel.Spawn) and not said(actions, Survey)


def test_r17_foreign_service_is_left_alone() -> None:
    server = Server()
    server.start()
    (given_up,) = said(server.step(Surveyed("www", 1, "nginx listens on port 8081")), channel.GiveUp)
    assert "nginx" in given_up.reason


def test_process_that_dies_is_restarted_within_the_budget_and_then_handed_over() -> None:
    server = serving()
    for _ in range(BUDGET.restart_limit):
        actions = server.dies()
        assert not said(actions, channel.GiveUp)
        actions += server.wait(5.0)
        assert len(said(actions, channel.Spawn)) == 1
        server.up()
    (given_up,) = said(server.dies(), channel.GiveUp)
    assert given_up.epoch == 1 and "status 1" in given_up.reason


def yields(server: Server) -> list[Any]:
    """Its process dies while email waits hot."""
    server.step(Heir("www", 1, "email"))
    return server.dies()


def test_what_dies_while_its_secondary_waits_hot_is_left_to_it() -> None:
    server = serving()
    actions = yields(server)
    (line,) = said(actions, channel.YieldToHot)
    assert line.reason == "its process ended with status 1, and email waits hot"
    assert not said(actions, channel.Spawn) and not said(server.wait(HEIR_ANSWERS_S / 2), channel.Spawn)
    server.step(channel.Ended(service="www", epoch=1))
    assert not said(server.wait(5.0), channel.Spawn), "it is the heir's"


def test_it_is_started_in_place_if_nobody_agreed_in_time() -> None:
    server = serving()
    yields(server)
    actions = server.wait(HEIR_ANSWERS_S)
    assert said(actions, channel.Spawn) and said(actions, ToHistory)[0].message.kind == "restarted"
    server.up()
    assert not said(server.dies(), channel.YieldToHot), "an heir is one of one end"


def test_what_dies_everywhere_does_not_go_round_and_round() -> None:
    """Whatever the epochs: within the window a server yields a service as often as it would restart it, then the budget counts."""
    server = serving()
    for _ in range(BUDGET.restart_limit):
        assert said(yields(server), channel.YieldToHot)
        server.step(channel.Ended(service="www", epoch=1))
        server.start()
        server.step(Surveyed("www", 1, None))
        server.up()
    assert not said(yields(server), channel.YieldToHot)
    server.up()
    server.wait(BUDGET.restart_window_s)
    assert said(yields(server), channel.YieldToHot)


def test_a_start_that_fails_is_not_left_to_an_heir() -> None:
    """It is not known yet whether it can run here: the budget says when to give up, and that it failed."""
    server = Server()
    server.start()
    server.step(Surveyed("www", 1, None))
    server.step(channel.Spawned(service="www", epoch=1, pid=101))
    server.pid = 101
    assert not said(yields(server), channel.YieldToHot)


def test_what_its_driver_knows_of_an_end_is_told_in_place_of_the_status() -> None:
    server = serving()
    server.step(Told("www", 1, "nginx (pid 7) was killed by signal 9"))
    (happened,) = said(server.dies(), ToHistory)
    assert happened.message.text == "nginx (pid 7) was killed by signal 9"
    server.wait(5.0)
    server.up()
    (happened,) = said(server.dies(), ToHistory)
    assert happened.message.text == "its process ended with status 1", "it was of the end before"


@pytest.mark.parametrize(("driver", "status", "given_up"), [("ocf", 5, True), ("ocf", 1, False), ("ocf", -9, False), ("command", 5, False)])
def test_a_start_that_would_fail_again_is_not_tried_again(driver: Literal["command", "ocf"], status: int, given_up: bool) -> None:
    """OCF's statuses 2 to 6: whatever the budget, another server is tried."""
    server = Server()
    definition = msgspec.structs.replace(BUDGET, driver=driver)
    server.step(channel.Start(service="www", epoch=1, grant_id=1001, definition=definition))
    server.step(Surveyed("www", 1, None))
    server.step(channel.Spawned(service="www", epoch=1, pid=101))
    server.step(Told("www", 1, "its agent's start failed: no such file"))
    reasons = [line.reason for line in said(server.step(channel.Exited(service="www", epoch=1, pid=101, status=status)), channel.GiveUp)]
    expected = "its agent's start failed: no such file (status 5, something that it needs is not installed)"
    assert reasons == ([expected] if given_up else [])


def test_budget_is_of_a_window() -> None:
    server = serving()
    for _ in range(3 * BUDGET.restart_limit):
        server.now += BUDGET.restart_window_s
        assert not said(server.dies(), channel.GiveUp)
        server.wait(5.0)
        server.up()


def test_start_that_takes_too_long_has_failed() -> None:
    server = Server()
    server.start()
    server.step(Surveyed("www", 1, None))
    assert said(server.wait(BUDGET.start_limit_s), channel.GiveUp)


def test_slow_check_is_no_failed_check() -> None:
    """A timeout is "unknown": only clear refusals in a row restart the service."""
    server = serving()
    for _ in range(2 * FAILED_CHECKS):
        server.wait(WATCH_EVERY_S)
        assert not said(server.step(Checked("www", 1, None, "no answer within 1 s")), KillProgram)
    for last in range(1, FAILED_CHECKS + 1):
        server.wait(WATCH_EVERY_S)
        killed = said(server.step(Checked("www", 1, False, "refused")), KillProgram)
        assert bool(killed) == (last == FAILED_CHECKS)


def test_r19_higher_epoch_in_dns_ends_this_holder() -> None:
    server = serving()
    (given_up,) = said(server.step(Outnamed("www", 1, higher_epoch=9)), channel.GiveUp)
    assert given_up.seen_epoch == 9


def test_news_of_an_earlier_epoch_is_no_news() -> None:
    server = Server()
    server.start(epoch=2)
    assert not said(server.step(Surveyed("www", 1, "something foreign")), channel.GiveUp)


def test_stop_runs_the_drivers_stop() -> None:
    server = serving()
    (stop,) = said(server.step(channel.Stop(service="www", epoch=1, within_s=0.3)), StopProgram)
    assert (stop.pid, stop.within_s) == (server.pid, 0.3)
    assert not said(server.dies(), channel.Spawn), "what is being stopped is not restarted"


# -- P20: the server moves -----------------------------------------------------------------


def test_service_that_answers_at_the_new_address_goes_on_and_is_named_there() -> None:
    server = serving()
    actions = server.moves()
    assert said(actions, AskPort) and not said(actions, PointName), "nobody is sent there before it answers there"
    actions = server.step(PortAsked("www", 1, True))
    assert said(actions, PointName) and not said(actions, StopProgram)


def test_service_bound_to_the_old_address_is_started_anew_under_its_epoch() -> None:
    server = serving()
    server.moves()
    (stop,) = said(server.step(PortAsked("www", 1, False)), StopProgram)
    assert (stop.epoch, stop.pid) == (1, server.pid)
    (spawn,) = said(server.dies(), channel.Spawn)
    assert spawn.epoch == 1
    assert said(server.up(), PointName)


def test_address_that_is_not_there_yet_restarts_nothing() -> None:
    """What cannot be known is asked again: only a clear no is a no."""
    server = serving()
    server.moves()
    assert not said(server.step(PortAsked("www", 1, None)), StopProgram)
    assert said(server.wait(2 * ASK_PORT_AGAIN_S), AskPort)
    actions = server.step(PortAsked("www", 1, True))
    assert said(actions, PointName) and not said(actions + server.wait(2 * ASK_PORT_AGAIN_S), AskPort)


def test_program_that_does_not_end_for_a_move_is_killed() -> None:
    server = serving()
    server.moves()
    server.step(PortAsked("www", 1, False))
    assert not said(server.wait(FOLLOW_S / 2), KillProgram)
    (kill,) = said(server.wait(FOLLOW_S), KillProgram)
    assert kill.pid == server.pid
    assert said(server.dies(), channel.Spawn)


def test_moves_use_up_no_restarts() -> None:
    server = serving()
    for _ in range(2 * BUDGET.restart_limit):
        server.moves()
        server.step(PortAsked("www", 1, False))
        assert said(server.dies(), channel.Spawn)
        server.up()


def test_on_move_keep_asks_nobody() -> None:
    server = Server()
    kept = msgspec.structs.replace(BUDGET, on_move="keep")
    server.step(channel.Start(service="www", epoch=1, grant_id=1001, definition=kept))
    server.step(Surveyed("www", 1, None))
    server.up()
    actions = server.moves()
    assert said(actions, PointName) and not said(actions, AskPort)


def test_program_that_was_just_started_at_the_old_address_is_started_anew() -> None:
    server = Server()
    server.start()
    server.step(Surveyed("www", 1, None))
    server.moves()
    server.pid += 1
    assert said(server.step(channel.Spawned(service="www", epoch=1, pid=server.pid)), StopProgram)
    assert said(server.dies(), channel.Spawn)
    actions = server.up()
    assert said(actions, PointName) and not said(actions, StopProgram)


def test_move_before_the_start_is_none() -> None:
    server = Server()
    server.start()
    assert not server.moves()
    assert said(server.step(Surveyed("www", 1, None)), channel.Spawn)
    assert said(server.up(), PointName)


def test_move_while_a_restart_waits_is_none() -> None:
    server = serving()
    server.dies()
    server.up()
    server.dies()  # the second restart in the window waits a moment
    server.moves()
    assert said(server.wait(5.0), channel.Spawn)
    assert said(server.up(), PointName)


def activating() -> Server:
    """A grant came to a server whose hot standby is process 77."""
    server = Server()
    actions = server.step(channel.Start(service="www", epoch=1, grant_id=1001, definition=BUDGET, standby=77))
    assert said(actions, channel.Activate) and not said(actions, channel.Spawn) and not said(actions, Survey)
    return server


def activated(status: int) -> channel.Activated:
    return channel.Activated(service="www", epoch=1, status=status)


def test_hot_standby_is_activated_and_serves_once_it_answers() -> None:
    server = activating()
    actions = server.step(activated(0))
    assert said(actions, Check) and not said(actions, channel.Serving)
    assert said(server.step(Checked("www", 1, True)), channel.Serving)


def test_activation_of_an_earlier_epoch_means_nothing() -> None:
    server = activating()
    assert not said(server.step(channel.Activated(service="www", epoch=0, status=0)), Check)


@pytest.mark.parametrize("how", ["fails", "hangs", "opens nothing", "dies"])
def test_standby_that_cannot_be_activated_is_killed_and_the_service_started(how: str) -> None:
    server = activating()
    server.pid = 77
    actions = []
    if how == "fails":
        actions = server.step(activated(1))
    elif how == "hangs":
        actions = server.wait(ACTIVATION_LIMIT_S)
    elif how == "opens nothing":
        server.step(activated(0))
        server.step(Checked("www", 1, False, "refused"))
        actions = server.wait(ACTIVATION_LIMIT_S)
    if how != "dies":
        assert [kill.pid for kill in said(actions, KillProgram)] == [77]
        assert not said(actions, channel.Spawn | channel.GiveUp), "not before it is gone for sure"
    assert len(said(server.dies(), channel.Spawn)) == 1
    assert said(server.up(), channel.Serving)


def test_standby_that_will_not_die_costs_the_service() -> None:
    server = activating()
    server.step(activated(1))
    assert said(server.wait(BUDGET.start_limit_s), channel.GiveUp)


def test_without_a_restart_budget_a_failed_activation_hands_over() -> None:
    server = Server()
    definition = msgspec.structs.replace(WWW, restart_limit=0)
    server.step(channel.Start(service="www", epoch=1, grant_id=1001, definition=definition, standby=77))
    server.step(activated(1))
    server.pid = 77
    (given_up,) = said(server.dies(), channel.GiveUp)
    assert "could not be activated" in given_up.reason


def test_p20_a_server_that_moves_while_it_yields_starts_at_the_new_address_once() -> None:
    server = serving()
    yields(server)
    server.moves()
    assert len(said(server.wait(HEIR_ANSWERS_S), channel.Spawn)) == 1
    spawned = server.step(channel.Spawned(service="www", epoch=1, pid=102))
    assert said(spawned, Check) and not said(spawned, StopProgram), "it is there already"
