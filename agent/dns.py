"""Names follow holders: dynamic updates with TSIG, fenced by the epoch (P5, R19, RFC 2136).

Beside a service's address stands the epoch of the holder that wrote it:

    www.demo.locum.test.  1  A    127.0.1.13
    www.demo.locum.test.  1  TXT  "locum-epoch=8"

    read --epoch there above mine--> Stale: nothing is changed
      ^     |
      |     +--> update, on condition that all is still as it was read
      |                |                  |
      +---lost race----+                  +--> Named

This does not keep two servers from serving (R1 to R16 do); it keeps a writer
that comes late from pointing the name back.  Trying again is the caller's.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import stat
from pathlib import Path
from typing import Protocol, Union

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update
import msgspec
from dns.rcode import Rcode
from dns.rdatatype import RdataType

from agent.authority import Authority, NameServerError, NoAnswerError, RefusalError, Socket
from agent.nameplate import Answer
from bus.addresses import literal
from bus.config import ConfigError, DnsSettings

__all__ = ["NameServerError", "NameWriter", "Named", "Names", "NoAnswerError", "RefusalError", "Refused", "Stale", "Unreachable"]

RACES = 5
"""How often `point` reads again after another writer came first."""

_EPOCH = re.compile(rb"locum-epoch=(\d{1,15})")
_EPOCH_MARK = b"locum-epoch="


# -- what comes of it ----------------------------------------------------------------------


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """The authority answers with this address and no other; `changed` tells whether it had to be written."""

    fqdn: str
    address: str
    epoch: int | None = None  # None: a server's own name
    changed: bool = True


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """A later holder has written the name, under this epoch; nothing was changed."""

    fqdn: str
    epoch: int


class Unreachable(msgspec.Struct, frozen=True, kw_only=True):
    """No answer; the update may have been carried out or not.  Try again."""

    reason: str


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The answer was no, and nothing was changed; the reason tells how to mend it."""

    reason: str


Outcome = Union[Named, Stale, Unreachable, Refused]
Registered = Union[Named, Unreachable, Refused]


class NameWriter(Protocol):
    """What `Names` and its twin have in common."""

    async def point(self, fqdn: str, address: str, epoch: int) -> Outcome:
        """Make a service's name lead to its holder's address, IPv4 or IPv6, unless a later holder has (P5, P20, R19)."""

    async def register(self, fqdn: str, address: str) -> Registered:
        """Make a server's own name lead to its address (P5); a service's name is refused."""

    async def look_up(self, fqdn: str) -> list[str]:
        """The addresses that the primary gives now, none if there is no such name; raises `NameServerError`."""

    async def answers(self, fqdn: str) -> tuple[Answer, ...]:
        """What each authority gives now, the primary first; one that is silent holds up no other."""


def read_secret(file: str) -> bytes:
    """The TSIG secret in a file: base64, readable by its owner alone; raises `ConfigError`."""
    try:
        mode = stat.S_IMODE(Path(file).stat().st_mode)
        text = Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}: write the TSIG secret (base64) there, mode 0600") from None
    if mode & 0o077:
        raise ConfigError(f"{file}: others may read this secret (mode {mode:04o}): chmod 600 {file}")
    try:
        secret = base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        secret = b""
    if not secret:
        raise ConfigError(f"{file}: not a base64 secret: copy it from the name server's key, as tsig-keygen prints it")
    return secret


# -- what stands at a name -----------------------------------------------------------------


class _Node(msgspec.Struct, frozen=True):
    """What the authority holds at a name, of the three types that matter here."""

    name: dns.name.Name
    held: dict[RdataType, dns.rrset.RRset | None]

    @property
    def epochs(self) -> list[dns.rdata.Rdata]:
        """The TXT records that are ours; a name may have others."""
        return [rdata for rdata in self.held[RdataType.TXT] or () if rdata.strings[0].startswith(_EPOCH_MARK)]

    @property
    def epoch(self) -> int | None:
        """The highest epoch written there; raises `RefusalError` if what stands there is none."""
        epochs = []
        for rdata in self.epochs:
            match = _EPOCH.fullmatch(b"".join(rdata.strings))  # type: ignore[attr-defined]  # a TXT
            if match is None:
                raise RefusalError(f"{self.name}: the TXT record {rdata} bears no epoch: remove it from the zone")
            epochs.append(int(match.group(1)))
        return max(epochs, default=None)

    def leads_to(self, address: dns.rdata.Rdata) -> bool:
        """Whether this is the name's one address."""
        return [rdata for kind in (RdataType.A, RdataType.AAAA) for rdata in self.held[kind] or ()] == [address]

    def rewritten(self, update: dns.update.UpdateMessage, address: dns.rdata.Rdata, ttl_s: int, epoch: int | None) -> None:
        """Fill in an update: on condition that all is as read, this address and epoch instead (RFC 2136, 2.4 and 2.5)."""
        for rdtype, rrset in self.held.items():
            if rrset is None:
                update.absent(self.name, rdtype)
            else:
                # one by one: handed a whole set, dnspython copies its TTL, where RFC 2136 (2.4.2) wants 0
                update.present(self.name, *rrset)
        for rdtype in (RdataType.A, RdataType.AAAA):
            if self.held[rdtype] is not None:
                update.delete(self.name, rdtype)
        update.add(self.name, ttl_s, address)
        if epoch is not None and epoch != self.epoch:
            if self.epochs:
                update.delete(self.name, *self.epochs)
            update.add(self.name, ttl_s, RdataType.TXT, f'"{_EPOCH_MARK.decode()}{epoch}"')


def _name(fqdn: str) -> dns.name.Name:
    try:
        return dns.name.from_text(fqdn)
    except (dns.exception.DNSException, ValueError) as error:
        raise RefusalError(f'"{fqdn}" is not a domain name: {error}') from None


def valid_address(text: str) -> str:
    """The address as the authority will spell it; raises `RefusalError`."""
    address = literal(text)
    if address is None:
        raise RefusalError(f'"{text}" is not an address that a name can have: give it as 192.0.2.1 or 2001:db8::1')
    return address


def _address(text: str) -> dns.rdata.Rdata:
    address = valid_address(text)
    rdata: dns.rdata.Rdata = dns.rdata.from_text(dns.rdataclass.IN, RdataType.AAAA if ":" in address else RdataType.A, address)
    return rdata


# -- the conversation ----------------------------------------------------------------------


class Names:
    """One zone's names: written at its primary authority, in signed updates, and asked of all.

    Each call takes `settings.timeout_s` at most.
    """

    def __init__(self, settings: DnsSettings, secret: bytes) -> None:
        """Raises `ConfigError` if zone or key name cannot be names.  Connects to nobody."""
        self._settings = settings
        try:
            self._zone = dns.name.from_text(settings.zone)
            self._key = dns.tsig.Key(settings.key_name, secret, settings.key_algorithm)
        except (dns.exception.DNSException, ValueError) as error:
            raise ConfigError(f"dns.zone, dns.key_name: not a domain name: {error}") from None
        keys = [self._key, *(None for _ in settings.also)]
        self._authorities = [
            Authority(address, port, settings, key) for (address, port), key in zip(settings.authorities, keys, strict=True)
        ]
        self._primary = self._authorities[0]

    async def point(self, fqdn: str, address: str, epoch: int) -> Outcome:
        """See `NameWriter`."""
        return await self._lead(fqdn, address, epoch)

    async def register(self, fqdn: str, address: str) -> Registered:
        """See `NameWriter`."""
        outcome = await self._lead(fqdn, address, None)
        assert not isinstance(outcome, Stale), "only a service's name is stale"
        return outcome

    async def look_up(self, fqdn: str) -> list[str]:
        """See `NameWriter`."""
        return await self._primary.addresses(_name(fqdn))

    async def answers(self, fqdn: str) -> tuple[Answer, ...]:
        """See `NameWriter`."""
        return tuple(await asyncio.gather(*(_answer(authority, fqdn) for authority in self._authorities)))

    async def _lead(self, fqdn: str, address: str, epoch: int | None) -> Outcome:
        """`point`, and without an epoch `register`."""
        try:
            name, rdata = _name(fqdn), _address(address)
            async with self._primary.conversation() as talk:
                for _ in range(RACES):
                    node = await self._read(talk, name)
                    found = node.epoch
                    if found is not None and epoch is None:
                        return Refused(reason=f"{fqdn}: is a service's name, it bears an epoch: give the server another name")
                    if found is not None and epoch is not None and found > epoch:
                        return Stale(fqdn=fqdn, epoch=found)
                    if found == epoch and node.leads_to(rdata):
                        return Named(fqdn=fqdn, address=address, epoch=epoch, changed=False)
                    if await self._write(talk, node, rdata, epoch):
                        return Named(fqdn=fqdn, address=address, epoch=epoch)
        except NoAnswerError as error:
            return Unreachable(reason=str(error))
        except RefusalError as error:
            return Refused(reason=str(error))
        return Refused(reason=f"{fqdn}: others changed the name {RACES} times in the middle of our change")

    async def _read(self, talk: Socket, name: dns.name.Name) -> _Node:
        return _Node(name, {rdtype: await self._primary.ask(talk, name, rdtype) for rdtype in (RdataType.TXT, RdataType.A, RdataType.AAAA)})

    async def _write(self, talk: Socket, node: _Node, address: dns.rdata.Rdata, epoch: int | None) -> bool:
        """Whether the node was still as read, and has been changed."""
        update = dns.update.UpdateMessage(self._zone, keyring=self._key)
        node.rewritten(update, address, self._settings.ttl_s, epoch)
        rcode = await self._primary.send(talk, update)
        if rcode in (Rcode.NXRRSET, Rcode.YXRRSET):
            return False
        if rcode != Rcode.NOERROR:
            raise self._primary.refusal(rcode, node.name)
        return True


async def _answer(authority: Authority, fqdn: str) -> Answer:
    try:
        return Answer(authority.place, tuple(await authority.addresses(_name(fqdn))))
    except NameServerError as error:
        return Answer(authority.place, None, str(error))
