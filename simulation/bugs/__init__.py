"""Planted bugs: each leaves one thing out of the real machines, and the simulator must notice.

A simulator that nobody saw fail proves nothing.  A bug that survives means that
the weather or the judge lacks something.
"""

from simulation.bugs import administering, holding, overlapping, standing_in, tethering, witnessing
from simulation.bugs.planting import BUGS, Bug, planted

__all__ = ["BUGS", "Bug", "administering", "holding", "overlapping", "planted", "standing_in", "tethering", "witnessing"]
