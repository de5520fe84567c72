"""What tether, guard and runner of one server say to each other.

         spawn, kill, until                 start, stop, ended, ...
    tether <-----------------> guard <---------------------------> runner
         spawned, exited, gone              spawn, serving, candidates, ...

The guard alone decides whether a service may run (R4).  So the runner composes
what is to be spawned, the guard lets it pass only while it has a lease, and the
tether, parent of all services, carries it out.  As one process spawns and
kills, in the order in which the guard said so, nothing starts after `Gone`.

The lines are SOCK_SEQPACKET socket pairs made by the tether: a packet is a
message, and the end of a process is the end of its line.
"""

from __future__ import annotations

from typing import Literal, Union

import msgspec

from bus.timeline import Transition
from bus.values import ServiceDefinition


class Line(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """The base of everything said on a line."""


# -- runner to guard -----------------------------------------------------------------------


class PeerAddress(msgspec.Struct, frozen=True):
    """Where another server's guard listens, and the key by which it is known (Z85)."""

    address: str
    port: int
    public_key: str


class Peers(Line, frozen=True, kw_only=True):
    """All servers of the table, by name."""

    peers: dict[str, PeerAddress]


class MovedTo(Line, frozen=True, kw_only=True):
    """This server's address; when it is another than before, listen there, and make all connections anew (P20)."""

    address: str


class SdsAt(Line, frozen=True, kw_only=True):
    """Where the SDS listens, when that is not in the settings: speak to it there."""

    address: str
    port: int


class Candidates(Line, frozen=True, kw_only=True):
    """Who could be this service's secondary, best first; `better` is past margin and dwell."""

    service: str
    names: tuple[str, ...]
    better: str | None = None


class Surveying(Line, frozen=True, kw_only=True):
    """Whether it can be started here takes longer to find out than a runner may be silent: its files are looked at, or its agent asked."""

    service: str
    epoch: int


class Spawn(Line, frozen=True, kw_only=True):
    """Start the service's program; its process group is its own. Guard to tether likewise."""

    service: str
    epoch: int
    grant_id: int
    argv: tuple[str, ...]
    environment: dict[str, str]
    output: str  # a file to which standard output and error are appended
    number: int = 0  # given by the guard, for the tether: `Gone` names the newest that it saw
    keeper: bool = False  # the program is one of ours that keeps daemons: orphans of the service are its children


class Prepare(Line, frozen=True, kw_only=True):
    """Start the service's program as a hot standby: shut, or behind the kernel gate; without an epoch. Guard to tether likewise."""

    service: str
    definition: ServiceDefinition
    argv: tuple[str, ...]
    environment: dict[str, str]
    output: str  # as of `Spawn`
    number: int = 0  # as of `Spawn`
    keeper: bool = False  # as of `Spawn`


class EndStandby(Line, frozen=True, kw_only=True):
    """The hot standby is not what it should be: kill it."""

    service: str


class Activate(Line, frozen=True, kw_only=True):
    """Run what opens the standby's door, as part of the service: from now on it serves. Guard to tether likewise.

    Without an argument vector there is nothing to run: it listens behind the kernel gate, which the guard opens.
    """

    service: str
    epoch: int
    grant_id: int
    argv: tuple[str, ...]
    environment: dict[str, str]
    output: str
    number: int = 0  # as of `Spawn`


class Serving(Line, frozen=True, kw_only=True):
    """The service answers."""

    service: str
    epoch: int


class Stopped(Line, frozen=True, kw_only=True):
    """The driver's own stop has done what it could; the guard kills the rest and verifies."""

    service: str
    epoch: int


class GiveUp(Line, frozen=True, kw_only=True):
    """The service cannot be kept running here: hand it over."""

    service: str
    epoch: int
    reason: str
    seen_epoch: int = 0  # a higher epoch that stands in DNS (R19)


class YieldToHot(Line, frozen=True, kw_only=True):
    """Its process is dead, and its recorded secondary waits hot: hand over to it if both it and the SDS say yes before a `Spawn` comes."""

    service: str
    epoch: int
    reason: str


class AskRelease(Line, frozen=True, kw_only=True):
    """Tell the holder that its planned move to this server may begin (P15)."""

    service: str
    holder: str
    epoch: int


class HandOver(Line, frozen=True, kw_only=True):
    """This agent is to end: hand over everything, then say `HandedOver`."""


# -- guard to runner -----------------------------------------------------------------------


class Welcome(Line, frozen=True, kw_only=True):
    """First on every line: the incarnation of this guard."""

    incarnation: int


class Start(Line, frozen=True, kw_only=True):
    """Start this service, or adopt it if `pid` runs already, or activate it if its hot standby is `standby`."""

    service: str
    epoch: int
    grant_id: int
    definition: ServiceDefinition
    pid: int | None = None
    standby: int | None = None


class Stop(Line, frozen=True, kw_only=True):
    """Stop this service in an orderly way; `within_s` from now the guard kills it."""

    service: str
    epoch: int
    within_s: float


class Finish(Line, frozen=True, kw_only=True):
    """Another server takes this service over while it runs on here: name nothing, restart nothing; `Stop` follows."""

    service: str
    epoch: int


class Ended(Line, frozen=True, kw_only=True):
    """Nothing of this service runs here any more."""

    service: str
    epoch: int


class Backed(Line, frozen=True, kw_only=True):
    """The recorded secondary of a service held here."""

    service: str
    epoch: int
    secondary: str
    changing: bool


class StandingIn(Line, frozen=True, kw_only=True):
    """This server is, or is no longer (`holder` is None), the secondary of a service."""

    service: str
    epoch: int
    holder: str | None


class Standby(Line, frozen=True, kw_only=True):
    """The hot standby runs as `pid`, made by that definition; or there is none (any more), and why."""

    service: str
    pid: int | None = None
    definition: ServiceDefinition | None = None
    reason: str = ""


class Gate(Line, frozen=True, kw_only=True):
    """Whether the kernel gate is in force here (R6); if not, why."""

    in_force: bool
    reason: str = ""


class Tell(Line, frozen=True, kw_only=True):
    """A transition in the guard, for log and history."""

    transition: Transition


class HandedOver(Line, frozen=True, kw_only=True):
    """Nothing is held any more."""


# -- guard to tether -----------------------------------------------------------------------


class Kill(Line, frozen=True, kw_only=True):
    """SIGKILL every process of this service, verify, and answer `Gone` with this number."""

    service: str
    number: int


class Until(Line, frozen=True, kw_only=True):
    """If the guard says nothing newer, kill the service at this instant of CLOCK_BOOTTIME."""

    service: str
    until_at: float


# -- tether to guard, and on to the runner -------------------------------------------------


class Spawned(Line, frozen=True, kw_only=True):
    """The service's program runs, as this process; epoch 0: as a hot standby."""

    service: str
    epoch: int
    pid: int


class SpawnFailed(Line, frozen=True, kw_only=True):
    """The service's program could not be run, or was not allowed to."""

    service: str
    epoch: int
    reason: str


class Activated(Line, frozen=True, kw_only=True):
    """What was to open the standby's door has ended; or could not be run, and why."""

    service: str
    epoch: int
    status: int  # as of `Exited`; 0: done
    reason: str = ""


class Exited(Line, frozen=True, kw_only=True):
    """The service's main process ended without having been told to."""

    service: str
    epoch: int
    pid: int
    status: int  # as os.waitstatus_to_exitcode gives it: negative is a signal


class Gone(Line, frozen=True, kw_only=True):
    """Verified: no process of this service is left."""

    service: str
    number: int = 0  # of the newest order to kill that this answers; 0: the tether struck by itself
    spawn: int = 0  # the newest order to spawn that the tether had seen by then


class RunnerUp(Line, frozen=True, kw_only=True):
    """A runner was started; its end of a new line comes with this packet."""


Speaker = Literal["tether", "runner"]

LINES: tuple[type[Line], ...] = (
    Peers,
    MovedTo,
    SdsAt,
    Candidates,
    Surveying,
    Spawn,
    Prepare,
    EndStandby,
    Activate,
    Serving,
    Stopped,
    GiveUp,
    YieldToHot,
    AskRelease,
    HandOver,
    Welcome,
    Start,
    Stop,
    Finish,
    Ended,
    Backed,
    StandingIn,
    Standby,
    Gate,
    Tell,
    HandedOver,
    Kill,
    Until,
    Spawned,
    SpawnFailed,
    Activated,
    Exited,
    Gone,
    RunnerUp,
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Union[LINES])


def encode(line: Line) -> bytes:
    """One packet."""
    return _encoder.encode(line)


def decode(packet: bytes) -> Line:
    """What a packet says.  A malformed one is a bug of ours, and raises."""
    line: Line = _decoder.decode(packet)
    return line
