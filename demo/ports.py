"""Who listens on a port of this machine, asked of the kernel without touching the port."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

_LISTENING = "0A"


class Endpoint(NamedTuple):
    """An IPv4 address and a port of it."""

    address: str
    port: int
    kind: socket.SocketKind = socket.SOCK_STREAM

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


def _rows(kind: socket.SocketKind) -> Iterable[list[str]]:
    table = "/proc/net/tcp" if kind == socket.SOCK_STREAM else "/proc/net/udp"
    lines = (line.split() for line in Path(table).read_text().splitlines()[1:])
    return (fields for fields in lines if kind != socket.SOCK_STREAM or fields[3] == _LISTENING)


def _written(endpoint: Endpoint) -> str:
    """As /proc/net/tcp writes it: the address in the host's byte order."""
    return f"{int.from_bytes(IPv4Address(endpoint.address).packed, 'little'):08X}:{endpoint.port:04X}"


def is_open(endpoint: Endpoint) -> bool:
    """Whether somebody listens there.  No connection is made, so nobody has to refuse one."""
    return any(fields[1] == _written(endpoint) for fields in _rows(endpoint.kind))


def is_taken(endpoint: Endpoint) -> bool:
    """Whether the endpoint cannot be bound, be it by a listener on the wildcard address."""
    with socket.socket(socket.AF_INET, endpoint.kind) as probe:
        if endpoint.kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((endpoint.address, endpoint.port))
        except OSError:
            return True
    return False


def holder(endpoint: Endpoint) -> str:
    """The program on the endpoint, as "nginx, pid 123"; empty if it is hidden from this user."""
    wanted = {_written(endpoint), _written(endpoint._replace(address="0.0.0.0"))}
    inodes = {f"socket:[{fields[9]}]" for fields in _rows(endpoint.kind) if fields[1] in wanted}
    for directory in Path("/proc").glob("[0-9]*/fd"):
        if inodes & set(_links(directory)):
            return f"{(directory.parent / 'comm').read_text().strip()}, pid {directory.parent.name}"
    return ""


def _links(directory: Path) -> Iterable[str]:
    """What the open files of a process are; one that is closed meanwhile, or hidden, is left out."""
    try:
        for entry in os.scandir(directory):
            with contextlib.suppress(FileNotFoundError):
                yield os.readlink(entry)
    except OSError:
        return
