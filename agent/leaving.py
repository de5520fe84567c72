"""An agent that ends: when it may go, now that it holds nothing any more (R14).

It stays until others are seen to serve what it held, and to stand in where it
did, so that whoever stops a server knows, when it is gone, that nothing went
with it.  No safety depends on that: everything was released before.
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
        awaited = any(self._awaited(name, table) for name in self._held) or self._stands_in(table)
        return now >= self.until or not awaited

    def _awaited(self, service: str, table: TableCopy) -> bool:
        """Whether another server can be expected to serve it soon, and does not yet."""
        row = table.services.get(service)
        if row is None or (row.state == "serving" and row.holder not in (None, self._server)):
            return False
        return self._is_run_by_another(service, table)

    def _stands_in(self, table: TableCopy) -> bool:
        """Whether a holder can be expected to appoint another in its place, and has not yet."""
        mine = [(name, row.holder) for name, row in table.services.items() if row.secondary == self._server]
        return any(self._is_run_by_another(name, table, besides=holder) for name, holder in mine)

    def _is_run_by_another(self, service: str, table: TableCopy, besides: str | None = None) -> bool:
        others = (server for name, server in table.servers.items() if name not in (self._server, besides))
        return any(server.state == "up" and service in server.able for server in others)
