"""The door: whose key may connect (ZAP, ZeroMQ RFC 27), and what became of those who may not.

Both parts are chores: sockets without a thread, drained by whoever polls.
libzmq asks the authenticator about every client; without it CURVE lets any key
in.  A stranger is not refused but kept waiting: the trust table may be about to
learn its key, and a client that was told "400" never tries again.  It is let
in the moment its key is trusted; otherwise its handshake runs out, and it
comes again, once in `HANDSHAKE_S`.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import struct
from collections import OrderedDict
from itertools import count
from typing import NamedTuple, Protocol

import zmq
from zmq.utils import z85

from bus.refusals import Refusals, log, now
from bus.values import Owner

HANDSHAKE_S = 3.0
"""A client that has not shaken hands within this time is cut off."""

_WAITING_LIMIT = 1_000
_OPEN_FILES = 65_536
_ZAP = "inproc://zeromq.zap.01"
_FAILURES = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
_EVENTS = _FAILURES | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
_numbers = count(1)


class Chore(Protocol):
    """A socket that must be drained for the others to work."""

    socket: zmq.Socket[bytes]

    def drain(self) -> None:
        """Serve all that is pending; never block, never raise."""


class Domain(Protocol):
    """A listening socket, as the authenticator sees it."""

    refusals: Refusals

    def admit(self, public_key: str) -> Owner | None:
        """Who the owner of this key is; None keeps it out."""


class Authenticator:
    """Answers libzmq's question: may this key enter this domain?  One for a context."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.socket: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.rcvhwm = self.socket.sndhwm = 0
        self.socket.bind(_ZAP)
        self._domains: dict[bytes, Domain] = {}
        self._waiting: OrderedDict[tuple[bytes, bytes], tuple[bytes, str, float]] = OrderedDict()

    def enter(self, domain: Domain) -> bytes:
        """A name for this listening socket, unique in the process."""
        name = b"locum-%d" % next(_numbers)
        self._domains[name] = domain
        return name

    def leave(self, name: bytes) -> None:
        """The listening socket is gone."""
        self._domains.pop(name, None)

    def drain(self) -> None:
        """Answer what libzmq asked."""
        while True:
            try:
                self._ask(self.socket.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                return
            except Exception:
                log.exception("the ZAP question was not understood, its client stays out")

    def look_again(self) -> None:
        """Some domain has another trust table: let in who is known by now."""
        self.drain()
        for place, (name, key, asked_at) in list(self._waiting.items()):
            domain = self._domains.get(name)
            if domain is None or now() - asked_at > HANDSHAKE_S:
                del self._waiting[place]
            elif domain.admit(key) is not None:
                del self._waiting[place]
                self._answer(place, b"200", key)

    def _ask(self, frames: list[bytes]) -> None:
        connection, request, name, address, mechanism = frames[0], frames[3], frames[4], frames[5], frames[7]
        place = (connection, request)
        domain = self._domains.get(name)
        if domain is None or mechanism != b"CURVE" or len(frames) != 9 or len(frames[8]) != 32:
            self._answer(place, b"300", "")
            return
        key = z85.encode(frames[8]).decode()
        if domain.admit(key) is not None:
            self._answer(place, b"200", key)
            return
        domain.refusals.add(
            "foreign-key",
            f"a client at {address.decode(errors='replace')} with key {key}",
            "nobody here has that key: add it to the trust file, or correct the client's key_file",
        )
        self._waiting[place] = (name, key, now())
        if len(self._waiting) > _WAITING_LIMIT:
            self._answer(self._waiting.popitem(last=False)[0], b"300", "")

    def _answer(self, place: tuple[bytes, bytes], code: bytes, user: str) -> None:
        try:
            self.socket.send_multipart([place[0], b"", b"1.0", place[1], code, b"", user.encode(), b""], zmq.NOBLOCK)
        except zmq.ZMQError:
            pass  # the client is gone


class _Accepted(NamedTuple):
    """A connection, and how far the counts were when it came."""

    peer: str
    succeeded: int
    strangers: int


class Handshakes:
    """Watches a listening socket for clients that never get to speak, and logs them.

    Some failures have an event of their own.  Others, such as a TLS hello, only
    show as a connection that ended; if no handshake at all succeeded between
    its beginning and its end, it surely was one of these.  (If another's did,
    nobody can tell, and nothing is said.)
    """

    def __init__(self, watched: zmq.Socket[bytes], refusals: Refusals) -> None:
        self._watched = watched
        self._refusals = refusals
        self._connections: dict[int, _Accepted] = {}  # by descriptor
        self._succeeded = 0
        self._failure: str | None = None
        address = f"inproc://handshakes-{next(_numbers)}"
        watched.monitor(address, _EVENTS)
        self.socket: zmq.Socket[bytes] = watched.context.socket(zmq.PAIR)
        self.socket.linger = 0
        self.socket.rcvhwm = 0  # unbounded: a full monitor would stop every socket of the context
        self.socket.connect(address)

    def drain(self) -> None:
        """Take note of what happened."""
        while True:
            try:
                event, value = struct.unpack("=HI", self.socket.recv_multipart(zmq.NOBLOCK)[0])
            except zmq.Again:
                self._refusals.sum_up()
                return
            except (zmq.ZMQError, struct.error):
                return
            self._note(event, value)

    def close(self) -> None:
        """Stop watching; to be called before the watched socket is closed."""
        self.drain()
        self._watched.disable_monitor()
        self.socket.close()

    def _note(self, event: int, value: int) -> None:
        if event == zmq.EVENT_ACCEPTED:
            self._connections[value] = _Accepted(_peer_of(value), self._succeeded, self._refusals.counts["foreign-key"])
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._succeeded += 1
        elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            self._failure = f"its handshake is not ZMTP with CURVE for this server's key (0x{value:x})"
        elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            slow = value == errno.EAGAIN
            self._failure = "its handshake took too long" if slow else f"it left during the handshake ({os.strerror(value)})"
        elif event == zmq.EVENT_DISCONNECTED:
            failure, self._failure = self._failure, None
            connection = self._connections.pop(value, None)
            if connection is None or self._refusals.counts["foreign-key"] > connection.strangers:
                return  # the authenticator has said all about it
            if failure is None and self._succeeded == connection.succeeded:
                failure = "what it sent is not ZMTP with CURVE"
            if failure is not None:
                self._complain(connection.peer, failure)

    def _complain(self, peer: str, what: str) -> None:
        host = peer.rpartition(":")[0] or peer
        self._refusals.add("handshake", f"a client at {host}", f"{what} (seen from {peer}): not Locum's, or it has another key for us")


def _peer_of(descriptor: int) -> str:
    """The far end of a connection that libzmq accepted, if it is still there."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            host, port = connection.getpeername()[:2]
            return f"{host}:{port}"
    except (OSError, ValueError, TypeError):
        return "an unknown address"


class _Process:
    """What this process has of ZeroMQ."""

    pid = 0
    context: zmq.Context[zmq.Socket[bytes]] | None = None
    authenticator: Authenticator | None = None


def context() -> zmq.Context[zmq.Socket[bytes]]:
    """This process's context, made when it is first wanted.

    Its I/O thread inherits the scheduling class that is in force at that
    moment: a guard sets SCHED_FIFO first.  All sockets belong to one thread.
    """
    if _Process.context is None or _Process.pid != os.getpid():
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        _Process.pid = os.getpid()
        _Process.context = zmq.Context()
        _Process.authenticator = None
    return _Process.context


def authenticator() -> Authenticator:
    """This process's authenticator."""
    ours = context()
    if _Process.authenticator is None:
        _Process.authenticator = Authenticator(ours)
    return _Process.authenticator
