"""What is to be done to have a version of a service's files here, and what of theirs was changed here: P4.

    manifest (what shall be)  +  tree (what is)  +  record (what we left)  -->  Plan

Ours is what the record says we left, as long as it still has the content that we
left it with; what has the right content already is adopted.  Everything else
that stands where the service has its files is foreign, and is not touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from agent.manifest import Entry, Manifest, ManifestError, content
from bus.values import within

SHOWN = 3
"""So many foreign files are named, of more only the number."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What stands at a path on this server."""

    kind: Literal["file", "directory", "other"]
    mode: int = 0
    owner: str = ""
    group: str = ""
    size: int = 0
    chunks: tuple[str, ...] = ()
    stamp: tuple[int, ...] = ()  # changes whenever the file does

    @property
    def content(self) -> str:
        """What tells one content from another."""
        return content(self.kind, self.chunks)


Tree = Mapping[str, Seen]
"""Everything at and below the paths of a service, by path."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What we left at a path, or are about to leave there."""

    contents: tuple[str, ...]
    mode: int = -1  # -1: not known
    owner: str = ""
    group: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What this server's disk remembers of a service's files."""

    service: str
    version: str | None = None  # the last that was here completely
    marks: dict[str, Mark] = {}


class Foreign(msgspec.Struct, frozen=True):
    """Something that stands in the way, and what it is."""

    path: str
    what: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done."""

    write: tuple[Entry, ...] = ()  # files to write, directories to make
    remove: tuple[str, ...] = ()  # ours, and of no use any more; what lies deeper comes first
    foreign: tuple[Foreign, ...] = ()

    @property
    def done(self) -> bool:
        """All is here already, and nothing in the way."""
        return not (self.write or self.remove or self.foreign)

    @property
    def why_not(self) -> str | None:
        """What is in the way, and what to do about it."""
        if not self.foreign:
            return None
        named = "; ".join(f"{foreign.path} {foreign.what}" for foreign in self.foreign[:SHOWN])
        more = f"; and {len(self.foreign) - SHOWN} more" if len(self.foreign) > SHOWN else ""
        return f"{named}{more}: move it away, or take it in by `locum files put`"


def plan(manifest: Manifest, version: str, tree: Tree, record: Record) -> Plan:
    """How to get from what is here to this version, whose manifest it is."""
    write, foreign = [], []
    wanted = {entry.path: entry for entry in manifest.entries}
    for path, entry in wanted.items():
        seen = tree.get(path)
        if seen is None:
            write.append(entry)
        elif seen.kind != entry.kind:
            foreign.append(Foreign(path, f"is {_in_words(seen)} here, and a {entry.kind} in the database"))
        elif seen.content == entry.content:
            # Once for each version: not every file system keeps a mode.
            if seen.mode != entry.mode and record.version != version and entry.kind == "file" and _is_ours(path, seen, record):
                write.append(entry)
        elif _is_ours(path, seen, record):
            write.append(entry)
        elif path in record.marks:
            foreign.append(Foreign(path, "was changed here, and is not what the database has"))
        else:
            foreign.append(Foreign(path, "is here already, is not ours, and is not what the database has"))
    remove = []
    for path in sorted(tree, reverse=True):
        if path in wanted or not within(path, manifest.paths):
            continue
        if _is_ours(path, tree[path], record):
            remove.append(path)
        else:
            foreign.append(Foreign(path, f"is {_in_words(tree[path])} here, is not ours, and is not in the database"))
    return Plan(write=tuple(write), remove=tuple(remove), foreign=tuple(foreign))


def _is_ours(path: str, seen: Seen, record: Record) -> bool:
    mark = record.marks.get(path)
    return mark is not None and seen.content in mark.contents


def _in_words(seen: Seen) -> str:
    return {"file": "a file", "directory": "a directory", "other": "a link or a special file"}[seen.kind]


def intending(record: Record, steps: Plan) -> Record:
    """The record before the first file is replaced: what we left, and what we are about to leave.

    Whatever moment the power fails, each file is then one of the two.
    """
    marks = dict(record.marks)
    for entry in steps.write:
        before = marks[entry.path].contents if entry.path in marks else ()
        marks[entry.path] = Mark(contents=(*before, entry.content))
    return msgspec.structs.replace(record, marks=marks)


def recorded(manifest: Manifest, version: str, tree: Tree, record: Record) -> Record:
    """The record when all of a version is here: every file of it is ours.

    Raises `ManifestError` if a file is not what the manifest says.
    """
    marks = {}
    for entry in manifest.entries:
        seen = tree.get(entry.path)
        if seen is None or seen.content != entry.content:
            raise ManifestError(f"{entry.path} changed while it was staged")
        marks[entry.path] = Mark(contents=(entry.content,), mode=seen.mode, owner=seen.owner, group=seen.group)
    return msgspec.structs.replace(record, version=version, marks=marks)


# -- the other way: from this server's disk to the database


def taken(service: str, paths: tuple[str, ...], tree: Tree, before: Manifest | None = None, record: Record | None = None) -> Manifest:
    """The files as they are on this disk.  Raises `ManifestError` if they cannot be stored so.

    Of what nobody touched since it was staged by the record, mode and owner are
    those of `before`: not every server may set them.
    """
    for path in paths:
        if path not in tree:
            raise ManifestError(f"{path}: is not here: make it, or take it out of the service's files")
    known = {entry.path: entry for entry in before.entries} if before else {}
    entries = tuple(_entry(path, seen, known.get(path), record.marks.get(path) if record else None) for path, seen in _sorted(tree))
    return Manifest(service=service, paths=paths, entries=entries)


def _sorted(tree: Tree) -> Iterator[tuple[str, Seen]]:
    for path in sorted(tree):
        seen = tree[path]
        if seen.kind == "other":
            raise ManifestError(
                f"{path}: is a link or a special file: only plain files and directories can be stored: put its content there"
            )
        yield path, seen


def _entry(path: str, seen: Seen, before: Entry | None, mark: Mark | None) -> Entry:
    kind: Literal["file", "directory"] = "file" if seen.kind == "file" else "directory"
    mode, owner, group = seen.mode, seen.owner, seen.group
    if before is not None and (mark is None or mark.mode in (-1, mode)):
        mode = before.mode
    if before is not None and (mark is None or (mark.owner, mark.group) in (("", ""), (owner, group))):
        owner, group = before.owner, before.group
    return Entry(path=path, kind=kind, mode=mode, owner=owner, group=group, size=seen.size, chunks=seen.chunks)


def why_suspicious(edited: Manifest, before: Manifest) -> str | None:
    """A change that looks like a lost disk is not passed on."""
    if before.files and not edited.files:
        return f"all {before.files} files are gone here: not passed on; mount the disk, or store what is meant by `locum files put`"
    return None
