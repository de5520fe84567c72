"""The table at its readers: a whole, and the updates that follow it without a gap (P7).

PUB may lose: an update is only ever a hint, and who sees a gap asks for the
whole over its own socket.
"""

from __future__ import annotations

from bus.messages import Table, TableUpdate
from bus.values import ServerRow, ServiceRow


class TableCopy:
    """What this reader knows of the cluster."""

    def __init__(self) -> None:
        self.seq: int | None = None
        self.servers: dict[str, ServerRow] = {}
        self.services: dict[str, ServiceRow] = {}

    def take(self, table: Table) -> None:
        """A whole table replaces everything."""
        self.seq = table.seq
        self.servers = {row.name: row for row in table.servers}
        self.services = {row.definition.name: row for row in table.services}

    def follow(self, update: TableUpdate) -> bool:
        """Apply an update; False if there is a gap, and the whole must be asked for.

        An update that changes nothing is a beacon: it names the last number that
        was used, so if that is a later one, its update was lost.
        """
        if self.seq is None or update.seq > self.seq + 1:
            return False
        if update.seq == self.seq + 1:
            if not (update.servers or update.services or update.left):
                return False
            self.seq = update.seq
            self.servers |= {row.name: row for row in update.servers}
            self.services |= {row.definition.name: row for row in update.services}
            for name in update.left:
                self.servers.pop(name, None)
        return True
