"""Who is who on the test-bed (P22, Fig. 1): five hosts, the outside, and three services with their homes."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import NamedTuple

CLUSTER = "testbed"
ZONE = "testbed.locum.test"
CLIENT = "client"
"""The outside world: no host of the cluster."""

TIMINGS = ("lan", "calm", "wan")


class PlanError(Exception):
    """The environment asks for a bed that cannot be."""


SECONDARIES = {"www": "email"}
"""What Fig. 2a says of secondaries; of the other two services it says nothing."""


class Service(NamedTuple):
    """A service, and where its processes are found."""

    name: str
    port: int
    programs: str  # a program, or the directory of all its programs


class Host(NamedTuple):
    """One of the hosts."""

    name: str
    address: str
    service: Service | None = None  # whose home it is


class Plan(NamedTuple):
    """The hosts on their network."""

    hosts: tuple[Host, ...]
    client: Host

    @property
    def servers(self) -> tuple[Host, ...]:
        """Those that run an agent."""
        return tuple(host for host in self.hosts if host.service)

    def host(self, name: str) -> Host:
        """One of the hosts or the client; raises `PlanError`."""
        for host in (*self.hosts, self.client):
            if host.name == name:
                return host
        known = " ".join(host.name for host in self.hosts)
        raise PlanError(f"{name}: there is no such host: one of {known} {CLIENT}")

    def addresses(self) -> list[str]:
        """NAME=ADDRESS of everyone, as the provisioning scripts want them."""
        return [f"{host.name}={host.address}" for host in (*self.hosts, self.client)]

    @property
    def joining(self) -> tuple[tuple[Host, ...], ...]:
        """The servers in the order in which they join.

        All idle, they are equal in priority, and who joins later moves nothing.
        So email is www's secondary, as in Fig. 2a (P23), if it is there first.
        """
        late = tuple(host for host in self.servers if host.service == FTP)
        return tuple(host for host in self.servers if host not in late), late


WWW = Service("www", 80, "/usr/sbin/nginx")
FTP = Service("ftp", 21, "/usr/sbin/vsftpd")
MAIL = Service("mail", 25, "/usr/lib/postfix/sbin/")
SERVICES = (WWW, FTP, MAIL)


def plan(environment: Mapping[str, str] = os.environ) -> Plan:
    """The bed on the network of $LOCUM_TESTBED_NETWORK, three numbers of an IPv4 /24; raises `PlanError`."""
    network = environment.get("LOCUM_TESTBED_NETWORK") or "10.77.0"
    try:
        private = ipaddress.ip_network(f"{network}.0/24").is_private
    except ValueError:
        private = False
    if not private:
        raise PlanError(f"LOCUM_TESTBED_NETWORK: {network}: is no private network of 256 addresses: write its first three numbers, 10.77.0")
    hosts = (
        Host("sds", f"{network}.10"),
        Host("db", f"{network}.53"),
        Host("http", f"{network}.11", WWW),
        Host("ftp", f"{network}.12", FTP),
        Host("email", f"{network}.13", MAIL),
    )
    return Plan(hosts, Host(CLIENT, f"{network}.100"))
