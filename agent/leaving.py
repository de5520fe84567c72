"""An agent that ends: when it may go, now that it holds nothing any more (R14).

It stays until others are seen to serve what it held, so that whoever stops a
server knows, when it is gone, that its services are not.  Nothing depends on
it: everything was released before.
"""

from __future__ import annotations

from collections.abc import Collection

from bus.table_copy import TableCopy

LOOK_BACK_S = 2.0
"""A service that is not served by then is waited for no longer."""


class Leaving:
    """What this server held when it was told to end."""

    def __init__(self, server: str, held: Collection[str]) -> None:
        self._server = server
        self._held = frozenset(held)
        self.until: float | None = None  # set once all is handed over

    def handed_over(self, now: float) -> None:
        """Nothing is held here any more."""
        if self.until is None:
            self.until = now + LOOK_BACK_S

    def may_go(self, table: TableCopy, now: float) -> bool:
        """Whether there is nothing left to wait for."""
        if self.until is None:
            return False
        return now >= self.until or not any(self._awaited(name, table) for name in self._held)

    def _awaited(self, service: str, table: TableCopy) -> bool:
        """Whether another server can be expected to serve it soon, and does not yet."""
        row = table.services.get(service)
        if row is None or (row.state == "serving" and row.holder not in (None, self._server)):
            return False
        others = (server for name, server in table.servers.items() if name != self._server)
        return any(server.state == "up" and service in server.able for server in others)
