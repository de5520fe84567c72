"""Every message of Locum, in the order in which the paper tells its story.

Instants never travel, durations do (R2).  How a message becomes a frame is in
bus/wire.py, what it is made of in bus/values.py.

    registration, loadlevel            P6, P9     server -> SDS
    table, table update                P7, P8     SDS -> servers
    assignment, keep-alive             P10, P12   holder -> secondary
    takeover, grant, refusal           P12, R9    secondary <-> SDS
    renewal, appointment               R10, R11   holder <-> SDS
    release service, released          P15-P17    home -> holder -> SDS
    questions and orders               people and programs <-> SDS
    coming and going                   operators, newcomers, servers <-> SDS
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from bus.values import (
    Backup,
    Count,
    FilesState,
    Hold,
    Key,
    Level,
    Name,
    NameState,
    Port,
    Readiness,
    Seconds,
    ServerRow,
    ServiceDefinition,
    ServiceRow,
    Text,
)


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The base of all messages; the tag is the class name."""


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
    names: dict[Name, str] = {}  # the address that the name server gives for each of them, or for one that nobody serves (P5)
    naming: dict[Name, NameState] = {}  # how far the names of the served services are
    own_name: NameState | None = None  # how far this server's own name is
    standby: dict[Name, Readiness] = {}  # how far this server is prepared for each service that it stands in for
    files: dict[Name, FilesState] = {}  # how far the files of each service are here (P4)


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
    stands_in: dict[Name, Count] = {}  # the services whose secondary it is, and their epochs
    answers: Count = 0  # the challenge that this answers
    running_s: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0  # by its own clock, since it started: only the rate is looked at (R2)


class Epochs(Message, frozen=True, kw_only=True):
    """SDS to guard: the answer to *this* incarnation's report. R16."""

    incarnation: Count
    epochs: dict[Name, Count]


class AreYouThere(Message, frozen=True, kw_only=True):
    """SDS to guard: another speaks in your name; answer with a report. R20."""

    challenge: Count  # the report must name it: words sent before prove nothing


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
    overlap_s: Seconds = 0.0  # for so long another may still finish: do not hand over beside it (R22)
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
    """Former holder to SDS, until acknowledged: verified stopped, or finishing. P17, R14, R22."""

    service: Name
    epoch: Count
    grant_id: Count
    reason: Text = ""
    failed: bool = False  # this server could not run it: prefer another
    seen_epoch: Count = 0  # a higher epoch that stands in DNS (R19): the next grant exceeds it
    overlap: bool = False  # not stopped, but finishing: of a service that is not exclusive, on a planned move (R22)


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
    service: Name | None = None  # only events about it
    server: Name | None = None  # only events that concern it
    since_s: Annotated[float, msgspec.Meta(ge=0.0)] | None = None  # only events of the last so many seconds


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


# -- coming and going (P19, section 7) -----------------------------------------------------


class TokenRequest(Message, frozen=True, kw_only=True):
    """Operator to SDS: whoever has the secret of this key may join, once. P19."""

    public_key: Key  # of the token; its secret never passes
    role: Literal["server", "operator", "viewer"] = "server"
    name: Name | None = None  # under which one may join; none: any that is free
    valid_s: Annotated[float, msgspec.Meta(ge=1.0, le=2_592_000.0)] = 3_600.0


class Issued(Message, frozen=True, kw_only=True):
    """SDS to operator: that key may join now; what the token must say besides."""

    number: Count  # the token speaks as token-NUMBER
    address: str
    port: Port
    updates_port: Port


class Join(Message, frozen=True, kw_only=True):
    """Newcomer to SDS, under the key of a token: let this key of mine in. P19."""

    public_key: Key
    name: Name


class Joined(Message, frozen=True, kw_only=True):
    """SDS to newcomer: you are in; this belongs into your settings, and these services are there."""

    name: Name
    role: Literal["server", "operator", "viewer"]
    sds: Name
    settings: dict[str, dict[str, Any]] = {}
    secrets: dict[str, str] = {}
    services: tuple[ServiceDefinition, ...] = ()


class Leave(Message, frozen=True, kw_only=True):
    """Operator or server to SDS, until it is done: let this server go, once it holds nothing."""

    server: Name
    force: bool = False  # though it holds something


class Leaving(Message, frozen=True, kw_only=True):
    """SDS to whoever said so: how far it is."""

    left: bool
    text: Text


class Revoke(Message, frozen=True, kw_only=True):
    """Operator to SDS: no longer trust that one's key, at once."""

    role: Literal["server", "operator", "viewer"] = "server"
    name: Name


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
    TokenRequest,
    Issued,
    Join,
    Joined,
    Leave,
    Leaving,
    Revoke,
)
"""The union, in the paper's order; a test holds docs/protocol.md against it."""
