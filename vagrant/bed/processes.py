"""The processes of beds, found by what they were called with: no file of numbers that could be stale."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

INIT = Path(__file__).with_name("init.py")


def argv_of_init(state: Path, role: str, *more: str) -> list[str]:
    """How process 1 of a host, or of the bed's outer namespaces (`switch`), is called."""
    return [sys.executable, "-I", "-S", str(INIT), str(state), role, *more]


def inits(state: Path) -> dict[str, int]:
    """Every process 1 of a bed that lives, by its role."""
    found = {}
    for pid, argv in _everyone():
        if argv[1:3] == ["-I", "-S"] and argv[3:5] == [str(INIT), str(state)] and len(argv) > 5:
            found[argv[5]] = pid
    return found


def inside(init: int) -> list[int]:
    """All processes of a host but its process 1 and what entered from outside, which has its parent there."""
    space = _space(init)
    found = []
    for pid, _ in _everyone():
        if pid != init and _space(pid) == space and _space(_parent(pid)) == space:
            found.append(pid)
    return found


def is_gone(pid: int) -> bool:
    """Dead and buried."""
    return not Path(f"/proc/{pid}").exists()


def kill_and_wait(pid: int, within_s: float) -> bool:
    """SIGKILL; whether the process is gone, within so many seconds.  As a process 1 it takes its namespace along."""
    try:
        descriptor = os.pidfd_open(pid)
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        os.close(descriptor)
    except ProcessLookupError:
        return True
    give_up_at = time.monotonic() + within_s
    while not is_gone(pid):
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.005)
    return True


def _everyone() -> Iterator[tuple[int, list[str]]]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                words = Path(entry.path, "cmdline").read_bytes().split(b"\0")[:-1]
            except (ProcessLookupError, FileNotFoundError):
                continue
            yield int(entry.name), [os.fsdecode(word) for word in words]


def _space(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0
