"""The studies beyond the paper: what a better secondary costs in changes, and whether a crowd piles up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from agent.choosing import ChoosingSettings
from agent.loadlevel import SMOOTHING_S
from simulation.figure3.axes import Line, Panel
from simulation.figure3.crowd import COUNTS, Pile, pile
from simulation.figure3.economy import DWELLS_S, MARGINS, SMOOTHINGS_S, Price, measured, price

Told = Callable[[int, int], None]
"""How many parts are done, of how many."""


class Beyond(msgspec.Struct, frozen=True):
    """One of these studies; its rows are structs of one kind."""

    name: str
    title: str
    text: str
    run: Callable[[int, Told], list[Any]]
    panels: Callable[[Sequence[Any]], tuple[Panel, ...]]


def csv(found: Sequence[Any]) -> str:
    """A line for each row, under the names of its fields."""
    lines = [",".join(found[0].__struct_fields__)]
    lines += [",".join(_cell(getattr(row, name)) for name in row.__struct_fields__) for row in found]
    return "\n".join(lines) + "\n"


def summary(study: Beyond, found: Sequence[Any]) -> str:
    """The same as a page."""
    heads = [name.replace("_per_h", "/h").replace("_s", " s").replace("_", " ") for name in found[0].__struct_fields__]
    widths = [max(9, len(head) + 2) for head in heads]
    lines = [study.title, "=" * len(study.title), "", study.text, "", "".join(head.rjust(w) for head, w in zip(heads, widths, strict=True))]
    for row in found:
        cells = (_cell(getattr(row, name)) for name in row.__struct_fields__)
        lines.append("".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)))
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _choosing(seeds: int, told: Told) -> list[Price]:
    days = [measured(seed) for seed in range(seeds)]
    found = []
    for margin in MARGINS:
        for dwell_s in DWELLS_S:
            found.append(price(days, ChoosingSettings(margin=margin, dwell_s=dwell_s), SMOOTHING_S))
            told(len(found), len(MARGINS) * len(DWELLS_S))
    return found


def _smoothing(seeds: int, told: Told) -> list[Price]:
    days = [measured(seed) for seed in range(seeds)]
    found = []
    for smoothing_s in SMOOTHINGS_S:
        found.append(price(days, ChoosingSettings(), smoothing_s))
        told(len(found), len(SMOOTHINGS_S))
    return found


def _servers(seeds: int, told: Told) -> list[Pile]:
    """One crowd of each size: a crowd of hundreds is its own average."""
    found = []
    for counted in (True, False):
        for count in COUNTS:
            found.append(pile(count, counted, 0))
            told(len(found), 2 * len(COUNTS))
    return found


def _choosing_panels(found: Sequence[Price]) -> tuple[Panel, ...]:
    lines = []
    for dwell_s in DWELLS_S:
        rows = [row for row in found if row.dwell_s == dwell_s]
        lines.append((f"dwell {dwell_s:g} s", tuple(float(r.margin) for r in rows), rows))
    return (
        Panel("the price", "margin", "changes an hour", tuple(Line(n, x, tuple(r.changes_per_h for r in rows)) for n, x, rows in lines)),
        Panel("what it buys", "margin", "load above the least", tuple(Line(n, x, tuple(r.excess for r in rows)) for n, x, rows in lines)),
    )


def _smoothing_panels(found: Sequence[Price]) -> tuple[Panel, ...]:
    x = tuple(row.smoothing_s for row in found)
    counts = (Line("all", x, tuple(r.changes_per_h for r in found)), Line("needless", x, tuple(r.needless_per_h for r in found)))
    excess = (Line("secondary", x, tuple(r.excess for r in found)),)
    return (
        Panel("the price", "smoothing in s", "changes an hour", counts),
        Panel("what it buys", "smoothing in s", "load above the least", excess),
    )


def _servers_panels(found: Sequence[Pile]) -> tuple[Panel, ...]:
    lines = []
    for counted, name in ((True, "duties counted"), (False, "load alone")):
        rows = [row for row in found if row.counted is counted]
        lines.append(Line(name, tuple(float(r.servers) for r in rows), tuple(float(r.most) for r in rows)))
    return (Panel("the most popular secondary", "servers", "services it stands in for", tuple(lines), logarithmic=True),)


STUDIES = {
    study.name: study
    for study in (
        Beyond(
            "choosing",
            "Margin and dwell time",
            "Changes of secondary an hour, and by how much its lasting load is above the least.",
            _choosing,
            _choosing_panels,
        ),
        Beyond(
            "smoothing",
            "Smoothing of the load",
            "The same for the time over which a load is smoothed; margin and dwell time are the defaults.",
            _smoothing,
            _smoothing_panels,
        ),
        Beyond(
            "servers",
            "Many servers, one of them idle",
            "How many services the most popular server stands in for, with duties counted into the priority and without.",
            _servers,
            _servers_panels,
        ),
    )
}
"""By name."""
