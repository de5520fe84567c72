"""What would move where: if a server died now, or if an operator gave an order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from monitor.state import CandidateShown, IfItDied, Preview, ServerShown, ServiceShown, Wish

Servers = Mapping[str, ServerShown]
Services = Mapping[str, ServiceShown]


def if_it_died(server: str, services: Iterable[ServiceShown], states: Mapping[str, str]) -> tuple[IfItDied, ...]:
    """What becomes of each service that this server holds; `states` by server."""
    return tuple(_heir(service, states) for service in services if service.holder == server)


def _heir(service: ServiceShown, states: Mapping[str, str]) -> IfItDied:
    name, secondary = service.name, service.secondary
    if secondary is not None:
        if states.get(secondary) == "silent":
            text = f"{name}: its stand-in {secondary} is silent too, so nobody could take it over"
            return IfItDied(service=name, to=None, text=text)
        ready = f", and has it {service.standby}" if service.standby in ("warm", "hot") else ""
        return IfItDied(service=name, to=secondary, text=f"{name} goes to {secondary}, which stands in for it{ready}")
    best = _best(service, leaving=service.holder)
    if best is None:
        return IfItDied(service=name, to=None, text=f"{name} would be served by nobody: {_why_nobody(service)}")
    return IfItDied(service=name, to=best.server, text=f"{name} has no stand-in yet: the SDS would choose {_ranked(best)}")


def _best(service: ServiceShown, leaving: str | None) -> CandidateShown | None:
    return next((candidate for candidate in service.candidates if candidate.ok and candidate.server != leaving), None)


def _why_nobody(service: ServiceShown) -> str:
    reasons = [f"{c.server}: {c.why_not}" for c in service.candidates if c.server != service.holder and c.why_not]
    return "; ".join(reasons) or "no other server can run it"


def _ranked(candidate: CandidateShown) -> str:
    return candidate.server if candidate.priority is None else f"{candidate.server} (priority {candidate.priority})"


# -- orders


def preview(wish: Wish, servers: Servers, services: Services) -> Preview:
    """What would come of this wish, as things stand."""
    match wish.action:
        case "drain":
            return _drain(wish.server, servers, services)
        case "resume":
            return _resume(wish.server, servers, services)
        case "move":
            return _move(wish.service, wish.to, servers, services)


def _no(why_not: str) -> Preview:
    return Preview(sentences=(), ok=False, why_not=why_not)


def _drain(name: str | None, servers: Servers, services: Services) -> Preview:
    if name is None or name not in servers:
        return _no(f"there is no server {name}" if name else "which server? the field `server` is missing")
    if servers[name].state == "draining":
        return _no(f"{name} is draining already")
    if servers[name].state == "left":
        return _no(f"{name} has left the cluster")
    sentences = [_handed_over(service, name) for service in services.values() if service.holder == name]
    if not sentences:
        sentences.append(f"{name} holds nothing now, so nothing moves")
    stood = [service.name for service in services.values() if service.secondary == name]
    if stood:
        sentences.append(f"{', '.join(stood)}: another stand-in is chosen")
    sentences.append(f"{name} stays in the cluster, and holds nothing until it is resumed")
    return Preview(sentences=tuple(sentences), ok=True, why_not=None)


def _handed_over(service: ServiceShown, server: str) -> str:
    best = _best(service, leaving=server)
    if best is None:
        return f"{service.name} stays at {server}: {_why_nobody(service)}"
    return f"{service.name} moves to {_ranked(best)}, {_absence(service)}"


def _absence(service: ServiceShown) -> str:
    if service.exclusive:
        return "which starts it once it is stopped: a short absence"
    return "which starts it before it is stopped: no absence"


def _resume(name: str | None, servers: Servers, services: Services) -> Preview:
    if name is None or name not in servers:
        return _no(f"there is no server {name}" if name else "which server? the field `server` is missing")
    if servers[name].state != "draining":
        return _no(f"{name} is not draining")
    away = [s for s in services.values() if s.home == name and s.holder not in (None, name)]
    sentences = [f"{name} may hold services again, and stand in for others"]
    sentences += [f"{s.name} is at home there: it comes back from {s.holder} by its rule of failback" for s in away]
    return Preview(sentences=tuple(sentences), ok=True, why_not=None)


def _move(name: str | None, to: str | None, servers: Servers, services: Services) -> Preview:
    if name is None or name not in services:
        return _no(f"there is no service {name}" if name else "which service? the field `service` is missing")
    service = services[name]
    if service.holder is None:
        return _no(f"{name} is served by nobody: {service.reason or 'there is nothing to move'}")
    if to is not None and to not in servers:
        return _no(f"there is no server {to}")
    if to == service.holder:
        return _no(f"{to} has {name} already")
    target = _best(service, service.holder) if to is None else next((c for c in service.candidates if c.server == to), None)
    if target is None or not target.ok:
        why_not = (target.why_not if target else None) or _why_nobody(service)
        return _no(f"{to} cannot take {name}: {why_not}" if to else f"nobody else can take {name}: {why_not}")
    sentences = [f"{name} moves from {service.holder} to {_ranked(target)}, {_absence(service)}"]
    if service.secondary != target.server:
        sentences.append(f"{target.server} is made its stand-in first, so that a failure on the way is an ordinary failover")
    if target.server != service.home:
        sentences.append(f"it stays there for a while, though its home is {service.home}")
    return Preview(sentences=tuple(sentences), ok=True, why_not=None)
