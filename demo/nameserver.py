"""The demo's authoritative name server: one zone, dynamic updates with TSIG, UDP and TCP.

    python -m demo.nameserver --address 127.0.1.14 --port 10053 --zone demo.locum.test \\
        --key-name locum. --key-secret-file FILE --state-file FILE --record "http A 127.0.1.11"

A request is first verified (RFC 8945), then answered from the zone (demo/zone.py)
or applied to it (RFC 2136).  An update is acknowledged once it is on disk: a
server that was killed starts again with all that it acknowledged.  Everything
runs on one thread, so that updates come one after the other.

For demos and tests: no delegations, aliases, transfers or DNSSEC.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdatatype
import dns.rrset
import dns.tsig
from dns.rcode import Rcode
from dns.rdataclass import RdataClass
from dns.rdtypes.ANY.TSIG import TSIG

from agent.dns import read_secret
from bus.config import ConfigError
from demo.zone import Zone, ZoneError, clauses

UDP_LIMIT_BYTES = 1232
"""The largest UDP answer: it passes any path unfragmented (dnsflagday 2020)."""

TCP_CONNECTIONS = 200
"""Beyond these a new connection is closed at once."""

_QR = 0x80  # in the third byte of a message: it is a response
_HEADER_BYTES = 12

log = logging.getLogger("nameserver")


class StartError(Exception):
    """The name server cannot start.  Nothing was written."""


class StateFile:
    """The zone on disk; at any instant the file holds one whole zone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, origin: dns.name.Name) -> Zone | None:
        """The zone as saved, None if never; raises `StartError`."""
        try:
            return Zone.from_text(self.path.read_text(encoding="utf-8"), origin)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, ZoneError) as error:
            raise StartError(f"{self.path}: cannot be used: {error}: mend the file, or remove it to begin anew") from None

    def write(self, zone: Zone) -> None:
        """Replace what is saved; raises `OSError`, and then the old is still there."""
        draft = self.path.with_name(self.path.name + ".new")
        with draft.open("w", encoding="utf-8") as file:
            file.write(zone.text())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Complaints:
    """Logs what others get wrong, a line a second at most, and how many were left out."""

    def __init__(self) -> None:
        self._next_at = 0.0
        self._left_out = 0

    def add(self, text: str) -> None:
        """Count one, and log it if it is time."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        if now < self._next_at:
            self._left_out += 1
            return
        log.warning("%s%s", text, f" (and {self._left_out} more)" if self._left_out else "")
        self._next_at, self._left_out = now + 1.0, 0


class Authority:
    """Answers requests, one at a time; owns the zone."""

    def __init__(self, zone: Zone, key: dns.tsig.Key, state: StateFile) -> None:
        self._zone = zone
        self._key = key
        self._state = state
        self._complaints = Complaints()

    def reply(self, wire: bytes, sender: str, over_udp: bool) -> bytes | None:
        """The answer to any bytes at all; None where silence is due (too short, or itself an answer)."""
        if len(wire) < _HEADER_BYTES or wire[2] & _QR:
            self._complaints.add(f"{sender}: {len(wire)} bytes that are no request: dropped")
            return None
        try:
            request = dns.message.from_wire(wire, keyring=False)
        except Exception as error:  # the parser of foreign bytes: whatever it raises, they are malformed
            self._complaints.add(f"{sender}: malformed: {type(error).__name__}: FORMERR")
            return wire[:2] + struct.pack("!H4H", _QR << 8 | (wire[2] & 0x79) << 8 | Rcode.FORMERR, 0, 0, 0, 0)
        limit = 65_535
        if over_udp:
            limit = max(512, min(request.payload, UDP_LIMIT_BYTES)) if request.edns >= 0 else 512
        if request.tsig is not None:
            try:
                request = dns.message.from_wire(wire, keyring={self._key.name: self._key})
            except dns.exception.DNSException as error:
                return self._unverified(request, error, sender).to_wire(max_size=limit)
        response = self._response(request, wire, sender)
        return response.to_wire(max_size=limit, prefer_truncation=True)

    def _unverified(self, request: dns.message.Message, error: dns.exception.DNSException, sender: str) -> dns.message.Message:
        """What a bad signature gets (RFC 8945, 5.2 and 5.3.2): only BADTIME is signed."""
        response = dns.message.make_response(request)
        assert request.tsig is not None
        asked: Any = request.tsig[0]
        if isinstance(error, dns.message.UnknownTSIGKey | dns.tsig.BadKey | dns.tsig.BadAlgorithm):
            code = Rcode.BADKEY
        elif isinstance(error, dns.tsig.BadSignature):
            code = Rcode.BADSIG
        elif isinstance(error, dns.tsig.BadTime):
            code = Rcode.BADTIME
        else:
            response.set_rcode(Rcode.FORMERR)
            return response
        self._complaints.add(f"{sender}: TSIG key {request.tsig.name}: {code.name}: NOTAUTH")
        response.set_rcode(Rcode.NOTAUTH)
        other = int(time.time()).to_bytes(6, "big") if code == Rcode.BADTIME else b""
        tsig: Any = TSIG(  # type: ignore[no-untyped-call]
            RdataClass.ANY,
            dns.rdatatype.TSIG,
            asked.algorithm,
            asked.time_signed,
            asked.fudge,
            b"",
            request.id,
            code,
            other,
        )
        if code == Rcode.BADTIME:
            tsig, _ = dns.tsig.sign(response.to_wire(), self._key, tsig, asked.time_signed, asked.mac)  # type: ignore[no-untyped-call]
        response.tsig = dns.rrset.from_rdata(request.tsig.name, 0, tsig)
        return response

    def _response(self, request: dns.message.Message, wire: bytes, sender: str) -> dns.message.Message:
        """The answer to a request that bears a good signature, or none."""
        response = dns.message.make_response(request, our_payload=UDP_LIMIT_BYTES)
        if request.edns > 0:
            response.set_rcode(Rcode.BADVERS)
        elif request.opcode() == dns.opcode.QUERY:
            self._query(request, response)
        elif request.opcode() == dns.opcode.UPDATE:
            response.set_rcode(self._update(request, wire, sender))
        else:
            response.set_rcode(Rcode.NOTIMP)
        return response

    def _query(self, request: dns.message.Message, response: dns.message.Message) -> None:
        if len(request.question) != 1:
            response.set_rcode(Rcode.FORMERR)
            return
        question = request.question[0]
        transfer = dns.rdatatype.is_metatype(question.rdtype) and question.rdtype != dns.rdatatype.ANY
        if transfer or question.rdclass not in (RdataClass.IN, RdataClass.ANY):
            response.set_rcode(Rcode.REFUSED)
            return
        found = self._zone.query(question.name, question.rdtype)
        response.set_rcode(found.rcode)
        response.answer = found.answer
        response.authority = found.authority
        if found.rcode != Rcode.REFUSED:
            response.flags |= dns.flags.AA

    def _update(self, request: dns.message.Message, wire: bytes, sender: str) -> Rcode:
        """RFC 2136, 3; permission (3.3) is looked at before anything is told about the zone's content."""
        zone = request.sections[0]
        if len(zone) != 1:
            return Rcode.FORMERR
        if zone[0].name != self._zone.origin or zone[0].rdclass != RdataClass.IN:
            self._complaints.add(f"{sender}: update of zone {zone[0].name}: NOTAUTH")
            return Rcode.NOTAUTH
        if request.tsig is None:
            self._complaints.add(f"{sender}: update without a signature: REFUSED")
            return Rcode.REFUSED
        try:
            prerequisites, updates = clauses(wire)
        except Exception:  # the parser of foreign bytes, as above
            return Rcode.FORMERR
        rcode, zone_after = self._zone.update(prerequisites, updates)
        if zone_after is not self._zone:
            try:
                self._state.write(zone_after)
            except OSError as error:
                self._complaints.add(f"{self._state.path}: not written: {error.strerror}: SERVFAIL")
                return Rcode.SERVFAIL
            self._zone = zone_after
        names = ", ".join(sorted({str(clause.name) for clause in updates}))
        log.info("%s: update of %s: %s, serial %d", sender, names or "nothing", rcode.name, self._zone.serial)
        return rcode


class Datagrams(asyncio.DatagramProtocol):
    """The UDP side."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The port is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[Any, ...]) -> None:
        """One request."""
        answer = self._authority.reply(data, str(address[0]), over_udp=True)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, address)


class Streams:
    """The TCP side: any number of requests on a connection, answered in order (RFC 7766)."""

    def __init__(self, authority: Authority, idle_s: float) -> None:
        self._authority = authority
        self._idle_s = idle_s
        self._open: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A new connection.  Its task is ours, as one made by asyncio's streams complains when it is cancelled."""
        if len(self._open) >= TCP_CONNECTIONS:
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._converse(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the client leaves, or is idle for too long."""
        try:
            # an end in the middle of a message, a reset, silence: the connection is over, nothing else
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                await self._answer_all(reader, writer)
        finally:
            writer.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender = str(writer.get_extra_info("peername", ("?",))[0])
        while True:
            async with asyncio.timeout(self._idle_s):
                length = int.from_bytes(await reader.readexactly(2), "big")
                request = await reader.readexactly(length)
            answer = self._authority.reply(request, sender, over_udp=False)
            if answer is not None:
                writer.write(len(answer).to_bytes(2, "big") + answer)
                async with asyncio.timeout(self._idle_s):
                    await writer.drain()


async def serve(options: argparse.Namespace) -> None:
    """Until SIGTERM or SIGINT; raises `StartError` or `ConfigError`."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    origin, key = _identity(options)
    state = StateFile(options.state_file)
    saved = state.read(origin)
    try:
        zone = saved or Zone.first(origin, options.address, options.record)
    except ZoneError as error:
        raise StartError(f"--address, --record: {error}") from None
    authority = Authority(zone, key, state)
    streams = Streams(authority, options.idle_s)
    # bound first, for that keeps out a second server; answering only when the zone is saved, so that no update is overwritten
    try:
        datagrams = _bound(options.address, options.port)
        tcp = await asyncio.start_server(streams.accept, options.address, options.port, limit=2**17, start_serving=False)
    except (OSError, OverflowError) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno and error.errno > 0 else error
        raise StartError(f"{options.address}:{options.port}: {why}: end what listens there, or give another --address or --port") from None
    try:
        if saved is None:
            state.write(zone)
    except OSError as error:
        raise StartError(f"{state.path}: {error.strerror}: give a --state-file that can be written") from None
    udp, _ = await loop.create_datagram_endpoint(lambda: Datagrams(authority), sock=datagrams)
    await tcp.start_serving()
    log.info("zone %s, serial %d, on %s:%d", origin, zone.serial, options.address, options.port)
    await stopped.wait()
    udp.close()
    tcp.close()


def _bound(address: str, port: int) -> socket.socket:
    """A UDP socket that nobody else has."""
    udp = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.bind((address, port))
    except BaseException:
        udp.close()
        raise
    return udp


def _identity(options: argparse.Namespace) -> tuple[dns.name.Name, dns.tsig.Key]:
    """The zone's name and the key that may change it."""
    secret = read_secret(options.key_secret_file)
    try:
        return dns.name.from_text(options.zone), dns.tsig.Key(options.key_name, secret, options.key_algorithm)
    except (dns.exception.DNSException, ValueError) as error:
        raise StartError(f"--zone {options.zone}, --key-name {options.key_name}: not a domain name: {error}") from None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.nameserver", description="An authoritative name server for one zone, for demos.")
    parser.add_argument("--address", required=True, help="the address to listen on")
    parser.add_argument("--port", required=True, type=int, help="the port, UDP and TCP")
    parser.add_argument("--zone", required=True, help="the zone, as demo.locum.test")
    parser.add_argument("--key-name", required=True, help="the TSIG key that updates must be signed with")
    parser.add_argument("--key-algorithm", default="hmac-sha256", choices=("hmac-sha256", "hmac-sha512"))
    parser.add_argument("--key-secret-file", required=True, help="its secret: base64, mode 0600")
    parser.add_argument("--state-file", required=True, type=Path, help="where the zone is kept")
    parser.add_argument("--record", action="append", default=[], metavar='"NAME TYPE VALUE"', help="of a zone not yet kept; repeatable")
    parser.add_argument("--idle-s", type=float, default=10.0, help="a TCP connection silent for this long is closed (RFC 7766, 6.2.3)")
    return parser.parse_args()


def main() -> int:
    """The exit status: 0 after SIGTERM, 1 if it could not start."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    try:
        asyncio.run(serve(_options()))
    except (StartError, ConfigError) as error:
        print(f"nameserver: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
