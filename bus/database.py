"""The connection to a Redis or Valkey, and its errors in our words.  The only importer of redis.

Nothing is ever sent twice by itself: what to do about a command that is not
known to have been done is the caller's decision.  A call blocks for a second
or two at most: it belongs in a thread.  No password is ever shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bus.config import ConfigError


class DatabaseError(Exception):
    """Not done, or not known to be done: one line, why.  The next call may go well."""


class Setting(NamedTuple):
    """Which setting names the database, and what of its errors is mended there."""

    name: str
    example: str
    password: str  # how one is given
    login: str  # what to mend, if user or password are wrong
    permission: str  # what its user must be allowed


_REMEDIES: tuple[tuple[type[Exception], str, str], ...] = (
    (redis.TimeoutError, "", "it does not answer in time: is it stopped, or its disk slow?"),
    (redis.exceptions.NoPermissionError, "", "this user may not do that: {permission}"),
    (redis.AuthenticationError, "required", "it wants a password: {password}"),
    (redis.ResponseError, "NOAUTH", "it wants a password: {password}"),
    (redis.AuthenticationError, "", "it refuses this user or password: {login}"),
    (redis.ResponseError, "WRONGPASS", "it refuses this user or password: {login}"),
    (redis.ReadOnlyError, "", "it is a read-only replica: name the primary"),
    (redis.ResponseError, "READONLY", "it is a read-only replica: name the primary"),
    (redis.OutOfMemoryError, "", "it is out of memory: raise maxmemory"),
    (redis.ResponseError, "OOM", "it is out of memory: raise maxmemory"),
    (redis.ResponseError, "MISCONF", "it cannot save to its disk: make room there"),
    (redis.BusyLoadingError, "", "it is still loading its data: wait"),
    (redis.ResponseError, "WRONGTYPE", "another program uses our keys locum:*: give us a database of our own"),
)
"""What an error of the library means: its class, a word of its text, and what to say."""


class Database:
    """One database, which connects at the first call and again after an error."""

    def __init__(self, setting: Setting, url: str, connect_s: float, read_s: float, password: str = "") -> None:
        """Raises `ConfigError` if the URL cannot be used.  A `password` beside the URL comes before the one in it."""
        self._setting = setting
        self.where, self._passwords = _describe(setting, url, password)
        """The URL as it may be shown."""
        options: dict[str, Any] = {"password": password} if password else {}
        try:
            self.redis = redis.Redis.from_url(
                url,
                socket_connect_timeout=connect_s,
                socket_timeout=read_s,
                retry=Retry(NoBackoff(), 0),  # a plain redis.Redis() would send a command up to eleven times
                retry_on_timeout=False,
                health_check_interval=0,
                protocol=2,
                **options,
            )
        except (ValueError, TypeError, redis.RedisError):
            raise ConfigError(f"{setting.name}: {self.where} is no usable URL: write {setting.example}") from None

    def call(self, command: Callable[[], Any]) -> Any:
        """Do it once.  Raises `DatabaseError`."""
        try:
            return command()
        except (redis.RedisError, OSError, ValueError) as error:
            self.redis.connection_pool.disconnect()  # a late answer must not be taken for the next one's
            raise DatabaseError(self._explain(error)) from None

    def close(self) -> None:
        """Let go of the connection."""
        self.redis.close()

    def _explain(self, error: Exception) -> str:
        text = " ".join(str(error).split()) or type(error).__name__
        for password in self._passwords:
            text = text.replace(password, "***")
        for kind, word, remedy in _REMEDIES:
            if isinstance(error, kind) and word in text:
                return remedy.format_map(self._setting._asdict())
        if isinstance(error, redis.ConnectionError):
            return f"it cannot be reached ({text[:200]}): is it running, and its address right?"
        return text[:300]


def _describe(setting: Setting, url: str, password: str) -> tuple[str, tuple[str, ...]]:
    """The URL as it may be shown, and what of it may not."""
    try:
        parts = urlsplit(url)
        where = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return "(the URL given)", ()
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(f"{setting.name}: the URL begins with none of redis://, rediss:// and unix://: write {setting.example}")
    passwords = (unquote(parts.password or ""), password, *parse_qs(parts.query).get("password", ()))
    return f"{parts.scheme}://{where}", tuple(secret for secret in passwords if secret)
