"""What readers take for the table: under each number the rows that were published under it, P7."""

from __future__ import annotations

from collections.abc import Callable

from bus.table_copy import TableCopy
from bus.values import ServerRow, ServiceRow
from sds.table import TableOfAll


class Readings:
    """All tables of one life, by sequence number."""

    def __init__(self, accuse: Callable[[str, str], None]) -> None:
        self._accuse = accuse
        self._published: dict[int, tuple[dict[str, ServerRow], dict[str, ServiceRow]]] = {}

    def published(self, table: TableOfAll) -> None:
        """The SDS published this."""
        self._published[table.seq] = (table.servers, table.services)

    def read(self, server: str, copy: TableCopy) -> None:
        """A runner has this copy now: an old one perhaps, but a table that once was."""
        table = self._published.get(copy.seq or 0)
        if table is not None and table != (copy.servers, copy.services):
            self._accuse("P7 table", f"{server} takes for table {copy.seq} what the SDS never published under that number")
