"""The database of files, in Redis or Valkey: P4.

    locum:{CLUSTER}:files:heads               hash: service -> its newest version, and who stored it
    locum:{CLUSTER}:files:versions:SERVICE    list, newest first, of the versions that are kept
    locum:{CLUSTER}:files:manifest:SERVICE:VERSION
    locum:{CLUSTER}:files:needs:SERVICE:VERSION    set: its chunks
    locum:{CLUSTER}:files:chunk:HASH          a piece of a file
    locum:{CLUSTER}:files:uses                hash: chunk -> how many versions need it

Chunks come first and expire unless a version that needs them is committed, by
one script: a new head, and away with what only the oldest version needed.  So
nothing is half there, whoever dies, and nothing is left over.

Calls block for two seconds or so at most: they belong in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from agent.database import KEPT_VERSIONS, FilesAway, NotStored
from agent.manifest import CHUNK_BYTES, Manifest, ManifestError, digest, read, written
from agent.shelf_events import Head
from bus.database import Database, DatabaseError, Setting
from bus.files_settings import FilesSettings
from bus.keys import load_password
from bus.log import wall_clock

UNCOMMITTED_S = 3_600
"""A chunk that no version needs is forgotten after this time."""

ASKED_AT_ONCE = 500
"""Chunks whose presence is asked for in one go."""

_COMMIT = """
local prefix, service, base, version = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local manifest, epoch, kept = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local head = redis.call('HGET', KEYS[1], service)
local before = head and cjson.decode(head) or {version = '', number = 0, epoch = 0}
if before.version ~= base then return {'changed', head or ''} end
if epoch > 0 and before.epoch > epoch then return {'late', head} end
local missing = {}
for i = 10, #ARGV do
    if redis.call('EXISTS', prefix .. 'chunk:' .. ARGV[i]) == 0 then missing[#missing + 1] = ARGV[i] end
end
if #missing > 0 then return {'missing', missing} end
local needs = prefix .. 'needs:' .. service .. ':' .. version
for i = 10, #ARGV do
    redis.call('PERSIST', prefix .. 'chunk:' .. ARGV[i])
    redis.call('HINCRBY', KEYS[3], ARGV[i], 1)
    redis.call('SADD', needs, ARGV[i])
end
redis.call('SET', prefix .. 'manifest:' .. service .. ':' .. version, manifest)
local after = {version = version, number = before.number + 1, epoch = math.max(epoch, before.epoch), at = ARGV[8], by = ARGV[9]}
after = cjson.encode(after)
redis.call('LPUSH', KEYS[2], after)
redis.call('HSET', KEYS[1], service, after)
while redis.call('LLEN', KEYS[2]) > kept do
    local old = cjson.decode(redis.call('RPOP', KEYS[2])).version
    local last = true
    for _, other in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
        if cjson.decode(other).version == old then last = false end
    end
    local needed = prefix .. 'needs:' .. service .. ':' .. old
    for _, chunk in ipairs(redis.call('SMEMBERS', needed)) do
        if redis.call('HINCRBY', KEYS[3], chunk, -1) <= 0 then
            redis.call('HDEL', KEYS[3], chunk)
            redis.call('DEL', prefix .. 'chunk:' .. chunk)
        end
    end
    if last then redis.call('DEL', needed, prefix .. 'manifest:' .. service .. ':' .. old) end
end
return {'stored', after}
"""

_SETTING = Setting(
    name="files.url",
    example="redis://files@host:6379/0",
    password="name a password_file in [files]",
    login="mend url or password_file in [files]",
    permission="docs/operations.md has the ACL line for the files",
)

_heads = msgspec.json.Decoder(Head)


class Files:
    """The files of one cluster's services."""

    def __init__(self, settings: FilesSettings, cluster: str, within_s: float = 2.0) -> None:
        """Connects at the first call.  Raises `ConfigError` if the settings cannot be used."""
        password = load_password(Path(settings.password_file)) if settings.password_file else ""
        self._database = Database(_SETTING, settings.url, within_s, within_s, password)
        self._where, self._redis = self._database.where, self._database.redis
        self._prefix = f"locum:{{{cluster}}}:files:"

    def heads(self) -> dict[str, Head]:
        """The newest version of every service that has one.  Raises `FilesAway`."""
        found: dict[bytes, bytes] = self._call(lambda: self._redis.hgetall(self._key("heads")))
        return {name.decode(errors="replace"): self._head(text) for name, text in found.items()}

    def versions(self, service: str) -> tuple[Head, ...]:
        """Those that are kept, newest first.  Raises `FilesAway`."""
        found: list[bytes] = self._call(lambda: self._redis.lrange(self._key(f"versions:{service}"), 0, -1))
        return tuple(self._head(text) for text in found)

    def manifest(self, service: str, version: str) -> Manifest:
        """Of a version that is kept.  Raises `ManifestError` if it is not, or no good; and `FilesAway`."""
        text: bytes | None = self._call(lambda: self._redis.get(self._key(f"manifest:{service}:{version}")))
        if text is None:
            raise ManifestError(f"the database no longer has version {version[:12]} of {service}")
        return read(text, version, service)

    def chunk(self, name: str) -> bytes:
        """The content of this name.  Raises `ManifestError` if there is none of that name, or another; and `FilesAway`."""
        data: bytes | None = self._call(lambda: self._redis.get(self._key(f"chunk:{name}")))
        if data is None:
            raise ManifestError(f"the database lacks the chunk {name[:12]}: store the files anew (locum files put)")
        if digest(data) != name:
            raise ManifestError(f"the chunk {name[:12]} in the database is damaged: store the files anew (locum files put)")
        return data

    def lacking(self, names: Iterable[str]) -> list[str]:
        """Which of these chunks are not there.  Raises `FilesAway`."""
        wanted, lacking = sorted(set(names)), []
        for first in range(0, len(wanted), ASKED_AT_ONCE):
            part = wanted[first : first + ASKED_AT_ONCE]

            def ask(part: list[str] = part) -> list[int]:
                with self._redis.pipeline(transaction=False) as pipeline:
                    for name in part:
                        pipeline.exists(self._key(f"chunk:{name}"))
                    return pipeline.execute()

            lacking += [name for name, there in zip(part, self._call(ask), strict=True) if not there]
        return lacking

    def put(self, data: bytes) -> str:
        """Bring a chunk; it stays if a version that needs it is committed in time.  Raises `FilesAway`."""
        assert len(data) <= CHUNK_BYTES, f"a chunk of {len(data)} bytes"
        name = digest(data)
        self._call(lambda: self._redis.set(self._key(f"chunk:{name}"), data, ex=UNCOMMITTED_S, nx=True))
        return name

    def commit(self, manifest: Manifest, base: str | None, epoch: int, by: str) -> Head:
        """Make this the newest version, if the newest was `base` and no holder of a later epoch stored one.

        `epoch` 0: a person's.  Raises `NotStored`, `ManifestError`, `FilesAway`.
        """
        version, text = written(manifest)
        keys = [self._key("heads"), self._key(f"versions:{manifest.service}"), self._key("uses")]
        at = wall_clock().isoformat(timespec="seconds")
        what: list[Any] = [self._prefix, manifest.service, base or "", version, text, epoch, KEPT_VERSIONS, at, by]
        answer = self._call(lambda: self._redis.eval(_COMMIT, len(keys), *keys, *what, *sorted(manifest.chunks)))
        word = answer[0].decode()
        if word == "stored":
            return self._head(answer[1])
        if word == "missing":
            raise NotStored(f"{len(answer[1])} chunks of it went missing in the database: try again")
        if word == "changed" and not answer[1]:
            raise NotStored(f"the database has no version of {manifest.service} any more: try again")
        head = self._head(answer[1])
        why = "came between" if word == "changed" else f"is of a later holder, epoch {head.epoch}"
        raise NotStored(f"version {head.version[:12]} of {manifest.service}, stored by {head.by}, {why}: look at it, and try again")

    def close(self) -> None:
        """Let go of the connection."""
        self._database.close()

    def _key(self, what: str) -> str:
        return self._prefix + what

    def _head(self, text: bytes) -> Head:
        try:
            return _heads.decode(text)
        except msgspec.MsgspecError:
            raise FilesAway(
                f"files {self._where}: a head under {self._prefix}heads is damaged: HDEL it, and store the files anew"
            ) from None

    def _call(self, command: Callable[[], Any]) -> Any:
        try:
            return self._database.call(command)
        except DatabaseError as error:
            raise FilesAway(f"files {self._where}: {error}") from None
