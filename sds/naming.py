"""What the status says of names: what the name server answers, and whether that is as it should be (P5)."""

from __future__ import annotations

from typing import Any

from bus.values import NameState, ServiceRow
from sds.membership import Membership


def address_of(service: str, row: ServiceRow, membership: Membership, now: float) -> str | None:
    """What the name server answers now, as the holder last heard it, or whoever looks in its stead."""
    for name in _witnesses(row, membership, now):
        address = membership.presence[name].names.get(service)
        if address is not None:
            return address
    return None


def service_name(service: str, row: ServiceRow, membership: Membership, now: float) -> dict[str, Any] | None:
    """How far the service's name is; None if nobody knows."""
    holder = row.holder
    if holder is not None and membership.is_up(holder, now):
        state = membership.presence[holder].naming.get(service)
        return _shown(state, holder, membership, now) if state else None
    address = address_of(service, row, membership, now)
    if address is None:
        return None
    why = f"it leads to {address}, where nobody serves it" if holder is None else f"it leads to {address}, and {holder} is silent"
    return {"fqdn": row.definition.fqdn, "state": "wrong", "for_s": None, "why": why, "answers": {}}


def server_name(name: str, membership: Membership, now: float) -> dict[str, Any] | None:
    """How far the server's own name is, as it last said itself; None if it never said."""
    state = membership.presence[name].own_name
    return _shown(state, name, membership, now) if state else None


def _witnesses(row: ServiceRow, membership: Membership, now: float) -> list[str]:
    """Whose word counts, first the holder's."""
    up = [name for name in sorted(membership.presence) if membership.is_up(name, now)]
    return [row.holder] if row.holder in up else up


def _shown(state: NameState, by: str, membership: Membership, now: float) -> dict[str, Any]:
    age_s = max(0.0, now - membership.presence[by].runner_heard_at)
    return {
        "fqdn": state.fqdn,
        "state": state.state,
        "for_s": round(state.for_s + age_s, 3),
        "why": state.why or None,
        "answers": dict(state.answers),
    }
