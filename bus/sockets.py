"""Messages over ZeroMQ, encrypted and signed by CURVE (DESIGN section 3, R20, R21).

    Dealer -------> Router      registration, renewals, keep-alives, questions
    Subscriber <--- Publisher   table updates

Nothing here blocks, starts a thread or raises because of what a peer sends.
What does not fit is dropped, counted and logged (bus/refusals.py).  Nothing is
queued for a peer that is not connected, and what was queued for a connection
dies with it.  All sockets of a process belong to one thread (bus/zap.py).
"""

from __future__ import annotations

import errno
import ipaddress
from collections import Counter
from typing import NamedTuple

import zmq

from bus.keys import SPEAKS_AS, Secret, Trust
from bus.messages import Message, Rejection
from bus.polling import AsyncPoller, readable
from bus.refusals import Refusals
from bus.values import TEXT_LIMIT, Owner
from bus.wire import MAX_MESSAGE_BYTES, Header, PeerError, VersionError, decode, encode
from bus.zap import HANDSHAKE_S, Chore, Handshakes, authenticator, context

RECONNECT_S = 0.1
CONNECT_S = 1.0
HEARTBEAT_S = 1.0
"""A connection without a sign of life for three of these is made anew: a backstop, no health check."""

BACKLOG = 4096
_CURVE_OVERHEAD = 256
_KNOWN_CONNECTIONS = 50_000


class BindError(Exception):
    """The address cannot be listened on.  Nothing was started."""


class Heard(NamedTuple):
    """A message, and the connection to answer on."""

    connection: bytes
    header: Header
    message: Message


class _Socket:
    """A ZeroMQ socket of ours, of whatever kind."""

    KIND: int
    QUEUE = 250
    """Messages that wait for one connection; the next is not sent, and `send` says so."""

    refusals: Refusals

    def __init__(self, secret: Secret, header: Header) -> None:
        self.header = header
        """How we introduce ourselves; may be replaced at any time."""
        self.sleeper: AsyncPoller | None = None
        self.chores: tuple[Chore, ...] = ()
        self.socket: zmq.Socket[bytes] = context().socket(self.KIND)
        self.socket.linger = 0
        self.socket.sndhwm = self.socket.rcvhwm = self.QUEUE
        self.socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES + _CURVE_OVERHEAD)
        self.socket.set(zmq.HANDSHAKE_IVL, round(HANDSHAKE_S * 1000))
        self.socket.curve_secretkey = secret.z85.encode()
        self.socket.curve_publickey = secret.public.encode()

    @property
    def refused(self) -> Counter[str]:
        """How much was refused, by reason."""
        return self.refusals.counts

    def close(self) -> None:
        """Close; what is queued is dropped.  A plain `Poller` must have forgotten the socket."""
        if self.sleeper is not None:
            self.sleeper.unregister(self)
        self.socket.close()

    def _more(self) -> list[bytes]:
        """The remaining frames of the message that was begun."""
        frames = []
        while self.socket.get(zmq.RCVMORE):
            frames.append(self.socket.recv(zmq.NOBLOCK))
        return frames

    def _reconsider(self) -> None:
        """Sending may have taken in the news that something came: wake whoever sleeps on it."""
        if self.sleeper is not None and readable(self.socket):
            self.sleeper.poke()


class _Server(_Socket):
    """A socket that listens, and whom it lets in."""

    def __init__(self, address: str, port: int, secret: Secret, trust: Trust, header: Header) -> None:
        """Listens; raises `BindError`."""
        self._trust = trust
        super().__init__(secret, header)
        self.refusals = Refusals(f"{header.part} {header.sender}, port {port}")
        self._door = authenticator()
        self._domain = self._door.enter(self)
        self._handshakes = Handshakes(self.socket, self.refusals)
        self.chores = (self._door, self._handshakes)
        self.socket.curve_server = True
        self.socket.zap_domain = self._domain
        self.socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        self.socket.set(zmq.BACKLOG, BACKLOG)
        self._doors: dict[str, str] = {}  # address -> endpoint
        try:
            self._bind(address, port)
        except BindError:
            self.close()
            raise
        self.port = int(self.socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0").rpartition(":")[2])
        """Where it listens, also if it was asked for port 0."""
        self.refusals.where = f"{header.part} {header.sender}, port {self.port}"

    @property
    def trust(self) -> Trust:
        """Who may speak here.  Replacing it admits and silences at once."""
        return self._trust

    @trust.setter
    def trust(self, trust: Trust) -> None:
        self._trust = trust
        self._door.look_again()

    def admit(self, public_key: str) -> Owner | None:
        """Asked by the authenticator."""
        return self._trust.owner(public_key)

    def close(self) -> None:
        """Close, and free the port.

        libzmq cuts the clients off when the authenticator is next drained, or the process ends.
        """
        self._door.leave(self._domain)
        self._handshakes.close()
        super().close()

    @property
    def doors(self) -> tuple[str, ...]:
        """The addresses at which it listens."""
        return tuple(self._doors)

    def listen_also(self, address: str) -> None:
        """Listen at this address too, on the same port; raises `BindError`, and then nothing has changed."""
        if address not in self._doors:
            self._bind(address, self.port)

    def listen_no_more(self, address: str) -> None:
        """Close the door at this address, and the connections that came through it."""
        endpoint = self._doors.pop(address, None)
        if endpoint is not None:
            self.socket.unbind(endpoint)

    def _bind(self, address: str, port: int) -> None:
        if not 0 <= port <= 65_535:
            raise BindError(f"cannot listen on {address} port {port}: a port is 1 to 65535: choose another")
        self.socket.ipv6 = not _is_ipv4(address)
        try:
            self.socket.bind(_endpoint(address, port))
            self._doors[address] = self.socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")
        except zmq.ZMQError as error:
            remedy = {
                errno.EADDRINUSE: f"already in use: end that program (ss -ltnp 'sport = :{port}' shows it), or choose another port",
                errno.EADDRNOTAVAIL: "no address of this host: give one that `ip address` shows",
                errno.ENODEV: "no address of this host: give one that `ip address` shows",
                errno.EACCES: "not allowed: choose a port above 1023, or run as root",
            }.get(error.errno or 0, f"{error.strerror}: give an IP address of this host and a free port")
            raise BindError(f"cannot listen on {address} port {port}: {remedy}") from None


EVERYWHERE = "*"
"""In the place of an address to listen on: all of this host's, IPv4 and IPv6."""


class Router(_Server):
    """Where many ask and are answered.  A client's key decides who it is (R20)."""

    KIND = zmq.ROUTER

    def __init__(self, address: str, port: int, secret: Secret, trust: Trust, header: Header) -> None:
        """Listens; raises `BindError`."""
        self._keys: dict[bytes, str] = {}  # connection -> public key
        super().__init__(address, port, secret, trust, header)
        self.socket.router_mandatory = True

    def receive(self, limit: int = 500) -> list[Heard]:
        """What came in, `limit` at most; what is refused is not among it."""
        for chore in self.chores:
            chore.drain()
        heard: list[Heard] = []
        for _ in range(limit):
            try:
                connection = self.socket.recv(zmq.NOBLOCK)
                frame, more = self._frame(connection)
            except zmq.Again:
                return heard
            message = self._judged(connection, frame, more)
            if message is not None:
                heard.append(message)
        self._reconsider()
        return heard

    def send(self, connection: bytes, message: Message) -> bool:
        """Say it on this connection.  False: it is closed, full, or its key no longer trusted."""
        key = self._keys.get(connection)
        if key is not None and self._trust.owner(key) is None:
            return False
        frame = encode(self.header, message)
        if len(frame) > MAX_MESSAGE_BYTES:
            text = f"the answer has {len(frame)} bytes, more than the {MAX_MESSAGE_BYTES} that a message may have: ask for less"
            frame = encode(self.header, Rejection(code="bad-request", text=text))
        try:
            self.socket.send(connection, zmq.NOBLOCK | zmq.SNDMORE)
            self.socket.send(frame, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno not in (errno.EAGAIN, errno.EHOSTUNREACH):
                raise
            return False
        finally:
            self._reconsider()
        return True

    def _frame(self, connection: bytes) -> tuple[bytes, list[bytes]]:
        """The message on this connection, and what should not follow.

        libzmq attests the key on every frame.  A routing id is never used
        again, so asking once for a connection is enough.
        """
        if connection in self._keys:
            return self.socket.recv(zmq.NOBLOCK), self._more()
        frame = self.socket.recv(zmq.NOBLOCK, copy=False)
        try:
            key = str(frame.get("User-Id"))
        except zmq.ZMQError:
            key = ""
        if len(self._keys) >= _KNOWN_CONNECTIONS:
            self._keys.clear()
        self._keys[connection] = key
        return frame.bytes, self._more()

    def _judged(self, connection: bytes, frame: bytes, more: list[bytes]) -> Heard | None:
        key = self._keys.get(connection, "")
        owner = self._trust.owner(key)
        if owner is None:
            self.refusals.add("foreign-key", f"a client with key {key}", "its key is no longer trusted: register it again")
            return None
        who = f"{owner.role} {owner.name}"
        if more:
            self.refusals.add("frames", who, f"a message of {1 + len(more)} frames where one is due: is it Locum's?")
            return None
        try:
            header, message = decode(frame)
        except VersionError as error:
            self._reject(connection, "version", who, str(error))
            return None
        except PeerError as error:
            self._reject(connection, "malformed", who, f"{error}: is it Locum's, and of a version near ours?")
            return None
        if header.cluster != self.header.cluster:
            text = f"this is cluster {self.header.cluster!r}, not {header.cluster[:63]!r}: correct the key `cluster`, or the address"
            self._reject(connection, "cluster", who, text)
            return None
        if header.sender != owner.name or header.part not in SPEAKS_AS[owner.role]:
            text = f"this key is {who}'s, and may not speak as {header.part} {header.sender[:63]!r}: correct the name, or the key"
            self._reject(connection, "name", who, text)
            return None
        return Heard(connection, header, message)

    def _reject(self, connection: bytes, reason: str, who: str, text: str) -> None:
        """Drop it, and let the other end show why too."""
        self.refusals.add(reason, who, text)
        code = {"version": "version", "cluster": "cluster", "malformed": "bad-request"}.get(reason, "not-allowed")
        self.send(connection, Rejection(code=code, text=text[:TEXT_LIMIT]))  # type: ignore[arg-type]


class Publisher(_Server):
    """Tells everyone who listens.  What it says may be lost.

    A key that is trusted no more hears on until its connection ends: PUB cannot
    close one connection.  It is kept out from then on.
    """

    KIND = zmq.PUB
    QUEUE = 1_000

    def send(self, message: Message) -> None:
        """Say it to all."""
        try:
            self.socket.send(encode(self.header, message), zmq.NOBLOCK)
        except zmq.Again:
            pass  # PUB drops by itself; this is only for completeness


class _Client(_Socket):
    """A socket that connects, again and again, to one server of a known key."""

    def __init__(
        self,
        address: str,
        port: int,
        server_public_key: str,
        secret: Secret,
        header: Header,
        server_name: str | None = None,
        reconnect_s: float = RECONNECT_S,
    ) -> None:
        """Connects in the background.  `server_name`: who must answer, if that is known.

        An address or key that cannot be one is logged, and never connects.
        """
        super().__init__(secret, header)
        self.server_name = server_name
        self.refusals = Refusals(f"{header.part} {header.sender}, from {address} port {port}")
        self.socket.set(zmq.RECONNECT_IVL, round(reconnect_s * 1000))
        self.socket.set(zmq.CONNECT_TIMEOUT, round(CONNECT_S * 1000))
        self.socket.set(zmq.HEARTBEAT_IVL, round(HEARTBEAT_S * 1000))
        self.socket.set(zmq.HEARTBEAT_TIMEOUT, round(3 * HEARTBEAT_S * 1000))
        self.socket.set(zmq.HEARTBEAT_TTL, round(6 * HEARTBEAT_S * 1000))
        self.socket.ipv6 = not _is_ipv4(address)
        self._prepare()
        try:
            self.socket.curve_serverkey = server_public_key.encode()
            self.socket.connect(_endpoint(address, port))
        except (zmq.ZMQError, ValueError):
            text = f"cannot be reached: {address[:80]!r} is no address, or {server_public_key[:80]!r} no key"
            self.refusals.add("address", "the server", text)

    def receive(self, limit: int = 500) -> list[tuple[Header, Message]]:
        """What came in, `limit` at most; what is refused is not among it."""
        heard: list[tuple[Header, Message]] = []
        for _ in range(limit):
            try:
                frame = self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                self.refusals.sum_up()
                return heard
            said = self._judged(frame, self._more())
            if said is not None:
                heard.append(said)
        self._reconsider()
        return heard

    def _prepare(self) -> None:
        """What this kind needs before it connects."""

    def _judged(self, frame: bytes, more: list[bytes]) -> tuple[Header, Message] | None:
        if more:
            self.refusals.add("frames", "the server", f"a message of {1 + len(more)} frames where one is due")
            return None
        try:
            header, message = decode(frame)
        except PeerError as error:
            self.refusals.add("version" if isinstance(error, VersionError) else "malformed", "the server", str(error))
            return None
        # A rejection is believed from another cluster too: it says that we asked the wrong one.
        if header.cluster != self.header.cluster and not isinstance(message, Rejection):
            text = f"it is of cluster {header.cluster[:63]!r}, this is {self.header.cluster!r}: correct the key `cluster`, or the address"
            self.refusals.add("cluster", "the server", text)
            return None
        if self.server_name is not None and header.sender != self.server_name:
            self.refusals.add("name", "the server", f"it says it is {header.sender[:63]!r}, its key is {self.server_name!r}'s")
            return None
        return header, message


class Dealer(_Client):
    """Asks one router and hears its answers.

    With IMMEDIATE, a message is accepted only while there is a connection, and
    dies with it: nothing stale is delivered to a server that comes back (R21).
    A server that does not trust our key keeps us waiting and lets us in when it
    does (bus/zap.py): it never says "400", after which libzmq would not try
    again, so this socket need not be made anew.
    """

    KIND = zmq.DEALER

    def send(self, message: Message) -> bool:
        """Say it.  False: not connected, or too much is waiting; nothing was queued."""
        try:
            self.socket.send(encode(self.header, message), zmq.NOBLOCK)
        except zmq.Again:
            return False
        finally:
            self._reconsider()
        return True

    def _prepare(self) -> None:
        self.socket.immediate = True


class Subscriber(_Client):
    """Hears what one publisher says, from the moment when it is connected."""

    KIND = zmq.SUB
    QUEUE = 1_000

    def _prepare(self) -> None:
        self.socket.subscribe(b"")


def _is_ipv4(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).version == 4
    except ValueError:
        return False  # a name, or nonsense, which bind will refuse


def _endpoint(address: str, port: int) -> str:
    return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"
