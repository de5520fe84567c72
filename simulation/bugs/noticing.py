"""Whether a life shows a planted bug."""

from __future__ import annotations

from simulation.__main__ import live
from simulation.bugs.planting import Bug


def shows(bug: Bug, seed: int) -> bool:
    """This life breaks a rule, and does not without the bug."""
    return live(seed, None, bug.name).failure is not None and not seen_without(bug, seed)


def seen_without(bug: Bug, seed: int) -> bool:
    """What is seen in this life is the other bug, by which this one is covered."""
    return bug.covered_by is not None and live(seed, None, bug.covered_by).failure is not None
