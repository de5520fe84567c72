"""The SDS's file of who joined, whose key is revoked, and which tokens are out (decision 16).

Beside the high-water file and not in the store: a store that is restored from a
backup, or written by others, must not bring back a key that was revoked.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sds.admission import Book
from sds.highwater import replace_whole
from sds.rows import StoreError


class BookFile:
    """A book that is whole at every instant."""

    def __init__(self, path: Path, cluster: str) -> None:
        self.path = path
        self._cluster = cluster

    def read(self) -> Book:
        """The book; an empty one if there is none yet.  Raises `StoreError`."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return Book(cluster=self._cluster)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot read who joined: {error.strerror}") from None
        try:
            book = msgspec.json.decode(raw, type=Book)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise StoreError(
                f"{self.path}: the record of who joined is damaged: restore it; without it who joined must join again, "
                "and revoked keys must be out of the trust file"
            ) from None
        if book.cluster != self._cluster:
            raise StoreError(
                f"{self.path}: is of cluster {book.cluster[:63]!r}, this is {self._cluster!r}: give each cluster its own state_dir"
            )
        return book

    def write(self, book: Book) -> None:
        """Put this in its place, durably.  Raises `StoreError`: not known to be written."""
        try:
            replace_whole(self.path, msgspec.json.format(msgspec.json.encode(book), indent=1) + b"\n")
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}: make room, or the directory writable") from None
