"""What comes to a service's takeover, and what it wants done (agent/takeover.py): P12-P14."""

from __future__ import annotations

import msgspec

from agent import channel
from bus.messages import Happened
from bus.values import ServiceDefinition


class Survey(msgspec.Struct, frozen=True):
    """Look whether anything foreign stands where this service would run; answer `Surveyed` (R17)."""

    definition: ServiceDefinition
    epoch: int


class Surveyed(msgspec.Struct, frozen=True):
    """The answer: `foreign` says what is there, None that the place is free."""

    service: str
    epoch: int
    foreign: str | None


class Check(msgspec.Struct, frozen=True):
    """Ask the service whether it answers; answer `Checked`."""

    definition: ServiceDefinition
    epoch: int


class Checked(msgspec.Struct, frozen=True):
    """True: it answers; False: it clearly does not; None: it took too long to know."""

    service: str
    epoch: int
    answers: bool | None
    text: str = ""


class Told(msgspec.Struct, frozen=True):
    """What its driver knows of the end of its program; the news of that end follows."""

    service: str
    epoch: int
    words: str


class Heir(msgspec.Struct, frozen=True):
    """Its recorded secondary waits hot; the news of its program's end follows."""

    service: str
    epoch: int
    server: str


class StopProgram(msgspec.Struct, frozen=True):
    """Run the driver's stop; say `Stopped` to the guard when it is done."""

    definition: ServiceDefinition
    epoch: int
    pid: int | None
    within_s: float


class KillProgram(msgspec.Struct, frozen=True):
    """SIGKILL the main process: its death is news that comes back as `Exited`."""

    pid: int


class AskPort(msgspec.Struct, frozen=True):
    """Ask whether the service's port answers at the server's new address (P20); answer `PortAsked`."""

    definition: ServiceDefinition
    epoch: int


class PortAsked(msgspec.Struct, frozen=True):
    """The answer; None: it cannot be known yet."""

    service: str
    epoch: int
    answers: bool | None


class Moved(msgspec.Struct, frozen=True):
    """This server has another address now (P20)."""

    address: str


class PointName(msgspec.Struct, frozen=True):
    """The service answers here: its name shall lead to this server (P5)."""

    definition: ServiceDefinition
    epoch: int


class Outnamed(msgspec.Struct, frozen=True):
    """A later holder has written the name: this one is stale (R19)."""

    service: str
    epoch: int
    higher_epoch: int


class ToGuard(msgspec.Struct, frozen=True):
    """Say this to the guard."""

    line: channel.Line


class ToHistory(msgspec.Struct, frozen=True):
    """Tell the SDS that this happened."""

    message: Happened
