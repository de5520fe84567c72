"""IP addresses and ports as people write them: `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]:53`."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal

import msgspec

Family = Literal["ipv4", "ipv6"]

_OWN = re.compile(r"auto|interface:(?P<interface>[^\s/]{1,15})(/(?P<family>ipv4|ipv6))?")


class OwnAddress(msgspec.Struct, frozen=True, kw_only=True):
    """How a server's settings name its address (P20)."""

    literal: str | None = None  # this one
    interface: str | None = None  # whatever this interface has; with neither: from where the SDS is reached
    family: Family | None = None  # only of this family

    @property
    def follows(self) -> bool:
        """Whether it may change while nobody changes the settings."""
        return self.literal is None


def literal(text: str) -> str | None:
    """An IPv4 or IPv6 address in its usual spelling; None if it is none, or has a scope, as `fe80::1%eth0`."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if getattr(address, "scope_id", None) else str(address)


def reachable(text: str) -> bool:
    """Whether this literal is an address at which other hosts could reach its owner."""
    address = ipaddress.ip_address(text)
    return not (address.is_unspecified or address.is_multicast or address.is_link_local)


def family(text: str) -> Family:
    """Of a literal."""
    return "ipv6" if ":" in text else "ipv4"


def own_address(text: str) -> OwnAddress:
    """What `address` of an agent's file means; raises ValueError, which says how to write it."""
    how = 'write an address, as 192.0.2.11 or 2001:db8::11, or "auto", or "interface:eth0", "interface:eth0/ipv6"'
    found = literal(text)
    if found is not None:
        if not reachable(found):
            raise ValueError(f'"{text}" is no address at which others reach one server: {how}')
        return OwnAddress(literal=found)
    match = _OWN.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is no address: {how}')
    which: Family | None = match["family"]  # type: ignore[assignment]
    return OwnAddress(interface=match["interface"], family=which)


def place(text: str, port: int) -> tuple[str, int]:
    """`ADDRESS` or `ADDRESS:PORT` as the two, `port` if it names none; raises ValueError, which says how to write it."""
    address, colon, number = text, "", ""
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        colon, number = rest[:1], rest[1:]
    elif text.count(":") == 1:
        address, colon, number = text.partition(":")
    found = literal(address)
    well = not colon or (colon == ":" and number.isascii() and number.isdigit() and 0 < int(number) < 65_536)
    if found is None or not well:
        raise ValueError(f'"{text}" is no address with or without a port: write 192.0.2.54, 192.0.2.54:53 or [2001:db8::54]:53')
    return found, int(number) if colon else port


def written(address: str, port: int) -> str:
    """The two as one text, in brackets where a colon would mislead."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
