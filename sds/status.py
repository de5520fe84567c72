"""What `locum status --json` prints, and the rows of the table: derived, never decided.

A service is `serving` if its holder says so under the epoch on record; if the
holder is silent, it counts as serving only while its secondary is heard and
does not ask to take over, for then the two still hear each other.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Literal

from bus.values import ALONE, ServerRow, ServiceRow, is_server
from sds.case import Case, Record
from sds.membership import Membership, Server
from sds.moves import Outlook, Wish
from sds.priority import priority
from sds.witness import Witness

ServiceState = Literal["serving", "starting", "stopping", "unserved"]


def duties(witness: Witness) -> tuple[dict[str, int], dict[str, int]]:
    """How many services each server holds, and for how many it is the secondary."""
    held: dict[str, int] = {}
    promised: dict[str, int] = {}
    for case in witness.cases.values():
        record = case.record
        if record.state == "held" and record.holder:
            held[record.holder] = held.get(record.holder, 0) + 1
            if is_server(record.secondary):
                promised[record.secondary] = promised.get(record.secondary, 0) + 1
    return held, promised


def priorities(membership: Membership, witness: Witness) -> dict[str, int]:
    """The priority of every server whose loadlevel is known: P9."""
    held, promised = duties(witness)
    return {
        name: priority(presence.loadlevel, held.get(name, 0), promised.get(name, 0))
        for name, presence in membership.presence.items()
        if presence.loadlevel is not None and name in membership.servers
    }


def server_row(server: Server, membership: Membership, ranks: dict[str, int], now: float) -> ServerRow | None:
    """The server as the table shows it; None before its first registration."""
    registration = server.registration
    if registration is None:
        return None
    able, unable = membership.offer(registration, server.name)
    state: Literal["up", "silent", "draining", "left"] = "up"
    if server.name in membership.left:
        state = "left"
    elif not membership.is_up(server.name, now):
        state = "silent"
    elif server.drained or registration.draining:
        state = "draining"
    return ServerRow(
        name=server.name,
        address=registration.address,
        peer_port=registration.peer_port,
        public_key=server.public_key,
        incarnation=server.incarnation,
        state=state,
        zone=registration.zone,
        loadlevel=membership.presence[server.name].loadlevel if state != "left" else None,
        priority=ranks.get(server.name) if state != "left" else None,
        guards=registration.guards,
        able=able,
        unable=unable,
    )


def service_row(record: Record, suspect: bool, wish: Wish | None, membership: Membership, now: float) -> ServiceRow:
    """The service as the table shows it."""
    state, reason = _state(record, suspect, wish, membership, now)
    return ServiceRow(
        definition=record.definition,
        epoch=record.epoch,
        holder=record.holder if record.state == "held" else None,
        secondary=record.secondary,
        state=state,
        reason=reason,
        move_to=wish.target if wish else None,
        standby=membership.readiness(record.secondary, record.definition.name, now) if is_server(record.secondary) else None,
    )


def _state(record: Record, suspect: bool, wish: Wish | None, membership: Membership, now: float) -> tuple[ServiceState, str | None]:
    name = record.definition.name
    if suspect:
        return "unserved", "the store is older than it was: holder and secondary must report, or an operator confirm them dead"
    if record.state == "new":
        return "unserved", _why_not_begun(record.definition.home, name, membership, now)
    if record.state == "unheld" or record.holder is None:
        return "unserved", _why_nobody(name, membership, now)
    holder = record.holder
    if not membership.is_up(holder, now):
        if is_server(record.secondary) and membership.stands_in(record.secondary, name, now):
            return "serving", f"{holder} is silent here, but {record.secondary} stands in for it and has not asked to replace it"
        return "unserved", _why_nobody_asks(holder, record.secondary, name, membership, now)
    if membership.presence[holder].serving.get(name) == record.epoch:
        return "serving", None
    return ("stopping", f"moving to {wish.target}") if wish and wish.target != holder else ("starting", None)


def _why_nobody_asks(holder: str, secondary: str, service: str, membership: Membership, now: float) -> str:
    """R13: the SDS alone may not choose a third."""
    if not is_server(secondary):
        return f"{holder} is silent: another server is being chosen"
    why_not = membership.why_not(secondary, service, now)
    remedy = f"if {holder} is surely dead, say so: locum confirm-dead {holder}"
    if why_not is None:
        return f"{holder} is silent; {secondary} is to replace it within moments, unless the two still hear each other"
    return f"{holder} is silent, and its secondary {secondary} cannot replace it ({why_not}); {remedy}"


def _why_not_begun(home: str, service: str, membership: Membership, now: float) -> str:
    """A service begins at its home (R15)."""
    why_not = membership.why_not(home, service, now) if membership.is_up(home, now) else None
    return f"its home {home} cannot run it: {why_not}" if why_not else f"its home {home} has not come up yet"


def _why_nobody(service: str, membership: Membership, now: float) -> str:
    reasons = [f"{name}: {membership.why_not(name, service, now)}" for name in sorted(membership.servers)]
    return "nobody can run it (" + "; ".join(reason for reason in reasons if not reason.endswith(": None")) + ")"


class Since:
    """When each service came into its state; for `since_s` only."""

    def __init__(self) -> None:
        self._at: dict[str, tuple[tuple[str, str | None, int], float]] = {}

    def note(self, row: ServiceRow, now: float) -> float:
        """Since when it has had this state, holder and epoch, as far as this SDS knows."""
        state = (row.state, row.holder, row.epoch)
        known, at = self._at.get(row.definition.name, (None, now))
        if known != state:
            at = now
            self._at[row.definition.name] = (state, at)
        return at


def server_status(row: ServerRow, last_seen_s: float, name: dict[str, Any] | None) -> dict[str, Any]:
    """One of `servers` in `status --json`; `name` tells of its own name in the DNS.

    `last_seen_s` is None there, and infinite here, for a server of which this
    SDS has heard nothing since it started.
    """
    return {
        "name": row.name,
        "address": row.address,
        "state": row.state,
        "loadlevel": None if row.loadlevel is None else round(row.loadlevel, 3),
        "priority": row.priority,
        "incarnation": row.incarnation,
        "last_seen_s": round(last_seen_s, 3) if isfinite(last_seen_s) else None,
        "zone": row.zone,
        "guards": list(row.guards),
        "dns": name,
    }


def files_status(row: ServiceRow, membership: Membership, now: float) -> dict[str, dict[str, str | None]] | None:
    """Which version of the service's files holder and secondary have (P4); None if it has none."""
    if not row.definition.files:
        return None
    servers = [name for name in (row.holder, row.secondary) if name is not None and is_server(name)]
    states = {name: membership.files(name, row.definition.name, now) for name in servers}
    return {name: {"version": state.version, "trouble": state.trouble} for name, state in states.items() if state is not None}


def service_status(
    row: ServiceRow,
    candidates: list[dict[str, Any]],
    since_s: float,
    address: str | None,
    name: dict[str, Any] | None,
    files: dict[str, dict[str, str | None]] | None,
) -> dict[str, Any]:
    """One of `services` in `status --json`; `name` tells of its name in the DNS, `files` of its files on holder and secondary."""
    definition = row.definition
    return {
        "name": definition.name,
        "fqdn": definition.fqdn,
        "port": definition.port,
        "home": definition.home,
        "holder": row.holder,
        "epoch": row.epoch,
        "secondary": row.secondary if is_server(row.secondary) else None,
        "standby": row.standby,
        "state": row.state,
        "reason": row.reason,
        "since_s": round(since_s, 3),
        "dns_address": address,
        "dns": name,
        "exclusive": definition.exclusive,
        "files": files,
        "candidates": candidates,
    }


def explaining(case: Case, outlook: Outlook) -> dict[str, Any]:
    """What else of a service `explain` needs: optional fields in `status --json`."""
    record = case.record
    move = {"to": outlook.target, "why": outlook.why, "within_s": round(outlook.within_s or 0.0, 3)}
    return {
        "appointment": record.number,
        "alone": record.secondary == ALONE,
        "failback": record.definition.failback,
        "move": move if outlook.target else None,
        "failback_in_s": None if outlook.failback_in_s is None else round(outlook.failback_in_s, 3),
        "failback_why_not": outlook.failback_why_not,
        "pinned_s": round(outlook.pinned_s, 3),
        "back_off": outlook.back_off,
        "retry_s": round(outlook.retry_s, 3),
    }
