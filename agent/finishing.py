"""A former holder's last seconds, beside the next one: R22.

    on --planned move, not exclusive--> finishing --the stop's time--> stopping --finish_s over--> killing

The epoch is given up before, and burned; what is left is a process without a
lease, which therefore has its end fixed from the beginning: the guard stops it,
and the tether, told `Until`, kills it if the guard does not.

Two may run at once, never three: W tells a new holder for how long another may
still finish, and until then it hands over to nobody (docs/decisions/0016).
"""

from __future__ import annotations

from bus.config import Timing
from bus.step import LONG_AGO, NEVER


class Finishing:
    """When the process of a former holder must end, and from when a holder may leave one behind."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self.stop_at = NEVER
        self.kill_at = NEVER
        self.allowed_from = LONG_AGO

    def granted(self, overlap_s: float, now: float) -> None:
        """W says for how long, by its clock, another may finish."""
        error = self._timing.clock_error
        self.allowed_from = now + overlap_s * (1 + error) / (1 - error)

    def begin(self, finish_s: float, now: float) -> None:
        """From now on for `finish_s`, the orderly stop included."""
        self.kill_at = now + finish_s
        self.stop_at = max(now, self.kill_at - self._timing.lease_s)

    def over(self) -> None:
        """Nothing is left."""
        self.stop_at = self.kill_at = NEVER
