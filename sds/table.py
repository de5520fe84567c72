"""The table that everyone sees, and the sequence of its changes: P7, P8, P13.

The table is derived from what membership, witness and moves know; it decides
nothing.  An update carries the rows that changed and the next sequence number;
who sees a gap asks for the whole (ZeroMQ Guide, chapter 5, Clone).
"""

from __future__ import annotations

from bus.messages import Table, TableUpdate
from bus.values import ServerRow, ServiceRow


class TableOfAll:
    """The rows as last published, under their sequence number."""

    def __init__(self, seq: int = 0) -> None:
        self.seq = seq
        self.servers: dict[str, ServerRow] = {}
        self.services: dict[str, ServiceRow] = {}

    def refresh(self, servers: dict[str, ServerRow], services: dict[str, ServiceRow]) -> TableUpdate | None:
        """Take the rows as they are now; what changed, or None."""
        changed_servers = tuple(row for name, row in servers.items() if self.servers.get(name) != row)
        changed_services = tuple(row for name, row in services.items() if self.services.get(name) != row)
        left = tuple(name for name in self.servers if name not in servers)
        if not (changed_servers or changed_services or left):
            return None
        self.servers, self.services = servers, services
        self.seq += 1
        return TableUpdate(seq=self.seq, servers=changed_servers, services=changed_services, left=left)

    def beacon(self) -> TableUpdate:
        """An update that changes nothing, by which a gap shows itself."""
        return TableUpdate(seq=self.seq)

    def whole(self, incarnation: int) -> Table:
        """All of it, in answer to this incarnation."""
        return Table(
            seq=self.seq,
            incarnation=incarnation,
            servers=tuple(self.servers.values()),
            services=tuple(self.services.values()),
        )
