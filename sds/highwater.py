"""The SDS's own file beside the store: how far the store must have come (R18).

It is brought up after the store has confirmed a write and before anything is
granted on it.  A store that is behind it was restored from a backup, or failed
over to a replica that lacks writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sds.rows import HighWater, Number, StoreError


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cluster: str
    incarnation: Number
    services: dict[str, HighWater]


class HighWaterFile:
    """Marks that only rise, in a file that is whole at every instant."""

    def __init__(self, path: Path, cluster: str) -> None:
        self.path = path
        self._cluster = cluster
        self._known: _Content | None = None

    @property
    def services(self) -> dict[str, HighWater]:
        """The marks, by service.  Raises `StoreError`."""
        return dict(self._content().services)

    @property
    def incarnation(self) -> int:
        """The highest incarnation of the SDS.  Raises `StoreError`."""
        return self._content().incarnation

    def raise_to(self, services: Mapping[str, HighWater], incarnation: int = 0) -> None:
        """Bring the marks up to these, durably; a lower one changes nothing.  Raises `StoreError`."""
        content = self._content()
        marks = dict(content.services)
        for name, mark in services.items():
            old = marks.get(name, HighWater(0, 0))
            marks[name] = HighWater(max(old.version, mark.version), max(old.epoch, mark.epoch))
        higher = _Content(self._cluster, max(content.incarnation, incarnation), marks)
        if higher == content:
            return
        try:
            replace_whole(self.path, msgspec.json.format(msgspec.json.encode(higher), indent=1) + b"\n")
        except OSError as error:
            raise StoreError(
                f"{self.path}: cannot write the high-water file: {error.strerror}: make room, or the directory writable"
            ) from None
        self._known = higher

    def _content(self) -> _Content:
        if self._known is None:
            self._known = self._read()
        return self._known

    def _read(self) -> _Content:
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return _Content(self._cluster, 0, {})
        except OSError as error:
            raise StoreError(f"{self.path}: cannot read the high-water file: {error.strerror}") from None
        try:
            content = msgspec.json.decode(raw, type=_Content)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise StoreError(
                f"{self.path}: the high-water file is damaged: restore it; or, if the store surely lost no write, remove it"
            ) from None
        if content.cluster != self._cluster:
            raise StoreError(
                f"{self.path}: the high-water file is of cluster {content.cluster[:63]!r}, this is {self._cluster!r}: "
                "give each cluster a state_dir of its own"
            )
        return content


def replace_whole(path: Path, content: bytes) -> None:
    """Put this in the file's place: all of it, or nothing."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
