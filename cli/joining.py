"""The files of a newcomer: its key first, its settings last, each whole or not there.

Settings that exist are complete, and are never overwritten.  Whatever else
lies beside them is left from an attempt that was cut short, and is used again:
so the same command, given again, goes on where it was.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bus.config import AgentConfig, ConfigError, parse
from bus.keys import Secret, load_secret
from bus.messages import Joined
from bus.token import JoinToken
from cli import VERSION

_COMMENTS = {
    "address": "other servers and clients reach this one here",
    "state_dir": "of this agent alone",
    "key_file": "mode 0600; whoever reads it can speak as this server",
    "load": "the loadlevel is that of the whole machine",
    "timing": "by the scheduling class that can be had: lan or calm",
    "sds.public_key_file": "an SDS with another key is not listened to",
    "dns.server": "takes dynamic updates",
    "dns.key_secret_file": "mode 0600",
    "files.url": "the files of services come from there",
    "files.password_file": "mode 0600",
    "files.root": "a service's /srv/www lies below it",
    "dns.ttl_s": "how long resolvers may remember an address",
}

_HINTS = """
# zone = "rack-1"        # where this server stands; a secondary in another zone is preferred
# backs_up = ["www"]     # only these services of others may run here; left out: all that can
"""

_SERVICE = """
# A service whose home is here:
# [[service]]
# name = "www"
# fqdn = "www.example.org"
# port = 8081
# start = ["/usr/sbin/nginx", "-c", "/srv/www/nginx.conf", "-g", "daemon off;"]
"""


class JoiningError(Exception):
    """A file cannot be written.  Nothing of it is there."""


class Files:
    """Where a newcomer's files lie: beside its settings, under the settings' own name."""

    def __init__(self, settings: Path) -> None:
        self.settings = settings.absolute()
        self.key = self._beside("key")
        self.sds_key = self._beside("sds.pub")

    def _beside(self, ending: str) -> Path:
        return self.settings.with_name(f"{self.settings.stem}.{ending}")

    def secret(self, setting: str) -> Path:
        """The file of a secret that came with the answer: `dns.key_secret_file` lies in NAME.dns.secret."""
        return self._beside(f"{setting.partition('.')[0]}.secret")

    def prepare(self) -> Secret:
        """The newcomer's key, made now unless it is there; raises `JoiningError` or `ConfigError`, and then nobody was asked."""
        if self.settings.exists():
            raise ConfigError(
                f"{self.settings}: is there already, so somebody has joined with it: name another file with --config, or move it away"
            )
        directory(self.settings.parent, 0o755)
        if not self.key.exists():
            put(self.key, Secret.new().z85 + "\n", 0o600, new=True)
        return load_secret(self.key)


def agent_settings(token: JoinToken, joined: Joined, files: Files, address: str, state_dir: Path) -> str:
    """The settings of a server as text, parsed back once; raises `ConfigError`."""
    top = {
        "cluster": token.cluster,
        "name": joined.name,
        "address": address,
        "peer_port": 5760,
        "state_dir": str(state_dir.absolute()),
        "key_file": str(files.key),
        "timing": "auto",
        "load": "host",
    }
    sds = {"address": token.address, "port": token.port, "updates_port": token.updates_port, "public_key_file": str(files.sds_key)}
    tables: dict[str, dict[str, Any]] = {"sds": sds} | {name: dict(values) for name, values in joined.settings.items()}
    for setting in joined.secrets:
        section, _, key = setting.partition(".")
        tables.setdefault(section, {})[key] = str(files.secret(setting))
    head = f"# The agent of {joined.name} in cluster {token.cluster}, written by locum join {VERSION}.\n"
    head += "# All keys: docs/configuration.md.  After a change: locum agent --check --config FILE\n\n"
    text = head + _lines(top, "") + _HINTS
    text += "".join(f"\n[{name}]\n{_lines(values, name + '.')}" for name, values in tables.items()) + _SERVICE
    parse(text, AgentConfig, str(files.settings))
    return text


def person_settings(token: JoinToken, joined: Joined, files: Files) -> str:
    """What a person's shell must know, as text to be sourced."""
    address = f"[{token.address}]" if ":" in token.address else token.address
    values = {
        "LOCUM_SDS": f"{address}:{token.port}",
        "LOCUM_CLUSTER": token.cluster,
        "LOCUM_KEY": str(files.key),
        "LOCUM_SDS_KEY": str(files.sds_key),
        "LOCUM_AS": joined.name,
    }
    return "".join(f"export {name}='{_quoted(value)}'\n" for name, value in values.items())


def put(path: Path, text: str, mode: int, new: bool = False) -> None:
    """Write a file, whole and durable; with `new` only if there is none.  Raises `JoiningError`."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if new:
            os.link(fresh, path)
        else:
            fresh.replace(path)
        above = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fsync(above)
        os.close(above)
    except FileExistsError:
        raise JoiningError(f"{path}: is there already: move it away, or name another place") from None
    except OSError as error:
        raise JoiningError(f"{path}: cannot be written: {error.strerror}: name another place, or make it writable") from None
    finally:
        fresh.unlink(missing_ok=True) if fresh.parent.is_dir() else None


def directory(path: Path, mode: int) -> None:
    """Make a directory unless it is there, and see that it can be written.  Raises `JoiningError`."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=mode)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise JoiningError(f"{path}: cannot be written: {error.strerror}: name another place, or make it writable") from None


def _lines(values: Mapping[str, Any], above: str) -> str:
    lines = ""
    for key, value in values.items():
        text = f"{key} = {_toml(value)}"
        comment = _COMMENTS.get(above + key)
        lines += f"{text:<40} # {comment}\n" if comment else text + "\n"
    return lines


def _toml(value: Any) -> str:
    """A value as TOML has it, which is as JSON has it but for tables."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(str(key))} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(inner) for inner in value) + "]"
    return json.dumps(value).replace("\x7f", "\\u007f")


def _quoted(value: str) -> str:
    return value.replace("'", "'\\''")
