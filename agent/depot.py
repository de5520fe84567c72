"""The loop that keeps services' files here and in the database the same (P4): ask, step, perform.

Beside the runner's own loop: everything that waits for the database or a disk
is done in one thread of its own, and nothing waits for it but what must: a
secondary until it is prepared, and a start for which no version is here yet.
What is decided is in agent/shelf.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from agent.database import AnyFiles, FilesAway, NotStored
from agent.disk import Disk, DiskError
from agent.manifest import Manifest, ManifestError
from agent.records import Records
from agent.shelf import Shelf
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
from bus.config import AgentConfig
from bus.files_settings import NO_DATABASE
from bus.log import Log
from bus.messages import Message
from bus.values import FilesState, ServiceDefinition

POLL_S = 1.0
"""Between two questions whether there is a new version."""

LOG_AWAY_EVERY_S = 60.0
"""A database that is away is spoken of so often."""

Answer = TypeVar("Answer")


class Part(NamedTuple):
    """What this server is for a service."""

    role: Role
    epoch: int


def clock() -> float:
    """CLOCK_BOOTTIME (R2)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Depot:
    """The files of all services on one server."""

    def __init__(self, config: AgentConfig, log: Log, files: AnyFiles | None = None) -> None:
        """Without `[files]` in the settings there is no database.  Raises `ConfigError`."""
        self._me = config.name
        self._log = log
        self._files = files or _database(config)
        self._disk = Disk(config.files.root if config.files else "/", sweeps=True)
        self._records = Records(Path(config.state_dir))
        self._shelves: dict[str, Shelf] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="files")
        self._wanted = asyncio.Event()
        self._turned = asyncio.Condition()
        self._away_said_at: float | None = None
        self._ended = False
        self.part_of: Callable[[str], Part] = lambda _: Part("other", 0)
        """What this server is for a service now; the runner's."""
        self.tell: Callable[[Message], None] = lambda _: None
        """Say this to the SDS."""
        self.restaged: Callable[[str], None] = lambda _: None
        """The files of this service were changed here."""
        self.turned: Callable[[], None] = lambda: None
        """What this server can run may be another now."""

    # -- what the runner asks

    def why_not(self, definition: ServiceDefinition) -> str | None:
        """Why this server cannot run it, for want of its files; None if it can, or the service has none."""
        if not definition.files:
            return None
        if self._files is None:
            return NO_DATABASE
        shelf = self._shelves.get(definition.name)
        return shelf.why_not(clock()) if shelf else "its files are being looked at"

    def lacks(self, definition: ServiceDefinition) -> bool:
        """Whether its files are still to be brought here; a home that never stored any has them on its disk."""
        if not definition.files:
            return False
        shelf = self._shelves.get(definition.name)
        if shelf is not None and shelf.state.version is not None:
            return False
        return definition.home != self._me or any(not self._disk.there(path) for path in definition.files)

    def states(self) -> dict[str, FilesState]:
        """How far the files of each service are here."""
        return {name: shelf.state for name, shelf in self._shelves.items()}

    async def staged(self, definition: ServiceDefinition, within_s: float | None = None) -> str | None:
        """Wait until a version is here with which it can start; why none is, or None.

        A start says within which time: it takes the version that is complete here.  With None the newest is waited for, without bound.
        """
        if not definition.files:
            return None
        if self._files is None:
            return self.why_not(definition)
        try:
            async with asyncio.timeout(within_s):
                return await self._ready(definition, starting=within_s is not None)
        except TimeoutError:
            return self.why_not(definition) or "its files were not here in time"

    async def _ready(self, definition: ServiceDefinition, starting: bool) -> str | None:
        shelf = self._shelf(definition)
        self._wanted.set()
        while True:
            ready = shelf.ready(clock(), starting)
            if isinstance(ready, str):
                return ready
            if ready or self._shelves.get(definition.name) is not shelf:
                return None
            shelf.look_now()
            async with self._turned:
                await self._turned.wait()

    def wake(self) -> None:
        """There is another service, or one is described anew: do not wait for the next round."""
        self._wanted.set()

    def close(self) -> None:
        """This process is to end: what is being staged stays as it was before."""
        self._ended = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    # -- the loop

    async def run(self, definitions: Callable[[], list[ServiceDefinition]]) -> None:
        """For ever, for the services of these definitions that have files."""
        if self._files is None:
            return
        told: Any = None
        while True:
            self._wanted.clear()
            wanted = {definition.name: definition for definition in definitions() if definition.files}
            for definition in wanted.values():
                self._shelf(definition).be(definition, *self.part_of(definition.name))
            self._shelves = {name: shelf for name, shelf in self._shelves.items() if name in wanted}
            if self._shelves:
                await self._round(self._files)
            async with self._turned:
                self._turned.notify_all()
            now = {name: (shelf.state, shelf.why_not(clock())) for name, shelf in self._shelves.items()}
            if now != told:
                told = now
                self.turned()
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wanted.wait()
            except TimeoutError:
                pass

    def _shelf(self, definition: ServiceDefinition) -> Shelf:
        shelf = self._shelves.get(definition.name)
        if shelf is None:
            shelf = self._shelves[definition.name] = Shelf(self._me, definition, self._records.of(definition.name))
        return shelf

    async def _round(self, files: AnyFiles) -> None:
        """Ask the database once, and do for each service what follows."""
        heads: dict[str, Head] | FilesAway
        try:
            heads = await self._in_thread(files.heads)
            self._say_away(None)
        except FilesAway as away:
            heads = away
            self._say_away(str(away))
        for name, shelf in list(self._shelves.items()):
            event: Any = Away(str(heads)) if isinstance(heads, FilesAway) else Heads(heads.get(name))
            await self._follow(files, shelf, event)

    async def _follow(self, files: AnyFiles, shelf: Shelf, event: Any) -> None:
        """Step, perform, and step with what came of it, until nothing is left to do."""
        events = [event]
        while events:
            for action in shelf.step(events.pop(0), clock()):
                match action:
                    case Told():
                        self.tell(action.message)
                    case Restaged():
                        self.restaged(action.service)
                    case Remember():
                        await self._remember(action)
                    case _:
                        events.append(await self._in_thread(partial(self._perform, files, action)))

    async def _remember(self, action: Remember) -> None:
        try:
            await self._in_thread(lambda: self._records.remember(action.record))
        except DiskError as error:
            self._log(f"files: {error}")

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _say_away(self, reason: str | None) -> None:
        """Now and then, and once that it is back."""
        if reason is None:
            if self._away_said_at is not None:
                self._log("files: the database answers again")
            self._away_said_at = None
        elif self._away_said_at is None or clock() - self._away_said_at > LOG_AWAY_EVERY_S:
            self._away_said_at = clock()
            self._log(f"{reason}; what was staged last is used")

    # -- in the thread

    def _perform(self, files: AnyFiles, action: Any) -> Any:
        try:
            match action:
                case ReadManifest():
                    return self._read(files, action)
                case Look():
                    return self._look(action.paths)
                case Stage():
                    return self._stage(files, action)
                case Save():
                    return self._save(files, action)
                case _:
                    raise AssertionError(f"no such action: {action!r}")
        except FilesAway as away:
            return Away(str(away))

    def _read(self, files: AnyFiles, action: ReadManifest) -> ManifestRead:
        try:
            return ManifestRead(action.version, files.manifest(action.service, action.version))
        except ManifestError as error:
            return ManifestRead(action.version, None, str(error))

    def _look(self, paths: tuple[str, ...]) -> Looked:
        try:
            return Looked(self._disk.look(paths))
        except DiskError as error:
            return Looked(None, str(error))

    def _stage(self, files: AnyFiles, action: Stage) -> Staged:
        try:
            self._disk.stage(action.paths, action.steps, action.tree, self._fetching(files), lambda: self._records.remember(action.intent))
            return Staged(self._disk.look(action.paths))
        except (DiskError, ManifestError) as error:
            return Staged(None, str(error))

    def _fetching(self, files: AnyFiles) -> Callable[[str], bytes]:
        def fetch(chunk: str) -> bytes:
            if self._ended:
                raise FilesAway("this agent is ending")
            return files.chunk(chunk)

        return fetch

    def _save(self, files: AnyFiles, action: Save) -> Saved:
        try:
            upload(files, self._disk, action.manifest)
            return Saved(files.commit(action.manifest, action.base, action.epoch, self._me))
        except (DiskError, ManifestError, NotStored) as error:
            return Saved(None, str(error))


def _database(config: AgentConfig) -> AnyFiles | None:
    """Imported only where there is one: a runner starts quickly."""
    if config.files is None:
        return None
    from agent.files import Files

    return Files(config.files, config.cluster)


def upload(files: AnyFiles, disk: Disk, manifest: Manifest) -> None:
    """Bring whatever chunks the database lacks.  Raises `DiskError` if a file is no longer what the manifest says, and `FilesAway`."""
    lacking = set(files.lacking(manifest.chunks))
    for entry in manifest.entries:
        if lacking.isdisjoint(entry.chunks):
            continue
        found = tuple(files.put(piece) for piece in disk.pieces(entry.path, manifest.paths))
        if found != entry.chunks:
            raise DiskError(f"{disk.where(entry.path)}: changes while it is stored")
        lacking -= set(found)
