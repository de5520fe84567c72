"""Whose clock runs too fast or too slow: the rates of two hosts are compared, over minutes (R2).

The arithmetic of leases and promises holds for clocks whose rates differ by at
most rho.  A server whose clock is past that is no candidate, and it shows.

A report that comes late makes a clock look as if it stood further back, never
further ahead.  So of each half minute only the report that shows the clock
furthest ahead counts.
"""

from __future__ import annotations

from collections import deque

import msgspec

WINDOW_S = 300.0
"""Rates are compared over at least so long ..."""

BUCKET_S = 30.0
"""... between the best report of one such span and that of another ..."""

JITTER_S = 0.1
"""... each of which may still have been late by this."""


class Sample(msgspec.Struct, frozen=True):
    """How far ahead of ours a clock was, when ours showed `at`."""

    at: float
    ahead_s: float


class Clocks:
    """The rate of every server's clock against our own."""

    def __init__(self, clock_error: float) -> None:
        self._clock_error = clock_error
        self._incarnations: dict[str, int] = {}
        self._best: dict[str, deque[Sample]] = {}  # one for each span, oldest first

    def heard(self, server: str, incarnation: int, shown_s: float, now: float) -> None:
        """A guard said how long it has been running, by its own clock."""
        if self._incarnations.get(server) != incarnation:
            self._incarnations[server] = incarnation
            self._best[server] = deque(maxlen=int(WINDOW_S / BUCKET_S) + 2)
        best, sample = self._best[server], Sample(now, shown_s - now)
        if not best or int(best[-1].at / BUCKET_S) != int(now / BUCKET_S):
            best.append(sample)
        elif sample.ahead_s >= best[-1].ahead_s:
            best[-1] = sample

    def complaint(self, server: str) -> str | None:
        """Why this server's clock cannot be trusted; None if it can, or is not known yet."""
        best = self._best.get(server)
        if not best or len(best) < 3:
            return None
        first, last = best[0], best[-2]  # the newest span may not have had its best report yet
        elapsed_s = last.at - first.at
        if elapsed_s < WINDOW_S - BUCKET_S:
            return None
        error = (last.ahead_s - first.ahead_s) / elapsed_s
        if abs(error) <= self._clock_error + JITTER_S / elapsed_s:
            return None
        way = "fast" if error > 0 else "slow"
        return f"its clock runs {100 * abs(error):.1f} % too {way}: mend its time source (chrony, or the virtual machine's clock)"
