"""What the pure machines share: news comes in, actions go out.

Every machine has one door, `step(event, now) -> list[Action]`.  `now` is the
caller's CLOCK_BOOTTIME in seconds (R2).  A machine never waits: it says with
`wake_at` when it next wants a `Tick`.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from bus.messages import Message
from bus.timeline import Transition
from bus.values import Part

NEVER = float("inf")
"""An instant that does not come."""

LONG_AGO = float("-inf")
"""An instant before every other."""


class Peer(msgspec.Struct, frozen=True):
    """One end of a conversation: a server's guard, its runner, the SDS, a person."""

    name: str
    part: Part
    incarnation: int = 0  # 0: whichever is connected


class Received(msgspec.Struct, frozen=True):
    """A message came in; its sender's key was checked at the door (R20)."""

    sender: Peer
    message: Message


class Tick(msgspec.Struct, frozen=True):
    """The time that the machine asked for has come, or some time has passed."""


class Send(msgspec.Struct, frozen=True):
    """Give this message to the transport; it may be lost."""

    to: Peer
    message: Message


class Note(msgspec.Struct, frozen=True):
    """Something changed that people may want to know."""

    transition: Transition


class Draw(Protocol):
    """Where a machine gets identifiers that nobody can guess or repeat."""

    def __call__(self) -> int: ...
