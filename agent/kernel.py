"""Linux calls that Python's os module lacks: beside agent/gate.py the only user of ctypes in agent/."""

from __future__ import annotations

import ctypes
import os

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def die_with_parent(number: int) -> None:
    """Get this signal when the parent's *thread* that forked us ends (prctl(2), PR_SET_PDEATHSIG).

    A parent that is dead already sends nothing: look at getppid afterwards.
    """
    _call("prctl", _PR_SET_PDEATHSIG, ctypes.c_ulong(number), 0, 0, 0)


def become_subreaper() -> None:
    """Orphaned descendants become children of this process (PR_SET_CHILD_SUBREAPER)."""
    _call("prctl", _PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0)


def name_process(name: str) -> None:
    """What ps and top show as the command's name: 15 bytes of it."""
    _call("prctl", _PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]), 0, 0, 0)


def lock_memory() -> None:
    """Each page stays in memory once it was used; none is read in for it (mlockall(2), MCL_ONFAULT)."""
    _call("mlockall", _MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)
