"""Where this host is: the address that its settings mean, now (P20).

    a literal             that one, whether the host has it or not
    interface:eth0        what the interface has; the one in use stays while it is there,
                          else IPv4 comes before IPv6
    auto                  from where the SDS is reached

The kernel tells of every change of addresses and routes (rtnetlink(7)), so a
move is noticed within milliseconds; who waits looks again after a while all
the same.
"""

from __future__ import annotations

import asyncio
import socket

import psutil

from bus.addresses import OwnAddress, family, literal, reachable
from bus.config import AgentConfig

_CHANGES = 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE."""


class Whereabouts:
    """This host's address, looked for anew at each `look`."""

    def __init__(self, config: AgentConfig) -> None:
        self._sds = (config.sds.address, config.sds.port) if config.sds.address else None
        self.settings = config.own_address
        self.address = self.look() or ""
        """As last looked; empty if there never was one."""

    def follow(self, config: AgentConfig) -> None:
        """The settings were changed."""
        self.settings = config.own_address

    def sds_is_at(self, address: str, port: int) -> None:
        """DNS told."""
        self._sds = (address, port)

    def look(self) -> str | None:
        """The address now; None if there is none."""
        settings = self.settings
        if settings.literal is not None:
            return settings.literal
        if not settings.interface and self._sds is None:
            return None
        here = _of_interface(settings) if settings.interface or self._sds is None else _towards(self._sds, settings)
        usable = [address for address in here if reachable(address) and _can_be_bound(address)]
        current = getattr(self, "address", "")
        return current if current in usable else next(iter(usable), None)

    def moved(self) -> bool:
        """Look again; whether the address is another than before.  One that is lost stays the last known."""
        found = self.look()
        if found is None or found == self.address:
            return False
        self.address = found
        return True


class Changes:
    """Wakes who waits when addresses or routes of this host change.  Belongs to asyncio's loop."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._news: socket.socket | None = None
        try:
            self._news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
            self._news.bind((0, _CHANGES))
        except OSError:
            self.close()  # a sandbox without netlink: then the look now and then must do
        if self._news is not None:
            asyncio.get_running_loop().add_reader(self._news, self._drain)

    def look_now(self) -> None:
        """Something else is a reason to look again."""
        self._changed.set()

    async def wait(self, within_s: float) -> None:
        """Until something changes, or the time is over."""
        try:
            async with asyncio.timeout(within_s):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()

    def close(self) -> None:
        """No longer listen."""
        if self._news is not None:
            self._news.close()
            self._news = None

    def _drain(self) -> None:
        assert self._news is not None
        self._changed.set()
        try:
            while self._news.recv(65_536):
                pass
        except OSError:
            pass  # all is read, or more came than the kernel keeps: either way there is a reason to look


def _of_interface(settings: OwnAddress) -> list[str]:
    """The addresses of the interface in the kernel's order, IPv4 first."""
    known = psutil.net_if_addrs().get(settings.interface or "", [])
    found = [literal(entry.address) for entry in known if entry.family in (socket.AF_INET, socket.AF_INET6)]
    here = [address for address in found if address is not None]
    wanted = [address for address in here if settings.family in (None, family(address))]
    return sorted(wanted, key=lambda address: family(address) != "ipv4")


def _towards(place: tuple[str, int], settings: OwnAddress) -> list[str]:
    """The address that packets to this place would come from; nothing is sent."""
    if settings.family not in (None, family(place[0])):
        return []
    with socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(place)
            found = literal(str(probe.getsockname()[0]))
        except OSError:
            return []
    return [found] if found is not None else []


def _can_be_bound(address: str) -> bool:
    """Whether the address is there and usable: one that IPv6 still looks for duplicates of (RFC 4862) is not yet."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
