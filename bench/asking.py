"""One question to a service or to a name server, as a client asks it, with its times.

Everything is measured on CLOCK_MONOTONIC, which all processes of a machine
share.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import time
from collections.abc import Awaitable
from typing import Literal, NamedTuple, cast

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

Speech = Literal["whoami", "page", "greeting"]
"""How a service is asked: GET /whoami, which names server and epoch; GET /, where any page will do; or by its greeting (FTP, SMTP).

With the last two the server is known by its address alone.
"""

_REQUESTS: dict[Speech, bytes] = {"whoami": b"GET /whoami HTTP/1.0\r\n\r\n", "page": b"GET / HTTP/1.0\r\n\r\n", "greeting": b""}
_WELCOME: dict[Speech, tuple[bytes, ...]] = {"page": (b"HTTP/1.0 200 ", b"HTTP/1.1 200 "), "greeting": (b"220 ", b"220-")}
_PATIENCE_S = 1.0
"""A client that got no answer within this gives up: the request has failed."""

_STALE_AFTER_S = 0.2
"""A name server that is silent for so long is down: what it said last is used, as resolvers do (RFC 8767)."""


class Answer(NamedTuple):
    """What became of one question; `server` is empty if nobody answered, and `failure` says why."""

    asked_at: float
    ended_at: float
    late_s: float  # how much later than planned it was asked: the asker's own stall
    address: str
    server: str = ""
    epoch: int = 0
    failure: str = ""


def monotonic() -> float:
    """The one clock of all measurements."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


async def _hear(exchange: Awaitable[tuple[str, int]], asked_at: float, late_s: float, address: str) -> Answer:
    """What becomes of an exchange that ends with a server and its epoch."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            server, epoch = await exchange
        return Answer(asked_at, monotonic(), late_s, address, server, epoch)
    except TimeoutError:
        failure = "no answer"
    except OSError as error:
        failure = errno.errorcode.get(error.errno or 0, str(error))
    except (ValueError, KeyError):
        failure = "cut off"
    return Answer(asked_at, monotonic(), late_s, address, failure=failure)


async def ask(address: str, port: int, asked_at: float, late_s: float, speech: Speech = "whoami") -> Answer:
    """One question there, over a new connection."""
    return await _hear(_exchange(address, port, speech), asked_at, late_s, address)


async def _exchange(address: str, port: int, speech: Speech) -> tuple[str, int]:
    """Server and epoch, as it tells; or its address and 0.  Raises OSError and ValueError."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as line:
        await loop.sock_connect(line, (address, port))
        await loop.sock_sendall(line, _REQUESTS[speech])
        answer = b""
        while block := await loop.sock_recv(line, 4096):
            answer += block
            if speech == "greeting" and b"\n" in answer:
                break
    if speech == "whoami":
        return _told(answer)
    if not answer.startswith(_WELCOME[speech]):
        raise ValueError(answer)
    return address, 0


def _told(answer: bytes) -> tuple[str, int]:
    """Server and epoch in the body of /whoami.  Raises ValueError and KeyError."""
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    return told["server"], told["epoch"]


class Listener:
    """One connection to a web server, kept open: asks over it as long as it stands, and over a new one when it is gone.

    It costs the server far less than a connection for each question, so it can ask often.
    """

    def __init__(self, address: str, port: int) -> None:
        self._where = (address, port)
        self._line: socket.socket | None = None

    async def ask(self, asked_at: float, late_s: float) -> Answer:
        """GET /whoami."""
        answer = await _hear(self._exchange(), asked_at, late_s, self._where[0])
        if not answer.server:
            self.close()
        return answer

    async def _exchange(self) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        if self._line is None:
            self._line = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            await loop.sock_connect(self._line, self._where)
        await loop.sock_sendall(self._line, b"GET /whoami HTTP/1.1\r\nHost: www\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):  # the body is one JSON object, and nothing follows it
            block = await loop.sock_recv(self._line, 4096)
            if not block:
                raise ValueError(answer)
            answer += block
        return _told(answer)

    def close(self) -> None:
        """The next question has a new connection."""
        if self._line is not None:
            self._line.close()
            self._line = None


class Resolver(asyncio.DatagramProtocol):
    """The address of one name, asked of its name server anew each time."""

    def __init__(self, fqdn: str) -> None:
        self._fqdn = fqdn
        self._waiting: dict[int, asyncio.Future[str]] = {}
        self._newest = ""
        self._line: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._line = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """An answer, or nonsense."""
        try:
            reply = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return
        found = [str(rrset[0]) for rrset in reply.answer if rrset.rdtype == dns.rdatatype.A]
        waiting = self._waiting.pop(reply.id, None)
        if waiting is None or waiting.done():
            return
        if reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            waiting.set_result(found[0] if found else "")
        else:  # it has just started, say, and knows its zone not yet: no better than silence (RFC 8767, section 5)
            waiting.set_exception(TimeoutError())

    def error_received(self, exc: Exception) -> None:
        """The name server's port is closed: whoever asked finds out by waiting."""

    async def look_up(self) -> str:
        """The first A record; empty if there is none.  Raises TimeoutError if nothing was ever answered."""
        assert self._line is not None
        query = dns.message.make_query(self._fqdn, dns.rdatatype.A)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[query.id] = answer
        self._line.sendto(query.to_wire())
        try:
            async with asyncio.timeout(_STALE_AFTER_S if self._newest else _PATIENCE_S):
                self._newest = await answer
        except TimeoutError:
            if not self._newest:
                raise
        finally:
            self._waiting.pop(query.id, None)
        return self._newest


async def ask_by_name(resolver: Resolver, port: int, asked_at: float, late_s: float, speech: Speech = "whoami") -> Answer:
    """Resolve the name, and ask where it points."""
    try:
        address = await resolver.look_up()
    except TimeoutError:
        return Answer(asked_at, monotonic(), late_s, "", failure="no answer to the name")
    if not address:
        return Answer(asked_at, monotonic(), late_s, "", failure="no such name")
    return await ask(address, port, asked_at, late_s, speech)
