"""The studies about response time: what is swept, and what stays.

paper        the first backup's load is swept; primary and second backup stay (P26 to P29)
heavy        the same with heavy-tailed requests
independent  the mean load of all three is swept; each varies for itself
correlated   the same, but all loads rise and fall together
failing      the primary's load is swept, under three laws of how it fails for it
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import isfinite

import msgspec

from simulation.figure3.axes import Line, Panel
from simulation.figure3.day import PERCENTILES, Day, live, weather
from simulation.figure3.estimates import Estimate, estimate
from simulation.figure3.machines import Outages
from simulation.figure3.setting import FailureLaw, Setting

LOADS = tuple(round(0.05 + 0.1 * step, 2) for step in range(10))
"""Ten, from an idle server to a full one."""

WIDE = 0.45
"""The spread where loads are to differ: a server with a mean load of one half is idle at times, and full at times."""

COLOURS = {"static": "#b3402a", "dynamic": "#1f6f8b"}
SHADES = ("#7a7a7a", "#1f6f8b", "#8a5a9e")
"""Of the sweeps, where a study has several: there the models differ by their dashes."""


class Sweep(msgspec.Struct, frozen=True):
    """One curve for each model: the setting at each load."""

    label: str  # empty if a study has one alone
    at: Callable[[Setting, float], Setting]


class Study(msgspec.Struct, frozen=True):
    """One figure."""

    name: str
    title: str
    axis: str
    sweeps: tuple[Sweep, ...]


class Point(msgspec.Struct, frozen=True):
    """One load of one curve, over all seeds."""

    sweep: str
    model: str
    load: float
    mean: Estimate  # of the response, in seconds
    percentiles_s: tuple[float, ...]  # each the mean over the seeds
    away: float
    outage_s: float
    changes: float
    days: tuple[Day, ...]


def _set(**fields: object) -> Callable[[Setting, float], Setting]:
    def at(base: Setting, load: float) -> Setting:
        return msgspec.structs.replace(base, means=(base.means[0], load, base.means[2]), **fields)

    return at


def _all(**fields: object) -> Callable[[Setting, float], Setting]:
    def at(base: Setting, load: float) -> Setting:
        return msgspec.structs.replace(base, means=(load, load, load), **fields)

    return at


def _primary(law: FailureLaw) -> Sweep:
    def at(base: Setting, load: float) -> Setting:
        return msgspec.structs.replace(base, means=(load, 0.5, base.means[2]), failure_law=law)

    return Sweep(law, at)


STUDIES = {
    study.name: study
    for study in (
        Study("paper", "Figure 3: one backup gets busier", "mean load of the first backup", (Sweep("", _set()),)),
        Study("heavy", "The same, requests with a heavy tail", "mean load of the first backup", (Sweep("", _set(size="heavy")),)),
        Study("independent", "All loads vary independently", "mean load of all servers", (Sweep("", _all(spread=WIDE)),)),
        Study("correlated", "All loads rise and fall together", "mean load of all servers", (Sweep("", _all(spread=WIDE, common=1.0)),)),
        Study(
            "failing",
            "The primary gets busier, and fails for it",
            "mean load of the primary (first backup: 0.5)",
            tuple(_primary(law) for law in ("constant", "linear", "steep")),
        ),
    )
}


def points(
    study: Study, base: Setting, loads: Sequence[float], seeds: int, models: Sequence[str], outages: Outages
) -> Iterator[list[Point]]:
    """The points of each load of each sweep, one per model, as they are ready."""
    for sweep in study.sweeps:
        for load in loads:
            setting = sweep.at(base, load)
            days: dict[str, list[Day]] = {model: [] for model in models}
            for seed in range(seeds):
                drawn = weather(setting, outages, seed)
                for model in models:
                    days[model].append(live(drawn, model))
            yield [point(sweep.label, model, load, days[model]) for model in models]


def point(sweep: str, model: str, load: float, days: list[Day]) -> Point:
    """From the days of all seeds."""
    count = len(days)
    return Point(
        sweep=sweep,
        model=model,
        load=load,
        mean=estimate([day.mean_s for day in days]),
        percentiles_s=tuple(sum(day.percentiles_s[i] for day in days) / count for i in range(len(PERCENTILES))),
        away=sum(day.away for day in days) / count,
        outage_s=sum(day.outage_s for day in days) / count,
        changes=sum(day.changes for day in days) / count,
        days=tuple(days),
    )


def curve(found: Sequence[Point], sweep: str, model: str) -> list[Point]:
    """The points of one curve, by load."""
    return sorted((point for point in found if (point.sweep, point.model) == (sweep, model)), key=lambda point: point.load)


def gain(static: Point, dynamic: Point) -> Estimate:
    """How many seconds dynamic answers sooner: day by day, since both had the same days."""
    return estimate([one.mean_s - other.mean_s for one, other in zip(static.days, dynamic.days, strict=True)])


def rises(found: Sequence[Point]) -> bool:
    """Whether each point is above the one before it: the paper's claim for the static model (P29)."""
    return all(after.mean.mean > before.mean.mean for before, after in pairwise(found))


def band(found: Sequence[Point]) -> float:
    """By which part of its least mean a curve exceeds it at most: the claim for the dynamic model is that this is small (P29)."""
    least = min(point.mean.mean for point in found)
    return max(point.mean.mean for point in found) / least - 1


def panels(study: Study, found: Sequence[Point]) -> list[Panel]:
    """Means at the left, the 99th percentile at the right."""
    means, tails = [], []
    for sweep, shade in zip(study.sweeps, SHADES, strict=False):
        for model, colour in COLOURS.items():
            points = curve(found, sweep.label, model)
            if not points:
                continue
            label = f"{model}, {sweep.label}" if sweep.label else model
            drawn = shade if sweep.label else colour
            x = tuple(point.load for point in points)
            widths = tuple(1000 * p.mean.half_width if isfinite(p.mean.half_width) else 0.0 for p in points)
            dashed = model == "static"
            means.append(Line(label, x, tuple(1000 * p.mean.mean for p in points), widths, drawn, dashed))
            tails.append(Line(label, x, tuple(1000 * p.percentiles_s[-1] for p in points), (), drawn, dashed))
    return [
        Panel("mean, with 95 % confidence intervals", study.axis, "response in ms", tuple(means)),
        Panel("99th percentile", study.axis, "response in ms", tuple(tails)),
    ]
