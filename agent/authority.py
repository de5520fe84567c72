"""One name server: a connection to it, a question, and its errors as ours."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
from dns.rcode import Rcode
from dns.rdatatype import RdataType

from bus.addresses import written
from bus.config import DnsSettings

Socket = Any  # dnspython gives its asyncio sockets no public type


class NameServerError(Exception):
    """Nothing was learnt of a name."""


class NoAnswerError(NameServerError):
    """The name server did not answer; what it did is not known."""


class RefusalError(NameServerError):
    """The name server, or what stands in the zone, does not allow it; nothing was changed."""


class Authority:
    """One authority of the zone.  Everything said to it takes `settings.timeout_s` at most, on one TCP connection."""

    def __init__(self, address: str, port: int, settings: DnsSettings, key: dns.tsig.Key | None) -> None:
        """With a key all is signed; a secondary need not know the key, so it is asked as anyone would."""
        self.place = written(address, port)
        self._address, self._port = address, port
        self._settings = settings
        self._key = key
        self._where = f"name server {self.place}"
        self._key_text = f'TSIG key "{settings.key_name}" ({settings.key_algorithm})'

    async def ask(self, talk: Socket, name: dns.name.Name, rdtype: RdataType) -> dns.rrset.RRset | None:
        """What the authority holds of a name and type."""
        query = dns.message.make_query(name, rdtype, flags=0)
        if self._key is not None:
            query.use_tsig(self._key)
        answer = await dns.asyncquery.tcp(query, self._address, sock=talk)
        if answer.rcode() not in (Rcode.NOERROR, Rcode.NXDOMAIN):
            raise self.refusal(answer.rcode(), name)
        if not answer.flags & dns.flags.AA:
            # a resolver's memory may be older than the last holder
            raise self.refusal(Rcode.NOTAUTH, name)
        if answer.get_rrset(answer.answer, name, dns.rdataclass.IN, RdataType.CNAME):
            # RFC 2136 (3.4.2.2) ignores, with NOERROR, an address that is added beside an alias
            raise RefusalError(f"{name}: is an alias (CNAME), so it can have no address: remove the alias from the zone")
        return answer.get_rrset(answer.answer, name, dns.rdataclass.IN, rdtype)

    async def addresses(self, name: dns.name.Name) -> list[str]:
        """The name's A and AAAA, sorted, none if there is no such name; raises `NameServerError`."""
        async with self.conversation() as talk:
            sets = [await self.ask(talk, name, rdtype) for rdtype in (RdataType.A, RdataType.AAAA)]
        return sorted(rdata.to_text() for rrset in sets for rdata in rrset or ())

    async def send(self, talk: Socket, message: dns.message.Message) -> Rcode:
        """Say it, and what comes of it."""
        answer = await dns.asyncquery.tcp(message, self._address, sock=talk)
        return answer.rcode()

    @contextlib.asynccontextmanager
    async def conversation(self) -> AsyncIterator[Socket]:
        """A connection to the authority.  Its errors leave here as ours: `NoAnswerError`, `RefusalError`."""
        backend: Any = dns.asyncbackend.get_backend("asyncio")
        try:
            # not dnspython's own time-outs: they are reckoned by the wall clock
            async with asyncio.timeout(self._settings.timeout_s):
                async with await backend.make_socket(socket.AF_UNSPEC, socket.SOCK_STREAM, destination=(self._address, self._port)) as talk:
                    yield talk
        except TimeoutError:
            raise NoAnswerError(f"{self._where}: no answer within {self._settings.timeout_s:g} s") from None
        except OSError as error:
            # asyncio words it as "Connect call failed", and only the number says why
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error
            raise NoAnswerError(f"{self._where}: {why}") from None
        except EOFError:
            raise NoAnswerError(f"{self._where}: closed the connection without an answer") from None
        except (dns.exception.DNSException, ValueError) as error:
            raise RefusalError(f"{self._where}: {self._mistake(error)}") from None

    def _mistake(self, error: Exception) -> str:
        """Why an answer is none, and how to mend it (RFC 8945, 5.2 and 5.4)."""
        match error:
            case dns.tsig.PeerBadKey():
                return f"does not know our {self._key_text}: add the key there, or correct dns.key_name or dns.key_algorithm"
            case dns.tsig.PeerBadSignature() | dns.tsig.PeerBadTruncation():
                return f"has another secret for our {self._key_text}: put the server's into {self._settings.key_secret_file}"
            case dns.tsig.PeerBadTime() | dns.tsig.BadTime():
                return "its clock and ours are too far apart for TSIG: set both, as by NTP"
            case dns.tsig.BadSignature() | dns.tsig.BadKey() | dns.tsig.BadAlgorithm() | dns.message.UnknownTSIGKey():
                return f"its answer is not signed with our {self._key_text}: is this the right server?"
            case _:
                return f"its answer is not one of DNS with TSIG ({error or type(error).__name__}): is this the right server?"

    def refusal(self, rcode: Rcode, name: dns.name.Name) -> RefusalError:
        """What its no means, and how to mend it."""
        zone = self._settings.zone
        update = f"allow our {self._key_text} to update zone {zone}"
        remedies = {
            Rcode.REFUSED: update if self._key else f"it is not the authority for zone {zone}, or does not answer us: see dns.also",
            Rcode.NOTAUTH: f"it is not the authority for zone {zone}: correct {'dns.server' if self._key else 'dns.also'} or dns.zone",
            Rcode.NOTZONE: f"the name is outside zone {zone}: correct the name or dns.zone",
            Rcode.NOTIMP: "it takes no dynamic updates: use one that does (RFC 2136)",
            Rcode.SERVFAIL: f"see its log; often it may not write the files of zone {zone}"
            if self._key
            else f"see its log; perhaps it has not got zone {zone} from the primary",
        }
        return RefusalError(f"{self._where}: {name}: {dns.rcode.to_text(rcode)}: {remedies.get(rcode, 'see its log')}")
