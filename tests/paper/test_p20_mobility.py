"""P20: a server can move to another network (its reference 3 is Mobile IPv6: test AAAA too).

Real hosts, as network namespaces; a client that knows names alone asks all the
while.  The server that holds the services loses its addresses and gets others,
first of IPv4, then only IPv6: epoch and secondary stay, and the names follow.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dns.exception
import dns.message
import dns.query
import pytest
from network import Network, why_not
from processes.small_cluster import CHECKOUT, WEB, command, environment, toml
from waiting import until

from bus import keys

SOON_S = 30.0
ZONE = "mobile.test"
CORE, EMAIL = "fd77::10", "fd77::12"
SERVICES = {"www": 8081, "all": 8082}  # one bound to its server's address, one to all


class Seen(NamedTuple):
    """What a client got for a name."""

    name: str
    address: str
    told: dict[str, Any]


class Hosts:
    """SDS and name server on `core`; `http`, where both services are at home; `email`, its secondary; a client."""

    def __init__(self, directory: Path, network: Network) -> None:
        self.directory = directory
        self.network = network
        self.processes: list[subprocess.Popen[bytes]] = []
        self.logs: list[Path] = []
        for name in ("sds", "operator", "http", "email"):
            keys.make(directory / f"{name}.key")
        public = {name: keys.load_public(directory / f"{name}.key.pub") for name in ("operator", "http", "email")}
        self.trust = directory / "trust.toml"
        servers = "".join(f'{name} = "{public[name]}"\n' for name in ("http", "email"))
        self.trust.write_text(f'[servers]\n{servers}[operators]\noperator = "{public["operator"]}"\n')
        self.secret = directory / "tsig.secret"
        self.secret.touch(mode=0o600)
        self.secret.write_text(base64.b64encode(os.urandom(32)).decode())

    def begin(self) -> None:
        network = self.network
        network.begin()
        network.add("core", "10.77.0.10/24", f"{CORE}/64")
        network.add("http", "10.77.0.11/24", "fd77::11/64")
        network.add("email", "10.77.0.12/24", f"{EMAIL}/64")
        network.add("client", "10.77.0.99/24", "fd77::99/64")
        nameserver = [sys.executable, "-P", "-m", "demo.nameserver", "--address", CORE, "--port", "53", "--zone", ZONE]
        nameserver += ["--key-name", "locum.", "--key-secret-file", str(self.secret), "--state-file", str(self.directory / "zone")]
        self._start("core", "dns", nameserver)
        self._start("core", "sds", command("sds", "--config", str(self._settings_of_sds())))
        self._start("email", "email", command("agent", "--config", str(self._settings("email", EMAIL))))
        self._start("http", "http", command("agent", "--config", str(self._settings("http", "interface:eth0"))))

    def _start(self, host: str, name: str, argv: list[str]) -> None:
        log = self.directory / f"{name}.log"
        self.logs.append(log)
        with log.open("ab") as said:
            self.processes.append(
                subprocess.Popen(
                    [*self.network.words(host), *argv],
                    env=environment(),
                    cwd=self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                )
            )

    def _settings_of_sds(self) -> Path:
        path = self.directory / "sds.toml"
        values = {"cluster": "mobile", "address": CORE, "state_dir": str(self.directory / "sds"), "timing": "wan"}
        values |= {"key_file": str(self.directory / "sds.key"), "trust_file": str(self.trust)}
        path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in values.items()))
        return path

    def _settings(self, name: str, address: str) -> Path:
        path = self.directory / f"{name}.toml"
        values = {"cluster": "mobile", "name": name, "address": address, "state_dir": str(self.directory / name), "timing": "wan"}
        values |= {"key_file": str(self.directory / f"{name}.key"), "load": "agent"}
        text = "".join(f"{key} = {toml(value)}\n" for key, value in values.items())
        text += f'[sds]\naddress = "{CORE}"\npublic_key_file = {toml(str(self.directory / "sds.key.pub"))}\n'
        text += f'[dns]\nserver = "{CORE}"\nzone = "{ZONE}"\nkey_name = "locum."\nkey_secret_file = {toml(str(self.secret))}\n'
        programs = {"www": list(WEB), "all": [sys.executable, "-P", str(Path(__file__).with_name("everywhere.py"))]}
        for service, port in SERVICES.items() if name == "http" else ():
            text += f'[[service]]\nname = "{service}"\nfqdn = "{service}.{ZONE}"\nport = {port}\nstart = {toml(programs[service])}\n'
            text += f"environment = {{ PYTHONPATH = {toml(str(CHECKOUT))} }}\n"
        path.write_text(text)
        return path

    def end(self) -> None:
        """The agents first, by SIGTERM twice, which makes them end at once."""
        for process in reversed(self.processes):
            for _ in range(2):
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                    try:
                        process.wait(1.0)
                    except subprocess.TimeoutExpired:
                        continue
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # -- what an operator sees

    def locum(self, *words: str) -> str:
        options = ["--sds", f"[{CORE}]", "--cluster", "mobile", "--key", str(self.directory / "operator.key")]
        options += ["--sds-key", str(self.directory / "sds.key.pub")]
        argv = [*self.network.words("client"), *command(*words, *options)]
        result = subprocess.run(argv, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode in (0, 3), result
        return result.stdout

    def status(self) -> dict[str, Any]:
        text = self.locum("status", "--json")
        return json.loads(text) if text else {"servers": [], "services": []}

    def history(self, kind: str) -> list[dict[str, Any]]:
        events = [json.loads(line) for line in self.locum("history", "--json").splitlines()]
        return [event for event in events if event["kind"] == kind]

    def settled(self, address: str) -> dict[str, Any]:
        """Wait until http holds both, backed by email, is known at this address, and every name leads there; the rows."""

        def settled() -> dict[str, Any] | None:
            found = self.status()
            rows = {row["name"]: row for row in found["services"]}
            held = len(rows) == 2 and all((r["holder"], r["secondary"], r["state"]) == ("http", "email", "serving") for r in rows.values())
            named = held and all((r["dns_address"], r["dns"]["state"]) == (address, "converged") for r in rows.values())
            server = next((row for row in found["servers"] if row["name"] == "http"), None)
            known = server is not None and server["address"] == address and server["dns"] is not None
            return rows if named and known and server["dns"]["state"] == "converged" else None

        return self.until(settled)

    def until(self, condition: Any) -> Any:
        try:
            return until(condition, within_s=SOON_S, every_s=0.05)
        except AssertionError as late:
            said = "\n".join(f"--- {log.name}\n{log.read_text()[-3000:]}" for log in self.logs)
            raise AssertionError(f"{late}\n{json.dumps(self.status(), indent=1)}\n{said}") from None


def look_up(name: str) -> list[str]:
    """All addresses of a name, as a client of either family asks for them."""
    found = []
    for kind in ("A", "AAAA"):
        reply = dns.query.udp(dns.message.make_query(f"{name}.{ZONE}.", kind), CORE, timeout=1)
        found += [rdata.to_text() for rrset in reply.answer for rdata in rrset]
    return found


def use(service: str) -> Seen | None:
    """Resolve the name and use the service; None if it does not answer now."""
    try:
        (address,) = look_up(service)
        connection = http.client.HTTPConnection(address, SERVICES[service], timeout=1)
        try:
            connection.request("GET", "/whoami")
            return Seen(service, address, json.loads(connection.getresponse().read()))
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException, dns.exception.DNSException):
        return None


class Client:
    """Asks for both services by name until told to stop, from a host of its own."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._over = threading.Event()
        self.seen: list[Seen] = []
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        with self._network.inside("client") as do:
            do(self._ask_there)

    def _ask_there(self) -> None:
        while not self._over.is_set():
            self.seen += [seen for seen in map(use, SERVICES) if seen is not None]
            self._over.wait(0.02)

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def gets(self, service: str, address: str) -> Seen | None:
        """The newest answer for that service, if it came from there."""
        newest = next((seen for seen in reversed(self.seen) if seen.name == service), None)
        return newest if newest is not None and newest.address == address else None


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    network = Network()
    hosts = Hosts(tmp_path, network)
    try:
        hosts.begin()
        yield hosts
    finally:
        hosts.end()
        network.end()


def test_p20_services_go_on_while_their_server_moves(hosts: Hosts) -> None:
    """P20, and P5: a takeover would be another epoch."""
    epochs = {name: row["epoch"] for name, row in hosts.settled("10.77.0.11").items()}
    client = Client(hosts.network)
    try:
        for service in SERVICES:
            hosts.until(lambda service=service: client.gets(service, "10.77.0.11"))
        hosts.network.readdress("http", ("10.77.0.11/24", "fd77::11/64"), ("10.77.0.21/24", "fd77::21/64"))
        _follows(hosts, client, "10.77.0.21")
        hosts.network.readdress("http", ("10.77.0.21/24",), ())
        _follows(hosts, client, "fd77::21")
        with hosts.network.inside("client") as do:
            for name in ("www", "all", "http.servers"):
                assert do(lambda name=name: look_up(name)) == ["fd77::21"], "AAAA, and A no more"
    finally:
        client.stop()
    assert {name: row["epoch"] for name, row in hosts.settled("fd77::21").items()} == epochs
    assert {(seen.told["server"], seen.told["epoch"]) for seen in client.seen} == {("http", epoch) for epoch in epochs.values()}
    assert [event["text"] for event in hosts.history("moved")] == ["from 10.77.0.11 to 10.77.0.21", "from 10.77.0.21 to fd77::21"]
    assert len({seen.told["pid"] for seen in client.seen if seen.name == "all"}) == 1, "it listens everywhere, and was never touched"
    restarted = [event["service"] for event in hosts.history("restarted")]
    assert restarted == ["www", "www"], "it was bound to the old address"
    for kind in ("asking", "lapsed", "released"):
        assert not hosts.history(kind), f"{kind}: the move was to disturb nobody"


def _follows(hosts: Hosts, client: Client, address: str) -> None:
    began_at = time.monotonic()
    for service in SERVICES:
        hosts.until(lambda service=service: client.gets(service, address))
        print(f"{service} at {address} {time.monotonic() - began_at:.2f} s after the move")
    hosts.settled(address)
