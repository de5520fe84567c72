"""The database of files in memory, for tests: held against agent/files.py by the same tests."""

from __future__ import annotations

from collections.abc import Iterable

from agent.database import KEPT_VERSIONS, FilesAway, NotStored
from agent.manifest import Manifest, ManifestError, digest, read, written
from agent.shelf_events import Head


class FilesTwin:
    """As `Files`; `away` says why it does not answer, if it does not."""

    def __init__(self) -> None:
        self.away = ""
        self.chunks: dict[str, bytes] = {}
        self._manifests: dict[tuple[str, str], bytes] = {}
        self._versions: dict[str, list[Head]] = {}

    def heads(self) -> dict[str, Head]:
        self._reach()
        return {service: versions[0] for service, versions in self._versions.items()}

    def versions(self, service: str) -> tuple[Head, ...]:
        self._reach()
        return tuple(self._versions.get(service, ()))

    def manifest(self, service: str, version: str) -> Manifest:
        self._reach()
        text = self._manifests.get((service, version))
        if text is None:
            raise ManifestError(f"the database no longer has version {version[:12]} of {service}")
        return read(text, version, service)

    def chunk(self, name: str) -> bytes:
        self._reach()
        if name not in self.chunks:
            raise ManifestError(f"the database lacks the chunk {name[:12]}")
        if digest(self.chunks[name]) != name:
            raise ManifestError(f"the chunk {name[:12]} in the database is damaged")
        return self.chunks[name]

    def lacking(self, names: Iterable[str]) -> list[str]:
        self._reach()
        return sorted(set(names) - self.chunks.keys())

    def put(self, data: bytes) -> str:
        self._reach()
        self.chunks.setdefault(digest(data), data)
        return digest(data)

    def commit(self, manifest: Manifest, base: str | None, epoch: int, by: str) -> Head:
        self._reach()
        version, text = written(manifest)
        versions = self._versions.get(manifest.service, [])
        before = versions[0] if versions else Head(version="", number=0)
        if before.version != (base or ""):
            raise NotStored(f"version {before.version[:12]} of {manifest.service} came between")
        if 0 < epoch < before.epoch:
            raise NotStored(f"version {before.version[:12]} of {manifest.service} is of a later holder, epoch {before.epoch}")
        if self.lacking(manifest.chunks):
            raise NotStored("chunks of it went missing")
        head = Head(version=version, number=before.number + 1, epoch=max(epoch, before.epoch), by=by)
        self._versions[manifest.service] = [head, *versions][:KEPT_VERSIONS]
        self._manifests[manifest.service, version] = text
        self._forget()
        return head

    def close(self) -> None:
        pass

    def _forget(self) -> None:
        kept = {(service, head.version) for service, versions in self._versions.items() for head in versions}
        self._manifests = {key: text for key, text in self._manifests.items() if key in kept}
        needed = {chunk for (service, version) in kept for chunk in self.manifest(service, version).chunks}
        self.chunks = {name: data for name, data in self.chunks.items() if name in needed}

    def _reach(self) -> None:
        if self.away:
            raise FilesAway(self.away)
