"""One service at the witness: what the store keeps of it, and what only the running SDS knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from bus.config import Timing
from bus.promise import Promise
from bus.step import LONG_AGO
from bus.values import NOBODY, ServiceDefinition, is_server
from sds.rows import HighWater


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the store keeps of a service; nothing is granted that is not in it (R8)."""

    definition: ServiceDefinition
    proposed: ServiceDefinition | None = None  # comes into force with the next epoch (R15)
    version: int = 0  # of this record; each write is one higher
    epoch: int = 0
    grant_id: int = 0
    holder: str | None = None
    holder_incarnation: int = 0
    secondary: str = NOBODY
    number: int = 0
    state: Literal["new", "held", "unheld"] = "new"


class Write(msgspec.Struct, frozen=True):
    """Store this record, then say `Written`; if it cannot be done, `WriteFailed`."""

    service: str
    record: Record


class Written(msgspec.Struct, frozen=True):
    """The store, and then the high-water file, have it."""

    service: str
    version: int


class WriteFailed(msgspec.Struct, frozen=True):
    """It is not known to be stored: nothing may follow from it."""

    service: str
    version: int
    reason: str


class Roster(Protocol):
    """What the witness asks of membership."""

    def is_up(self, name: str, now: float) -> bool: ...
    def why_not(self, name: str, service: str, now: float) -> str | None: ...
    def incarnation(self, name: str) -> int: ...
    def timing_of(self, name: str) -> tuple[float, float]: ...
    def heard_at(self, name: str) -> float: ...
    def everyone(self) -> list[str]: ...
    def ranked(self) -> list[str]: ...
    def candidates(self, service: str, besides: str | None, now: float) -> list[dict[str, Any]]: ...
    def lost(self, name: str) -> None: ...


class Failure(msgspec.Struct, frozen=True):
    """A server could not run a service, so many times in a row."""

    count: int
    retry_at: float


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """Why a grant is made, and what it means for promises."""

    kind: Literal["asked", "first", "released", "unbacked", "returned", "vouched", "both-silent"]
    why: str
    question: int = 0  # that it answers; 0: none
    clean: bool = True  # the holder before is known to have stopped, or nobody's promise stands for it
    timing: tuple[float, float] | None = None  # H and S of the asker; those it registered with if None
    evidence: dict[str, Any] = {}


LONGEST_BACK_OFF_S = 30.0
"""However often a service failed on every server, it is tried again after this."""


class Case:
    """One service: its record, and what only this incarnation of W knows of it."""

    def __init__(self, record: Record, timing: Timing, high_water: HighWater | None) -> None:
        self.record = record
        self.promise = Promise(timing)
        self.attempt = record.version  # the highest version ever sent to the store
        self.epoch_floor = max(record.epoch, high_water.epoch if high_water else 0)
        self.under_way: tuple[Record, Callable[[float], None]] | None = None
        self.retry_at = LONG_AGO
        self.used = not (record.state == "held" and record.number == 0)  # the holder has renewed, or must hear it again
        self.question = 0  # that the grant answered
        self.clean = False
        self.repeat_at = LONG_AGO
        self.left_until: dict[str, float] = {}  # servers that just gave it up: others are preferred
        self.failures: dict[str, Failure] = {}  # servers that could not run it
        self.refused: dict[tuple[str, int], int] = {}  # by server and incarnation: the highest refused question
        self.suspects: set[str] | None = None  # who must report before the record is trusted
        self.vouched: set[str] = set()  # servers that an operator declared dead (R13)
        self.wanted: ServiceDefinition | None = None  # what the home last said, until it is proposed
        self.suspicion_told = False
        self.trust_after = LONG_AGO
        self.finishing_until = LONG_AGO  # a former holder may serve on until then (R22)
        self.given_up = False  # the holder on a suspect record says that it holds nothing
        self.returned_at: float | None = None  # since when the recorded secondary is a new incarnation, which promised nothing
        self.deserted = False  # and nobody's promise can keep the silent holder alive any more (docs/decisions/0013)
        if high_water and record.version < high_water.version:
            self.suspects = {name for name in (record.holder, record.secondary) if name and is_server(name)}

    def may_try(self, server: str, now: float) -> bool:
        """Whether this server has not just failed to run the service."""
        failure = self.failures.get(server)
        return failure is None or failure.retry_at <= now

    def attended(self) -> None:
        """Somebody's word may keep the holder alive from now on."""
        self.returned_at, self.deserted = None, False

    def may_finish(self, stop_s: float, clock_error: float, now: float) -> None:
        """A former holder whose S this is serves on beside the next, for `finish_s` from before now (R22)."""
        finish_s = (self.record.definition.finish_s + stop_s) * (1 + clock_error) / (1 - clock_error)
        self.finishing_until = max(self.finishing_until, now + finish_s)

    @property
    def closed(self) -> bool:
        """Nothing may be said about it: a write is under way, or the record is suspect."""
        return self.under_way is not None or self.suspects is not None
