"""The store's worker: one thread that writes and, if it is ours, restarts the store; another that reads the history.

What is queued while a write is under way goes out together in the next one, so
that `appendfsync always` costs one flush for many grants (R18).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from sds.store import Event, Loaded, Row, Store, StoreError
from sds.valkey import Valkey

KEPT_EVENTS = 10_000
"""Events that wait for a store that is away; further ones are dropped, and that is said."""

RETRY_S = 0.5
"""Between two attempts to reach a store that is away."""

PAGE_EVENTS = 500
"""So many events are read at a time ..."""

PAGES = 400
"""... and so many times for one question, at most."""

Answer = TypeVar("Answer")


class Outcome(msgspec.Struct, frozen=True):
    """What became of one row."""

    row: Row
    reason: str | None  # None: it is stored


class Keeper:
    """Everything durable of one SDS, away from its loop."""

    def __init__(self, store: Store, reader: Store, valkey: Valkey | None, history_limit: int, say: Callable[[str], None]) -> None:
        """`reader` is the same store over a connection of its own: whoever reads the history holds up no grant."""
        self._store = store
        self._reader = reader
        self._valkey = valkey
        self._history_limit = history_limit
        self._say = say
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._rows: list[Row] = []
        self._events: list[bytes] = []
        self._dropped = 0
        self._wanted = asyncio.Event()
        self._trouble: str | None = None
        self.wrote_at: float | None = None
        """When the store last took a write, by CLOCK_BOOTTIME."""
        self.done: Callable[[Outcome], None] = lambda _: None

    # -- what the loop asks

    def write(self, row: Row) -> None:
        """Store it; `done` is told what became of it."""
        self._rows.append(row)
        self._wanted.set()

    def append(self, event: bytes) -> None:
        """Add to the history, now or when the store is back."""
        if len(self._events) < KEPT_EVENTS:
            self._events.append(event)
        else:
            self._dropped += 1
        self._wanted.set()

    async def events(self, limit: int, wanted: Callable[[Event], bool | None]) -> tuple[Event, ...]:
        """The newest `limit` events that are wanted, oldest first.  Raises `StoreError`.

        `wanted` says None of the first that is too old.  The history is read
        page by page, newest first, beside the writes, which wait for nothing here.
        """
        loop = asyncio.get_running_loop()
        found: list[Event] = []
        before: str | None = None
        for _ in range(PAGES):
            page = await loop.run_in_executor(self._reading, self._reader.events, PAGE_EVENTS, before)
            for event in reversed(page):
                verdict = wanted(event)
                if verdict:
                    found.append(event)
                if verdict is None or len(found) == limit:
                    return tuple(reversed(found))
            if len(page) < PAGE_EVENTS:
                break
            before = page[0].id
            await asyncio.sleep(0)
        return tuple(reversed(found))

    async def perform(self, work: Callable[[], Answer]) -> Answer:
        """Something else that waits for a disk, in the same thread."""
        return await self._in_thread(work)

    async def work(self) -> None:
        """Write whatever is wanted, for ever; look after the store in between."""
        while True:
            try:
                async with asyncio.timeout(RETRY_S):
                    await self._wanted.wait()
            except TimeoutError:
                await self._look_after()
                continue
            self._wanted.clear()
            rows, self._rows = self._rows, []
            if rows:
                await self._write_rows(rows)
            if self._events:
                await self._write_events()

    async def close(self) -> None:
        """Write the last events if that can be, and end the store if it is ours."""
        if self._events:
            await self._write_events()
        await self._in_thread(self._store.close)
        self._reading.shutdown(wait=False, cancel_futures=True)
        if self._valkey is not None:
            await self._in_thread(self._valkey.stop)
        self._thread.shutdown(wait=False)

    # -- in the thread

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _write_rows(self, rows: Sequence[Row]) -> None:
        try:
            stale = await self._in_thread(lambda: self._store.write(rows))
        except StoreError as error:
            self._report(str(error))
            for row in rows:
                self.done(Outcome(row, str(error)))
            await self._look_after()
            return
        self._report(None)
        for row in rows:
            self.done(Outcome(row, "the store has a newer one" if row in stale else None))

    async def _write_events(self) -> None:
        events = list(self._events)
        dropped, self._dropped = self._dropped, 0
        if dropped:
            self._say(f"{dropped} events were dropped while the store was away")
        try:
            await self._in_thread(lambda: self._store.append_events(events, self._history_limit))
        except StoreError as error:
            self._report(str(error))
            return
        self._report(None)
        del self._events[: len(events)]

    async def _look_after(self) -> None:
        """An embedded store that ended is started anew; what waits for a store is tried again."""
        valkey = self._valkey
        if valkey is not None and valkey.died():
            self._say("the store ended: starting it anew")
            try:
                await self._in_thread(valkey.start)
                self._say(f"the store runs again, as process {valkey.pid}")
            except StoreError as error:
                self._report(str(error))
                return
        if self._events or self._rows:
            self._wanted.set()

    @property
    def state(self) -> str:
        """`good`, or why the store takes no writes."""
        return self._trouble or "good"

    def _report(self, trouble: str | None) -> None:
        if trouble and self._trouble is None:
            self._say(trouble)
        elif trouble is None and self._trouble:
            self._say("the store takes writes again")
        if trouble is None:
            self.wrote_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._trouble = trouble


def load(store: Store, beyond: int = 0) -> tuple[Loaded, int]:
    """What is on record, and this SDS's incarnation, above `beyond`.  Raises `StoreError`."""
    incarnation = store.next_incarnation(beyond)
    return store.load(), incarnation
