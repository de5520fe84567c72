"""The setting of the experiment: everything that the paper leaves open, by name, with its unit.

docs/figure3.md says of each which of it is the paper's, and which is ours.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.choosing import ChoosingSettings
from agent.loadlevel import SMOOTHING_S

PRIMARY, FIRST, SECOND = "primary", "first", "second"
"""The paper's three servers (P26); the static model always takes the first backup (P27)."""

SERVERS = (PRIMARY, FIRST, SECOND)

HOUR_S = 3600.0

FULLEST = 0.97
"""No load is above this: a server with a load of 1 would never answer."""

Size = Literal["exponential", "heavy", "constant"]
FailureLaw = Literal["linear", "steep", "constant"]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment."""

    hours: float = 24.0  # P26
    arrivals_per_s: float = 1.0  # of requests, Poisson
    service_s: float = 0.08  # a request on an idle server, on average
    size: Size = "exponential"  # how that varies
    means: tuple[float, float, float] = (0.3, 0.2, 0.2)  # the mean load of primary, first and second
    spread: float = 0.25  # a load is anywhere within so much of its mean
    hold_s: float = 1800.0  # a load lasts so long, on average
    common: float = 0.0  # the part of all changes of load that befalls all servers alike
    failure_law: FailureLaw = "linear"
    failures_per_h: float = 0.5  # of a primary with a load of FAILURE_LOAD
    recovery_s: float = 1200.0  # on average, exponential
    failback_s: float = 30.0  # the primary has been up so long when it gets its service back
    smoothing_s: float = SMOOTHING_S
    choosing: ChoosingSettings = ChoosingSettings()

    @property
    def duration_s(self) -> float:
        """Of the experiment."""
        return self.hours * HOUR_S

    @property
    def occupation(self) -> float:
        """The part of an idle server that the service itself takes up."""
        return self.arrivals_per_s * self.service_s


FAILURE_LOAD = 0.3
"""At this load all failure laws agree."""


def failures_per_s(setting: Setting, load: float) -> float:
    """How often a primary under this load fails, while it is up: never less often than an idle one."""
    factor = {
        "constant": 1.0,
        "linear": (0.05 + load) / (0.05 + FAILURE_LOAD),
        "steep": (0.05 + load**3) / (0.05 + FAILURE_LOAD**3),
    }[setting.failure_law]
    return setting.failures_per_h / HOUR_S * factor


MOST_FACTOR = 15.0
"""No failure law has a greater factor, at any load."""
