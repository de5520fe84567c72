"""A voter's promise, the other side of a holder's lease (R1).

The holder's lease runs H from when it *sent* what was acknowledged; the promise
runs G from when the voter *received* it, and G >= (H + S)(1 + rho)/(1 - rho) + tick.
"""

from __future__ import annotations

from bus.config import Timing
from bus.step import LONG_AGO


class Promise:
    """A voter's side: until when it will not help replace the holder."""

    def __init__(self, timing: Timing, until: float = LONG_AGO) -> None:
        self._timing = timing
        self.until = until

    def give(self, lease_s: float, stop_s: float, now: float) -> None:
        """Acknowledge a holder whose H and S are these.  A running promise is never shortened."""
        self.until = max(self.until, now + self._timing.promise_for(lease_s, stop_s))

    def extend(self, until: float) -> None:
        """Promise at least until then."""
        self.until = max(self.until, until)

    def runs(self, now: float) -> bool:
        """Whether the voter is still bound."""
        return now <= self.until
