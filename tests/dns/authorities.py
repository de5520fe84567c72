"""Real authorities for one zone: the demo's name server, and BIND 9, each a process of its own."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.tsig
import dns.update

from agent.dns import Names
from bus.config import DnsSettings
from tests.waiting import until

ADDRESS = "127.0.0.1"
ZONE = "demo.locum.test"
KEY_NAME = "locum."
ROOT = Path(__file__).resolve().parents[2]
NAMED = shutil.which("named") or shutil.which("named", path="/usr/sbin:/usr/local/sbin")

BIND_CONFIG = """
options {{
    directory "{folder}";
    pid-file none;
    session-keyfile "{folder}/session.key";
    listen-on port {port} {{ {address}; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    notify {notify};
    {also_notify}
    notify-delay 0;
    allow-transfer {{ {transfer}; }};
}};
controls {{ }};
key "{key}" {{ algorithm hmac-sha256; secret "{secret}"; }};
zone "{zone}" {{ type primary; file "{folder}/zone.db"; allow-update {{ key "{key}"; }}; }};
"""

BIND_SECONDARY = """
options {{
    directory "{folder}";
    pid-file none;
    session-keyfile "{folder}/session.key";
    listen-on port {port} {{ {address}; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    notify no;
    allow-transfer {{ none; }};
}};
controls {{ }};
zone "{zone}" {{ type secondary; file "{folder}/zone.db"; primaries {{ {address} port {primary}; }}; }};
"""

BIND_ZONE = f"""
$TTL 1
@ SOA ns.{ZONE}. hostmaster.{ZONE}. 1 3600 600 86400 1
@ NS ns.{ZONE}.
ns A {ADDRESS}
"""


def free_port() -> int:
    """A port that neither UDP nor TCP uses."""
    for _ in range(50):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind((ADDRESS, 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind((ADDRESS, port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free in UDP and TCP")


class Authority:
    """A name server process for ZONE, and how to talk to it."""

    def __init__(self, kind: str, folder: Path, notify: int = 0) -> None:
        """`notify`: the port of a BIND secondary, which may have the zone from this one."""
        self.kind = kind
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.notify = notify
        self.port = free_port()
        self.secret = os.urandom(32)
        self.secret_file = folder / "secret"
        self.secret_file.touch(mode=0o600)
        self.secret_file.write_text(base64.b64encode(self.secret).decode() + "\n")
        self.log_file = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> dns.tsig.Key:
        return dns.tsig.Key(KEY_NAME, self.secret)

    @property
    def state_file(self) -> Path:
        return self.folder / "zone.db"

    def command(self) -> list[str]:
        if self.kind == "bind":
            config = self.folder / "named.conf"
            secret = base64.b64encode(self.secret).decode()
            values = {"folder": self.folder, "port": self.port, "address": ADDRESS, "key": KEY_NAME, "secret": secret, "zone": ZONE}
            values |= {"notify": "no", "also_notify": "", "transfer": "none"}
            if self.notify:
                also = f"also-notify {{ {ADDRESS} port {self.notify}; }};"
                values |= {"notify": "explicit", "also_notify": also, "transfer": ADDRESS}
            config.write_text(BIND_CONFIG.format(**values))
            if not self.state_file.exists():
                self.state_file.write_text(BIND_ZONE)
            return [str(NAMED), "-g", "-n", "1", "-c", str(config)]
        return [
            *(sys.executable, "-m", "demo.nameserver", "--address", ADDRESS, "--port", str(self.port), "--zone", ZONE),
            *("--key-name", KEY_NAME, "--key-secret-file", str(self.secret_file), "--state-file", str(self.state_file)),
        ]

    def start(self) -> None:
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(self.command(), cwd=ROOT, stdout=log, stderr=log)
        until(self._answers, within_s=30, every_s=0.05)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.kind} ended: {self.log_file.read_text()}"
        try:
            return all(self.ask(f"{ZONE}.", "SOA", tcp=tcp).rcode() == dns.rcode.NOERROR for tcp in (True, False))
        except (OSError, EOFError, dns.exception.DNSException):
            return False

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(20)
        self.process = None
        return status

    def ask(self, name: str, rdtype: str, tcp: bool = False, **more: object) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype, **more)
        return (dns.query.tcp if tcp else dns.query.udp)(query, ADDRESS, timeout=5, port=self.port)

    def values(self, name: str, rdtype: str) -> list[str]:
        answer = self.ask(name, rdtype, tcp=True).answer
        return sorted(rdata.to_text() for rrset in answer for rdata in rrset)

    def serial(self) -> int:
        return int(self.ask(f"{ZONE}.", "SOA", tcp=True).answer[0][0].serial)

    def change(self, zone: str = ZONE) -> dns.update.UpdateMessage:
        """An update, signed when it is sent."""
        return dns.update.UpdateMessage(zone, keyring=self.key)

    def send(self, update: dns.message.Message, tcp: bool = True) -> dns.rcode.Rcode:
        return (dns.query.tcp if tcp else dns.query.udp)(update, ADDRESS, timeout=5, port=self.port).rcode()

    def exchange(self, wire: bytes) -> bytes:
        """Any bytes over TCP, and what comes back."""
        with socket.create_connection((ADDRESS, self.port), timeout=5) as connection:
            connection.sendall(len(wire).to_bytes(2, "big") + wire)
            with connection.makefile("rb") as stream:
                return stream.read(int.from_bytes(stream.read(2), "big"))

    def settings(self, **changed: object) -> DnsSettings:
        """What an agent's configuration would say."""
        settings: dict[str, object] = {"server": ADDRESS, "port": self.port, "zone": ZONE, "key_name": KEY_NAME, "timeout_s": 10.0}
        return DnsSettings(**(settings | {"key_secret_file": str(self.secret_file)} | changed))  # type: ignore[arg-type]

    def names(self, **changed: object) -> Names:
        return Names(self.settings(**changed), self.secret)


class BindSecondary(Authority):
    """A BIND 9 that has the zone from a primary, and knows no key."""

    def __init__(self, folder: Path) -> None:
        super().__init__("bind", folder)
        self.primary = 0  # its port

    def command(self) -> list[str]:
        config = self.folder / "named.conf"
        config.write_text(BIND_SECONDARY.format(folder=self.folder, port=self.port, address=ADDRESS, zone=ZONE, primary=self.primary))
        return [str(NAMED), "-g", "-n", "1", "-c", str(config)]
