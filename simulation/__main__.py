"""Search for a life in which a rule is broken, or replay one.

    python -m simulation --seed 1234             one life, with its timeline
    python -m simulation --runs 2000 --jobs 2    many, with progress; failing seeds are printed
    python -m simulation --bug no-S-in-G --runs 2000    the same, with a planted bug

Exit code 0: nothing was broken; 1: something was; 2: usage.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import nullcontext

from simulation.bugs import BUGS, planted
from simulation.life import Kind, Life, Outcome, kind_of


def live(seed: int, kind: Kind | None, bug: str | None) -> Outcome:
    """One life; its failure, if any, names the command that replays it."""
    return _play(seed, kind, bug, None)


def _play(seed: int, kind: Kind | None, bug: str | None, timeline: list[str] | None) -> Outcome:
    with planted(bug) if bug else nullcontext():
        life = Life(seed, kind or kind_of(seed), timeline)
        try:
            return life.play()
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"a machine broke at {life.world.now:.3f} s: {error!r} ({where.filename}:{where.lineno})"
            return Outcome(seed, life.kind, text, life.world.now)


def _job(work: tuple[int, Kind | None, str | None]) -> Outcome:
    return live(*work)


def search(seeds: range, kind: Kind | None, bug: str | None, jobs: int) -> Iterator[Outcome]:
    """The outcomes of all these lives, in any order."""
    work = [(seed, kind, bug) for seed in seeds]
    if jobs == 1:
        yield from map(_job, work)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap_unordered(_job, work, chunksize=4)


def command(seed: int, kind: Kind | None, bug: str | None) -> str:
    """What replays this life."""
    return f"python -m simulation --seed {seed}" + (f" --kind {kind}" if kind else "") + (f" --bug {bug}" if bug else "")


def _replay(seed: int, kind: Kind | None, bug: str | None) -> int:
    timeline: list[str] = []
    outcome = _play(seed, kind, bug, timeline)
    print("\n".join(timeline))
    print(f"\nseed {seed}, {outcome.kind}{', ' + outcome.label if outcome.label else ''}: {outcome.failure or 'nothing was broken'}")
    return 1 if outcome.failure else 0


def _summary(outcomes: list[Outcome], elapsed_s: float, jobs: int, promise_s: float) -> str:
    simulated_s = sum(outcome.simulated_s for outcome in outcomes)
    pace = simulated_s / 60 / elapsed_s / jobs
    lines = [f"{len(outcomes)} lives, {simulated_s / 3600:.1f} simulated hours, {pace:.1f} simulated minutes per second and job"]
    settled = sorted(outcome.settled_s for outcome in outcomes if outcome.kind == "storm" and not outcome.failure)
    if settled:
        median, most = settled[len(settled) // 2], settled[-1]
        lines.append(f"after healing all served and backed: median {median / promise_s:.2f} G, at most {most / promise_s:.2f} G")
    outages: dict[str, list[float]] = {}
    for outcome in outcomes:
        if outcome.label:
            outages.setdefault(outcome.label, []).append(outcome.outage_s)
    for label in sorted(outages):
        lengths = outages[label]
        dark = sum(length > 0 for length in lengths)
        lines.append(f"  {label:28s} {len(lengths):5d} lives, with an outage {dark:5d}, longest {max(lengths) / promise_s:5.2f} G")
    return "\n".join(lines)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="replay this life and print its timeline")
    parser.add_argument("--runs", type=int, help="live this many lives")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count(), help="processes (one a core)")
    parser.add_argument("--kind", choices=("storm", "single", "quiet"), help="only this kind; else each seed has its own")
    parser.add_argument("--bug", choices=sorted(BUGS), help="with this planted bug")
    parser.add_argument("--stop", action="store_true", help="stop at the first failure")
    options = parser.parse_args()
    if options.seed is not None:
        return _replay(options.seed, options.kind, options.bug)
    if not options.runs or options.runs < 1 or options.jobs < 1:
        parser.error("say --seed N to replay one life, or --runs N to search N of them")
    return _search(options)


def _search(options: argparse.Namespace) -> int:
    began, outcomes, failures = time.monotonic(), [], 0
    shown = began
    for outcome in search(range(options.first, options.first + options.runs), options.kind, options.bug, options.jobs):
        outcomes.append(outcome)
        if outcome.failure:
            failures += 1
            print(f"{outcome.failure}\n    {command(outcome.seed, options.kind, options.bug)}", flush=True)
            if options.stop:
                break
        if time.monotonic() - shown > 1.0 and sys.stderr.isatty():
            shown = time.monotonic()
            print(f"\r{len(outcomes)} of {options.runs}, {failures} failed ", end="", file=sys.stderr, flush=True)
    print(_summary(outcomes, time.monotonic() - began, options.jobs, Life(0, "quiet").timing.promise_s))
    print(f"{failures} of {len(outcomes)} lives broke a rule" if failures else "nothing was broken")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
