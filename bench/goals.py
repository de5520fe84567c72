"""What is measured, what it may be at most, and how it is printed."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Goal(NamedTuple):
    """A figure, and the most that it may be."""

    name: str
    text: str
    unit: str = "s"
    most: float | None = None  # of the median


def table(goals: Iterable[Goal], figures: Mapping[str, list[float]]) -> list[str]:
    """A line for each figure."""
    lines = [f"{'':55}{'min':>9}{'median':>9}{'max':>9}  runs"]
    for goal in goals:
        values = figures.get(goal.name, [])
        if values:
            numbers = "".join(f"{value:9.3f}" for value in (min(values), statistics.median(values), max(values)))
            bound = "" if goal.most is None else f"  at most {goal.most:g}" + ("" if met(goal, values) else ": MISSED")
            lines.append(f"{goal.text + (', ' + goal.unit if goal.unit else ''):55}{numbers}  {len(values):4}{bound}")
    return lines


def met(goal: Goal, values: list[float]) -> bool:
    """Whether the figure is as good as it must be."""
    return goal.most is None or (max(values) if not goal.unit else statistics.median(values)) <= goal.most
