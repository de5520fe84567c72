"""A plain demo with kill and return, seen from outside: exit 0 if all was as it should be.

start -> ready -> kill http -> www answered by another -> start http -> www at home -> SIGINT -> nothing left
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from demo.client import Seen, try_to_use  # noqa: E402
from demo.processes import of_state  # noqa: E402

LOCUM = str(CHECKOUT / "locum")
Found = TypeVar("Found")


def now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def until(what: str, condition: Callable[[], Found | None], within_s: float) -> Found:
    """Wait for it, say how long it took, or end with exit code 1."""
    began_at = now()
    while not (found := condition()):
        if now() - began_at > within_s:
            sys.exit(f"smoke: not within {within_s:.0f} s: {what}")
        time.sleep(0.02)
    print(f"smoke: {what} after {now() - began_at:.2f} s", flush=True)
    return found


def served_by(condition: Callable[[str], bool]) -> Callable[[], Seen | None]:
    def look() -> Seen | None:
        seen = try_to_use("www")
        return seen if seen is not None and condition(seen.server) else None

    return look


def story(demo: subprocess.Popen[bytes], output: Path) -> None:
    """What must be seen while the demo runs."""

    def ready() -> bool:
        if demo.poll() is not None:
            sys.exit(f"smoke: the demo ended with {demo.returncode}:\n{output.read_text()}")
        return any(line.startswith("ready") for line in output.read_text().splitlines())

    until("ready", ready, 60)
    first = until("www at home", served_by(lambda server: server == "http"), 10)
    subprocess.run([LOCUM, "demo", "kill", "http"], check=True, timeout=60)
    second = until("www answered by another", served_by(lambda server: server != "http"), 20)
    subprocess.run([LOCUM, "demo", "start", "http"], check=True, timeout=60)
    third = until("www at home again", served_by(lambda server: server == "http"), 60)
    if not first.epoch < second.epoch < third.epoch:
        sys.exit(f"smoke: epochs do not rise: {first}, {second}, {third}")
    subprocess.run([LOCUM, "status"], check=True, timeout=60)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        state, output = Path(scratch) / "state", Path(scratch) / "output"
        with output.open("wb") as said:
            demo = subprocess.Popen([LOCUM, "demo", "--state", str(state)], stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            story(demo, output)
            demo.send_signal(signal.SIGINT)
            began_at = now()
            code = demo.wait(timeout=30)
            print(f"smoke: SIGINT to exit code {code} in {now() - began_at:.2f} s", flush=True)
            left = of_state(str(state))
            if code or now() - began_at > 10 or left:
                sys.exit(f"smoke: no clean end: exit code {code}, left {left}")
        except BaseException:
            print(output.read_text(), file=sys.stderr)
            raise
        finally:
            if demo.poll() is None:
                demo.send_signal(signal.SIGTERM)
                demo.wait(timeout=30)
    print("smoke: good")


if __name__ == "__main__":
    main()
