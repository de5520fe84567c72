"""What was refused is counted, and logged at a bounded rate (DESIGN section 7).

Garbage on a port must show, and must not fill a disk: the same complaint about
the same peer is a line once in `REPEAT_S`, all complaints together are a few
lines a second, and what went without a line is summed up.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

LINES_PER_S = 5
REPEAT_S = 30.0
SUMMARY_S = 10.0
_REMEMBERED = 1_000

log = logging.getLogger("locum.bus")


def now() -> float:
    """Seconds of CLOCK_BOOTTIME (R2)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Refusals:
    """What one socket refused."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.counts: Counter[str] = Counter()
        self.tell: Callable[[str, str, str], None] | None = None
        """Told of every refusal that is logged: reason, who, text."""
        self._said: dict[tuple[str, str], float] = {}
        self._unsaid: Counter[str] = Counter()
        self._lines = float(LINES_PER_S)
        self._refilled_at = self._summed_at = now()

    def add(self, reason: str, who: str, text: str) -> None:
        """Count one, and log `text` (what and remedy) about `who` if it is due."""
        self.counts[reason] += 1
        at = now()
        self._lines = min(float(LINES_PER_S), self._lines + (at - self._refilled_at) * LINES_PER_S)
        self._refilled_at = at
        if self._lines < 1 or at - self._said.get((reason, who), -REPEAT_S) < REPEAT_S:
            self._unsaid[reason] += 1
            return
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said[(reason, who)] = at
        self._lines -= 1
        log.warning("%s: refused %s: %s", self.where, who, text)
        if self.tell is not None:
            self.tell(reason, who, text)

    def sum_up(self) -> None:
        """Log how many went without a line, if any did and it is due."""
        if not self._unsaid or now() - self._summed_at < SUMMARY_S:
            return
        self._summed_at = now()
        parts = ", ".join(f"{reason} {count}" for reason, count in self._unsaid.most_common())
        self._unsaid.clear()
        log.warning("%s: and %s more without a line of their own", self.where, parts)
