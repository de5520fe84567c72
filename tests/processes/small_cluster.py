"""A small cluster of real processes: `locum sds`, `locum agent`, and a web service, on loopback addresses of its own."""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hosts import Namespace, Switch
from waiting import until

from agent import adoption, gate
from bus import keys
from bus.config import AgentConfig, ConfigError, parse

CHECKOUT = Path(__file__).resolve().parents[2]
SOON_S = 30.0
"""Generous: what is asserted is that it comes, not when."""

PORT = 8081
"""Of the service, at every server's own address."""

DNS_PORT, ZONE, TSIG_KEY = 10053, "test", "locum."

WEB = (sys.executable, "-P", "-m", "demo.services.http")

_nets = itertools.count(1)


def _fresh_net() -> str:
    """The first three bytes of addresses that no other cluster of these tests has, in this process or another."""
    return f"127.{64 + os.getpid() % 64}.{os.getpid() // 64 % 128 * 2 + next(_nets) % 2}"


def command(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "cli.main", *words]


def environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LOCUM_")}
    return kept | {"PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}


def toml(value: object) -> str:
    """A string or a list of strings as TOML has it, which is as JSON has it."""
    return json.dumps(value)


class Part:
    """One `locum` process, or another of our programs, in the foreground, and what it says."""

    def __init__(self, name: str, words: Iterable[str], log: Path, program: str = "cli.main", prefix: Iterable[str] = ()) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as said:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-P", "-m", program, *words],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text()

    def ended(self, within_s: float = SOON_S) -> int:
        """Its exit code, once it ended by itself."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} has not ended:\n{self.said()}") from None


class SmallCluster:
    """An SDS and the agents that a test starts; service www is at home on server one, or as the test says."""

    def __init__(self, directory: Path, servers: Iterable[str]) -> None:
        self.directory = directory
        self.net = _fresh_net()
        self.sds_address = f"{self.net}.10"
        self.name_server: str | None = None
        self.timing = "auto"
        self.hosts: dict[str, Namespace] = {}  # where parts and the client are, if not all on this machine
        self.parts: list[Part] = []
        self._numbers = itertools.count(1)
        names = list(servers)
        for name in ["sds", "operator", "stranger", *names]:
            keys.make(self.key(name))
        trusted = "".join(f'{name} = "{self._public(name)}"\n' for name in names)
        self.trust = directory / "trust.toml"
        self.trust.write_text(f'[servers]\n{trusted}[operators]\noperator = "{self._public("operator")}"\n')
        self.files_url: str | None = None
        self.has_door = False  # of the SDS's store, to the files
        self.dns = ""  # the section [dns] of every agent's file
        self.servers = {name: f"{self.net}.{number}" for number, name in enumerate(names, 11)}

    def move_to_hosts(self, switch: Switch) -> None:
        """Every server, the SDS and a client on a host of its own; before anything is started."""
        self.net = "10.78.0"
        self.sds_address = f"{self.net}.10"
        self.servers = {name: f"{self.net}.{number}" for number, name in enumerate(self.servers, 11)}
        places = {"sds": self.sds_address, "client": f"{self.net}.100", **self.servers}
        self.hosts = {name: switch.plug_in(address) for name, address in places.items()}

    def key(self, name: str) -> Path:
        return self.directory / f"{name}.key"

    def _public(self, name: str) -> str:
        return keys.load_public(self.directory / f"{name}.key.pub")

    # -- settings

    def sds_settings(self, **changed: str) -> Path:
        values = {"cluster": "small", "address": self.sds_address, "state_dir": str(self.directory / "sds")}
        values |= {"key_file": str(self.key("sds")), "trust_file": str(self.trust)} | changed
        text = "".join(f"{key} = {toml(value)}\n" for key, value in values.items())
        if self.has_door:
            text += f"[files]\naddress = {toml(self.sds_address)}\npassword_file = {toml(str(self.directory / 'files.password'))}\n"
        return self._write("sds", text)

    def agent_settings(self, name: str, service: Mapping[str, Any] | None = None, where: str | None = None, **changed: Any) -> Path:
        """The settings of a server; `service` is what is at home there, `where` what leads to the SDS if not its address."""
        values = {"cluster": "small", "name": name, "address": self.servers.get(name, ""), "state_dir": str(self.directory / name)}
        values |= {"key_file": str(self.key(name)), "timing": self.timing} | changed
        text = "".join(f"{key} = {toml(value)}\n" for key, value in values.items())
        if self.name_server is not None:
            text += f"[dns]\nserver = {toml(self.name_server)}\nport = {DNS_PORT}\nzone = {toml(ZONE)}\nkey_name = {toml(TSIG_KEY)}\n"
            text += f"key_secret_file = {toml(str(self.directory / 'tsig.secret'))}\nttl_s = 1\n"
        if self.files_url is not None:
            text += f"[files]\nurl = {toml(self.files_url)}\npassword_file = {toml(str(self.directory / 'files.password'))}\n"
            text += f"root = {toml(str(self.root(name)))}\n"
        where = f"address = {toml(self.sds_address)}" if where is None else where
        text += f"[sds]\n{where}\npublic_key_file = {toml(str(self.directory / 'sds.key.pub'))}\n{self.dns}"
        if service is not None:
            settings = {"name": "www", "fqdn": "www.test", "port": PORT, "start": WEB, "failback_delay_s": 0.5} | dict(service)
            text += "[[service]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in settings.items())
            text += f"environment = {{ PYTHONPATH = {toml(str(CHECKOUT))} }}\n"
        return self._write(f"{name}-{next(self._numbers)}", text)

    def _write(self, name: str, text: str) -> Path:
        path = self.directory / f"{name}.toml"
        path.write_text(text)
        return path

    # -- processes

    def start(self, kind: str, settings: Path) -> Part:
        """`locum sds` or `locum agent` with these settings."""
        host = "sds" if kind == "sds" else parse(settings.read_text(), AgentConfig, str(settings)).name
        prefix = self.hosts[host].prefix if host in self.hosts else ()
        part = Part(settings.stem, [kind, "--config", str(settings)], settings.with_suffix(".log"), prefix=prefix)
        self.parts.append(part)
        return part

    def begin_names(self) -> None:
        """A name server for the zone `test`, to which agents that are started from now on write."""
        secret = self.directory / "tsig.secret"
        secret.touch(mode=0o600)
        secret.write_text(base64.b64encode(os.urandom(32)).decode())
        address, log = f"{self.net}.14", self.directory / "names.log"
        words = ["--address", address, "--port", str(DNS_PORT), "--zone", ZONE, "--key-name", TSIG_KEY]
        words += ["--key-secret-file", str(secret), "--state-file", str(self.directory / "zone")]
        self.parts.append(Part("names", words, log, program="demo.nameserver"))
        self.name_server = address

    def begin_files(self, url: str | None = None, password: str = "secret-of-the-small-cluster") -> None:
        """Services' files are kept there, or in the store of the SDS; for parts that are started from now on."""
        secret = self.directory / "files.password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        self.files_url = url or f"redis://files@{self.sds_address}:6379/0"
        self.has_door = url is None

    def root(self, server: str) -> Path:
        """Below which the services' files lie on this server."""
        return self.directory / "roots" / server

    def page(self, server: str, text: str | None = None, name: str = "index.html") -> str | None:
        """What stands in a page of www on this server; with a text, after that was written there."""
        path = self.root(server) / "srv" / "www" / name
        if text is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return path.read_text() if path.is_file() else None

    def begin(self, service: Mapping[str, Any] | None = None) -> dict[str, Part]:
        """The SDS and an agent for every server, www at home on the first of them."""
        started = {"sds": self.start("sds", self.sds_settings())}
        for number, name in enumerate(self.servers):
            offered = service or {} if number == 0 else None
            started[name] = self.start("agent", self.agent_settings(name, offered))
        return started

    def end(self) -> None:
        """End whatever runs: the agents first, by SIGTERM twice, which makes them end at once."""
        for kind in (False, True):
            some = [part for part in self.parts if part.name.startswith("sds") is kind and part.process.poll() is None]
            for part in some:
                part.process.send_signal(signal.SIGTERM)
            for part in some:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    part.process.wait(1.0)
                if part.process.poll() is None:
                    part.process.send_signal(signal.SIGTERM)
            for part in some:
                try:
                    part.process.wait(10)
                except subprocess.TimeoutExpired:
                    part.process.kill()
                    part.process.wait()
        self._drop_gates()

    def _drop_gates(self) -> None:
        """What agents that were killed left in this machine's kernel; hosts of a test are gone with it."""
        for settings in () if self.hosts else self.directory.glob("*.toml"):
            with contextlib.suppress(ConfigError):
                config = parse(settings.read_text(), AgentConfig, str(settings))
                gate.remove_left(config, adoption.identity(config))

    def logs(self) -> str:
        return "\n".join(f"--- {part.name}\n{part.said()}" for part in self.parts)

    # -- what an operator and a client see

    def locum(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command about this cluster, to its end."""
        options = ["--sds", self.sds_address, "--cluster", "small", "--key", str(self.key("operator"))]
        prefix = self.hosts["client"].prefix if "client" in self.hosts else []
        return subprocess.run(
            [*prefix, *command(*words, *options, "--sds-key", str(self.directory / "sds.key.pub"))],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        result = self.locum("status", "--json")
        assert result.returncode in (0, 3), result
        found: dict[str, Any] = json.loads(result.stdout) if result.returncode == 0 else {"services": [], "servers": []}
        return found

    def service(self) -> dict[str, Any]:
        """The row of www; empty while it is unknown."""
        return next((row for row in self.status()["services"] if row["name"] == "www"), {})

    def candidate(self, server: str) -> dict[str, Any]:
        """What status says of this server as a candidate for www."""
        return next((row for row in self.service().get("candidates", []) if row["server"] == server), {})

    def history(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.locum("history", "--json").stdout.splitlines()]

    def whoami(self, server: str) -> dict[str, Any] | None:
        """What answers for www at this server's address."""
        if "client" in self.hosts:
            return self.hosts["client"].inside(lambda: self._whoami(server))
        return self._whoami(server)

    def _whoami(self, server: str) -> dict[str, Any] | None:
        connection = http.client.HTTPConnection(self.servers[server], PORT, timeout=2)
        try:
            connection.request("GET", "/whoami")
            told: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return told

    def served(self, server: str) -> dict[str, Any]:
        """Wait until www answers there."""
        return self._until(lambda: self.whoami(server))

    def settled(self, holder: str, secondary: str | None = None) -> dict[str, Any]:
        """Wait until this server holds www, with that secondary or any."""

        def settled() -> dict[str, Any] | None:
            row = self.service()
            good = row.get("holder") == holder and row["state"] == "serving" and row["reason"] is None
            return row if good and (row["secondary"] == secondary if secondary else row["secondary"]) else None

        return self._until(settled)

    def settled_without_secondary(self, holder: str) -> dict[str, Any]:
        """Wait until this server serves www, though nobody can stand in for it."""
        return self._until(lambda: (row := self.service()).get("holder") == holder and row["state"] == "serving" and row)

    def _until(self, condition: Any) -> Any:
        try:
            return until(condition, within_s=SOON_S, every_s=0.05)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.logs()}") from None


@contextlib.contextmanager
def listening(address: str, port: int) -> Any:
    """A program of somebody else's on a port: this one."""
    with socket.socket() as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((address, port))
        door.listen()
        yield door
