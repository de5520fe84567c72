"""The sequence diagram of a change of holder, under the paper's names (monitor/sequence.py)."""

from __future__ import annotations

import pytest
from recording import Played

from monitor.sequence import sequence
from monitor.state import Sequence


@pytest.fixture(scope="module")
def played() -> Played:
    return Played()


def drawn(played: Played, kind: str, service: str, epoch: int) -> Sequence:
    events = played.view.timeline.events
    event = next(e for e in events if (e.kind, e.service, e.epoch) == (kind, service, epoch))
    found = sequence(events, event.id)
    assert found is not None
    return found


def ways(found: Sequence) -> list[tuple[str, str, str]]:
    return [(message.name, message.from_, message.to) for message in found.messages]


@pytest.mark.parametrize("kind", ["granted", "serving"])
def test_p12_p13_p14_a_takeover(played: Played, kind: str) -> None:
    found = drawn(played, kind, "www", 2)
    assert ways(found) == [
        ("keep-alive", "http", "email"),
        ("takeover", "email", "SDS"),
        ("table update", "SDS", "email"),
        ("table update", "SDS", "ftp"),
        ("assignment", "email", "ftp"),
        ("keep-alive", "email", "ftp"),
    ]
    assert [(p.name, p.dead) for p in found.participants] == [("http", True), ("email", False), ("SDS", False), ("ftp", False)]
    assert found.messages[0].at_s == 0.0 and found.messages[1].at_s == pytest.approx(0.311, abs=0.01)
    assert found.title.startswith("www moved from http to email in 0.34 s")


def test_p15_p16_p17_p18_a_return(played: Played) -> None:
    found = drawn(played, "serving", "www", 3)
    names = ways(found)
    order = [
        ("registration", "http", "SDS"),
        ("table update", "SDS", "http"),
        ("release service", "http", "email"),
        ("remove assignment", "email", "ftp"),
        ("acknowledgement", "email", "SDS"),
        ("assignment", "http", "email"),
    ]
    places = [names.index(way) for way in order]
    assert places == sorted(places)
    assert not any(participant.dead for participant in found.participants)


def test_a_first_start_has_nobody_before_it(played: Played) -> None:
    found = drawn(played, "granted", "ftp", 1)
    assert found.title == "ftp began at ftp"
    assert found.messages[-1].at_s < 2.0, "what happened to it later is not of its beginning"


def test_every_arrow_has_two_ends_that_are_drawn(played: Played) -> None:
    events = [event for event in played.view.timeline.events if event.kind == "serving"]
    assert len(events) == 9
    for event in events:
        found = sequence(played.view.timeline.events, event.id)
        assert found is not None
        names = {participant.name for participant in found.participants}
        assert all({message.from_, message.to} <= names for message in found.messages)
        assert [message.at_s for message in found.messages] == sorted(message.at_s for message in found.messages)


def test_what_has_no_diagram_has_none(played: Played) -> None:
    events = played.view.timeline.events
    assert sequence(events, "1-1") is None
    assert sequence(events, next(event.id for event in events if event.kind == "registered")) is None
    after = [event for event in events if event.at > next(e.at for e in events if e.kind == "granted" and e.epoch == 2)]
    assert sequence(after, next(e.id for e in after if e.kind == "serving")) is None, "its grant is not among what is kept"
