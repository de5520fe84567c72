"""Whether all is well, and what is not: the head's headline and its banners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from monitor.state import Level, NameShown, Remark, SdsShown, ServerShown, ServiceShown, StoreShown

GOOD_STORES = frozenset({"good", "unknown"})
"""What a store that is no reason to worry is called; unknown: the SDS is of an earlier release."""

PASSING_S = 1.5
"""A service that nobody holds for less than this is on its way: a planned move passes through it."""

NAMING_S = 5.0
"""A name that is not written this long after its service moved is worth a remark."""

_GRAVITY: dict[Level, int] = {"alarm": 0, "warn": 1, "ok": 2}


def verdict(remarks: Sequence[Remark], servers: Mapping[str, ServerShown], services: Mapping[str, ServiceShown], heard: bool) -> Remark:
    """The headline: the gravest of the remarks; all is well only if there is none."""
    if not heard and not remarks:
        return Remark(level="warn", text="waiting for the first word of the SDS")
    if remarks:
        first = min(remarks, key=lambda remark: _GRAVITY[remark.level])
        more = len(remarks) - 1
        return Remark(level=first.level, text=first.text + (f" (and {more} more)" if more else ""))
    if not services:
        return Remark(level="warn", text=f"no service is described yet; {_count(len(servers), 'server')} registered")
    if len(services) == 1:
        return Remark(level="ok", text="the service is served, with a stand-in")
    return Remark(level="ok", text=f"all {len(services)} services are served, each with a stand-in")


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def remarks(
    servers: Iterable[ServerShown],
    services: Iterable[ServiceShown],
    sds: Iterable[SdsShown],
    store: StoreShown,
    lost_s: float | None,
    trouble: str | None,
    twice: Iterable[str],
    now: float,
) -> tuple[Remark, ...]:
    """Everything that somebody should look at, the gravest first."""
    servers = list(servers)
    found = [*_of_sight(lost_s, trouble), *(Remark(level="alarm", text=text) for text in twice)]
    for service in services:
        found += _of_service(service, now)
    for server in servers:
        found += _of_server(server)
    if store.state not in GOOD_STORES:
        found.append(Remark(level="alarm", text=f"the store takes no writes, so nobody can take over: {store.state}"))
    found += _of_places(servers, sds)
    return tuple(sorted(found, key=lambda remark: _GRAVITY[remark.level]))


def _of_sight(lost_s: float | None, trouble: str | None) -> list[Remark]:
    found = []
    if lost_s is not None:
        found.append(Remark(level="alarm", text="the SDS is not heard: what is shown is how it was, and nobody can take over"))
    if trouble is not None:
        found.append(Remark(level="alarm", text=trouble))
    return found


def _of_service(service: ServiceShown, now: float) -> list[Remark]:
    name = service.name
    if service.state == "unserved" or service.holder is None:
        if now - service.since_at < PASSING_S:
            return [Remark(level="warn", text=f"{name} is on its way: nobody holds it at this moment")]
        return [Remark(level="alarm", text=f"{name} is served by nobody: {service.reason or 'no reason is known'}")]
    found = []
    if service.reason is not None:
        found.append(Remark(level="warn", text=f"{name}: {service.reason}"))
    elif service.state != "serving":
        found.append(Remark(level="warn", text=f"{name} is {service.state} at {service.holder}"))
    if service.secondary is None:
        found.append(Remark(level="warn", text=f"{name} has no stand-in: if {service.holder} dies now, nobody takes it over"))
    if service.dns is not None and service.dns.state == "pending" and now - service.since_at < NAMING_S:
        return found  # a name follows its service a moment later
    return found + _of_name(service.fqdn, service.dns)


def _of_server(server: ServerShown) -> list[Remark]:
    if server.state == "silent":
        return [Remark(level="warn", text=f"{server.name} is silent")]
    if server.state == "left":
        return []
    return _of_name(server.name, server.dns)


def _of_name(name: str, dns: NameShown | None) -> list[Remark]:
    if dns is None or dns.state == "converged":
        return []
    return [Remark(level="warn", text=f"the name of {name} is {dns.state}: {dns.text}")]


def _of_places(servers: Iterable[ServerShown], sds: Iterable[SdsShown]) -> list[Remark]:
    """The SDS must not share a machine with a server: two of three voters would fail as one."""
    places = {_host(one.address) for one in sds}
    shared = [server.name for server in servers if server.address in places and server.state != "left"]
    text = "the SDS shares a machine with {}: if it fails, two of three voters are gone"
    return [Remark(level="warn", text=text.format(name)) for name in shared]


def _host(address: str) -> str:
    """An address without its port and brackets."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
