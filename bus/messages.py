"""Every message of Locum, in the order in which the paper tells its story.

One envelope carries one message: protocol version, cluster, sender, part and
incarnation first, so that a peer of another version is understood far enough
to be told so.  Instants never travel, durations do (R2).  A message that this
version does not know becomes one `PeerError`, never a crash.

    registration, loadlevel            P6, P9     server -> SDS
    table, table update                P7, P8     SDS -> servers
    assignment, keep-alive             P10, P12   holder -> secondary
    takeover, grant, refusal           P12, R9    secondary <-> SDS
    renewal, appointment               R10, R11   holder <-> SDS
    release service, released          P15-P17    home -> holder -> SDS
    questions and orders               people and programs <-> SDS
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

import msgspec

PROTOCOL_VERSION = 1
"""This release speaks it, and understands the one before."""

OLDEST_VERSION = 1
"""What this release still understands."""

NOBODY = "-nobody"
"""In the place of a secondary: the SDS has recorded none (R10)."""

ALONE = "-alone"
"""In the place of a secondary: the SDS agreed that there is nobody (R12)."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""A frame beyond this is refused before it is decoded."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")]
Backup = Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^(-nobody|-alone|[a-z0-9]([a-z0-9-]*[a-z0-9])?)\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=86_400.0)]
Level = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Text = Annotated[str, msgspec.Meta(max_length=2_000)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Part = Literal["guard", "runner", "sds", "operator", "viewer"]


def is_server(name: str) -> bool:
    """Whether a recorded secondary is a server, not NOBODY or ALONE."""
    return not name.startswith("-")


class PeerError(Exception):
    """What came in is not a message for us.  It was dropped; nothing else happened."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The base of all messages; the tag is the class name."""


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of what messages are made of."""


# -- what messages are made of -------------------------------------------------------------


class ServiceDefinition(Value, frozen=True, kw_only=True):
    """A service as its home describes it.  The SDS's record is the one that counts (R15)."""

    name: Name
    fqdn: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    port: Port
    home: Name
    driver: Literal["command"] = "command"
    start: tuple[str, ...] = ()  # argument vector of the foreground program
    stop: tuple[str, ...] = ()  # empty: SIGTERM
    check: tuple[str, ...] = ()  # empty: the port accepts a connection
    environment: dict[str, str] = {}
    exclusive: bool = True  # at most one server at any instant
    alone: Literal["keep", "yield"] = "keep"  # R12
    failback: Literal["auto", "manual"] = "auto"
    failback_delay_s: Seconds = 30.0  # the home must have been up this long
    start_limit_s: Seconds = 10.0  # a start that takes longer has failed
    restart_limit: Count = 3  # restarts in place within the window
    restart_window_s: Seconds = 60.0


class Hold(Value, frozen=True, kw_only=True):
    """What a guard says that it holds: R18."""

    service: Name
    epoch: Count
    grant_id: Count
    number: Count
    secondary: Backup


class ServerRow(Value, frozen=True, kw_only=True):
    """A server as the table shows it: P7, P8."""

    name: Name
    address: str
    peer_port: Port
    public_key: str  # Z85, of the key that registered
    incarnation: Count
    state: Literal["up", "silent", "draining", "left"]
    zone: str | None = None
    loadlevel: Level | None = None
    priority: int | None = None
    guards: tuple[str, ...] = ()  # which of R6 are in force
    able: tuple[Name, ...] = ()  # the services that it can run
    unable: dict[Name, Text] = {}  # the others, and why not


class ServiceRow(Value, frozen=True, kw_only=True):
    """A service as the table shows it."""

    definition: ServiceDefinition
    epoch: Count
    holder: Name | None = None
    secondary: Backup = NOBODY
    state: Literal["serving", "starting", "stopping", "unserved"] = "unserved"
    reason: Text | None = None
    move_to: Name | None = None  # a planned move under way: this server asks for the release


# -- joining: P6-P9 ------------------------------------------------------------------------


class Registration(Message, frozen=True, kw_only=True):
    """Runner to SDS: I am here; these services are mine, this I can run. P6, P19."""

    address: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    peer_port: Port
    zone: str | None = None
    services: tuple[ServiceDefinition, ...] = ()
    able: tuple[Name, ...] = ()  # found, not configured (P19); its own services count as able unless they stand below
    unable: dict[Name, Text] = {}
    guards: tuple[str, ...] = ()
    lease_s: Seconds  # H and S of this server, so that the SDS knows the longest G (R16)
    stop_s: Seconds
    draining: bool = False


class Loadlevel(Message, frozen=True, kw_only=True):
    """Runner to SDS, periodically: how busy I am, 0..1. P9."""

    loadlevel: Level
    seq: Count  # the newest table update seen
    serving: dict[Name, Count] = {}  # the services that answer here, and their epochs
    names: dict[Name, str] = {}  # the address that the name server gives for each of them (P5)


class TableRequest(Message, frozen=True, kw_only=True):
    """Anyone to SDS: I see a gap in the updates; send the whole table."""


class Table(Message, frozen=True, kw_only=True):
    """SDS to one: the whole table, and the answer to a registration. P7, R16."""

    seq: Count
    incarnation: Count  # the incarnation whose registration this answers, else 0
    servers: tuple[ServerRow, ...] = ()
    services: tuple[ServiceRow, ...] = ()


class TableUpdate(Message, frozen=True, kw_only=True):
    """SDS to all, published: what changed. A hint, never a vote. P7, P8, P13."""

    seq: Count
    servers: tuple[ServerRow, ...] = ()
    services: tuple[ServiceRow, ...] = ()
    left: tuple[Name, ...] = ()


class Report(Message, frozen=True, kw_only=True):
    """Guard to SDS: what this incarnation holds, and the SDS that it last heard. R15, R16, R18."""

    knows: Count
    holds: tuple[Hold, ...] = ()
    running_s: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0  # by its own clock, since it started: only the rate is looked at (R2)


class Epochs(Message, frozen=True, kw_only=True):
    """SDS to guard: the answer to *this* incarnation's report. R16."""

    incarnation: Count
    epochs: dict[Name, Count]


class AreYouThere(Message, frozen=True, kw_only=True):
    """SDS to guard: another speaks in your name; answer with a report. R20."""


class Rejection(Message, frozen=True, kw_only=True):
    """SDS to anyone: what you said is refused, and why."""

    code: Literal["version", "cluster", "name-taken", "stale-incarnation", "not-allowed", "bad-request", "unknown", "store"]
    text: Text
    highest: Count = 0  # of stale-incarnation: go beyond this


# -- standing by: P10, P11 -----------------------------------------------------------------


class Beat(Message, frozen=True, kw_only=True):
    """What assignment and keep-alive have in common. R1, R8, R11, R21."""

    service: Name
    epoch: Count
    grant_id: Count
    number: Count  # of the appointment
    beat: Count  # of this message; the acknowledgement names it
    nonce: Count  # of the sender's guard
    lease_s: Seconds
    stop_s: Seconds


class Assignment(Beat, frozen=True, kw_only=True):
    """Holder to candidate: be my secondary, listen to my keep-alive. P10."""


class KeepAlive(Beat, frozen=True, kw_only=True):
    """Holder to secondary: I am alive. P10, P12."""


class Acknowledgement(Message, frozen=True, kw_only=True):
    """Secondary to holder: heard; I promise not to replace you for one G. R1."""

    service: Name
    epoch: Count
    number: Count
    beat: Count
    nonce: Count


class RemoveAssignment(Message, frozen=True, kw_only=True):
    """Holder to former secondary: you are no longer it. P16."""

    service: Name
    epoch: Count
    number: Count


class Superseded(Message, frozen=True, kw_only=True):
    """Anyone to whoever speaks under a lower epoch, or another grant of the same. R8."""

    service: Name
    epoch: Count
    grant_id: Count
    refused_grant_id: Count = 0  # the SDS: this grant of yours is not the one on record


# -- replacing: P12, P13 -------------------------------------------------------------------


class Takeover(Message, frozen=True, kw_only=True):
    """Secondary to SDS: I no longer hear the holder of this epoch; let me run it. P12, R9."""

    service: Name
    epoch: Count
    number: Count
    question: Count
    knows: Count  # the incarnation of the SDS that is asked
    lease_s: Seconds  # H and S of the asker, to whom the grant would be a lease
    stop_s: Seconds
    silent_s: Seconds = 0.0  # how long nothing was heard of the holder


class Grant(Message, frozen=True, kw_only=True):
    """SDS to the new holder: run it, under this epoch. R8, R9."""

    service: Name
    epoch: Count
    grant_id: Count
    to_incarnation: Count
    question: Count  # 0: answers none, and earns no lease
    clean: bool  # the holder before is known to have stopped, or never promised
    definition: ServiceDefinition


class Refusal(Message, frozen=True, kw_only=True):
    """SDS to a secondary: no, and why. R9."""

    service: Name
    epoch: Count
    number: Count
    question: Count
    reason: Literal["not-secondary", "holder-heard"]


# -- holding: R10-R12 ----------------------------------------------------------------------


class Renewal(Message, frozen=True, kw_only=True):
    """Holder to SDS: I am alive. R10, R11."""

    service: Name
    epoch: Count
    grant_id: Count
    beat: Count
    lease_s: Seconds
    stop_s: Seconds
    serving: bool


class Renewed(Message, frozen=True, kw_only=True):
    """SDS to holder: heard; I promise not to replace you for one G. R1."""

    service: Name
    epoch: Count
    grant_id: Count
    beat: Count


class Appointment(Message, frozen=True, kw_only=True):
    """Holder to SDS: record this secondary; it has acknowledged. R11, R12."""

    service: Name
    epoch: Count
    grant_id: Count
    number: Count
    secondary: Backup


class Recorded(Message, frozen=True, kw_only=True):
    """SDS to holder: the secondary on record, and its number. R11."""

    service: Name
    epoch: Count
    grant_id: Count
    number: Count
    secondary: Backup


# -- giving back: P15-P18 ------------------------------------------------------------------


class ReleaseService(Message, frozen=True, kw_only=True):
    """Target of a planned move, as a rule the home, to holder: let me have it. P15, R14."""

    service: Name
    epoch: Count


class Released(Message, frozen=True, kw_only=True):
    """Former holder to SDS, until acknowledged: verified stopped. P17, R14."""

    service: Name
    epoch: Count
    grant_id: Count
    reason: Text = ""
    failed: bool = False  # this server could not run it: prefer another
    seen_epoch: Count = 0  # a higher epoch that stands in DNS (R19): the next grant exceeds it


class ReleaseAcknowledged(Message, frozen=True, kw_only=True):
    """SDS to former holder: heard. R14."""

    service: Name
    epoch: Count


class Happened(Message, frozen=True, kw_only=True):
    """Runner to SDS: for the history. Kinds are those of bus/timeline.py."""

    kind: str
    service: Name | None = None
    epoch: Count | None = None
    text: Text
    evidence: dict[str, Any] = {}


# -- questions and orders ------------------------------------------------------------------


class StatusRequest(Message, frozen=True, kw_only=True):
    """Operator or viewer to SDS."""


class Status(Message, frozen=True, kw_only=True):
    """SDS to operator or viewer: the answer, as `locum status --json` prints it."""

    status: dict[str, Any]


class HistoryRequest(Message, frozen=True, kw_only=True):
    """Operator or viewer to SDS: the newest events, oldest first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1_000


class History(Message, frozen=True, kw_only=True):
    """SDS to operator or viewer: as `locum history --json` prints them."""

    events: tuple[dict[str, Any], ...]


class Order(Message, frozen=True, kw_only=True):
    """Operator to SDS: a planned move, or the end of doubt about a dead server. R13, R14."""

    verb: Literal["move", "drain", "resume", "confirm-dead"]
    service: Name | None = None
    server: Name | None = None


class Accepted(Message, frozen=True, kw_only=True):
    """SDS to operator: the order is being carried out."""

    text: Text


MESSAGES: tuple[type[Message], ...] = (
    Registration,
    Loadlevel,
    TableRequest,
    Table,
    TableUpdate,
    Report,
    Epochs,
    AreYouThere,
    Rejection,
    Assignment,
    KeepAlive,
    Acknowledgement,
    RemoveAssignment,
    Superseded,
    Takeover,
    Grant,
    Refusal,
    Renewal,
    Renewed,
    Appointment,
    Recorded,
    ReleaseService,
    Released,
    ReleaseAcknowledged,
    Happened,
    StatusRequest,
    Status,
    HistoryRequest,
    History,
    Order,
    Accepted,
)
"""The union, in the paper's order; a test holds docs/protocol.md against it."""


class Header(msgspec.Struct, frozen=True):
    """Who speaks: the sender is believed only if the transport key is the sender's (R20)."""

    cluster: str
    sender: str
    part: Part
    incarnation: Count


class _Envelope(msgspec.Struct, array_like=True, frozen=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    cluster: Annotated[str, msgspec.Meta(max_length=63)]
    sender: Annotated[str, msgspec.Meta(max_length=63)]
    part: str
    incarnation: Count
    body: msgspec.Raw


_encoder = msgspec.msgpack.Encoder()
_envelopes = msgspec.msgpack.Decoder(_Envelope)
_bodies = msgspec.msgpack.Decoder(Union[MESSAGES])
_PARTS = frozenset(("guard", "runner", "sds", "operator", "viewer"))


class VersionError(PeerError):
    """The sender speaks a version that we do not; both ends show it."""

    def __init__(self, sender: str, version: int) -> None:
        need = f"v{OLDEST_VERSION} to v{PROTOCOL_VERSION}" if OLDEST_VERSION < PROTOCOL_VERSION else f"v{PROTOCOL_VERSION}"
        super().__init__(f"{sender or 'a peer'} speaks protocol v{version}, this side needs {need}: upgrade the older of the two")
        self.sender = sender
        self.version = version


def encode(header: Header, message: Message) -> bytes:
    """One message as one frame."""
    body = msgspec.Raw(_encoder.encode(message))
    return _encoder.encode(_Envelope(PROTOCOL_VERSION, header.cluster, header.sender, header.part, header.incarnation, body))


def decode(frame: bytes) -> tuple[Header, Message]:
    """One frame as who speaks and what is said; anything else is one `PeerError`."""
    if len(frame) > MAX_MESSAGE_BYTES:
        raise PeerError(f"a message of {len(frame)} bytes exceeds the limit of {MAX_MESSAGE_BYTES}")
    try:
        envelope = _envelopes.decode(frame)
        if not OLDEST_VERSION <= envelope.version <= PROTOCOL_VERSION:
            raise VersionError(envelope.sender, envelope.version)
        if envelope.part not in _PARTS:
            raise PeerError(f"malformed message: no such part as {envelope.part[:40]!r}")
        header = Header(envelope.cluster, envelope.sender, envelope.part, envelope.incarnation)  # type: ignore[arg-type]
        return header, _bodies.decode(envelope.body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError) as error:
        raise PeerError(f"malformed message: {error}") from None
