"""A new version of a service's files, out of the newest one and some files of this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from agent.disk import Disk
from agent.manifest import Entry, Manifest
from agent.staging import Seen, Tree, taken
from bus.values import why_no_path, within
from cli.files_where import Where
from cli.outcome import Refused


class Filed(NamedTuple):
    """Something of this machine, and where it shall be among the service's files."""

    source: str
    path: str

    @classmethod
    def of(cls, given: str, into: str | None, before: Manifest, place: Where) -> Filed:
        """What was named on the command line.  Raises `Refused` if it is not there, or nobody knows where it should go."""
        if into is None and within(given.rstrip("/"), before.paths) and os.path.lexists(place.root + given):
            return cls(place.root + given.rstrip("/"), given.rstrip("/"))
        source = os.path.abspath(given)
        if not os.path.lexists(source):
            raise Refused(f"{given}: is not here: name a file or directory of this machine")
        below = source[len(place.root) :] if source.startswith(place.root + "/") else ""
        if into is None and within(below, before.paths):
            return cls(source, below)
        path = f"{_directory(given, into, before)}/{os.path.basename(source)}"
        wrong = why_no_path(path)
        if wrong:
            raise Refused(f"{path!r} {wrong}: give it another name")
        return cls(source, path)


def _directory(given: str, into: str | None, before: Manifest) -> str:
    directories = [entry.path for entry in before.entries if entry.kind == "directory"]
    tops = [path for path in before.paths if path in directories]
    if into is None:
        if len(tops) != 1:
            raise Refused(
                f"{given}: is none of {before.service}'s own paths ({', '.join(before.paths)}): say --into which directory it goes"
            )
        return tops[0]
    found = into.rstrip("/")
    if not within(found, tuple(tops)):
        raise Refused(f"--into {into}: lies in none of {before.service}'s directories ({', '.join(tops) or 'it has none'})")
    return found


def changed(before: Manifest, filed: Sequence[Filed]) -> tuple[Manifest, dict[str, str]]:
    """The new manifest, and from where on this machine the content of each of its new files comes.  Raises `ManifestError`, `DiskError`."""
    known = {entry.path: entry for entry in before.entries}
    entries, sources = dict(known), {}
    for source, path in filed:
        tree = _renamed(Disk("/").look((source,)), source, path)
        entries = {other: entry for other, entry in entries.items() if not within(other, (path,))}
        for entry in taken(before.service, (path,), tree).entries:
            entries[entry.path] = _like(entry, known)
            sources[entry.path] = source + entry.path[len(path) :]
        for above in _above(path, before.paths):
            entries.setdefault(above, _like(Entry(path=above, kind="directory", mode=0o755), known))
    return msgspec.structs.replace(before, entries=tuple(entries[path] for path in sorted(entries))), sources


def _renamed(tree: Tree, source: str, path: str) -> dict[str, Seen]:
    return {path + found[len(source) :]: seen for found, seen in tree.items()}


def _above(path: str, roots: tuple[str, ...]) -> list[str]:
    """The directories between a service's own path and this one."""
    above, found = path.rpartition("/")[0], []
    while within(above, roots):
        found.append(above)
        above = above.rpartition("/")[0]
    return found


def _like(entry: Entry, known: dict[str, Entry]) -> Entry:
    """Mode and owner of what was there before; of what is new the owner is that of its directory."""
    before = known.get(entry.path)
    if before is not None:
        return msgspec.structs.replace(entry, mode=before.mode, owner=before.owner, group=before.group)
    above = known.get(entry.path.rpartition("/")[0])
    owner, group = (above.owner, above.group) if above else (entry.owner, entry.group)
    return msgspec.structs.replace(entry, owner=owner, group=group)
