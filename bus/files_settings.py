"""The settings of the database of files (P4), and what its user may do."""

from __future__ import annotations

import re

import msgspec

from bus.values import Port, why_no_path, within

_REDIS_URL = re.compile(
    r"(rediss?://([^\s/?#@]*@)?(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(:\d{1,5})?(/\d*)?|unix://([^\s/?#@]*@)?/[^\s?#]+)(\?\S*)?"
)

FILES_USER = "files"
"""Of the embedded store."""

FILES_COMMANDS = "get set exists persist del hget hset hgetall hincrby hdel lpush rpop llen lrange sadd smembers eval ping client|setinfo"
"""All that servers ask of the database of files."""


NO_DATABASE = "its files are in the database of files, and [files] in this server's settings does not say where that is"
"""Why a server cannot run a service that has files."""


class FilesSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The database of files: a Redis, and where the files lie on this server."""

    url: str  # redis://files@192.0.2.53:6379/0
    password_file: str | None = None
    root: str = "/"  # a service's path /srv/www lies at ROOT/srv/www here


class FilesDoor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an embedded store listens for servers that want files, and for nothing else."""

    address: str
    port: Port = 6379
    password_file: str


def files_rules(cluster: str) -> str:
    """What an ACL user of Redis or Valkey must be allowed for the files of a cluster's services, and nothing more."""
    return f"resetkeys ~locum:{{{cluster}}}:files:* resetchannels -@all " + " ".join(f"+{command}" for command in FILES_COMMANDS.split())


def check_settings(settings: FilesSettings) -> None:
    """Raises ValueError, with the rest of the key and the remedy."""
    if not _REDIS_URL.fullmatch(settings.url):
        raise ValueError(".url: is no redis://, rediss:// or unix:// URL: write redis://files@192.0.2.53:6379/0")
    wrong = None if settings.root == "/" else why_no_path(settings.root)
    if wrong is not None:
        raise ValueError(f'.root: "{settings.root}" {wrong}')


def check_paths(paths: tuple[str, ...], settings: FilesSettings | None) -> None:
    """Of a service's `files`.  Raises ValueError, likewise."""
    if paths and settings is None:
        raise ValueError(': there is no [files] to say where the database is: add it, with url = "redis://files@192.0.2.53:6379/0"')
    for number, path in enumerate(paths):
        wrong = why_no_path(path)
        if wrong is None and within(path, (*paths[:number], *paths[number + 1 :])):
            wrong = "stands twice, or lies below another one: leave it out"
        if wrong is not None:
            raise ValueError(f': "{path}" {wrong}')
