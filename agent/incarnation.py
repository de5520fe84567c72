"""A higher number at each start of a guard, kept on disk (R15).

The low 16 bits are drawn at random, so that two servers that were started from
one copied disk do not speak under one number.
"""

from __future__ import annotations

import os
from pathlib import Path

from bus.config import ConfigError

_DRAWN_BITS = 16


def next_incarnation(state_dir: Path) -> int:
    """Higher than any before, and on disk before it is returned.  Raises `ConfigError`."""
    return exceed(state_dir, _stored(state_dir))


def exceed(state_dir: Path, beyond: int) -> int:
    """Store and return a number above both `beyond` and what is stored."""
    highest = max(beyond, _stored(state_dir))
    number = ((highest >> _DRAWN_BITS) + 1 << _DRAWN_BITS) | int.from_bytes(os.urandom(_DRAWN_BITS // 8), "big")
    path = state_dir / "incarnation"
    fresh = state_dir / "incarnation.new"
    try:
        with fresh.open("w") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        directory = os.open(state_dir, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}: make state_dir writable, or free some space") from None
    return number


def _stored(state_dir: Path) -> int:
    path = state_dir / "incarnation"
    try:
        return int(path.read_text())
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: is not a number: {error}: remove it; the SDS will say which number to exceed") from None
