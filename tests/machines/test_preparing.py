"""Section 5: a secondary is warm or hot before it is needed; what is hot is shut, or it is killed (R5, R6)."""

from __future__ import annotations

from typing import Any

import msgspec
from parts import WWW, said

from agent import channel
from agent.preparing import (
    EXAMINE_EVERY_S,
    LONGEST_PAUSE_S,
    SHORTEST_PAUSE_S,
    SHUT_EVERY_S,
    Examine,
    Examined,
    Looked,
    LookIfShut,
    LookIfUp,
    Preparing,
    SeenUp,
)
from agent.shelf_events import Restaged
from agent.takeover_events import Moved, ToHistory
from bus.messages import Happened
from bus.step import Tick

WARM = msgspec.structs.replace(WWW, prepare=("test",))
HOT = msgspec.structs.replace(WWW, standby="hot", activate=("open",))


class Secondary:
    """One service on a server that stands in for it; guard and driver are the test's."""

    def __init__(self, definition: Any, holder: str | None = "http") -> None:
        self.machine = Preparing("www")
        self.now = 50.0
        self.first = self.step(definition) + self.appointed(holder)

    def step(self, event: Any) -> list[Any]:
        return self.machine.step(event, self.now)

    def appointed(self, holder: str | None) -> list[Any]:
        return self.step(channel.StandingIn(service="www", epoch=1, holder=holder))

    def standby(self, pid: int | None, reason: str = "", definition: Any = HOT) -> list[Any]:
        return self.step(channel.Standby(service="www", pid=pid, definition=definition if pid else None, reason=reason))

    def wait(self, seconds: float) -> list[Any]:
        self.now += seconds
        return self.step(Tick())

    def waits(self) -> float:
        """How long until it asks for a standby again."""
        began = self.now
        while not said(self.wait(0.1), channel.Prepare):
            assert self.now - began < 2 * LONGEST_PAUSE_S, "it never tries again"
        return self.now - began


def happened(actions: list[Any]) -> list[Happened]:
    return [action.message for action in said(actions, ToHistory)]


def hot() -> Secondary:
    secondary = Secondary(HOT)
    assert said(secondary.first, channel.Prepare)
    secondary.standby(7)
    assert said(secondary.wait(SHUT_EVERY_S), LookIfShut)
    secondary.step(Looked("www", True))
    assert secondary.machine.readiness == "hot"
    return secondary


def test_cold_prepares_nothing() -> None:
    secondary = Secondary(msgspec.structs.replace(WARM, standby="cold"))
    assert not secondary.first and secondary.machine.readiness == "cold"


def test_warm_once_its_prepare_program_is_content() -> None:
    secondary = Secondary(WARM)
    assert said(secondary.first, Examine) and secondary.machine.readiness == "preparing"
    (event,) = happened(secondary.step(Examined("www", None)))
    assert (secondary.machine.readiness, event.kind) == ("warm", "prepared")
    assert not said(secondary.wait(EXAMINE_EVERY_S - 1), Examine)
    assert said(secondary.wait(1), Examine), "what was well may not be so for ever"
    assert secondary.machine.readiness == "warm"


def test_trouble_is_told_once_and_tried_again_ever_more_rarely() -> None:
    secondary = Secondary(WARM)
    pauses = []
    for number in range(4):
        actions = secondary.step(Examined("www", "nginx -t ended with status 1"))
        assert len(happened(actions)) == (number == 0)
        assert secondary.machine.trouble and secondary.machine.readiness == "preparing"
        began = secondary.now
        while not said(secondary.wait(0.1), Examine):
            pass
        pauses.append(round(secondary.now - began))
    assert pauses == sorted(pauses) and pauses[-1] > pauses[0]
    secondary.step(Examined("www", None))
    assert secondary.machine.trouble is None


def test_trouble_is_forgotten_once_it_does_not_stand_in() -> None:
    secondary = Secondary(WARM)
    secondary.step(Examined("www", "a file is missing"))
    secondary.appointed(None)
    assert secondary.machine.trouble, "not at once: it would be chosen again at once"
    secondary.wait(LONGEST_PAUSE_S)
    assert secondary.machine.trouble is None


def test_not_hot_before_its_door_was_seen_shut() -> None:
    secondary = Secondary(HOT)
    secondary.standby(7)
    assert secondary.machine.readiness == "preparing"


def test_open_door_is_found_killed_and_told() -> None:
    secondary = hot()
    for _ in range(5):
        assert said(secondary.wait(SHUT_EVERY_S), LookIfShut), "it is looked at all the time"
        secondary.step(Looked("www", True))
    secondary.wait(SHUT_EVERY_S)
    actions = secondary.step(Looked("www", False))
    assert said(actions, channel.EndStandby)
    (event,) = happened(actions)
    assert event.kind == "unprepared" and "open before" in event.text
    assert secondary.machine.readiness == "preparing"
    assert not happened(secondary.standby(None, "ended by the runner"))
    assert secondary.waits() > LONGEST_PAUSE_S / 2, "it would open its door again"


def test_standby_that_dies_is_started_again_ever_more_slowly() -> None:
    secondary = hot()
    waits = []
    for pid in range(8, 12):
        secondary.standby(None, "its process ended with status 1")
        waits.append(secondary.waits())
        secondary.standby(pid)
    assert waits[0] >= SHORTEST_PAUSE_S - 0.1 and waits == sorted(waits) and waits[-1] > 4 * waits[0]


def test_one_that_lived_long_is_started_again_soon() -> None:
    secondary = hot()
    for pid in (8, 9, 10):
        secondary.standby(None, "its process ended with status 1")
        secondary.waits()
        secondary.standby(pid)
    for _ in range(int(2 * LONGEST_PAUSE_S)):
        secondary.wait(SHUT_EVERY_S)
        secondary.step(Looked("www", True))
    secondary.standby(None, "its process ended with signal 9")
    assert secondary.waits() <= SHORTEST_PAUSE_S + 0.2


def test_described_anew_is_made_anew() -> None:
    secondary = hot()
    other = msgspec.structs.replace(HOT, start=("another",))
    assert said(secondary.step(other), channel.EndStandby)
    assert not said(secondary.wait(0), channel.Prepare), "not before the old one is gone"
    actions = secondary.standby(None, "ended by the runner")
    prepares = said(actions, channel.Prepare)
    while not prepares:
        prepares = said(secondary.wait(0.1), channel.Prepare)
    assert prepares[0].definition == other


def test_runner_that_returns_adopts_a_standby_and_ends_one_of_another_description() -> None:
    secondary = Secondary(HOT, holder=None)
    secondary.appointed("http")
    assert not said(secondary.standby(7), channel.EndStandby)
    stranger = Secondary(HOT)
    assert said(stranger.standby(7, definition=WARM), channel.EndStandby)


def test_appointed_again_it_keeps_what_is_hot() -> None:
    secondary = hot()
    secondary.appointed(None)
    assert not said(secondary.appointed("ftp"), channel.Prepare) and secondary.machine.readiness == "hot"


def test_once_the_service_is_started_here_there_is_nothing_to_prepare() -> None:
    secondary = hot()
    secondary.step(channel.Start(service="www", epoch=2, grant_id=1002, definition=HOT, standby=7))
    assert secondary.machine.readiness is None and not secondary.wait(10 * SHUT_EVERY_S)


def test_refused_by_the_guard_it_asks_again() -> None:
    secondary = Secondary(HOT)
    secondary.standby(None, "something of it still runs")
    assert secondary.waits() <= 2 * SHORTEST_PAUSE_S


def test_standby_of_a_server_that_moved_is_made_anew() -> None:
    """P20: it knows the address of before."""
    secondary = hot()
    assert said(secondary.step(Moved("192.0.2.9")), channel.EndStandby)
    assert said(secondary.standby(None, "ended by the runner"), channel.Prepare)
    secondary = Secondary(HOT)
    assert not said(secondary.step(Moved("192.0.2.9")), channel.EndStandby), "it is not up yet"
    assert said(secondary.standby(7), channel.EndStandby)
    secondary = Secondary(msgspec.structs.replace(HOT, on_move="keep"))
    secondary.standby(7, definition=secondary.machine._definition)
    assert not said(secondary.step(Moved("192.0.2.9")), channel.EndStandby)


# -- with files (P4)

WITH_FILES = msgspec.structs.replace(WWW, files=("/srv/www",))


def test_with_files_it_is_not_warm_before_they_are_here() -> None:
    secondary = Secondary(WITH_FILES)
    assert said(secondary.first, Examine) and secondary.machine.readiness == "preparing"
    secondary.step(Examined("www", "in the way", of_files=True))
    assert secondary.machine.readiness == "preparing"
    assert secondary.machine.trouble is None, "the shelf says so itself, and when it is over"
    assert said(secondary.wait(SHORTEST_PAUSE_S), Examine)
    secondary.step(Examined("www", None))
    assert secondary.machine.readiness == "warm"


def test_when_its_files_change_it_is_prepared_anew_and_a_hot_one_started_anew() -> None:
    definition = msgspec.structs.replace(HOT, files=("/srv/www",))
    secondary = Secondary(definition)
    assert not said(secondary.first, channel.Prepare)
    assert said(secondary.step(Examined("www", None)), channel.Prepare)
    secondary.standby(11, definition=definition)
    (looks,) = said(secondary.wait(SHUT_EVERY_S), LookIfShut)
    secondary.step(Looked(looks.definition.name, True))
    assert secondary.machine.readiness == "hot"
    actions = secondary.step(Restaged("www"))
    assert said(actions, channel.EndStandby) and said(actions, Examine)
    assert secondary.machine.readiness == "preparing"
    secondary.standby(None)
    assert said(secondary.step(Examined("www", None)), channel.Prepare)


def test_files_that_change_where_it_does_not_stand_in_are_nothing_to_it() -> None:
    secondary = Secondary(WITH_FILES, holder=None)
    assert secondary.step(Restaged("www")) == []


BEHIND = msgspec.structs.replace(WWW, standby="hot")
GATE = channel.Gate(in_force=True)


def behind_gate() -> Secondary:
    """Its standby runs behind the kernel gate, and was not seen to be up yet."""
    secondary = Secondary(BEHIND, holder=None)
    secondary.step(GATE)
    (line,) = said(secondary.appointed("http"), channel.Prepare)
    assert line.definition == BEHIND
    secondary.standby(7, definition=BEHIND)
    assert secondary.machine.keeps_standby and secondary.machine.readiness == "preparing"
    assert said(secondary.wait(1.0), LookIfUp)
    return secondary


def test_behind_the_gate_it_is_hot_once_it_is_up() -> None:
    secondary = behind_gate()
    secondary.step(SeenUp("www", False))
    assert secondary.machine.readiness == "preparing" and said(secondary.wait(1.0), LookIfUp)
    (event,) = happened(secondary.step(SeenUp("www", True)))
    assert (secondary.machine.readiness, event.text) == ("hot", "hot")


def test_behind_the_gate_one_that_does_not_come_up_is_killed_and_told() -> None:
    secondary = behind_gate()
    secondary.wait(BEHIND.start_limit_s)
    actions = secondary.step(SeenUp("www", False))
    assert said(actions, channel.EndStandby) and "did not answer on port" in happened(actions)[0].text
    secondary.standby(None)
    assert not secondary.machine.keeps_standby


def test_without_the_gate_it_is_warm_and_says_so() -> None:
    secondary = Secondary(BEHIND)
    assert not said(secondary.first, channel.Prepare) and secondary.machine.readiness == "warm"
    (event,) = happened(secondary.first)
    assert event.kind == "prepared" and event.text.startswith("warm") and "kernel gate" in event.text


def test_a_gate_that_comes_makes_it_hot_and_one_that_is_lost_makes_it_warm() -> None:
    secondary = Secondary(BEHIND)
    assert said(secondary.step(GATE), channel.Prepare)
    secondary.standby(7, definition=BEHIND)
    secondary.step(SeenUp("www", True))
    secondary.step(channel.Gate(in_force=False, reason="it broke"))
    secondary.standby(None, "the kernel gate is not in force any more")
    assert secondary.machine.readiness == "warm"
    assert not said(secondary.wait(LONGEST_PAUSE_S), channel.Prepare)


def test_a_service_that_can_be_activated_needs_no_gate() -> None:
    secondary = hot()
    secondary.step(channel.Gate(in_force=False, reason="no root"))
    assert secondary.machine.readiness == "hot"
