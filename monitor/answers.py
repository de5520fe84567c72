"""What the SDS answers, as far as the page needs it.

An SDS of the release before or after ours may leave a field out or add one:
what can be missing has a default, what is not known is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """The base of what is read of an answer."""


class NameTold(_Told, frozen=True, kw_only=True):
    """A name in the DNS, and what each authority answers for it."""

    fqdn: str = ""
    state: str = "pending"
    why: str | None = None
    answers: dict[str, str | None] = {}


class ServerTold(_Told, frozen=True, kw_only=True):
    """One of `servers` in the status."""

    name: str
    address: str = ""
    state: str = "up"
    loadlevel: float | None = None
    priority: int | None = None
    last_seen_s: float | None = None
    zone: str | None = None
    guards: tuple[str, ...] = ()
    dns: NameTold | None = None


class CandidateTold(_Told, frozen=True, kw_only=True):
    """Who could run a service, or why not."""

    server: str
    priority: int | None = None
    ok: bool = False
    why_not: str | None = None


class MoveTold(_Told, frozen=True, kw_only=True):
    """A planned move under way."""

    to: str
    why: str = ""


class ServiceTold(_Told, frozen=True, kw_only=True):
    """One of `services` in the status."""

    name: str
    fqdn: str = ""
    port: int = 0
    home: str = ""
    holder: str | None = None
    epoch: int = 0
    secondary: str | None = None
    standby: str | None = None
    state: str = "unserved"
    reason: str | None = None
    since_s: float = 0.0
    dns_address: str | None = None
    dns: NameTold | None = None
    exclusive: bool = True
    candidates: tuple[CandidateTold, ...] = ()
    alone: bool = False
    failback: str = "auto"
    move: MoveTold | None = None


class SdsTold(_Told, frozen=True, kw_only=True):
    """One of `sds` in the status."""

    name: str
    role: str = "active"
    address: str = ""
    uptime_s: float | None = None


class StoreTold(_Told, frozen=True, kw_only=True):
    """The store, as the SDS sees it."""

    state: str = "unknown"
    last_write_s: float | None = None


class StatusTold(_Told, frozen=True, kw_only=True):
    """The whole status."""

    cluster: str = ""
    seq: int = 0
    sds: tuple[SdsTold, ...] = ()
    store: StoreTold = StoreTold()
    servers: tuple[ServerTold, ...] = ()
    services: tuple[ServiceTold, ...] = ()


class Event(_Told, frozen=True, kw_only=True):
    """One event of the history; `at` in Unix seconds, by the SDS's wall clock."""

    id: str
    at: float
    kind: str
    service: str | None = None
    server: str | None = None
    epoch: int | None = None
    text: str = ""
    evidence: dict[str, Any] = {}

    @property
    def place(self) -> tuple[int, ...]:
        """Where it stands in the history: later is greater."""
        return place(self.id)

    def names(self, key: str) -> str | None:
        """The server that its evidence names under this key, if it does."""
        value = self.evidence.get(key)
        return value if isinstance(value, str) and value and not value.startswith("-") else None

    def seconds(self, key: str) -> float | None:
        """The duration that its evidence has under this key, if it has one."""
        value = self.evidence.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def place(identity: str) -> tuple[int, ...]:
    """The parts of an event's id as numbers, which count upwards."""
    return tuple(int(part) if part.isascii() and part.isdigit() else 0 for part in identity.split("-"))


def status(answer: Mapping[str, Any]) -> StatusTold:
    """The status; raises `ValueError` with what is wrong with it."""
    try:
        return msgspec.convert(answer, StatusTold)
    except msgspec.ValidationError as error:
        raise ValueError(f"the SDS's status cannot be understood: {error}: is it of a release near ours?") from None
