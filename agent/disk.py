"""The files of services on this server's disk: looked at, put in place, never overwritten if they are not ours: P4.

A service's path /srv/www lies at ROOT/srv/www.  Down to the service's own path
links are followed, they are the administrator's; from there on none is, so that
nobody who may write in the tree can lead us out of it.

New content is written beside the old, flushed, and put in its place by a rename
once all of a version is there.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import hashlib
import os
import pwd
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from agent.manifest import CHUNK_BYTES, MODE_MASK, MOST_BYTES, MOST_ENTRIES, Entry, digest
from agent.staging import Plan, Seen, Tree
from bus.values import why_no_path, within

DEEPEST = 64
"""Directories within directories."""

_RESTED_NS = 100_000_000
_FRESH = re.compile(r"\.locum-[0-9a-f]{16}\.new")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class DiskError(Exception):
    """A file could not be read or written: one line.  What was in place still is, but for what was put in place already."""


class Disk:
    """Everything below one root.  `sweeps`: what an earlier one of us left half written is removed."""

    def __init__(self, root: str, sweeps: bool = False) -> None:
        self._root = root.rstrip("/")
        self._sweeps = sweeps
        self._known: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {}
        self._bytes = 0

    def where(self, path: str) -> str:
        """The place of a service's path on this server."""
        return self._root + path

    def there(self, path: str) -> bool:
        """Whether anything stands there, be it empty."""
        return os.path.lexists(self.where(path))

    # -- looking

    def look(self, paths: Iterable[str]) -> dict[str, Seen]:
        """What stands at these paths and below; nothing at those that are not there.  Raises `DiskError`."""
        tree: dict[str, Seen] = {}
        self._bytes = 0
        for path in paths:
            above, _, name = path.rpartition("/")
            try:
                directory = os.open(self.where(above) or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise failed(self.where(above), error) from None
            try:
                self._look_at(directory, name, path, tree, 0)
            finally:
                os.close(directory)
        self._known = {path: known for path, known in self._known.items() if path in tree}
        return tree

    def _look_at(self, directory: int, name: str, path: str, tree: dict[str, Seen], depth: int) -> None:
        try:
            about = os.stat(name, dir_fd=directory, follow_symlinks=False)
            self._bytes += about.st_size if stat.S_ISREG(about.st_mode) else 0
            self._check_limits(path, tree, depth)
            if stat.S_ISDIR(about.st_mode):
                tree[path] = _seen("directory", about)
                self._look_into(directory, name, path, tree, depth)
            elif stat.S_ISREG(about.st_mode):
                chunks = self._chunks(directory, name, path, about)
                tree[path] = _seen("file", about, chunks)
            else:
                tree[path] = _seen("other", about)
        except FileNotFoundError:
            tree.pop(path, None)
        except OSError as error:
            raise failed(self.where(path), error) from None

    def _check_limits(self, path: str, tree: dict[str, Seen], depth: int) -> None:
        wrong = why_no_path(path)
        if wrong:
            raise DiskError(f"{self.where(path)!r} {wrong}: give it another name")
        if depth > DEEPEST:
            raise DiskError(f"{self.where(path)}: lies deeper than {DEEPEST} directories")
        if len(tree) >= MOST_ENTRIES or self._bytes > MOST_BYTES:
            limits = f"{MOST_ENTRIES} files and {MOST_BYTES} bytes are the most"
            raise DiskError(f"{self.where(path)}: {limits} for a service: pages and configuration, not data, go this way")

    def _look_into(self, directory: int, name: str, path: str, tree: dict[str, Seen], depth: int) -> None:
        inner = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            for below in sorted(os.listdir(inner)):
                if not _FRESH.fullmatch(below):
                    self._look_at(inner, below, f"{path}/{below}", tree, depth + 1)
                elif self._sweeps:
                    os.unlink(below, dir_fd=inner)
        finally:
            os.close(inner)

    def _chunks(self, directory: int, name: str, path: str, about: os.stat_result) -> tuple[str, ...]:
        known = self._known.get(path)
        if known is not None and known[0] == _stamp(about):
            return known[1]
        file = os.open(name, _FILE, dir_fd=directory)
        try:
            chunks = tuple(digest(piece) for piece in _pieces(file))
            after = os.fstat(file)
        finally:
            os.close(file)
        if _stamp(after) != _stamp(about):
            raise DiskError(f"{self.where(path)}: changes while it is read")
        if time.time_ns() - after.st_mtime_ns > _RESTED_NS:  # what changes again within a tick of the clock looks the same
            self._known[path] = (_stamp(after), chunks)
        return chunks

    def pieces(self, path: str, paths: tuple[str, ...]) -> Iterator[bytes]:
        """The content of one file, chunk by chunk; `paths` are the service's own.  Raises `DiskError`."""
        with self._above(path, paths) as (directory, name):
            try:
                file = os.open(name, _FILE, dir_fd=directory)
            except OSError as error:
                raise failed(self.where(path), error) from None
            try:
                yield from _pieces(file)
            finally:
                os.close(file)

    @contextlib.contextmanager
    def _above(self, path: str, paths: tuple[str, ...]) -> Iterator[tuple[int, str]]:
        """The directory in which a path lies, and its name there; from the service's own path on no link is followed."""
        root = next(root for root in paths if within(path, (root,)))
        start = root.rpartition("/")[0]
        *between, name = path[len(start) + 1 :].split("/")
        opened: list[int] = []
        try:
            opened.append(os.open(self.where(start) or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            for part in between:
                opened.append(os.open(part, _DIRECTORY, dir_fd=opened[-1]))
        except OSError as error:
            for descriptor in opened:
                os.close(descriptor)
            raise failed(self.where(path.rpartition("/")[0]), error) from None
        try:
            yield opened[-1], name
        except OSError as error:
            raise failed(self.where(path), error) from None
        finally:
            for descriptor in opened:
                os.close(descriptor)

    # -- putting in place

    def stage(self, paths: tuple[str, ...], steps: Plan, tree: Tree, fetch: Callable[[str], bytes], ready: Callable[[], None]) -> None:
        """Carry out the plan that was made from this tree.  Raises `DiskError`, and what `fetch` does.

        `paths` are the service's own.  `ready` is called when all that is new is
        on disk, and nothing is in its place yet.
        """
        files = [entry for entry in steps.write if entry.kind == "file"]
        made = [entry for entry in steps.write if entry.kind == "directory"]
        begun: list[Entry] = []
        try:
            for root in paths:
                self._make_way(root.rpartition("/")[0])
            for entry in made:
                self._make(entry, paths)
            for entry in files:
                begun.append(entry)
                self._write(entry, paths, fetch)
            ready()
            for entry in files:
                self._place(entry.path, paths, tree.get(entry.path))
            for path in steps.remove:
                self._remove(path, paths, tree[path])
            for entry in reversed(made):
                self._settle(entry, paths)
            self._flush({*(entry.path for entry in steps.write), *steps.remove}, paths)
        finally:
            for entry in begun:
                with contextlib.suppress(DiskError, FileNotFoundError), self._above(entry.path, paths) as (directory, _):
                    os.unlink(_fresh(entry.path), dir_fd=directory)

    def _make_way(self, above: str) -> None:
        try:
            os.makedirs(self.where(above) or "/", mode=0o755, exist_ok=True)
        except OSError as error:
            raise failed(self.where(above), error) from None

    def _make(self, entry: Entry, paths: tuple[str, ...]) -> None:
        with self._above(entry.path, paths) as (directory, name), contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=directory)

    def _settle(self, entry: Entry, paths: tuple[str, ...]) -> None:
        """Mode and owner of a directory come last: they may keep even us from writing in it."""
        with self._above(entry.path, paths) as (directory, name):
            made = os.open(name, _DIRECTORY, dir_fd=directory)
            try:
                _give(made, entry)
            finally:
                os.close(made)

    def _write(self, entry: Entry, paths: tuple[str, ...], fetch: Callable[[str], bytes]) -> None:
        """The new content, beside the old."""
        with self._above(entry.path, paths) as (directory, _):
            fresh = _fresh(entry.path)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=directory)
            file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
            with os.fdopen(file, "wb") as writing:
                for chunk in entry.chunks:
                    writing.write(fetch(chunk))
                writing.flush()
                if os.fstat(file).st_size != entry.size:
                    raise DiskError(f"{self.where(entry.path)}: its chunks are not of {entry.size} bytes: store it anew (locum files put)")
                _give(file, entry)
                os.fsync(file)

    def _place(self, path: str, paths: tuple[str, ...], before: Seen | None) -> None:
        with self._above(path, paths) as (directory, name):
            self._unchanged(path, directory, name, before)
            if before is None:
                os.link(_fresh(path), name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)  # fails if there is one now
            else:
                os.rename(_fresh(path), name, src_dir_fd=directory, dst_dir_fd=directory)

    def _remove(self, path: str, paths: tuple[str, ...], before: Seen) -> None:
        with self._above(path, paths) as (directory, name):
            if before.kind == "directory":
                try:
                    os.rmdir(name, dir_fd=directory)
                except OSError as error:
                    if error.errno != errno.ENOTEMPTY:
                        raise
            else:
                self._unchanged(path, directory, name, before)
                os.unlink(name, dir_fd=directory)

    def _unchanged(self, path: str, directory: int, name: str, before: Seen | None) -> None:
        """Whoever changed it since we looked is not overwritten."""
        try:
            now = _stamp(os.stat(name, dir_fd=directory, follow_symlinks=False))
        except FileNotFoundError:
            now = ()
        if now != (before.stamp if before else ()):
            raise DiskError(f"{self.where(path)}: changed while it was staged: looked at again")

    def _flush(self, changed: set[str], paths: tuple[str, ...]) -> None:
        flushed = set()
        for path in changed:
            above = path.rpartition("/")[0]
            if above not in flushed:
                flushed.add(above)
                with contextlib.suppress(DiskError), self._above(path, paths) as (directory, _):  # removed with what was in it
                    os.fsync(directory)


def _pieces(file: int) -> Iterator[bytes]:
    while piece := _filled(file):
        yield piece


def _filled(file: int) -> bytes:
    """A whole chunk, unless the file ends."""
    found = b""
    while len(found) < CHUNK_BYTES and (more := os.read(file, CHUNK_BYTES - len(found))):
        found += more
    return found


def _fresh(path: str) -> str:
    return f".locum-{hashlib.sha256(path.encode()).hexdigest()[:16]}.new"


def _stamp(about: os.stat_result) -> tuple[int, ...]:
    return (about.st_ino, about.st_mode, about.st_size, about.st_mtime_ns, about.st_ctime_ns)


def _seen(kind: Literal["file", "directory", "other"], about: os.stat_result, chunks: tuple[str, ...] = ()) -> Seen:
    return Seen(
        kind=kind,
        mode=about.st_mode & MODE_MASK,
        owner=_user(about.st_uid),
        group=_group(about.st_gid),
        size=about.st_size if kind == "file" else 0,
        chunks=chunks,
        stamp=_stamp(about) if kind == "file" else (),
    )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""


def _give(file: int, entry: Entry) -> None:
    """Owner, as far as we may and there is one of that name here; and mode."""
    owner = group = -1
    with contextlib.suppress(KeyError):
        owner = pwd.getpwnam(entry.owner).pw_uid if entry.owner else -1
    with contextlib.suppress(KeyError):
        group = grp.getgrnam(entry.group).gr_gid if entry.group else -1
    for some in ((owner, -1), (-1, group)):
        with contextlib.suppress(PermissionError):
            os.fchown(file, *some)
    os.fchmod(file, entry.mode)


def failed(path: str, error: OSError) -> DiskError:
    no_directory = "a link or a file stands where a directory should"
    remedies = {errno.ENOSPC: "make room there", errno.ELOOP: no_directory, errno.ENOTDIR: no_directory}
    remedy = remedies.get(error.errno or 0, "let this agent read and write there")
    return DiskError(f"{path}: {error.strerror}: {remedy}")
