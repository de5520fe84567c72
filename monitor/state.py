"""What the page knows: its whole state, what is told of changes, and what the other questions are answered with.

    snapshot   Snapshot   once, and again whenever the page asks
    delta      Delta      what changed since the push before: `version` is one more

Instants are Unix seconds of the monitor's clock, for the page's eyes alone;
durations end in `_s`.  The page's types are made of this file
(monitor/web/src/state.ts); nothing else defines them.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Level = Literal["ok", "warn", "alarm"]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The base of what the page gets; every field is always there."""


class Remark(Shown, frozen=True, kw_only=True):
    """Something that people should know, and how grave it is."""

    level: Level
    text: str


class SdsShown(Shown, frozen=True, kw_only=True):
    """An SDS."""

    name: str
    role: str  # active, or standby
    address: str
    uptime_s: float | None


class StoreShown(Shown, frozen=True, kw_only=True):
    """What the SDS says of its store."""

    state: str
    last_write_s: float | None  # ago


class Head(Shown, frozen=True, kw_only=True):
    """The head of the page: of which cluster it is, how old the view is, and whether all is well."""

    cluster: str
    seq: int  # the table's sequence within this incarnation of the SDS
    incarnation: int  # of the SDS; both together are the number on the wire
    sds: tuple[SdsShown, ...]
    store: StoreShown
    heard_at: float | None  # the last word of the SDS
    lost_since: float | None  # since when the monitor hears nothing of it
    verdict: Remark  # never "ok" while a server is silent
    alarms: tuple[Remark, ...]
    demo: bool
    served_at: float


class NameShown(Shown, frozen=True, kw_only=True):
    """A name in the DNS: `converged`, `pending` or `wrong`."""

    state: str
    text: str  # where it leads, or what differs


class IfItDied(Shown, frozen=True, kw_only=True):
    """What would become of one service if the server died now."""

    service: str
    to: str | None  # nobody
    text: str


class ServerShown(Shown, frozen=True, kw_only=True):
    """A server's card."""

    name: str
    address: str
    state: str  # up, silent, draining, left
    zone: str | None
    loadlevel: float | None
    priority: int | None
    last_seen_s: float | None  # ago, when the head was made
    guards: tuple[str, ...]
    dns: NameShown | None
    loads: tuple[tuple[float, float], ...]  # instant and loadlevel, of the last five minutes
    holds: tuple[str, ...]
    stands_in_for: tuple[str, ...]
    if_it_died: tuple[IfItDied, ...]


class CandidateShown(Shown, frozen=True, kw_only=True):
    """Who could run a service, in the order of choice, or why not."""

    server: str
    priority: int | None
    ok: bool
    why_not: str | None


class ServiceShown(Shown, frozen=True, kw_only=True):
    """A service."""

    name: str
    fqdn: str
    port: int
    home: str
    holder: str | None
    epoch: int
    secondary: str | None
    standby: str | None  # how far the secondary is prepared
    state: str  # serving, starting, stopping, unserved
    reason: str | None
    since_at: float
    exclusive: bool
    dns_address: str | None
    dns: NameShown | None
    candidates: tuple[CandidateShown, ...]
    beating: bool  # its holder is heard, and sends keep-alives to a secondary


class Passage(Shown, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A service on its way from one server to another."""

    id: str
    service: str
    from_: str | None
    to: str | None
    kind: Literal["takeover", "move", "failback", "release"]
    state: Literal["under way", "done"]
    began_at: float
    ended_at: float | None


class EventShown(Shown, frozen=True, kw_only=True):
    """One line of the timeline."""

    id: str
    at: float
    kind: str
    service: str | None
    server: str | None
    epoch: int | None
    text: str  # in plain words
    evidence: dict[str, Any]
    sequence: bool  # there is a sequence diagram of it: /api/sequence/ID


class Snapshot(Shown, frozen=True, kw_only=True):
    """Everything."""

    version: int
    head: Head
    servers: dict[str, ServerShown]
    services: dict[str, ServiceShown]
    passages: tuple[Passage, ...]
    events: tuple[EventShown, ...]  # the newest last


class Delta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What changed; what is not there has not.  A row that is null is gone."""

    version: int
    head: Head | None = None
    servers: dict[str, ServerShown | None] | None = None
    services: dict[str, ServiceShown | None] | None = None
    passages: tuple[Passage, ...] | None = None
    events: tuple[EventShown, ...] | None = None  # the new ones


# -- answers ---------------------------------------------------------------------------------


class Participant(Shown, frozen=True, kw_only=True):
    """A lifeline of a sequence diagram."""

    name: str
    dead: bool


class Said(Shown, frozen=True, kw_only=True, rename={"from_": "from"}):
    """An arrow of a sequence diagram, under the paper's name."""

    from_: str
    to: str
    name: str
    at_s: float  # since the first
    note: str | None


class Sequence(Shown, frozen=True, kw_only=True):
    """The messages of one change of holder."""

    title: str
    participants: tuple[Participant, ...]
    messages: tuple[Said, ...]


class Session(Shown, frozen=True, kw_only=True):
    """Who looks at the page; `csrf` belongs into the header X-CSRF-Token of whatever changes something."""

    operator: bool
    name: str | None
    csrf: str


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator wants done: the body of /api/preview and /api/act."""

    action: Literal["drain", "resume", "move"]
    server: str | None = None
    service: str | None = None
    to: str | None = None


class Preview(Shown, frozen=True, kw_only=True):
    """What would come of a wish."""

    sentences: tuple[str, ...]
    ok: bool
    why_not: str | None


class DemoWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be done to a part of the demo: the body of /api/demo."""

    verb: Literal["kill", "pause", "continue", "start", "stop", "load"]
    part: str
    level: float | None = None


class Outcome(Shown, frozen=True, kw_only=True):
    """What came of it."""

    done: bool
    text: str


class Complaint(Shown, frozen=True, kw_only=True):
    """The answer to what cannot be answered: one line."""

    error: str


ANSWERS: dict[str, type[msgspec.Struct]] = {
    "snapshot": Snapshot,
    "delta": Delta,
    "sequence": Sequence,
    "session": Session,
    "wish": Wish,
    "preview": Preview,
    "demo": DemoWish,
    "outcome": Outcome,
    "complaint": Complaint,
}
"""Everything that passes between page and monitor; the types of the page are made of these and what they are made of."""
