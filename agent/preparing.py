"""Make this server ready to take one service over, before that is needed: warm or hot.

    idle --standing in--> testing --the prepare program is content--> warm --it is to be hot--> starting --up, and shut--> hot
     ^                      ^ |--not content-------|                    ^----- it died, or its door is open ----|
     |--not standing in     |<-- after a pause ----|                           after a pause, killed first

Nothing here is needed for safety, but one thing: a standby whose door is open
serves without an epoch.  It is looked at all the time, and killed.

A service without an activate program can only be hot behind the kernel gate
(R6): there it listens, and what is looked at is that it does.  Where the gate is
not in force such a secondary is warm, and says so.
"""

from __future__ import annotations

from typing import Any

import msgspec

from agent import channel
from agent.shelf_events import Restaged
from agent.takeover_events import Moved, ToGuard, ToHistory
from bus.messages import Happened
from bus.step import LONG_AGO, NEVER
from bus.values import Readiness, ServiceDefinition

SHUT_EVERY_S = 1.0
"""Between two looks whether a hot standby is shut, or up behind the gate; it counts as hot from the first."""

UP_EVERY_S = 0.1
"""The same while one behind the gate has not been seen to be up."""

EXAMINE_EVERY_S = 60.0
"""How often it is tested anew whether all is here that a start needs."""

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 64.0
"""Before what failed is tried again: doubled each time."""


class Examine(msgspec.Struct, frozen=True):
    """Wait for the files, and run the prepare program; answer `Examined`."""

    definition: ServiceDefinition


class Examined(msgspec.Struct, frozen=True):
    """The answer: `trouble` says what is wrong, None that all is here."""

    service: str
    trouble: str | None
    of_files: bool = False  # the trouble is with its files, of which is said elsewhere when it is over


class LookIfShut(msgspec.Struct, frozen=True):
    """Try the door of a hot standby; answer `Looked`."""

    definition: ServiceDefinition


class Looked(msgspec.Struct, frozen=True):
    """The answer."""

    service: str
    shut: bool


class LookIfUp(msgspec.Struct, frozen=True):
    """Ask whether a hot standby behind the kernel gate answers; answer `SeenUp`."""

    definition: ServiceDefinition


class SeenUp(msgspec.Struct, frozen=True):
    """The answer."""

    service: str
    up: bool


class Preparing:
    """One service for which this server may stand in."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.trouble: str | None = None  # why this server could not run it, as its prepare program says
        self._definition: ServiceDefinition | None = None
        self._stands_in = False
        self._content = False
        self._examining = False
        self._asked = False  # for a standby; the guard has not answered
        self._pid: int | None = None
        self._made_of: ServiceDefinition | None = None
        self._ordered = False  # its end
        self._moved_since_asked = False
        self._seen_fit = False  # shut, or up behind the gate
        self._up_by = NEVER  # or it is given up, if it is to be up
        self._gate = False
        self._up_at = LONG_AGO
        self._examine_at = LONG_AGO
        self._forget_at = LONG_AGO
        self._start_at = LONG_AGO
        self._look_at = NEVER
        self._pause_s = SHORTEST_PAUSE_S
        self._said = ""
        self._actions: list[Any] = []

    @property
    def stands_in(self) -> bool:
        """Whether this server is the secondary."""
        return self._stands_in

    @property
    def readiness(self) -> Readiness | None:
        """How far it is; None if this server does not stand in."""
        definition = self._definition
        if not self._stands_in or definition is None:
            return None
        if definition.standby == "cold":
            return "cold"
        if not self._content:
            return "preparing"
        if self._to_be_hot:
            return "hot" if self._pid is not None and self._seen_fit else "preparing"
        return "warm"

    @property
    def keeps_standby(self) -> bool:
        """What listens where the service would is its own standby."""
        return self._pid is not None

    @property
    def _behind_gate(self) -> bool:
        return self._definition is not None and not self._definition.activate

    @property
    def _to_be_hot(self) -> bool:
        return self._definition is not None and self._definition.standby == "hot" and (self._gate or not self._behind_gate)

    @property
    def wake_at(self) -> float:
        """When to step with a `Tick`."""
        definition = self._definition
        if not self._stands_in or definition is None or definition.standby == "cold":
            return NEVER
        due = NEVER if self._examining else self._examine_at
        if self._pid is not None:
            return min(due, self._look_at)
        wanted = self._to_be_hot and self._content and not self._asked
        return min(due, self._start_at) if wanted else due

    def step(self, event: Any, now: float) -> list[Any]:
        """One event; what to do about it."""
        self._actions = []
        match event:
            case channel.StandingIn():
                self._standing_in(event, now)
            case channel.Standby():
                self._standby(event, now)
            case channel.Start():  # a standby is the service from now on, and no longer ours to look after
                self._stands_in = self._asked = self._seen_fit = self._ordered = False
                self._pid, self._look_at = None, NEVER
            case ServiceDefinition():
                self._defined(event, now)
            case Moved():
                self._moved(now)
            case Restaged():
                self._restaged(now)
            case Examined():
                self._examined(event, now)
            case Looked():
                self._looked(event, now)
            case SeenUp():
                self._seen_up(event, now)
            case channel.Gate():
                self._gate = event.in_force
            case _:
                pass
        self._due(now)
        definition = self._definition
        by = definition is not None and (definition.prepare or definition.files or definition.standby == "hot")
        if self.readiness in ("warm", "hot") and definition is not None and by:
            lacking = definition.standby == "hot" and not self._to_be_hot
            why = ": to be hot it would need the kernel gate, or an activate program" if lacking else ""
            self._say("prepared", f"{self.readiness}{why}")
        if not self._stands_in and now >= self._forget_at:
            self.trouble = None  # it may have been mended; the next appointment will show
        return self._actions

    def _standing_in(self, event: channel.StandingIn, now: float) -> None:
        """A new appointment is a new attempt; what is hot already stays so."""
        self._stands_in = event.holder is not None
        self._said = ""
        if self._stands_in:
            self._examine_at = min(self._examine_at, now)

    def _defined(self, definition: ServiceDefinition, now: float) -> None:
        """Described anew: what was prepared by the old description is worth nothing."""
        if definition == self._definition:
            return
        self._definition, self._content, self._examine_at, self._start_at = definition, False, now, now
        self._pause_s, self._said = SHORTEST_PAUSE_S, ""
        if self._pid is not None and self._made_of != definition:
            self._end("described anew", None)

    def _restaged(self, now: float) -> None:
        """Its files are others now (P4): what was prepared with those of before is prepared anew."""
        if not self._stands_in:
            return
        self._content, self._examine_at, self._said = False, now, ""
        if self._pid is not None:
            self._start_at = now
            self._end("its files changed", None)

    def _moved(self, now: float) -> None:
        """Another address, the same server (P20): a standby knows the address of before."""
        if self._definition is None or self._definition.on_move == "keep":
            return
        self._start_at = min(self._start_at, now)
        if self._pid is not None:
            self._end("its server moved", None)
        elif self._asked:
            self._moved_since_asked = True

    # -- warm

    def _examined(self, event: Examined, now: float) -> None:
        self._examining = False
        self._content, self.trouble = event.trouble is None, None if event.of_files else event.trouble
        if event.trouble is None:
            self._examine_at = now + EXAMINE_EVERY_S
        else:
            self._examine_at, self._forget_at = now + self._pause(), now + LONGEST_PAUSE_S
            self._say("unprepared", event.trouble)

    # -- hot

    def _standby(self, event: channel.Standby, now: float) -> None:
        before, self._pid, self._made_of = self._pid, event.pid, event.definition
        if event.pid is None:
            self._asked, self._seen_fit, self._look_at = False, False, NEVER
            ordered, self._ordered = self._ordered, False
            if not ordered and (before is not None or event.reason):
                self._start_at = max(self._start_at, now + self._pause())
                if self._stands_in:
                    self._say("unprepared", event.reason)
        elif before is None:
            self._asked, self._up_at, self._look_at = True, now, now + (UP_EVERY_S if self._behind_gate else SHUT_EVERY_S)
            self._up_by = now + (event.definition.start_limit_s if event.definition else 0.0)
            if self._moved_since_asked or (self._definition is not None and self._made_of != self._definition):
                self._end("described anew, or its server moved", None)
            self._moved_since_asked = False

    def _looked(self, event: Looked, now: float) -> None:
        if self._pid is None:
            return
        self._look_at = now + SHUT_EVERY_S
        if event.shut:
            self._seen_fit = True
            if now - self._up_at > LONGEST_PAUSE_S:
                self._pause_s = SHORTEST_PAUSE_S
            return
        assert self._definition is not None
        self._pause_s = LONGEST_PAUSE_S
        self._end(f"port {self._definition.port} is open before the standby was activated: killed", now)

    def _seen_up(self, event: SeenUp, now: float) -> None:
        """Behind the gate it must listen, as the service that it is about to be; for a moment it may fail to."""
        definition = self._definition
        if self._pid is None or self._ordered or definition is None:
            return
        self._look_at = now + (SHUT_EVERY_S if event.up else UP_EVERY_S)
        if event.up:
            self._seen_fit, self._up_by = True, now + definition.start_limit_s
            if now - self._up_at > LONGEST_PAUSE_S:
                self._pause_s = SHORTEST_PAUSE_S
        elif now >= self._up_by:
            self._end(f"its standby did not answer on port {definition.port} within {definition.start_limit_s:g} s: killed", now)

    def _end(self, why: str, pause_at: float | None) -> None:
        self._ordered, self._seen_fit, self._look_at = True, False, NEVER
        if pause_at is not None:
            self._start_at = pause_at + self._pause()
            self._say("unprepared", why)
        self._actions.append(ToGuard(channel.EndStandby(service=self.service)))

    # -- time

    def _due(self, now: float) -> None:
        definition = self._definition
        if definition is None or now < self.wake_at:
            return
        if not self._examining and now >= self._examine_at:
            self._examine_at = NEVER
            self._examining = bool(definition.prepare or definition.files)
            self._content = self._content or not self._examining
            if self._examining:
                self._actions.append(Examine(definition))
        if self._pid is not None and now >= self._look_at:
            self._look_at = NEVER
            self._actions.append(LookIfUp(definition) if self._behind_gate else LookIfShut(definition))
        wanted = self._to_be_hot and self._content and not self._asked and self._pid is None
        if wanted and now >= self._start_at:
            self._asked = True
            prepare = channel.Prepare(service=self.service, definition=definition, argv=definition.start, environment={}, output="")
            self._actions.append(ToGuard(prepare))

    def _pause(self) -> float:
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
        return pause_s

    def _say(self, kind: str, text: str) -> None:
        """Once, not at every repetition."""
        if self._said != kind + text:
            self._said = kind + text
            self._actions.append(ToHistory(Happened(kind=kind, service=self.service, text=text[:2_000])))
