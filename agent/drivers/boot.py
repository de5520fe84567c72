"""Whether systemd starts a program at boot, behind our back (R17).

A service that comes up by itself would run beside its present holder's.  So a
server on which the program of a service is enabled at boot is no candidate,
and the remedy is shown.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path

UNIT_ROOTS = (Path("/etc/systemd/system"), Path("/run/systemd/system"))

_INTERPRETERS = ("python", "perl", "ruby", "node", "java", "sh", "bash", "dash", "env")
"""For these the program alone says nothing: the whole command must be the same."""


def enabled_at_boot(argv: tuple[str, ...], roots: Iterable[Path] = UNIT_ROOTS) -> str | None:
    """The name of an enabled unit that starts this command; None if there is none."""
    for root in roots:
        for unit in sorted(root.glob("*.wants/*.service")):
            if any(_same(argv, started) for started in _commands(unit)):
                return unit.name
    return None


def unit_enabled(name: str, roots: Iterable[Path] = UNIT_ROOTS) -> str | None:
    """The name of an enabled unit that is called so, or an instance or socket of it: some start their program through others."""
    for root in roots:
        for unit in sorted((*root.glob("*.wants/*"), *root.glob("*.requires/*"))):
            stem, _, kind = unit.name.rpartition(".")
            if kind in ("service", "socket") and stem.partition("@")[0] == name:
                return unit.name
    return None


def _commands(unit: Path) -> list[list[str]]:
    """The ExecStart commands of a unit; none if it cannot be read, for then it cannot start either."""
    try:
        text = unit.read_text(errors="replace").replace("\\\n", " ")
    except OSError:
        return []
    commands = []
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "ExecStart" and value.strip():
            try:
                commands.append(shlex.split(value.strip().lstrip("-@:+!")))
            except ValueError:
                continue
    return [command for command in commands if command]


def _same(ours: tuple[str, ...], theirs: list[str]) -> bool:
    if not ours or _resolved(ours[0]) != _resolved(theirs[0]):
        return False
    name = Path(ours[0]).name.rstrip("0123456789.")
    return name not in _INTERPRETERS or list(ours[1:]) == theirs[1:]


def _resolved(program: str) -> Path:
    return Path(shutil.which(program) or program).resolve()
