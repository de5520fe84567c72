"""Search for a life in which each planted bug is noticed, and note its seed in seeds.py.

    python -m simulation.bugs             all whose noted seed shows nothing any more
    python -m simulation.bugs NAME...     only these
    python -m simulation.bugs --list      the bugs and what they leave out

Exit code 0: each is noticed; 1: one is not; 2: usage.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from simulation.__main__ import search
from simulation.bugs.noticing import seen_without, shows
from simulation.bugs.planting import BUGS, Bug
from simulation.bugs.seeds import SEEDS

_FILE = Path(__file__).with_name("seeds.py")


def _seed_of(bug: Bug, most: int, jobs: int) -> int | None:
    """The seed on record if it still serves, else the first found."""
    if shows(bug, bug.first_seed):
        return bug.first_seed
    failed = (outcome.seed for outcome in search(range(most), None, bug.name, jobs) if outcome.failure)
    return next((seed for seed in failed if not seen_without(bug, seed)), None)


def _note(seeds: dict[str, int]) -> None:
    head, _, _ = _FILE.read_text().partition("SEEDS:")
    rows = "".join(f'    "{name}": {seeds[name]},\n' for name in sorted(seeds) if name in BUGS)
    _FILE.write_text(f"{head}SEEDS: dict[str, int] = {{\n{rows}}}\n")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m simulation.bugs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a bug")
    parser.add_argument("--most", type=int, default=2_000, help="so many seeds are searched (2000)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--list", action="store_true", help="show what is planted")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BUGS]
    if unknown or options.most < 1 or options.jobs < 1:
        parser.error(f"there is no bug {unknown[0]}: --list shows them" if unknown else "say a positive number")
    if options.list:
        for bug in BUGS.values():
            print(f"{bug.name:28s} {bug.rule:10s} {bug.text}")
        return 0
    unnoticed = 0
    for name in options.names or BUGS:
        seed = _seed_of(BUGS[name], options.most, options.jobs)
        print(f"{name:28s} " + (f"seed {seed}" if seed is not None else f"unnoticed in {options.most} lives"), flush=True)
        if seed is None:
            unnoticed += 1
        else:
            SEEDS[name] = seed
            _note(SEEDS)
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
