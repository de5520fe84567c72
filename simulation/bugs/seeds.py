"""For each planted bug, the seed of a life in which it is noticed; written by `python -m simulation.bugs`."""

from __future__ import annotations

SEEDS: dict[str, int] = {
    "lease-from-receipt": 4,
    "leases-ignored": 0,
    "no-stop-in-promise": 3,
}
