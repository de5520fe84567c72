"""What the files of a service are, at one time: P4.

    manifest   path, kind, mode, owner, size and the chunks of every file; its
               version is the SHA-256 of its text
    chunk      CHUNK_BYTES of a file, named by the SHA-256 of its content, so that
               what is the same is stored once

A manifest that was read is not trusted: whoever may write to the database could
have it name any path.  `read` lets through what agrees with itself, `astray` says
whether it keeps to the paths of the service's definition, which comes from the SDS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from bus.values import Name, why_no_path, within

CHUNK_BYTES = 256 * 1024
"""A file travels in pieces of this size; its last one is shorter."""

MOST_ENTRIES = 20_000
"""Files and directories of one service."""

MOST_BYTES = 1 << 30
"""Of all files of one service: the database holds them in memory."""

MODE_MASK = 0o777
"""Of a mode only these bits are kept: none that makes a program run as somebody else."""

Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Kind = Literal["file", "directory"]


class ManifestError(Exception):
    """This is no manifest that may be used, or these are no files that may be stored.  Nothing was changed."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file or directory."""

    path: str  # absolute, as on the home
    kind: Kind = "file"
    mode: Annotated[int, msgspec.Meta(ge=0, le=MODE_MASK)]
    owner: Annotated[str, msgspec.Meta(max_length=64)] = ""  # by name; empty: whoever writes it
    group: Annotated[str, msgspec.Meta(max_length=64)] = ""
    size: Annotated[int, msgspec.Meta(ge=0, le=MOST_BYTES)] = 0
    chunks: tuple[Hash, ...] = ()

    @property
    def content(self) -> str:
        """What tells one content from another."""
        return content(self.kind, self.chunks)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All files of a service, by path."""

    service: Name
    paths: tuple[str, ...]  # of the definition under which it was made
    entries: tuple[Entry, ...] = ()

    @property
    def chunks(self) -> frozenset[str]:
        """All that it needs."""
        return frozenset(chunk for entry in self.entries for chunk in entry.chunks)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)

    @property
    def files(self) -> int:
        """How many files."""
        return sum(entry.kind == "file" for entry in self.entries)


def content(kind: str, chunks: Iterable[str]) -> str:
    """A name for the content of a file; directories have none."""
    return hashlib.sha256(" ".join(chunks).encode()).hexdigest() if kind == "file" else kind


def digest(data: bytes) -> str:
    """The name of a chunk."""
    return hashlib.sha256(data).hexdigest()


def written(manifest: Manifest) -> tuple[str, bytes]:
    """Its version and its text.  Raises `ManifestError` if others could not read it."""
    _check(manifest)
    text = msgspec.json.encode(manifest)
    return digest(text), text


def read(text: bytes, version: str, service: str) -> Manifest:
    """The manifest in a text from the database; nothing of it is believed unseen.  Raises `ManifestError`."""
    if digest(text) != version:
        raise ManifestError(f"the manifest of {service} is not what its version says: store the files anew (locum files put)")
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ManifestError(f"the manifest of {service} cannot be understood: {error}") from None
    if manifest.service != service:
        raise ManifestError(f"the manifest of {service} is that of {manifest.service}")
    _check(manifest)
    return manifest


def astray(manifest: Manifest, paths: tuple[str, ...]) -> str | None:
    """What of it lies elsewhere than the service's definition says, in words; None: nothing."""
    for entry in manifest.entries:
        if not within(entry.path, paths):
            return f"the database has {entry.path}, which is none of the files of {manifest.service} ({', '.join(paths)}): not staged"
    return None


def _check(manifest: Manifest) -> None:
    """Everything that types cannot hold."""
    whose = f"the files of {manifest.service}"
    if len(manifest.entries) > MOST_ENTRIES:
        raise ManifestError(
            f"{whose}: {len(manifest.entries)} are more than {MOST_ENTRIES}: pages and configuration, not data, go this way"
        )
    if manifest.size > MOST_BYTES:
        raise ManifestError(f"{whose}: {manifest.size} bytes are more than {MOST_BYTES}: pages and configuration, not data, go this way")
    paths, before = manifest.paths, ""
    kinds: dict[str, Kind] = {}
    for path in paths:
        wrong = why_no_path(path)
        if wrong is not None:
            raise ManifestError(f"{whose}: {path[:200]!r} {wrong}")
    for entry in manifest.entries:
        wrong = why_no_path(entry.path)
        if wrong is None and entry.path <= before:
            wrong = "stands twice, or in no order"
        if wrong is None and not within(entry.path, paths):
            wrong = f"does not lie below {' or '.join(paths)}, where the service has its files"
        if wrong is None:
            wrong = _why_no_entry(entry, kinds, paths)
        if wrong is not None:
            raise ManifestError(f"{whose}: {entry.path[:200]!r} {wrong}")
        kinds[entry.path] = entry.kind
        before = entry.path


def _why_no_entry(entry: Entry, kinds: dict[str, Kind], paths: tuple[str, ...]) -> str | None:
    parent = entry.path.rpartition("/")[0]
    if entry.path not in paths and kinds.get(parent) != "directory":
        return "lies in no directory that is listed"
    if entry.kind == "directory":
        return "is a directory, and has a content" if entry.size or entry.chunks else None
    if len(entry.chunks) != -(-entry.size // CHUNK_BYTES):
        return f"has {entry.size} bytes, and {len(entry.chunks)} chunks"
    return None
