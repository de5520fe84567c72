"""From loadlevels to priorities: P8, P9.

priority = 10 for each full tenth of loadlevel + 10 for each service held + 5 for each promised

An integer, lower is better; ties go by name.  Tenths, so that two idle servers
are equal; duties count, so that one idle server is not everybody's secondary.
"""

from __future__ import annotations

HELD = 10
"""What holding a service adds."""

PROMISED = 5
"""What being a secondary adds."""


def priority(loadlevel: float, held: int, promised: int) -> int:
    """The priority of a server with this loadlevel (0..1) and these duties."""
    return 10 * int(10 * loadlevel + 1e-9) + HELD * held + PROMISED * promised
