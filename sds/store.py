"""What the SDS must not forget, in Redis or Valkey (R18).

    write:   Redis, in one transaction  ->  high-water file, fsync  ->  return
                     |                              |
                     +--- any failure: StoreError --+   nothing may be granted

A call blocks for a second or two at most, so a loop runs its `Store` in one
worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bus.database import Database, DatabaseError, Setting
from sds.highwater import HighWaterFile
from sds.rows import AnyStore, Event, HighWater, Loaded, Row, StoreError
from sds.twin import StoreTwin

__all__ = ["AnyStore", "Event", "HighWater", "Loaded", "Row", "Store", "StoreError", "StoreTwin"]

_WRITE = """
if tonumber(redis.call('GET', KEYS[2]) or '0') > tonumber(ARGV[1]) then
    return false
end
local stale = {}
for i = 2, #ARGV, 2 do
    local old = redis.call('HGET', KEYS[1], ARGV[i])
    local new = ARGV[i + 1]
    if not old or string.sub(old, 1, 20) < string.sub(new, 1, 20) then
        redis.call('HSET', KEYS[1], ARGV[i], new)
    elseif old ~= new then
        stale[#stale + 1] = i / 2 - 1
    end
end
return stale
"""
"""Rows by version, of the newest incarnation alone: a write of an earlier one that was long on its way is refused.

A value begins with its version in 20 digits: Lua's numbers hold 53 bits.
"""

_NEXT = """
local number = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[1])) + 1
redis.call('SET', KEYS[1], string.format('%.0f', number))
return number
"""

_DIGITS = 20
_decoder = msgspec.msgpack.Decoder(Row)
_encoder = msgspec.msgpack.Encoder()
Answer = TypeVar("Answer")

_SETTING = Setting(
    name="store",
    example="redis://user:password@host:6379/0",
    password="put one into the URL, redis://:password@host",
    login="correct the URL",
    permission="allow it all commands on locum:*",
)


class Store:
    """The rows, the history and the incarnation of one cluster."""

    def __init__(self, url: str, cluster: str, high_water_path: Path, connect_s: float = 1.0, read_s: float = 1.0) -> None:
        """Connects at the first call.  Raises `ConfigError` if the URL cannot be used."""
        self._database = Database(_SETTING, url, connect_s, read_s)
        self._where, self._redis = self._database.where, self._database.redis
        self._high_water = HighWaterFile(high_water_path, cluster)
        self._incarnation = 0
        self._rows_key, self._events_key, self._incarnation_key = (
            f"locum:{{{cluster}}}:{what}" for what in ("rows", "events", "incarnation")
        )

    def load(self) -> Loaded:
        """All rows, and the high-water marks.  Raises `StoreError`."""
        high_water = self._high_water.services
        found: dict[bytes, bytes] = self._call("read", lambda: self._redis.hgetall(self._rows_key))
        return Loaded(tuple(sorted((self._row(k, v) for k, v in found.items()), key=lambda row: row.key)), high_water)

    def write(self, batch: Sequence[Row]) -> tuple[Row, ...]:
        """Make these rows durable; returns those that are stale, which changed nothing.

        A row is stale if one of the same name has a higher version, or the same
        version and another content.  Writing the same row twice is no harm.
        Raises `StoreError`: not known to be written; or a later incarnation of
        the SDS has begun, and nothing was.
        """
        if not batch:
            return ()
        arguments: list[str | bytes | int] = [self._incarnation]
        for row in batch:
            arguments += [row.key, b"%0*d" % (_DIGITS, row.version) + _encoder.encode(row)]
        keys = (self._rows_key, self._incarnation_key)
        answer: list[int] | None = self._call("written", lambda: self._redis.eval(_WRITE, len(keys), *keys, *arguments))
        if answer is None:
            raise StoreError(f"store {self._where}: a later SDS writes here, this is incarnation {self._incarnation}: end one of the two")
        stale = {int(index) for index in answer}
        marks: dict[str, HighWater] = {}
        for index, row in enumerate(batch):
            if row.kind == "service" and index not in stale:
                old = marks.get(row.name, HighWater(0, 0))
                marks[row.name] = HighWater(max(old.version, row.version), max(old.epoch, row.epoch))
        self._high_water.raise_to(marks)
        return tuple(batch[index] for index in sorted(stale))

    def append_events(self, payloads: Sequence[bytes], limit: int) -> tuple[str, ...]:
        """Append to the history, of which about the newest `limit` are kept; returns their ids."""

        def append() -> list[bytes]:
            with self._redis.pipeline(transaction=True) as pipeline:
                for payload in payloads:
                    pipeline.xadd(self._events_key, {b"p": payload}, maxlen=limit, approximate=True)
                return pipeline.execute()

        return tuple(id.decode() for id in self._call("written", append)) if payloads else ()

    def append_event(self, payload: bytes, limit: int) -> str:
        """Append one."""
        return self.append_events([payload], limit)[0]

    def events(self, limit: int, before: str | None = None) -> tuple[Event, ...]:
        """The newest `limit` events, oldest first; with `before`, of those older than that one.  Raises `StoreError`."""
        if limit <= 0:
            return ()
        newest = f"({before}" if before else "+"
        found: Any = self._call("read", lambda: self._redis.xrevrange(self._events_key, max=newest, count=limit))
        return tuple(Event(id.decode(), fields.get(b"p", b"")) for id, fields in reversed(found))

    def next_incarnation(self, beyond: int = 0) -> int:
        """A number above `beyond` and every one that this returned before, in store and file.  Raises `StoreError`.

        Whoever took a lower one writes no more; so what is loaded after this is not overtaken.
        """
        floor = max(beyond, self._high_water.incarnation)
        number = int(self._call("written", lambda: self._redis.eval(_NEXT, 1, self._incarnation_key, floor)))
        self._high_water.raise_to({}, number)
        self._incarnation = number
        return number

    def close(self) -> None:
        """Let go of the connection."""
        self._database.close()

    def _call(self, done: str, command: Callable[[], Any]) -> Any:
        """Do it once; whatever goes wrong is one `StoreError`."""
        try:
            return self._database.call(command)
        except DatabaseError as error:
            raise StoreError(f"store {self._where}: {error}; not known to be {done}") from None

    def _row(self, key: bytes, value: bytes) -> Row:
        try:
            row = _decoder.decode(value[_DIGITS:])
            if row.key.encode() == key and int(value[:_DIGITS]) == row.version:
                return row
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass
        raise StoreError(
            f"store {self._where}: the row {key[:80]!r} of {self._rows_key} is damaged: restore the store from a backup, or HDEL the row"
        )
