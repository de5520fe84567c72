"""The shape of the database of files, and how it fails: P4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from agent.manifest import Manifest
from agent.shelf_events import Head

KEPT_VERSIONS = 3
"""Of each service; older ones are forgotten."""


class FilesAway(Exception):
    """The database did not do it, or is not known to have done it: one line, where and why.  What was asked may be asked again."""


class NotStored(Exception):
    """The database refused a new version; nothing was changed."""


class AnyFiles(Protocol):
    """The database of files, or its twin (agent/files_twin.py)."""

    def heads(self) -> dict[str, Head]: ...
    def versions(self, service: str) -> tuple[Head, ...]: ...
    def manifest(self, service: str, version: str) -> Manifest: ...
    def chunk(self, name: str) -> bytes: ...
    def lacking(self, names: Iterable[str]) -> list[str]: ...
    def put(self, data: bytes) -> str: ...
    def commit(self, manifest: Manifest, base: str | None, epoch: int, by: str) -> Head: ...
    def close(self) -> None: ...
