"""What the duties of one guard share: whom they serve, what runs, and what they can have done."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec

from agent import channel
from bus.config import Timing
from bus.messages import Released
from bus.step import LONG_AGO, Draw, Peer

SDS = Peer("sds", "sds")
"""Where guards and runners send what the SDS is to hear."""


class Run(Enum):
    """What of the service runs here."""

    OFF = "off"  # verified: nothing
    STANDBY = "standby"  # started, but shut: it serves nobody, and needs no lease
    STARTING = "starting"
    ON = "on"
    FINISHING = "finishing"  # without a lease, beside the next holder, for `finish_s` (R22)
    STOPPING = "stopping"  # the runner stops it in an orderly way
    KILLING = "killing"  # the tether was told to kill; `Gone` ends it


class ToRunner(msgspec.Struct, frozen=True):
    """Say this to the runner, if there is one."""

    line: channel.Line


class ToTether(msgspec.Struct, frozen=True):
    """Say this to the tether."""

    line: channel.Line


class Release(msgspec.Struct):
    """An epoch given up: repeated to W, once the stop is verified, until acknowledged."""

    message: Released
    verified: bool
    next_at: float = LONG_AGO


class Surroundings(msgspec.Struct):
    """What the duties of one guard share."""

    name: str
    incarnation: int
    nonce: int
    timing: Timing
    next_beat: Draw
    emit: Callable[[Any], None]
    known: bool = False  # W answered this incarnation's report (R16)
    knows: int = 0  # the incarnation of W that we last heard (R9, R18)
    runner_here: bool = False
    gate: bool = False  # the kernel gate is in force (R6)
    wish: int = 0  # how often a standby began to wait for the kernel gate to shut its port
