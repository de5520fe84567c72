"""The program that a hot secondary keeps started but shut, as its guard knows it.

    none --Prepare--> starting --spawned--> shut --Activate, under a lease--> the service
     ^                   |                    |
     |<---- gone --------+---- not wanted ----+

It serves nobody, so it lives without a lease.  Whether it is really shut, the
runner looks; that it dies with the guard, the tether sees to.

A service without an activate program listens at once, behind the kernel gate
(R6): it is started only when the kernel keeps its port shut, and killed when the
kernel does so no longer.  To activate it is to open the gate.
"""

from __future__ import annotations

from agent import channel
from bus.step import LONG_AGO, NEVER
from bus.values import ServiceDefinition


class Hot:
    """One service's standby program on one server."""

    def __init__(self, linger_s: float) -> None:
        """Once unwanted it lives for another `linger_s`: a new holder mostly wants it again."""
        self._linger_s = linger_s
        self._wanted_at = LONG_AGO
        self._wanted = False
        self.definition: ServiceDefinition | None = None  # by which it was made; None: there is none
        self.pid: int | None = None
        self.activated = False  # passed to the tether: it counts as the service
        self.ended = ""  # why it is being killed
        self.waiting: channel.Prepare | None = None  # for its port to be shut

        self.wish = 0  # the number of the wish that shuts it: news from before may be of a port that is being let go

    def prepare(self, line: channel.Prepare, wish: int) -> None:
        """It is about to be started; behind the gate once the wish of that number was fulfilled."""
        self.definition, self.pid, self.activated, self.ended = line.definition, None, False, ""
        self.waiting = line if self.behind_gate else None
        self.wish = wish

    @property
    def behind_gate(self) -> bool:
        """Nothing but the kernel gate keeps it shut."""
        return self.definition is not None and not self.definition.activate

    def gone(self, reason: str = "") -> None:
        """Nothing of it is left."""
        self.ended = self.ended or reason
        self.definition = self.pid = self.waiting = None
        self.activated = False

    def fits(self, definition: ServiceDefinition) -> bool:
        """Whether this standby can become the service that was granted."""
        return self.pid is not None and not self.activated and self.definition == definition

    def wanted(self, yes: bool, now: float) -> None:
        """Whether this server stands in, or may be about to start."""
        self._wanted = yes
        if yes:
            self._wanted_at = now

    def unwanted(self, now: float) -> bool:
        """It has not been wanted for long enough."""
        return now > self.wake_at

    @property
    def wake_at(self) -> float:
        """When it has not been wanted for long enough."""
        return NEVER if self.definition is None or self._wanted else self._wanted_at + self._linger_s

    def line(self, service: str) -> channel.Standby:
        """What the runner must know of it."""
        return channel.Standby(service=service, pid=self.pid, definition=self.definition, reason=self.ended)
