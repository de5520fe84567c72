"""The figures, by matplotlib; the only file that knows it.  The same data give the same bytes: PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simulation.figure3.axes import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKS = ("o", "s", "^", "D", "v", "P", "X")


def draw(title: str, drawn: Sequence[Panel], path: Path) -> list[Path]:
    """Write PATH.png and PATH.svg."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "locum", "svg.fonttype": "path", "font.size": 10, "axes.grid": True, "grid.alpha": 0.3})
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(drawn), 3.9), layout="constrained")
    figure.suptitle(title)
    for axes, panel in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
        _panel(axes, panel)
    written = [path.with_name(f"{path.name}.{kind}") for kind in ("png", "svg")]
    figure.savefig(written[0], dpi=110, metadata={"Software": None})
    figure.savefig(written[1], metadata={"Date": None, "Creator": None})
    return written


def _panel(axes: Axes, panel: Panel) -> None:
    for mark, line in zip(_MARKS * 4, panel.lines, strict=False):
        style = {"marker": mark, "markersize": 4, "linewidth": 1.5, "linestyle": "--" if line.dashed else "-"}
        error = list(line.half_widths) if any(line.half_widths) else None
        axes.errorbar(line.x, line.y, error, label=line.label, color=line.colour, capsize=2, **style)  # type: ignore[arg-type]
    axes.set_title(panel.title, fontsize=10)
    axes.set(xlabel=panel.across, ylabel=panel.up)
    if panel.logarithmic:
        axes.set_xscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
