"""What both backends offer, and what goes wrong with them."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn, Protocol

from vagrant.bed.plan import Plan
from vagrant.bed.wire import Wire

CHECKOUT = Path(__file__).resolve().parents[2]


class BedError(Exception):
    """It could not be done; says why, and how to mend it."""


def finished(argv: Sequence[str], given: str, limit_s: float, where: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a program to its end: what it printed.  Raises `BedError` with what it complained of."""
    try:
        done = subprocess.run(
            argv, input=given, capture_output=True, text=True, errors="replace", timeout=limit_s, cwd="/", env=environment
        )
    except subprocess.TimeoutExpired:
        raise BedError(f"{where}: {shlex.join(argv[-3:])}: not done within {limit_s:g} s") from None
    except OSError as error:
        raise BedError(f"{where}: {argv[0]}: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise BedError(f"{where}: {shlex.join(argv[-3:])}: status {done.returncode}: {' / '.join(said[-3:]) or 'it said nothing'}")
    return done.stdout


class Backend(Protocol):
    """Five hosts, however they are made."""

    plan: Plan
    patience: float
    """By so much everything may take longer than on a workstation."""

    has_client: bool
    """Whether the outside world is a host to be set up, and not this machine itself."""

    wheels_for: tuple[str, ...]
    """What `wheels.sh` must know of the hosts."""

    def missing(self) -> list[str]:
        """What this machine lacks, in words that say how to get it."""

    def make(self, wheels: Path) -> None:
        """All hosts up, with what `provision/install.sh` installs, on the network; nothing of Locum runs.  Raises `BedError`."""

    def end(self) -> None:
        """Nothing is left: no process, namespace, mount, machine, disk.  Doing it again is no harm."""

    def is_up(self, host: str) -> bool:
        """Whether a host runs."""

    def run(self, host: str, argv: Sequence[str], given: str = "", limit_s: float = 120) -> str:
        """Run a program on a host to its end, as root: what it printed.  Raises `BedError` with what it complained of."""

    def become(self, host: str, argv: Sequence[str]) -> NoReturn:
        """In place of this process, such a program, with our input and output."""

    def crash(self, host: str) -> float:
        """A power cut; its instant by CLOCK_MONOTONIC."""

    def boot(self, host: str) -> None:
        """Switch a host on that is off, with its disk as it was."""

    def freeze(self, host: str) -> float:
        """Nothing of a host runs until `thaw`; since when."""

    def thaw(self, host: str) -> float:
        """And again; since when.  No harm to a host that runs."""

    def spoil(self, wire: Wire) -> float:
        """Let the network have exactly these faults; since when."""
