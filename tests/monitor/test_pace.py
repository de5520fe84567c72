"""When the SDS is asked what (monitor/pace.py)."""

from __future__ import annotations

from bus.messages import HistoryRequest
from monitor.pace import FIRST_EVENTS, PATIENCE_S, PERIOD_S, Pace


def ask(pace: Pace, now: float) -> list[str]:
    """Ask what is due; the kinds."""
    kinds = []
    for kind, _ in pace.due(now):
        pace.asked(kind, now)
        kinds.append(kind)
    return kinds


def answered(pace: Pace, now: float, size: int = 1_000) -> None:
    pace.heard(now)
    for kind in ("table", "history", "status"):
        pace.answered(kind, now, size)  # type: ignore[arg-type]


def test_at_first_everything_is_asked_and_nothing_twice() -> None:
    pace = Pace()
    assert ask(pace, 0.0) == ["table", "history", "status"]
    assert ask(pace, 1.0) == []
    assert ask(pace, PATIENCE_S) == ["table", "history", "status"], "not answered: asked again"


def test_then_status_and_history_once_in_a_period() -> None:
    pace = Pace()
    ask(pace, 0.0)
    answered(pace, 0.1)
    pace.heard(0.9)
    assert ask(pace, 0.9) == []
    assert sorted(ask(pace, PERIOD_S + 0.1)) == ["history", "status"]


def test_a_large_answer_is_asked_for_less_often() -> None:
    pace = Pace()
    ask(pace, 0.0)
    answered(pace, 0.1, size=500_000)
    assert pace.period_s == PERIOD_S + 10
    for tenth in range(2, 100):
        pace.heard(tenth / 10)
        assert ask(pace, tenth / 10) == []


def test_a_missing_update_asks_for_the_table_until_it_comes() -> None:
    pace = Pace()
    ask(pace, 0.0)
    answered(pace, 0.1)
    pace.missed()
    assert ask(pace, 0.5) == ["table"]
    pace.missed()
    assert ask(pace, 0.6) == []
    pace.answered("table", 0.7)
    assert "table" not in ask(pace, 10.0)


def test_what_happened_is_asked_after_soon() -> None:
    pace = Pace()
    ask(pace, 0.0)
    answered(pace, 0.1)
    pace.stirred(0.3)
    assert sorted(ask(pace, 0.3)) == ["history", "status"]
    answered(pace, 0.31)
    assert ask(pace, 0.4) == [], "but not at once again"
    assert ask(pace, 0.6) == ["history"], "events are written a moment later"


def test_silence_is_asked_after() -> None:
    pace = Pace()
    ask(pace, 0.0)
    answered(pace, 0.0, size=5_000_000)
    assert "status" in ask(pace, pace.period_s / 10 + 0.1)


def test_a_history_that_is_too_long_for_a_message_is_asked_for_in_part() -> None:
    pace = Pace()
    questions = dict(pace.due(0.0))
    assert questions["history"] == HistoryRequest(limit=FIRST_EVENTS)
    ask(pace, 0.0)
    pace.too_much()
    assert dict(pace.due(2.0))["history"] == HistoryRequest(limit=FIRST_EVENTS // 2)


def test_later_only_the_newest_events_are_asked_for() -> None:
    pace = Pace()
    ask(pace, 0.0)
    answered(pace, 1.0)
    question = dict(pace.due(4.0))["history"]
    assert isinstance(question, HistoryRequest) and question.since_s == 4.0 - 1.0 + 5.0
