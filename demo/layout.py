"""The paper's cluster on one machine: who lives where (P22, DESIGN section 9)."""

from __future__ import annotations

import socket
from typing import NamedTuple

from demo.ports import Endpoint

CLUSTER = "demo"
ZONE = "demo.locum.test"
OPERATOR = "operator"
"""The name under which the command line speaks to the demo."""

SDS = Endpoint("127.0.1.10", 5750)
SDS_UPDATES = Endpoint("127.0.1.10", 5751)
DNS = Endpoint("127.0.1.14", 10053)
MONITOR = Endpoint("127.0.0.1", 8080)
"""Where the page is; the one endpoint that may be changed, since others like that port too."""

PEER_PORT = 5760
TSIG_KEY = "locum."


class Server(NamedTuple):
    """One of the test-bed's three application servers, and the service whose home it is."""

    name: str
    address: str
    service: str
    port: int
    program: str  # of demo/services
    root: str  # the service's directory below the state directory
    hot: bool = False  # its secondary keeps the program started

    @property
    def peers(self) -> Endpoint:
        return Endpoint(self.address, PEER_PORT)


SERVERS = (
    Server("http", "127.0.1.11", "www", 8081, "demo.services.http", "files/www", hot=True),
    Server("ftp", "127.0.1.12", "ftp", 2121, "demo.services.ftp", "files/ftp"),
    Server("email", "127.0.1.13", "mail", 2525, "demo.services.smtp", "files/mail"),
)

ACTIVATE = [
    "/bin/sh",
    "-c",
    'bell="$LOCUM_RUN/standby.$LOCUM_PID"; until test -p "$bell"; do sleep 0.01; done; echo "$LOCUM_EPOCH" > "$bell"',
]
"""Opens the door of a hot standby: a shell, since that is there within milliseconds."""

PARTS = ("sds", "store", "dns", "monitor", "http", "ftp", "email")
"""What the verbs of `locum demo` may name."""


def endpoints() -> tuple[Endpoint, ...]:
    """Everything that the demo will listen on; each service may come to run on each server."""
    services = (Endpoint(server.address, other.port) for server in SERVERS for other in SERVERS)
    return (SDS, SDS_UPDATES, DNS, DNS._replace(kind=socket.SOCK_DGRAM), *(server.peers for server in SERVERS), *services)


def records() -> tuple[str, ...]:
    """What the zone holds from the start: the name of the SDS, and where it listens.  The servers register their own (P5)."""
    ports = [("_locum-sds._tcp", SDS.port), ("_locum-sds-updates._tcp", SDS_UPDATES.port)]
    return (
        f"sds.servers.{ZONE}. A {SDS.address}",
        *(f"{name}.{ZONE}. SRV 0 0 {port} sds.servers.{ZONE}." for name, port in ports),
    )
