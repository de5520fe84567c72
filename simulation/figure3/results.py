"""Every study by its name: what it found, as data, as a page, and as axes to draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from simulation.figure3 import beyond, tables
from simulation.figure3.axes import Panel
from simulation.figure3.machines import Outages
from simulation.figure3.setting import Setting
from simulation.figure3.studies import STUDIES, Point, panels, points

Progress = Callable[[str, int, int], None]
"""The study, how many of its parts are done, and how many there are."""


class Order(msgspec.Struct, frozen=True):
    """What to run."""

    base: Setting
    loads: tuple[float, ...]
    seeds: int
    models: tuple[str, ...]


class Result(msgspec.Struct, frozen=True):
    """What a study found."""

    name: str
    title: str
    csv: str
    summary: str
    panels: tuple[Panel, ...]


NAMES = (*STUDIES, *beyond.STUDIES)
"""Of all studies, the paper's first."""


def result(name: str, order: Order, outages: Outages, progress: Progress) -> Result:
    """Run the study of this name."""
    if name in STUDIES:
        return _response(name, order, outages, progress)
    study = beyond.STUDIES[name]
    found = study.run(order.seeds, lambda done, all_: progress(name, done, all_))
    return Result(name, study.title, beyond.csv(found), beyond.summary(study, found), study.panels(found))


def _response(name: str, order: Order, outages: Outages, progress: Progress) -> Result:
    study = STUDIES[name]
    parts = len(study.sweeps) * len(order.loads)
    found: list[Point] = []
    for done, ready in enumerate(points(study, order.base, order.loads, order.seeds, order.models, outages), 1):
        found += ready
        progress(name, done, parts)
    head = _head(order, outages)
    return Result(name, study.title, tables.csv(found), f"{tables.summary(study, found)}\n{head}\n", tuple(panels(study, found)))


def _head(order: Order, outages: Outages) -> str:
    """Under what circumstances."""
    seeds = f"{order.seeds} seeds" if order.seeds > 1 else "one seed, so no confidence intervals"
    return (
        f"{order.base.hours:g} h, {seeds}. Outages as the real machines took them in {len(outages.takeover_s)} lives: "
        f"takeover {_span(outages.takeover_s)}, handing back {_span(outages.failback_s)}."
    )


def _span(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f} s"
