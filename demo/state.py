"""What a demo keeps on disk: keys, settings, data and logs, made once and then only read.

    demo.lock demo.sock     held and served while the demo runs
    keys/                   a CURVE key for each part and the operator, the TSIG secret (0600)
    trust.toml              whose key is whose
    sds.toml http.toml ...  the settings of each part, for reading and changing
    sds/ http/ ...          what the parts remember
    load/                   the load that is laid on each server
    files/                  the pages, files and mail of the services
    logs/                   what each part says

What exists is left as it is, with one exception: settings that name another
Python, checkout or state directory than those in use cannot work, so they are
written anew, and the old ones kept beside them.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bus import keys
from bus.config import ConfigError
from demo import layout
from demo.presence import control_path
from demo.processes import MARK

CHECKOUT = Path(__file__).resolve().parent.parent
KEY_NAMES = ("sds", *(server.name for server in layout.SERVERS), layout.OPERATOR, "monitor")


class StateError(Exception):
    """The state directory cannot be used.  Nothing was started."""


def default_directory() -> Path:
    """Where a demo keeps its state unless told otherwise."""
    state = os.environ.get("XDG_STATE_HOME")
    if state and Path(state).is_absolute():
        return Path(state) / "locum" / "demo"
    try:
        return Path.home() / ".local" / "state" / "locum" / "demo"
    except RuntimeError:
        raise StateError("this user has no home directory: name a place for the demo's state with --state DIR") from None


def key_file(state: Path, name: str, public: bool = False) -> Path:
    """The secret or the public key file of a part of the demo in that state directory."""
    return state / "keys" / (f"{name}.key.pub" if public else f"{name}.key")


class State:
    """The state directory of one demo."""

    def __init__(self, directory: Path) -> None:
        """Make the directory if there is none; raises `StateError` if it cannot be used."""
        self.directory = directory.resolve()  # as the kernel will name it, by which processes are found
        self.keys = self.directory / "keys"
        self.logs = self.directory / "logs"
        self.trust = self.directory / "trust.toml"
        self.tsig_secret = self.keys / "tsig.secret"
        self.zone = self.directory / "dns" / "zone"
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not os.access(self.directory, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise StateError(f"{self.directory}: cannot keep a demo there: {error.strerror}: name another place with --state") from None

    def key(self, name: str) -> Path:
        """The secret key file of a part."""
        return key_file(self.directory, name)

    def public_key(self, name: str) -> Path:
        """The public key file of a part."""
        return key_file(self.directory, name, public=True)

    def settings(self, part: str) -> Path:
        """The TOML file of a part."""
        return self.directory / f"{part}.toml"

    def log(self, part: str) -> Path:
        """The file to which a part's output is appended."""
        return self.logs / f"{part}.log"

    def load(self, server: str) -> Path:
        """The file with the loadlevel that is laid on a server."""
        return self.directory / "load" / server

    def furnish(self) -> list[str]:
        """Make whatever is missing; returns a line for everything that was replaced."""
        try:
            return self._furnish()
        except ConfigError as error:
            raise StateError(str(error)) from None
        except OSError as error:
            raise StateError(f"{error.filename}: {error.strerror}: mend it, or name another place with --state") from None

    def _furnish(self) -> list[str]:
        for directory in (
            self.keys,
            self.logs,
            self.zone.parent,
            self.directory / "sds",
            self.directory / "monitor",
            self.directory / "load",
        ):
            directory.mkdir(exist_ok=True, mode=0o700)
        for server in layout.SERVERS:
            (self.directory / server.name).mkdir(exist_ok=True, mode=0o700)
            (self.directory / server.root).mkdir(parents=True, exist_ok=True)
        for name in KEY_NAMES:
            if not self.key(name).exists():
                keys.make(self.key(name))
            _once(self.public_key(name), partial(self._public, name), 0o644)
        _once(self.tsig_secret, lambda: base64.b64encode(secrets.token_bytes(32)).decode() + "\n", 0o600)
        lines = [_settle(self.trust, self._trust, [self._public(name) for name in KEY_NAMES], "names a key that is no longer there")]
        elsewhere = "is of an earlier version, or names a directory or a Python that is no longer in use"
        lines.append(_settle(self.settings("sds"), self._sds_settings, [str(self.trust)], elsewhere))
        needs = [str(self.key("monitor")), str(control_path(self.directory))]
        lines.append(_settle(self.settings("monitor"), self._monitor_settings, needs, elsewhere))
        for server in layout.SERVERS:
            needs = [str(self.key(server.name)), sys.executable, str(CHECKOUT), str(self.load(server.name))]
            lines.append(_settle(self.settings(server.name), partial(self._agent_settings, server), needs, elsewhere))
        return [line for line in lines if line]

    def _public(self, name: str) -> str:
        return keys.load_secret(self.key(name)).public

    def _trust(self) -> str:
        servers = "".join(f'{server.name} = "{self._public(server.name)}"\n' for server in layout.SERVERS)
        return (
            "# Whose public key is whose (Z85).  Nobody else is listened to.\n\n"
            f"[servers]\n{servers}\n"
            f'[operators]  # may also give orders\n{layout.OPERATOR} = "{self._public(layout.OPERATOR)}"\n\n'
            f'[viewers]\nmonitor = "{self._public("monitor")}"\n\n[sds]\nsds = "{self._public("sds")}"\n'
        )

    def _sds_settings(self) -> str:
        return f"""# The Service Description Server of the demo (P1).

cluster = "{layout.CLUSTER}"
name = "sds"
address = "{layout.SDS.address}"
port = {layout.SDS.port}          # registration, loadlevel, takeover, questions
updates_port = {layout.SDS_UPDATES.port}  # table updates
state_dir = {_toml(str(self.directory / "sds"))}
key_file = {_toml(str(self.key("sds")))}
trust_file = {_toml(str(self.trust))}
store = "embedded"   # a Valkey server of its own; or a Redis URL

# What a server that joins by a token is given for its settings, the TSIG secret included.
joiners.dns.server = "{layout.DNS.address}"
joiners.dns.port = {layout.DNS.port}
joiners.dns.zone = "{layout.ZONE}"
joiners.dns.key_name = "{layout.TSIG_KEY}"
joiners.dns.key_secret_file = {json.dumps(str(self.tsig_secret))}
"""

    def _monitor_settings(self) -> str:
        return f"""# The monitor of the demo: the page in the browser (P3).

cluster = "{layout.CLUSTER}"
name = "monitor"
address = "{layout.MONITOR.address}"
port = {layout.MONITOR.port}   # or another, by "locum demo --monitor-port"
state_dir = {_toml(str(self.directory / "monitor"))}
key_file = {_toml(str(self.key("monitor")))}
operator = "{layout.OPERATOR}"
operator_key_file = {_toml(str(self.key(layout.OPERATOR)))}   # in whose name the page gives orders
demo_control = {_toml(str(control_path(self.directory)))}

[sds]
address = "{layout.SDS.address}"
port = {layout.SDS.port}
updates_port = {layout.SDS_UPDATES.port}
public_key_file = {_toml(str(self.public_key("sds")))}
"""

    def _agent_settings(self, server: layout.Server) -> str:
        start = [sys.executable, "-P", "-m", server.program, "--root", str(self.directory / server.root)]
        hot = f"standby = {_toml('hot')}        # its secondary keeps it started, but shut\nactivate = {_toml(layout.ACTIVATE)}\n"
        return f"""# The agent of {server.name}, home of {server.service} (P2, P22).

cluster = "{layout.CLUSTER}"
name = "{server.name}"
address = "{server.address}"
peer_port = {layout.PEER_PORT}
state_dir = {_toml(str(self.directory / server.name))}
key_file = {_toml(str(self.key(server.name)))}
timing = "auto"   # by the scheduling class that can be had: "lan" or "calm"
load = "agent"    # three servers share this machine: each counts what it runs itself
load_command = ["/bin/cat", {_toml(str(self.load(server.name)))}]  # and what "locum demo load" lays on it
load_command_every_s = 1

[sds]
address = "{layout.SDS.address}"
port = {layout.SDS.port}
updates_port = {layout.SDS_UPDATES.port}
public_key_file = {_toml(str(self.public_key("sds")))}

[dns]
server = "{layout.DNS.address}"
port = {layout.DNS.port}
zone = "{layout.ZONE}"
key_name = "{layout.TSIG_KEY}"
key_secret_file = {_toml(str(self.tsig_secret))}
ttl_s = 1

[[service]]
name = "{server.service}"
fqdn = "{server.service}.{layout.ZONE}"
port = {server.port}
start = {_toml(start)}
{hot if server.hot else ""}environment = {{ PYTHONPATH = {_toml(str(CHECKOUT))}, {MARK} = {_toml(str(self.directory))} }}
exclusive = true       # at most one server at any instant
failback = "auto"
failback_delay_s = 2   # the home must have been up this long
restart_limit = 3      # restarts in place within a minute, then a handover
restart_window_s = 60
"""


def _toml(value: str | list[str]) -> str:
    """As TOML writes it, which takes characters as they are but knows no surrogate pairs."""
    return json.dumps(value, ensure_ascii=False)


def _once(path: Path, text: Callable[[], str], mode: int) -> None:
    """Write the file unless it exists; whole or not at all, and with its mode from the first byte."""
    if path.exists():
        return
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _settle(path: Path, text: Callable[[], str], needs: list[str], stale: str) -> str:
    """Write the file unless it exists and can still work; a line about it if it was replaced."""
    line = ""
    if path.exists() and not all(_toml(need) in path.read_text(encoding="utf-8") for need in needs):
        old = path.with_suffix(".toml.old")
        path.replace(old)
        line = f"{path}: {stale}: written anew, the old one kept as {old.name}"
    _once(path, text, 0o644)
    return line
