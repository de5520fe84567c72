"""Services on their way, as the table shows them (monitor/passages.py)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from bus.values import ServiceDefinition, ServiceRow
from monitor.passages import KEPT_S, LOST_S, Passages
from monitor.state import Passage

WWW = ServiceDefinition(name="www", fqdn="www.test", port=80, home="http")


def row(holder: str | None, epoch: int, state: str = "serving", move_to: str | None = None) -> ServiceRow:
    return ServiceRow(definition=WWW, epoch=epoch, holder=holder, state=state, move_to=move_to)  # type: ignore[arg-type]


def seen(*rows: ServiceRow, now: float = 1.0) -> tuple[Passage, ...]:
    passages = Passages()
    for before, after in itertools.pairwise(rows):
        passages.see(before, after, now)
    return passages.current(now)


def told(found: tuple[Passage, ...]) -> list[tuple[Any, ...]]:
    return [(passage.id, passage.from_, passage.to, passage.kind, passage.state) for passage in found]


def test_a_takeover_begins_with_the_grant_and_ends_when_it_is_served() -> None:
    rows = [row("http", 1), row("email", 2, "starting"), row("email", 2)]
    assert told(seen(*rows[:2])) == [("www-2", "http", "email", "takeover", "under way")]
    assert told(seen(*rows)) == [("www-2", "http", "email", "takeover", "done")]


def test_a_planned_move_begins_with_the_plan() -> None:
    rows = [
        row("http", 1),
        row("http", 1, "stopping", "email"),
        row(None, 1, "unserved", "email"),
        row("email", 2, "starting"),
        row("email", 2),
    ]
    for number in (2, 3, 4):
        assert told(seen(*rows[:number])) == [("www-2", "http", "email", "move", "under way")]
    assert told(seen(*rows)) == [("www-2", "http", "email", "move", "done")]


def test_a_move_to_the_home_is_a_failback() -> None:
    assert told(seen(row("email", 2), row("email", 2, "serving", "http"))) == [("www-3", "email", "http", "failback", "under way")]


def test_a_failure_in_the_middle_of_a_move_is_a_takeover_by_another() -> None:
    found = seen(row("http", 1), row("http", 1, "stopping", "email"), row("ftp", 2, "starting"))
    assert told(found) == [("www-2", "http", "ftp", "takeover", "under way")]


@pytest.mark.parametrize("last", [row("http", 1), row("http", 2, "starting")])
def test_a_move_that_is_given_up_is_none(last: ServiceRow) -> None:
    assert seen(row("http", 1), row("http", 1, "serving", "email"), last) == ()


def test_a_service_that_nobody_has_is_released_until_somebody_gets_it() -> None:
    rows = [row("http", 1), row(None, 1, "unserved"), row("email", 2, "starting")]
    assert told(seen(*rows[:2])) == [("www-2", "http", None, "release", "under way")]
    assert told(seen(*rows)) == [("www-2", "http", "email", "takeover", "under way")]


def test_a_first_start_is_no_passage() -> None:
    assert seen(row(None, 0, "unserved"), row("http", 1, "starting"), row("http", 1)) == ()


def test_what_is_done_and_what_has_no_end_are_forgotten() -> None:
    passages = Passages()
    passages.see(row("http", 1), row("email", 2, "starting"), 0.0)
    assert passages.current(LOST_S) and not passages.current(LOST_S + 1)
    passages.see(row("http", 1), row("email", 2), 0.0)
    assert passages.current(KEPT_S) and not passages.current(KEPT_S + 1)
