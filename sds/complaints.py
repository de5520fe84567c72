"""How often a refusal goes into the history: seldom enough that it drives out nothing else.

What is refused is repeated, by a secondary every beat and by a stranger as often
as it likes.  The same refusal is told once in `REPEAT_S`, all together a few a
minute, and what was not told is counted in the next that is.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from bus.timeline import Transition

REPEAT_S = 30.0
"""The same refusal of the same sender is told once in so long."""

PER_MINUTE = 20.0
"""All refusals together; as many may come at once."""

_REMEMBERED = 1_000

Key = tuple[str | None, ...]


class Complaints:
    """Which refusals were told, and when."""

    def __init__(self) -> None:
        self._told_at: dict[Key, float] = {}
        self._untold: Counter[Key] = Counter()
        self._left = PER_MINUTE
        self._refilled_at = float("-inf")

    def told(self, refused: Transition, now: float) -> Transition | None:
        """The refusal as it goes into the history, with how many like it did not; None if it is not due."""
        key = (refused.server, refused.service, refused.evidence.get("code"), refused.evidence.get("by"))
        self._left = min(PER_MINUTE, self._left + max(0.0, now - self._refilled_at) * PER_MINUTE / 60)
        self._refilled_at = now
        if self._left < 1 or now - self._told_at.get(key, float("-inf")) < REPEAT_S:
            if key in self._told_at:
                self._untold[key] += 1
            return None
        if len(self._told_at) >= _REMEMBERED:
            self._told_at.clear()
            self._untold.clear()
        self._told_at[key] = now
        self._left -= 1
        untold = self._untold.pop(key, 0)
        return msgspec.structs.replace(refused, evidence=refused.evidence | {"untold": untold}) if untold else refused
