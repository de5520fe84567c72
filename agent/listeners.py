"""Who listens on a port of this host.

The kernel's own table tells for IPv6: an agent knocks from ::1 (agent/doors.py), and a
refusal to that address is never delivered, so that a closed port would look like
one whose queue is full.
"""

from __future__ import annotations

import ipaddress
import select
import socket
import sys
from pathlib import Path

from agent.doors import KNOCKS_FROM

_TABLE = Path("/proc/thread-self/net/tcp6")
_LISTENS = "0A"
"""TCP_LISTEN, in the table's column `st`."""


def listening(address: str, port: int, within_s: float = 0.2) -> bool:
    """Whether something accepts connections at this address of our own host, be it behind our kernel gate.

    A closed port of our own refuses at once, so silence means that something is there
    (its queue is full) and counts as yes.  Raises nothing.
    """
    if ":" in address:
        return listens6(address, port)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.bind((KNOCKS_FROM[4], 0))
            probe.connect((address, port))
        except BlockingIOError:
            poller = select.poll()
            poller.register(probe, select.POLLOUT)
            if not poller.poll(within_s * 1000):
                return True
        except OSError:
            return False
        if probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
            return False
        try:
            return bool(probe.getsockname() != probe.getpeername())  # an ephemeral port can reach itself
        except OSError:
            return False


def listens6(address: str, port: int) -> bool:
    """Whether a socket listens there: at this IPv6 address, or at all.  A table that cannot be read counts as yes."""
    places = {f"{_as_listed(wanted)}:{port:04X}" for wanted in (address, "::")}
    try:
        rows = _TABLE.read_text().splitlines()[1:]
    except OSError:
        return True
    return any(place in places and state == _LISTENS for _, place, _, state, *_ in map(str.split, rows))


def _as_listed(address: str) -> str:
    """An IPv6 address as the table has it: four words, each in the byte order of the machine."""
    packed = ipaddress.IPv6Address(address.partition("%")[0]).packed
    return "".join(f"{int.from_bytes(packed[i : i + 4], sys.byteorder):08X}" for i in range(0, 16, 4))
