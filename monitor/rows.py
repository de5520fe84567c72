"""A server's card and a service's row: what the SDS answered last, with what the table said since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bus.values import ServerRow, ServiceRow, is_server
from monitor.answers import CandidateTold, NameTold, ServerTold, ServiceTold
from monitor.state import CandidateShown, NameShown, ServerShown, ServiceShown
from monitor.whatif import if_it_died

Loads = tuple[tuple[float, float], ...]


def services_shown(
    told: Mapping[str, ServiceTold], rows: Mapping[str, ServiceRow], since: Mapping[str, float], states: Mapping[str, str]
) -> dict[str, ServiceShown]:
    """Every service that is known, by name; `since`: when each came into its state; `states` of servers."""
    names = sorted({*told, *rows})
    return {name: service_shown(told.get(name), rows.get(name), since.get(name, 0.0), states) for name in names}


def service_shown(told: ServiceTold | None, row: ServiceRow | None, since_at: float, states: Mapping[str, str]) -> ServiceShown:
    """One of them; what the row says is newer."""
    known = told or _of_row(row)
    holder, epoch, state, reason = known.holder, known.epoch, known.state, known.reason
    secondary, standby = known.secondary, known.standby
    if row is not None:
        holder, epoch, state, reason = row.holder, row.epoch, row.state, row.reason
        secondary, standby = (row.secondary if is_server(row.secondary) else None), row.standby
    heard = states.get(holder or "") in ("up", "draining")
    return ServiceShown(
        name=known.name,
        fqdn=known.fqdn,
        port=known.port,
        home=known.home,
        holder=holder,
        epoch=epoch,
        secondary=secondary,
        standby=standby,
        state=state,
        reason=reason,
        since_at=round(since_at, 3),
        exclusive=known.exclusive,
        dns_address=known.dns_address,
        dns=name_shown(known.dns),
        candidates=tuple(_candidate(one) for one in known.candidates if one.server != holder),
        beating=heard and secondary is not None and state == "serving",
    )


def _of_row(row: ServiceRow | None) -> ServiceTold:
    """A service that the table has, and no status yet."""
    assert row is not None, "a service is known by an answer or by the table"
    definition = row.definition
    return ServiceTold(
        name=definition.name, fqdn=definition.fqdn, port=definition.port, home=definition.home, exclusive=definition.exclusive
    )


def _candidate(told: CandidateTold) -> CandidateShown:
    return CandidateShown(server=told.server, priority=told.priority, ok=told.ok, why_not=told.why_not)


def name_shown(told: NameTold | None) -> NameShown | None:
    """A name in the DNS: where it leads, or what differs."""
    if told is None:
        return None
    answers = sorted({answer if answer else "no address" for answer in told.answers.values() if answer is not None})
    mute = sorted(authority for authority, answer in told.answers.items() if answer is None)
    text = f"{told.fqdn} leads to {', '.join(answers)}" if answers else told.fqdn
    if told.state != "converged":
        text = told.why or text
    if mute:
        text += f"; no answer from {', '.join(mute)}"
    return NameShown(state=told.state, text=text)


def servers_shown(
    told: Mapping[str, ServerTold], rows: Mapping[str, ServerRow], loads: Mapping[str, Loads], services: Iterable[ServiceShown]
) -> dict[str, ServerShown]:
    """Every server that is known, by name."""
    services = list(services)
    states = {name: rows[name].state if name in rows else told[name].state for name in {*told, *rows}}
    held: dict[str, list[ServiceShown]] = {}
    backed: dict[str, list[str]] = {}
    for service in services:
        if service.holder is not None:
            held.setdefault(service.holder, []).append(service)
            if service.secondary is not None:
                backed.setdefault(service.secondary, []).append(service.name)
    return {
        name: _server_shown(name, told.get(name), rows.get(name), loads.get(name, ()), held.get(name, []), backed.get(name, []), states)
        for name in sorted(states)
    }


def _server_shown(
    name: str,
    told: ServerTold | None,
    row: ServerRow | None,
    loads: Loads,
    held: list[ServiceShown],
    backed: list[str],
    states: Mapping[str, str],
) -> ServerShown:
    known = told or ServerTold(name=name)
    newer = row or known
    return ServerShown(
        name=name,
        address=newer.address,
        state=newer.state,
        zone=newer.zone,
        loadlevel=None if newer.loadlevel is None else round(newer.loadlevel, 3),
        priority=newer.priority,
        last_seen_s=known.last_seen_s,
        guards=newer.guards,
        dns=name_shown(known.dns),
        loads=loads,
        holds=tuple(service.name for service in held),
        stands_in_for=tuple(backed),
        if_it_died=if_it_died(name, held, states),
    )
