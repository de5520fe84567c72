"""The price of each failure, seen by a client of the running demo, or of the test-bed.

python -m bench.failover [--runs N] [--json] [--state DIR]
python -m bench.failover --testbed [--runs N] [--json]     on five hosts (bench/testbed.py)

Starts a demo on a state directory of its own.  A client resolves www's name at
the demo's name server and asks for /whoami every 10 ms, over a new connection
each time; a second prober asks all three servers directly every 5 ms, whether
two of them ever serve at once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import scenarios, testbed
from bench.asking import Answer
from bench.goals import Goal, met, table
from bench.scenarios import Figures, Stage
from bench.subject import Subject
from bench.watch import NotSeen, Watch, overlaps, undecided
from cli import VERSION
from demo import presence, processes
from demo.state import State, StateError

GOALS = (
    Goal("killed", "demo kill http to answered again", "s", 0.6),
    Goal("failover refused", "  of it, refused to the client"),
    Goal("failback refused", "failback, refused to the client", "s", 0.3),
    Goal("service", "the www process killed alone to answered again", "s", 0.3),
    Goal("guard", "http's guard killed alone, refused to the client"),
    Goal("guard home", "  to all at home again"),
    Goal("runner", "http's runner killed alone, failed requests", "", 0),
    Goal("sds", "SDS killed, failed requests", "", 0),
    Goal("store", "store killed, failed requests", "", 0),
    Goal("blackout", "all killed at once, demo started again to all at home"),
    Goal("blackout lost", "  services whose epoch is not higher", "", 0),
    Goal("agent memory", "resident: tether, guard and runner of one server", "MB", 90),
    Goal("sds memory", "resident: SDS", "MB", 80),
    Goal("overlaps", "proofs that two servers served at one instant", "", 0),
    Goal("undecided", "two servers answered too close together to tell"),
    Goal("late", "the client prober's own longest stall"),
)


def measure(subject: Subject, runs: int, say: Callable[[str], None]) -> tuple[Figures, list[Answer]]:
    """Every scenario; the figures, and the client's and the direct prober's answers."""
    figures: Figures = {}

    def take(more: Figures) -> None:
        for name, values in more.items():
            figures.setdefault(name, []).extend(values)

    few = max(1, min(3, runs))
    with Watch.client() as client, Watch.direct() as direct:
        stage = Stage(subject, client, direct)
        plan = [(scenarios.host_killed, runs), (scenarios.service_killed, runs), (scenarios.guard_killed, few)]
        plan += [(scenarios.runner_killed, few), (scenarios.sds_killed, few), (scenarios.store_killed, few)]
        for scenario, times in plan:
            for run in range(times):
                found = scenario(stage)
                say(f"{scenario.__name__} {run + 1} of {times}: " + ", ".join(f"{name} {values[0]:.3g}" for name, values in found.items()))
                take(found)
        take(
            {"agent memory": [subject.resident_mb("http", "tether", "guard", "runner")], "sds memory": [subject.resident_mb("sds", "sds")]}
        )
    seen = [*client.answers, *direct.answers]
    take({"overlaps": [len(overlaps(seen))], "undecided": [undecided(seen)]})
    take({"late": [max(answer.late_s for answer in client.answers)]})
    for pair in overlaps(seen)[:5]:
        say(f"at once: {pair[0]} after {pair[1]}")
    take(scenarios.blackout(subject))
    return figures, seen


def surroundings(subject: Subject) -> dict[str, Any]:
    """The machine, and what of it Locum was given."""
    guards = sorted({guard for server in subject.status()["servers"] for guard in server["guards"]})
    return {
        "locum": VERSION,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": len(os.sched_getaffinity(0)),
        "load average": [round(value, 2) for value in os.getloadavg()],
        "scheduling and timing": guards,
    }


def forget_restarts(state: State) -> None:
    """Each kill of www is to be measured as the first one, which is followed by a start at once: count restarts for a second only."""
    settings = state.settings("http")
    settings.write_text(re.sub(r"restart_window_s = \d+", "restart_window_s = 1", settings.read_text()))


def main() -> int:
    """Measure and print; 0 if every goal is met, 1 if not, 2 if it could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.failover", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10, help="of a server killed and of a service killed (default 10)")
    parser.add_argument("--json", action="store_true", help="all values as JSON")
    parser.add_argument("--state", type=Path, help="a new directory in which to keep the demo's state and logs")
    parser.add_argument("--testbed", action="store_true", help="not the demo, but the test-bed that is up (vagrant/testbed up)")
    wanted = parser.parse_args()
    if wanted.testbed:
        return testbed.main(max(1, wanted.runs), wanted.json)
    other = presence.running()
    if other is not None:
        print(f"a demo runs already ({other}): end it first", file=sys.stderr)
        return 2

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="locum-bench-") as scratch:
        subject = Subject(wanted.state or Path(scratch) / "state")
        try:
            state = State(subject.state)
            state.furnish()
            forget_restarts(state)
            say(f"the demo is ready after {subject.start():.1f} s")
            before = surroundings(subject)
            figures, _ = measure(subject, max(1, wanted.runs), say)
            after = surroundings(subject)
        except (NotSeen, StateError) as error:
            say(str(error))
            if subject.output.exists():
                say(subject.output.read_text()[-4000:])
            return 2
        finally:
            subject.end()
            left = processes.of_state(str(subject.state))
            if left:
                say(f"left running: {left}")
    if wanted.json:
        print(json.dumps({"before": before, "after": after, "figures": figures}, indent=2))
    else:
        for when, facts in (("before", before), ("after", after)):
            print(f"{when}: " + ", ".join(f"{name} {value}" for name, value in facts.items()))
        print("\n".join(table(GOALS, figures)))
    return 0 if all(met(goal, figures[goal.name]) for goal in GOALS) else 1


if __name__ == "__main__":
    sys.exit(main())
