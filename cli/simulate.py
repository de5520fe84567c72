"""`locum simulate`: Figure 3 of the paper, and the studies around it."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.outcome import Misconfigured, Refused

if TYPE_CHECKING:
    from simulation.figure3.axes import Panel

_MOST_LOADS = 100
_OUTAGE_LIVES = 20
"""Lives of the real machines from which the lengths of outages are taken."""


def loads(text: str) -> tuple[float, ...]:
    """`0.1:0.95:0.05` as the loads it means, the last one included, or `0.5` alone; raises `Misconfigured`."""
    remedy = "write FIRST:LAST:STEP as in 0.1:0.95:0.05, or one load as in 0.5"
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        raise Misconfigured(f"--load: {text!r} is no range of loads: {remedy}") from None
    if len(parts) not in (1, 3) or not all(math.isfinite(part) for part in parts):
        raise Misconfigured(f"--load: {text!r} is no range of loads: {remedy}")
    first, last, step = parts if len(parts) == 3 else (parts[0], parts[0], 1.0)
    if not 0.0 <= first <= last <= 0.97:
        raise Misconfigured(f"--load: {text!r}: loads go upwards, from 0 to 0.97: a server with a load of 1 would never answer")
    if step <= 0 or (last - first) / step > _MOST_LOADS:
        raise Misconfigured(f"--load: {text!r}: the step must be above 0, and the loads at most {_MOST_LOADS}: {remedy}")
    return tuple(round(first + step * number, 6) for number in range(int((last - first) / step + 1e-6) + 1))


@click.command()
@click.option("--hours", type=click.FloatRange(0.1, 1_000), default=24.0, show_default=True, help="Simulated, for each load and seed.")
@click.option("--seeds", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many times each is lived.")
@click.option("--load", "load", metavar="FIRST:LAST:STEP", default="0.05:0.95:0.1", show_default=True, help="What is swept.")
@click.option("--model", type=click.Choice(("static", "dynamic", "both")), default="both", show_default=True)
@click.option("--study", metavar="NAME", default="paper", show_default=True, help="One of those below, or all.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("figure3"), show_default=True, help="Where the files are written.")
def simulate(hours: float, seeds: int, load: str, model: str, study: str, out: Path) -> None:
    """Draw Figure 3: clients' response time against load, with a fixed and with a chosen stand-in.

    \b
    Studies:
      paper        one backup gets busier, everything else stays: the paper's figure
      heavy        the same, requests with a heavy tail
      independent  all servers get busier, each varies for itself
      correlated   all servers get busier, and vary together
      failing      the primary gets busier, and fails for it
      choosing     margin and dwell time: changes of secondary against how good it is
      smoothing    the same for the smoothing of loads
      servers      10 to 200 servers: does everyone choose the same secondary

    For each, DIR gets NAME.png, NAME.svg, NAME.csv and NAME.txt; the last is
    printed too.  The same options give the same bytes.  The last three studies
    have loads and hours of their own; of the options they take --seeds and --out.

    \b
    Examples:
      ./locum simulate
      ./locum simulate --seeds 3 --load 0.1:0.9:0.2 --out /tmp/f
      ./locum simulate --study all --out docs/figure3
    """
    from simulation.figure3.machines import outages
    from simulation.figure3.results import NAMES, Order, result
    from simulation.figure3.setting import Setting
    from simulation.figure3.standins import MODELS

    if study not in (*NAMES, "all"):
        raise Misconfigured(f"--study: there is no {study!r}: the studies are {', '.join(NAMES)}, or all")
    if not math.isfinite(hours):
        raise Misconfigured(f"--hours: {hours} is no length of time: write hours as in 24")
    order = Order(Setting(hours=hours), loads(load), seeds, MODELS if model == "both" else (model,))
    _make(out)
    click.echo("how long a takeover takes: asking the real machines ...", err=True)
    taken = outages(_OUTAGE_LIVES)
    for name in NAMES if study == "all" else (study,):
        found = result(name, order, taken, _progress)
        click.echo(found.summary)
        for path in _write(out, found.name, found.title, found.csv, found.summary, found.panels):
            click.echo(f"written: {path}", err=True)


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".writable").touch()
        (out / ".writable").unlink()
    except OSError as error:
        raise Misconfigured(f"--out: {out}: {error.strerror}: name a directory that can be written to") from None


def _write(out: Path, name: str, title: str, csv: str, summary: str, panels: tuple[Panel, ...]) -> list[Path]:
    from simulation.figure3.drawing import draw

    try:
        (out / f"{name}.csv").write_text(csv)
        (out / f"{name}.txt").write_text(summary)
        return [out / f"{name}.csv", out / f"{name}.txt", *draw(title, panels, out / name)]
    except OSError as error:
        raise Refused(f"{out}: {error.strerror}: the figure is not written") from None


def _progress(study: str, done: int, parts: int) -> None:
    """On a terminal one line that changes; else a line now and then."""
    if sys.stderr.isatty():
        click.echo(f"\r{study}: {done} of {parts}" + ("\n" if done == parts else ""), err=True, nl=False)
    elif done == parts or done % 5 == 0:
        click.echo(f"{study}: {done} of {parts}", err=True)
