"""Means over seeds, and how far they may be trusted: Student's t, 95 per cent."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt

import msgspec

_T95 = (
    inf, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""The 97.5 per cent point of Student's distribution, by degrees of freedom."""


class Estimate(msgspec.Struct, frozen=True):
    """A mean, and the half width of its 95 per cent confidence interval: infinite for a single value."""

    mean: float
    half_width: float

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.half_width


def estimate(values: Sequence[float]) -> Estimate:
    """Of independent values, at least one."""
    count = len(values)
    mean = sum(values) / count
    if count == 1:
        return Estimate(mean, inf)
    variance = sum((value - mean) ** 2 for value in values) / (count - 1)
    return Estimate(mean, student(count - 1) * sqrt(variance / count))


def student(freedom: int) -> float:
    """The factor for so many degrees of freedom; beyond 30 by its expansion about the normal law's 1.96."""
    if freedom < len(_T95):
        return _T95[freedom]
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom)
