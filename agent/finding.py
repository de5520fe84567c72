"""Where the SDS is, by DNS SRV (RFC 2782): for agents, and for the command line.

    _locum-sds._tcp.shop.example.          SRV  0 10 5750 sds.shop.example.
    _locum-sds-updates._tcp.shop.example.  SRV  0 10 5751 sds.shop.example.
    sds.shop.example.                      A    192.0.2.10

The second is only needed where updates are at another port than the one after
the first's.  All targets are candidates, in the order of RFC 2782: lower
priorities first, among equals by lot, weighted.

DNS says where to look and proves nothing: who answers there must have the SDS's
key (R20).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
from dns.rdatatype import RdataType

SERVICE = "_locum-sds._tcp"
"""The SDS's port for questions."""

UPDATES = "_locum-sds-updates._tcp"
"""Its port for table updates; without this record it is the port after the other."""

LIMIT_S = 4.0
"""For everything that is asked in one search."""


class NotFoundError(Exception):
    """DNS names no SDS now.  One line: what was asked, what came of it, how to mend it."""


class NameServer(NamedTuple):
    """Whom to ask."""

    address: str
    port: int = 53

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"


class Place(NamedTuple):
    """Where an SDS may be."""

    address: str
    port: int
    updates_port: int

    def __str__(self) -> str:
        return f"{self.address} port {self.port}"


async def find(domains: Sequence[str] = (), server: NameServer | None = None) -> list[Place]:
    """The places that the first of these domains names which names any, in the order in which to try them.

    Without domains it is this host's own and its search list, without a server
    this host's name servers.  Raises `NotFoundError`.
    """
    try:
        resolver = _resolver(server)
        async with asyncio.timeout(LIMIT_S):  # dnspython's own is reckoned by the wall clock
            return await _search(resolver, domains or _of_this_host(resolver))
    except TimeoutError:
        raise NotFoundError(f"no SDS found by DNS: no answer from {_asked(server)} within {LIMIT_S:g} s") from None
    except (dns.exception.DNSException, ValueError, OSError) as error:
        raise NotFoundError(f"no SDS found by DNS: {_asked(server)}: {_line(error)}") from None


def _asked(server: NameServer | None) -> str:
    return f"name server {server}" if server else "this host's name servers (/etc/resolv.conf)"


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _resolver(server: NameServer | None) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=server is None)
    resolver.lifetime = 2 * LIMIT_S
    if server is not None:
        resolver.nameservers = [server.address]
        resolver.port = server.port
    return resolver


def _of_this_host(resolver: dns.asyncresolver.Resolver) -> list[str]:
    own = [resolver.domain] if len(resolver.domain.labels) > 1 else []
    found = list(dict.fromkeys(name.to_text(omit_final_dot=True) for name in [*own, *resolver.search]))
    if not found:
        raise NotFoundError("no SDS found by DNS: this host has no search domain (/etc/resolv.conf): name the domain, or the SDS's address")
    return found


async def _search(resolver: dns.asyncresolver.Resolver, domains: Sequence[str]) -> list[Place]:
    reasons = []
    for domain in domains:
        try:
            return await _in_domain(resolver, domain)
        except NotFoundError as error:
            reasons.append(str(error))
    name = f"{SERVICE}.{domains[0].rstrip('.')}."
    raise NotFoundError(
        f"no SDS found by DNS: {'; '.join(reasons)}: add a record ({name} SRV 0 0 5750 and its host), or name the SDS's address"
    )


async def _in_domain(resolver: dns.asyncresolver.Resolver, domain: str) -> list[Place]:
    services = await _records(resolver, SERVICE, domain)
    if not services:
        raise NotFoundError(f"{SERVICE}.{domain} has no SRV record")
    if all(record.target == dns.name.root for record in services):
        raise NotFoundError(f"{SERVICE}.{domain} says that there is none here (its target is the root)")
    updates = {record.target: record.port for record in await _records(resolver, UPDATES, domain)}
    places: list[Place] = []
    for record in services:
        port = updates.get(record.target, record.port + 1)
        if record.target != dns.name.root and 0 < record.port < 65_536 and 0 < port < 65_536:
            places += [Place(address, record.port, port) for address in await _addresses(resolver, record.target)]
    if not places:
        targets = ", ".join(str(record.target) for record in services)
        raise NotFoundError(f"{SERVICE}.{domain} leads to {targets}, which has no address, or to no port")
    return list(dict.fromkeys(places))


async def _records(resolver: dns.asyncresolver.Resolver, service: str, domain: str) -> list[Any]:
    """The SRV records, in the order in which to try them; none if there is no such name."""
    answer = await _ask(resolver, dns.name.from_text(f"{service}.{domain}"), RdataType.SRV)
    return list(answer.rrset.processing_order()) if answer is not None and answer.rrset is not None else []


async def _addresses(resolver: dns.asyncresolver.Resolver, target: dns.name.Name) -> list[str]:
    """A and AAAA of a host; by this host's own means where the one who was asked knows nothing of it."""
    found: list[str] = []
    for rdtype in (RdataType.A, RdataType.AAAA):
        try:
            answer = await _ask(resolver, target, rdtype)
        except dns.resolver.NoNameservers:
            break  # an authority for another zone refuses
        found += [rdata.to_text() for rdata in (answer.rrset if answer is not None and answer.rrset is not None else ())]
    if found:
        return found
    try:
        known = await asyncio.get_running_loop().getaddrinfo(target.to_text(omit_final_dot=True), None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(address[0]) for *_, address in known if not ipaddress.ip_address(address[0]).is_link_local]


async def _ask(resolver: dns.asyncresolver.Resolver, name: dns.name.Name, rdtype: RdataType) -> dns.resolver.Answer | None:
    try:
        return await resolver.resolve(name, rdtype, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return None
