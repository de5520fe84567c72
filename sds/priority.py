"""From loadlevels to priorities: P8, P9.

    priority = 10 for each full tenth of loadlevel + 10 for each service held + 5 for each promised

An integer, lower is better; ties go by name.  Why these figures:

- Tenths, so that servers with nearly the same load are equal, and it is not a
  breath of load that decides.  A load that trembles on the edge of a tenth moves
  a priority by 10; the margin of choosing (agent/choosing.py, 20) is twice that.
- Duties count, so that one idle server is not everybody's secondary.  A service
  held weighs like a tenth of load, whatever it does now: it may do more.
- A promise weighs half: it is work only if a holder dies.  It also weighs for
  the very service whose secondary one is; the holder takes that off again when
  it compares (`own_promise`), or a secondary would lose by being one.
- A service held is counted for the holder on record, a promise for the secondary
  on record: what a silent server holds stays its own until it is granted anew.
"""

from __future__ import annotations

HELD = 10
"""What holding a service adds."""

PROMISED = 5
"""What being a secondary adds."""


def priority(loadlevel: float, held: int, promised: int) -> int:
    """The priority of a server with this loadlevel (0..1) and these duties."""
    return 10 * int(10 * loadlevel + 1e-9) + HELD * held + PROMISED * promised
