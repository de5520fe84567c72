"""The files of one service on one server: when to look, to stage, to store: P4.

    database has none  --the home holds the service-->  its files are stored: the first version
    another version than is here --stand-in, home, holder-->  all fetched, then put in place --> here
    the one that is here --the holder's own files were changed, and rest--> stored: the next version

Whoever is none of the three only looks whether anything foreign is in the way.
The last version that was here completely is used until a newer one is complete,
and while the database is away.  Nothing here ever stops a service.
"""

from __future__ import annotations

from typing import Any

from agent.manifest import Manifest, ManifestError, astray
from agent.shelf_events import (
    Away,
    Head,
    Heads,
    Look,
    Looked,
    ManifestRead,
    ReadManifest,
    Remember,
    Restaged,
    Role,
    Save,
    Saved,
    Stage,
    Staged,
    Told,
)
from agent.staging import Record, Tree, intending, plan, recorded, taken, why_suspicious
from bus.messages import Happened
from bus.step import LONG_AGO
from bus.values import TEXT_LIMIT, FilesState, ServiceDefinition

LOOK_EVERY_S = 5.0
"""Between two looks at this server's disk."""

WATCH_EVERY_S = 2.0
"""The same of the holder, whose files may be edited."""

SETTLED_S = 1.0
"""An edited file is stored when it has not changed for so long."""

FIRST_VERSION_S = 5.0
"""After a service was first heard of its holder is given so long to store the first version: till then nobody is no candidate for it."""

FORGIVEN_S = 60.0
"""A server on which staging failed is no candidate for so long, unless it goes well before."""

AWAY_GRACE_S = 3.0
"""A database that was not reached for so long is away: what is here has to do."""


class Shelf:
    """One service with files, on one server."""

    def __init__(self, me: str, definition: ServiceDefinition, record: Record) -> None:
        self._me = me
        self._definition = definition
        self._record = record
        self.role: Role = "other"
        self.epoch = 0
        self._head: Head | None = None
        self._answered = False  # by the database, ever
        self._lacking_since: float | None = None  # when the database first said that it has no version
        self._occupied = True  # something may stand here of which nobody knows yet whether it is right
        self._failed_at = LONG_AGO
        self._away = ""  # why it is away, if it is
        self._away_since = LONG_AGO
        self._manifest: Manifest | None = None  # of the version in `_manifest_of`
        self._manifest_of = ""
        self._tree: Tree = {}
        self._saving: Manifest | None = None
        self._settling: Manifest | None = None
        self._foreign: str | None = None
        self._trouble: str | None = None
        self._refused = False  # the version in the database cannot be staged here
        self._look_at = LONG_AGO
        self._said = ""
        self._actions: list[Any] = []

    # -- what others ask

    def known_to(self, now: float) -> bool:
        """Whether it is known what the database has, or that this cannot be known now."""
        return self._answered or (bool(self._away) and now - self._away_since >= AWAY_GRACE_S)

    @property
    def complete(self) -> bool:
        """The newest version is here, as far as is known."""
        return self._record.version is not None and (self._head is None or self._head.version == self._record.version)

    def why_not(self, now: float) -> str | None:
        """Why this server could not run the service now, for want of its files; None if it could."""
        at_home = self._me == self._definition.home
        if self.role == "holder":
            return None
        if self._foreign:
            return self._foreign
        if not self.known_to(now):
            return "its files are being looked at" if at_home or self._record.version is None else None
        if self._head is None:
            if self._record.version is not None or at_home or self._first_is_awaited(now):
                return None
            return f"its files are not in the database: {self._away or f'its home {self._definition.home} has not stored them yet'}"
        if self._record.version is None and (self._refused or self._failed_at != LONG_AGO):
            return self._trouble
        if at_home and not self.complete and not (self._away and self._record.version):
            return self._trouble or "the present version of its files is being staged"
        return None

    def _first_is_awaited(self, now: float) -> bool:
        """Whether the service is so new that its files cannot be expected to be stored."""
        waited_s = now - self._lacking_since if self._lacking_since is not None else 0.0
        return not self._away and not self._occupied and waited_s < FIRST_VERSION_S

    def ready(self, now: float, starting: bool = False) -> bool | str:
        """Whether a version is here with which the service can start; if none will be soon, why.

        With `starting` nobody serves meanwhile: a version that is complete here is not kept waiting for a newer one.
        """
        if self._foreign and self.role != "holder":
            return self._foreign
        if starting and self._record.version is not None:
            return True
        if not self.known_to(now):
            return False
        if self.complete or (self._record.version is not None and (self._away or self._trouble or self._foreign)):
            return True
        if self._head is None:
            if self._me == self._definition.home or self._first_is_awaited(now):
                return self._me == self._definition.home
            return "its files are not in the database" + (f": {self._away}" if self._away else "")
        return self._foreign or self._trouble or (f"its files cannot be fetched: {self._away}" if self._away else False)

    @property
    def state(self) -> FilesState:
        """As `status` shows it."""
        trouble = self._foreign or self._trouble or self._away or None
        return FilesState(version=self._record.version, trouble=trouble[:TEXT_LIMIT] if trouble else None)

    # -- what happens

    def be(self, definition: ServiceDefinition, role: Role, epoch: int) -> None:
        """The service as it is described now, and what this server is for it."""
        if (definition, role, epoch) != (self._definition, self.role, self.epoch):
            self._definition, self.role, self.epoch = definition, role, epoch
            self.look_now()

    def look_now(self) -> None:
        """Somebody waits for it."""
        self._look_at = LONG_AGO

    def step(self, event: Any, now: float) -> list[Any]:
        """One event; what to do about it."""
        self._actions = []
        match event:
            case Heads():
                self._heads(event, now)
            case Away():
                self._away_since = self._away_since if self._away else now
                self._away = event.reason
            case ManifestRead():
                self._manifest_read(event)
            case Looked():
                self._looked(event, now)
            case Staged():
                self._staged(event, now)
            case Saved():
                self._saved(event)
            case _:
                raise AssertionError(f"a shelf gets no {event!r}")
        return self._actions

    def _heads(self, event: Heads, now: float) -> None:
        if not self._answered or event.head != self._head or self._away:
            self.look_now()
        self._answered, self._away, self._head = True, "", event.head
        if event.head is None and self._lacking_since is None:
            self._lacking_since = now
        if now < self._look_at:
            return
        self._look_at = now + (WATCH_EVERY_S if self.role == "holder" else LOOK_EVERY_S)
        if event.head is not None and self._manifest_of != event.head.version:
            self._actions.append(ReadManifest(self._definition.name, event.head.version))
        else:
            self._look()

    def _look(self) -> None:
        self._actions.append(Look(self._definition.name, self._definition.files))

    def _manifest_read(self, event: ManifestRead) -> None:
        if event.manifest is None:
            self._refuse(event.trouble)
            return
        self._manifest, self._manifest_of = event.manifest, event.version
        self._look()

    def _looked(self, event: Looked, now: float) -> None:
        if event.tree is None:
            self._trouble = event.trouble
            return
        self._tree, self._occupied = event.tree, any(seen.kind != "directory" for seen in event.tree.values())
        if self._head is None:
            self._begin()
        elif self._manifest is None or self._manifest_of != self._head.version:
            self.look_now()  # the head went on meanwhile
        elif self.role == "holder" and self._head.version == self._record.version:
            self._edits(self._manifest, now)
        else:
            self._follow(self._manifest, self._head.version, now)

    # -- from the database to the disk

    def _follow(self, manifest: Manifest, version: str, now: float) -> None:
        """Have this version here, or see what is in the way."""
        wrong = astray(manifest, self._definition.files)
        if wrong:
            self._refuse(wrong)
            return
        self._refused = False
        steps = plan(manifest, version, self._tree, self._record)
        self._foreign = steps.why_not
        if steps.foreign:
            self._say("unstaged", steps.why_not or "")
        elif steps.done:
            self._trouble, self._failed_at = None, LONG_AGO
            self._remember(manifest, version, self._tree)
        elif self.role != "other" or self._me == self._definition.home:
            intent = intending(self._record, steps)
            self._actions.append(Stage(self._definition.name, self._definition.files, manifest, steps, self._tree, intent))
            self._record = intent
        elif now - self._failed_at > FORGIVEN_S:
            self._trouble, self._failed_at = None, LONG_AGO

    def _staged(self, event: Staged, now: float) -> None:
        manifest, version = self._manifest, self._manifest_of
        if event.tree is None or manifest is None:
            self._trouble, self._failed_at = event.trouble, now
            self._say("unstaged", event.trouble)
            return
        self._trouble, self._failed_at = None, LONG_AGO
        if self._remember(manifest, version, event.tree):
            self._say("staged", f"version {version[:12]}, {manifest.files} files", version=version, files=manifest.files)
            self._actions.append(Restaged(self._definition.name))

    def _remember(self, manifest: Manifest, version: str, tree: Tree) -> bool:
        """All of a version is here."""
        try:
            record = recorded(manifest, version, tree, self._record)
        except ManifestError as error:
            self._trouble = str(error)
            return False
        if record != self._record:
            self._record = record
            self._actions.append(Remember(record))
        return True

    def _refuse(self, why: str) -> None:
        self._refused, self._trouble = True, why
        self._say("unstaged", why)

    # -- from the disk to the database

    def _begin(self) -> None:
        """The database has no version: the holder's files are the first, if it is at home or had them before."""
        self._foreign = None
        if self.role == "holder" and (self._me == self._definition.home or self._record.version is not None):
            self._save(None, None)

    def _edits(self, before: Manifest, now: float) -> None:
        """Whoever edits the holder's own files means it."""
        self._foreign = None
        manifest = self._taken(before)
        if manifest is None:
            return
        self._trouble = why_suspicious(manifest, before)
        if manifest == before:
            self._settling = None
        elif self._trouble:
            self._say("unstaged", self._trouble)
        elif self._settling != manifest:
            self._settling, self._look_at = manifest, now + SETTLED_S
        else:
            self._save(before, self._manifest_of)

    def _taken(self, before: Manifest | None) -> Manifest | None:
        try:
            return taken(self._definition.name, self._definition.files, self._tree, before, self._record)
        except ManifestError as error:
            self._trouble = str(error)
            self._say("unstaged", self._trouble)
            return None

    def _save(self, before: Manifest | None, base: str | None) -> None:
        self._settling, self._saving = None, self._taken(before)
        if self._saving is not None:
            self._actions.append(Save(self._definition.name, self._saving, base, self.epoch))

    def _saved(self, event: Saved) -> None:
        manifest, self._saving = self._saving, None
        if event.head is None or manifest is None:
            self._trouble = event.trouble
            self.look_now()
            return
        self._trouble, self._head = None, event.head
        self._manifest, self._manifest_of = manifest, event.head.version
        self._remember(manifest, event.head.version, self._tree)
        text = f"version {event.head.version[:12]}, number {event.head.number}: {manifest.files} files"
        self._say("stored", text, version=event.head.version, files=manifest.files)

    def _say(self, kind: str, text: str, **evidence: Any) -> None:
        """Once, not at every repetition."""
        if self._said != kind + text:
            self._said = kind + text
            epoch = self.epoch or None
            message = Happened(kind=kind, service=self._definition.name, epoch=epoch, text=text[:TEXT_LIMIT], evidence=evidence)
            self._actions.append(Told(message))
