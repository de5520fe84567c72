"""How tests wait: for a fact, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(condition: Callable[[], Found], within_s: float = 10.0, every_s: float = 0.01) -> Found:
    """Ask `condition` every `every_s` seconds until it says something truthy, and return that.

    Raises AssertionError, naming what was awaited, if that takes longer than
    `within_s` seconds.  Exceptions of `condition` pass through.
    """
    deadline_at = time.clock_gettime(time.CLOCK_BOOTTIME) + within_s
    while True:
        # Asked once more after the deadline: a test that was held up must not fail for it.
        late = time.clock_gettime(time.CLOCK_BOOTTIME) >= deadline_at
        found = condition()
        if found:
            return found
        if late:
            name = getattr(condition, "__qualname__", repr(condition))
            code = getattr(condition, "__code__", None)
            where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
            raise AssertionError(f"not within {within_s:g} s: {name}{where}; last answer {found!r}")
        time.sleep(every_s)
