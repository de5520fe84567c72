"""Manifests and trees made by hand."""

from __future__ import annotations

from typing import Any

from agent.manifest import Entry, Manifest, digest
from agent.staging import Seen

PAGE = "/srv/www/index.html"


def entry(path: str, **what: Any) -> Entry:
    return Entry(**{"path": path, "mode": 0o755 if what.get("kind") == "directory" else 0o644} | what)


def text_entry(path: str, text: str, **what: Any) -> Entry:
    return entry(path, size=len(text), chunks=(digest(text.encode()),) if text else (), **what)


def manifest_of(service: str, *entries: Entry, paths: tuple[str, ...] = ("/srv/www",)) -> Manifest:
    return Manifest(service=service, paths=paths, entries=entries)


def of_text(service: str, text: str) -> Manifest:
    """One page with this text."""
    return manifest_of(service, entry("/srv/www", kind="directory"), text_entry(PAGE, text))


def seen(text: str | None = None, **what: Any) -> Seen:
    """A file with this text; a directory without."""
    if text is None:
        return Seen(**{"kind": "directory", "mode": 0o755} | what)
    return Seen(**{"kind": "file", "mode": 0o644, "size": len(text), "chunks": (digest(text.encode()),) if text else ()} | what)


def tree_of(**texts: str) -> dict[str, Seen]:
    """The tree /srv/www with these pages."""
    return {"/srv/www": seen(), **{f"/srv/www/{name}.html": seen(text) for name, text in texts.items()}}
