"""What comes to a shelf, and what it wants done (agent/shelf.py): P4."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from agent.manifest import Hash, Manifest
from agent.staging import Plan, Record, Tree
from bus.messages import Happened
from bus.values import Count

Role = Literal["other", "stand-in", "holder"]
Shown = Annotated[str, msgspec.Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*\Z")]


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version of a service's files in the database."""

    version: Hash
    number: Count  # counts the versions of this service
    epoch: Count = 0  # of the holder that stored it, or the highest before
    at: Shown = ""  # RFC 3339, for people
    by: Shown = ""  # a server or a person


# -- what comes in


class Heads(msgspec.Struct, frozen=True):
    """The database answered: this is the newest version, None if it has none."""

    head: Head | None


class Away(msgspec.Struct, frozen=True):
    """The database did not do what it was asked."""

    reason: str


class ManifestRead(msgspec.Struct, frozen=True):
    """The answer to `ReadManifest`; in place of the manifest why it cannot be used."""

    version: str
    manifest: Manifest | None
    trouble: str = ""


class Looked(msgspec.Struct, frozen=True):
    """The answer to `Look`; in place of the tree why it could not be read."""

    tree: Tree | None
    trouble: str = ""


class Staged(msgspec.Struct, frozen=True):
    """The answer to `Stage`: what is here now, or why the old version still is."""

    tree: Tree | None
    trouble: str = ""


class Saved(msgspec.Struct, frozen=True):
    """The answer to `Save`: the new head; or None, and why it was refused."""

    head: Head | None
    trouble: str = ""


# -- what goes out


class ReadManifest(msgspec.Struct, frozen=True):
    """Fetch the manifest of this version."""

    service: str
    version: str


class Look(msgspec.Struct, frozen=True):
    """Read what stands at these paths."""

    service: str
    paths: tuple[str, ...]


class Stage(msgspec.Struct, frozen=True):
    """Carry out the plan: fetch all, remember `intent`, put all in place, and look again."""

    service: str
    paths: tuple[str, ...]
    manifest: Manifest
    steps: Plan
    tree: Tree
    intent: Record


class Save(msgspec.Struct, frozen=True):
    """Store these files as the version after `base`; refused if another came between, or a later epoch."""

    service: str
    manifest: Manifest
    base: str | None
    epoch: int


class Remember(msgspec.Struct, frozen=True):
    """Write the record to this server's disk."""

    record: Record


class Told(msgspec.Struct, frozen=True):
    """Tell the SDS that this happened."""

    message: Happened


class Restaged(msgspec.Struct, frozen=True):
    """The files of a service were changed here: what was prepared with the old ones is prepared anew."""

    service: str
