"""An outside user of the demo: knows the FQDNs and the name server, and nothing of Locum."""

from __future__ import annotations

import ftplib
import http.client
import json
import re
import smtplib
from typing import NamedTuple

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from demo.layout import DNS, SERVERS, ZONE

TIMEOUT_S = 1.0
"""A service that takes longer than this to answer does not serve."""


class Unserved(Exception):
    """The service could not be used, for this reason."""


class Seen(NamedTuple):
    """Who answered for a service, and under which epoch."""

    server: str
    epoch: int
    address: str


def look_up(service: str, kind: str = "A") -> str:
    """The first record of the service's name at the demo's name server; raises `Unserved`."""
    name = f"{service}.{ZONE}."
    try:
        reply = dns.query.udp(dns.message.make_query(name, kind), DNS.address, port=DNS.port, timeout=TIMEOUT_S)
    except (dns.exception.DNSException, OSError) as error:
        raise Unserved(f"{name}: no answer from {DNS}: {error}") from None
    for rrset in reply.answer:
        if rrset.rdtype == dns.rdatatype.from_text(kind):
            return str(rrset[0].to_text())
    raise Unserved(f"{name} has no {kind} record")


def use(service: str) -> Seen:
    """Resolve the service's name and use it, as a browser, an FTP or a mail client would; raises `Unserved`."""
    address = look_up(service)
    port = next(server.port for server in SERVERS if server.service == service)
    try:
        server, epoch = {"www": _browse, "ftp": _list, "mail": _greet}[service](address, port)
    except (OSError, EOFError, ValueError, KeyError, http.client.HTTPException, ftplib.Error, smtplib.SMTPException) as error:
        raise Unserved(f"{service} at {address}:{port}: {error or type(error).__name__}") from None
    return Seen(server, epoch, address)


def try_to_use(service: str) -> Seen | None:
    """Who serves it now; None if it cannot be used."""
    try:
        return use(service)
    except Unserved:
        return None


def _browse(address: str, port: int) -> tuple[str, int]:
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/whoami")
        told = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return told["server"], told["epoch"]


def _list(address: str, port: int) -> tuple[str, int]:
    with ftplib.FTP(timeout=TIMEOUT_S) as session:
        greeting = session.connect(address, port)
        session.login("demo", "demo")
        session.nlst()
    return _introduced(greeting)


def _greet(address: str, port: int) -> tuple[str, int]:
    with smtplib.SMTP(timeout=TIMEOUT_S) as session:
        code, greeting = session.connect(address, port)
        session.noop()
    return _introduced(f"{code} {greeting.decode(errors='replace')}")


def _introduced(greeting: str) -> tuple[str, int]:
    """Server and epoch of `220 ... server=NAME epoch=N`."""
    found = re.search(r"^220.* server=(\S+) epoch=(\d+)", greeting, re.MULTILINE)
    if found is None:
        raise ValueError(f"an unknown greeting: {greeting!r}")
    return found[1], int(found[2])
