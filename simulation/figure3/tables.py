"""The data of a study as CSV, and as a page that a person can read."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from simulation.figure3.day import PERCENTILES
from simulation.figure3.studies import Point, Study, band, curve, gain, rises

NARROW = 0.05
"""A dynamic curve within this part of its least is said not to rise."""


def csv(found: Sequence[Point]) -> str:
    """A line for each point; times in milliseconds, changes a day."""
    heads = [f"p{part:g}_ms" for part in PERCENTILES]
    lines = [",".join(["sweep", "model", "load", "mean_ms", "ci95_ms", *heads, "away", "outage_s", "changes"])]
    for point in found:
        cells = [point.sweep, point.model, f"{point.load:g}", ms(point.mean.mean), ms(point.mean.half_width)]
        cells += [ms(value) for value in point.percentiles_s]
        cells += [f"{point.away:.4f}", f"{point.outage_s:.2f}", f"{point.changes:.1f}"]
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def ms(seconds: float) -> str:
    """In milliseconds, or nothing if it is not known."""
    return f"{1000 * seconds:.2f}" if isfinite(seconds) else ""


def summary(study: Study, found: Sequence[Point]) -> str:
    """The page."""
    blocks = [f"{study.title}\n{'=' * len(study.title)}"]
    for sweep in study.sweeps:
        blocks.append(_table(study, sweep.label, found))
        blocks.append(_words(sweep.label, found))
    return "\n\n".join(blocks) + "\n"


def _table(study: Study, sweep: str, found: Sequence[Point]) -> str:
    lines = [f"{sweep + ': ' if sweep else ''}response in ms, against the {study.axis}", ""]
    columns = "".join(f"{f'p{part:g}':>8}" for part in PERCENTILES)
    lines.append(f"{'load':>5}  {'model':8}{'mean':>8}{'+-':>7}{columns}{'away':>7}{'changes':>9}")
    for point in sorted((p for p in found if p.sweep == sweep), key=lambda p: (p.load, p.model != "static")):
        percentiles = "".join(f"{1000 * value:8.0f}" for value in point.percentiles_s)
        half = f"{1000 * point.mean.half_width:7.1f}" if isfinite(point.mean.half_width) else f"{'?':>7}"
        changes = f"{point.changes:9.1f}" if point.model == "dynamic" else f"{'-':>9}"
        lines.append(f"{point.load:5.2f}  {point.model:8}{1000 * point.mean.mean:8.1f}{half}{percentiles}{point.away:7.1%}{changes}")
    return "\n".join(lines)


def _words(sweep: str, found: Sequence[Point]) -> str:
    lines = []
    static, dynamic = curve(found, sweep, "static"), curve(found, sweep, "dynamic")
    for model, points in (("static", static), ("dynamic", dynamic)):
        if points:
            least, most = min(p.mean.mean for p in points), max(p.mean.mean for p in points)
            flat = band(points) <= NARROW
            how = "rises at every step" if rises(points) and not flat else "does not rise" if flat else "rises, not at every step"
            lines.append(f"{model:8}{how}: {1000 * least:.0f} to {1000 * most:.0f} ms, {band(points):.1%} above its least at most.")
    for one, other in zip(static, dynamic, strict=False):
        won = gain(one, other)
        if one in (static[0], static[len(static) // 2], static[-1]):
            sure = "" if abs(won.mean) > won.half_width else "; not sure"
            part = won.mean / one.mean.mean
            width = f" +- {1000 * won.half_width:.1f}" if isfinite(won.half_width) else ""
            lines.append(f"At {one.load:g} dynamic answers {1000 * won.mean:.1f}{width} ms sooner ({part:.1%} of static{sure}).")
    return "\n".join(lines)
