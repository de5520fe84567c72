"""P23, Fig. 2a: all up, EMAIL is HTTP's secondary, since its priority beats FTP's; the SDS's own table, the agent's own choice."""

from __future__ import annotations

import pytest
from machines.parts import Sds

from agent.choosing import Choosing, ChoosingSettings
from bus.messages import Loadlevel
from bus.step import Peer


@pytest.mark.parametrize(("email", "ftp"), [(0.1, 0.4), (0.0, 0.1), (0.79, 0.8), (0.2, 0.2)])
def test_p23_email_is_https_secondary_since_its_priority_beats_ftps(email: float, ftp: float) -> None:
    """P23: by priority, and among equals by name."""
    sds = Sds()
    for name, level in (("http", 0.5), ("ftp", ftp), ("email", email)):
        sds.join(name)
        sds.hear(Peer(name, "runner", 1), Loadlevel(loadlevel=level, seq=sds.machine.table.seq))
    servers = sds.machine.table.servers
    assert Choosing(ChoosingSettings()).rank("www", "http", servers) == ("email", "ftp")
    ranks = {name: row.priority for name, row in servers.items()}
    assert ranks["email"] is not None and ranks["ftp"] is not None and ranks["email"] <= ranks["ftp"]


def test_p23_it_is_ftp_if_ftps_priority_is_the_better() -> None:
    """P23: it is the priority that decides, not the name."""
    sds = Sds()
    for name, level in (("http", 0.0), ("ftp", 0.1), ("email", 0.6)):
        sds.join(name)
        sds.hear(Peer(name, "runner", 1), Loadlevel(loadlevel=level, seq=sds.machine.table.seq))
    assert Choosing(ChoosingSettings()).rank("www", "http", sds.machine.table.servers) == ("ftp", "email")
