"""What is asked of the SDS, and when.

    table     when an update is missing, until it comes
    history   soon after something happened, else now and then
    status    soon after something happened, else once in a period that grows
              with the answer's size, so that a large cluster is asked less often

Only one question of a kind is open at a time; one that is not answered is
asked again after `PATIENCE_S`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bus.messages import HistoryRequest, Message, StatusRequest, TableRequest

Kind = Literal["table", "history", "status"]

PATIENCE_S = 3.0
SILENCE_S = 1.5
"""After so long without any word the SDS is asked for one."""

PERIOD_S = 1.0
"""Between two questions about the status of a small cluster."""

BYTES_A_SECOND = 50_000
"""A status of so many bytes adds a second to the period."""

SOON_S = 0.2
"""After something happened a question is asked no more often than this, or a tenth of the period."""

RESTLESS_S = 1.5
"""For so long after something happened the history is asked for soon: events are written a moment later than they are seen."""

FIRST_EVENTS, EVENTS = 2_000, 500
"""How many events are asked for at first, and later."""

OVERLAP_S = 5.0
"""Of two questions about the history: events are written a moment after they happened."""


class _Question(msgspec.Struct):
    open: bool = False
    asked_at: float = float("-inf")
    answered_at: float = float("-inf")


class Pace:
    """When which question is due; `now` counts seconds from anywhere."""

    def __init__(self) -> None:
        self.period_s = PERIOD_S
        self._questions: dict[Kind, _Question] = {"table": _Question(), "history": _Question(), "status": _Question()}
        self._gap = True  # no table yet
        self._stirred = False
        self._restless_until = float("-inf")
        self._events = FIRST_EVENTS
        self._began = False  # whether a history came
        self._heard_at = float("-inf")

    # -- what came

    def heard(self, now: float) -> None:
        """Any word of the SDS."""
        self._heard_at = now

    def missed(self) -> None:
        """An update is missing."""
        self._gap = True

    def stirred(self, now: float) -> None:
        """Something happened: the status has news, and for a while the history too."""
        self._stirred = True
        self._restless_until = now + RESTLESS_S

    def answered(self, kind: Kind, now: float, size: int = 0) -> None:
        """The answer to a question of this kind, of so many bytes."""
        question = self._questions[kind]
        question.open, question.answered_at = False, now
        if kind == "table":
            self._gap = False
        elif kind == "status":
            self.period_s = PERIOD_S + size / BYTES_A_SECOND
        else:
            self._began, self._events = True, EVENTS

    def too_much(self) -> None:
        """The answer about the history did not fit into a message: ask for half."""
        self._events = max(1, self._events // 2)
        self._questions["history"].open = False

    # -- what is due

    def due(self, now: float) -> list[tuple[Kind, Message]]:
        """The questions to ask now; each counts as asked once `asked` is told."""
        return [(kind, self._question(kind, now)) for kind in self._questions if self._due_at(kind, now) <= now]

    def asked(self, kind: Kind, now: float) -> None:
        """The question went out."""
        question = self._questions[kind]
        question.open, question.asked_at = True, now
        if kind == "status":
            self._stirred = False

    def wait_s(self, now: float) -> float:
        """How long nothing is due, at most a second."""
        return min(1.0, max(0.0, min(self._due_at(kind, now) for kind in self._questions) - now))

    def _due_at(self, kind: Kind, now: float) -> float:
        question = self._questions[kind]
        if question.open:
            return question.asked_at + PATIENCE_S
        if kind == "table":
            return question.asked_at + SOON_S if self._gap else float("inf")
        hurried = now < self._restless_until if kind == "history" else self._stirred or now - self._heard_at > SILENCE_S
        return question.asked_at + (max(SOON_S, self.period_s / 10) if hurried else self.period_s)

    def _question(self, kind: Kind, now: float) -> Message:
        if kind == "table":
            return TableRequest()
        if kind == "status":
            return StatusRequest()
        if not self._began:
            return HistoryRequest(limit=self._events)
        return HistoryRequest(limit=self._events, since_s=now - self._questions["history"].answered_at + OVERLAP_S)
