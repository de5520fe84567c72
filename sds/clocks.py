"""Whose clock runs too fast or too slow: the rates of two hosts are compared, over minutes (R2).

The arithmetic of leases and promises holds for clocks whose rates differ by at
most rho.  A server whose clock is past that is no candidate, and it shows.
"""

from __future__ import annotations

import msgspec

WINDOW_S = 300.0
"""Rates are compared over at least so long ..."""

JITTER_S = 0.5
"""... so that a report that was late by this does not count for much."""


class Sample(msgspec.Struct, frozen=True):
    """What a guard's clock showed when the SDS's showed `at`."""

    incarnation: int
    shown_s: float  # since the guard started
    at: float


class Clocks:
    """The rate of every server's clock against our own."""

    def __init__(self, clock_error: float) -> None:
        self._clock_error = clock_error
        self._first: dict[str, Sample] = {}
        self._rates: dict[str, float] = {}

    def heard(self, server: str, incarnation: int, shown_s: float, now: float) -> None:
        """A guard said how long it has been running, by its own clock."""
        first = self._first.get(server)
        if first is None or first.incarnation != incarnation:
            self._first[server] = Sample(incarnation, shown_s, now)
            self._rates.pop(server, None)
            return
        elapsed_s = now - first.at
        if elapsed_s >= WINDOW_S:
            self._rates[server] = (shown_s - first.shown_s) / elapsed_s
            self._first[server] = Sample(incarnation, shown_s, now)

    def complaint(self, server: str) -> str | None:
        """Why this server's clock cannot be trusted; None if it can, or is not known yet."""
        rate = self._rates.get(server)
        if rate is None or abs(rate - 1) <= self._clock_error + JITTER_S / WINDOW_S:
            return None
        way = "fast" if rate > 1 else "slow"
        return f"its clock runs {100 * abs(rate - 1):.1f} % too {way}: mend its time source (chrony, or the virtual machine's clock)"
