"""A state as the monitor of the demo tells it, for the page to draw without a cluster: all is well, then http dies."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from monitor.state import (
    CandidateShown,
    EventShown,
    Head,
    IfItDied,
    NameShown,
    Participant,
    Passage,
    Remark,
    Said,
    SdsShown,
    Sequence,
    ServerShown,
    ServiceShown,
    Snapshot,
    StoreShown,
)

HOMES = {"www": "http", "ftp": "ftp", "mail": "email"}
ADDRESSES = {"http": "127.0.1.11", "ftp": "127.0.1.12", "email": "127.0.1.13"}
PORTS = {"www": 8081, "ftp": 2121, "mail": 2525}
SECONDARIES = {"www": "email", "ftp": "http", "mail": "ftp"}
LOADS = {"http": 0.12, "ftp": 0.34, "email": 0.21}
PRIORITIES = {"http": 15, "ftp": 35, "email": 25}


def plain(value: Any) -> dict[str, Any]:
    """The same as it travels."""
    found: dict[str, Any] = msgspec.to_builtins(value)
    return found


def head(now: float, level: str = "ok", text: str = "3 services are served, each with a secondary", **changed: Any) -> Head:
    """The head of the page at this instant."""
    verdict = msgspec.convert({"level": level, "text": text}, Remark)
    values: dict[str, Any] = {
        "cluster": "demo",
        "seq": 214,
        "incarnation": 3,
        "sds": (SdsShown(name="sds", role="active", address="127.0.1.10:5750", uptime_s=7384.0),),
        "store": StoreShown(state="writes through to disk", last_write_s=2.0),
        "heard_at": now - 0.4,
        "lost_since": None,
        "verdict": verdict,
        "alarms": (),
        "demo": True,
        "served_at": now,
    }
    return Head(**(values | changed))


def server(name: str, now: float, **changed: Any) -> ServerShown:
    """A server that is up, holds its own service and stands in for another."""
    level = LOADS.get(name, 0.2)
    loads = tuple((now - 300 + 5 * tick, level + 0.08 * math.sin(tick / 4 + len(name))) for tick in range(61))
    held = tuple(service for service, home in HOMES.items() if home == name)
    values: dict[str, Any] = {
        "name": name,
        "address": ADDRESSES.get(name, "127.0.1.20"),
        "state": "up",
        "zone": None,
        "loadlevel": level,
        "priority": PRIORITIES.get(name, 20),
        "last_seen_s": 0.2,
        "guards": ("tether",),
        "dns": NameShown(state="converged", text="as it should be"),
        "loads": loads,
        "holds": held,
        "stands_in_for": tuple(service for service, secondary in SECONDARIES.items() if secondary == name),
        "if_it_died": tuple(IfItDied(service=one, to=SECONDARIES[one], text=f"{SECONDARIES[one]} stands in, and is hot") for one in held),
    }
    return ServerShown(**(values | changed))


def service(name: str, now: float, **changed: Any) -> ServiceShown:
    """A service that is served at home."""
    home = HOMES[name]
    others = sorted((one for one in HOMES.values() if one != home), key=PRIORITIES.__getitem__)
    values: dict[str, Any] = {
        "name": name,
        "fqdn": f"{name}.demo.locum.test",
        "port": PORTS[name],
        "home": home,
        "holder": home,
        "epoch": 5,
        "secondary": SECONDARIES[name],
        "standby": "hot" if name == "www" else "warm",
        "state": "serving",
        "reason": None,
        "since_at": now - 3600,
        "exclusive": True,
        "dns_address": ADDRESSES[home],
        "dns": NameShown(state="converged", text="as it should be"),
        "candidates": tuple(CandidateShown(server=one, priority=PRIORITIES[one], ok=True, why_not=None) for one in others),
        "beating": True,
    }
    return ServiceShown(**(values | changed))


def event(number: int, at: float, kind: str, text: str, **changed: Any) -> EventShown:
    values: dict[str, Any] = {"service": None, "server": None, "epoch": None, "evidence": {}, "sequence": False}
    return EventShown(id=f"{number}-0", at=at, kind=kind, text=text, **(values | changed))


def calm(now: float) -> Snapshot:
    """Fig. 2a: all up, each service at home."""
    events = [event(1, now - 7384, "sds-started", "the SDS started", evidence={"incarnation": 3})]
    for place, name in enumerate(("http", "ftp", "email")):
        events.append(event(2 + place, now - 7300 + place, "registered", f"{name} registered", server=name, evidence={"incarnation": 7}))
    for place, (name, home) in enumerate(HOMES.items()):
        at = now - 7200 + place
        events.append(event(10 + place, at, "serving", f"{name} is served by {home}", service=name, server=home, epoch=5))
    return Snapshot(
        version=1,
        head=head(now),
        servers={name: server(name, now) for name in ADDRESSES},
        services={name: service(name, now) for name in HOMES},
        passages=(),
        events=tuple(events),
    )


def taken_over(now: float, version: int = 2) -> dict[str, Any]:
    """Fig. 2b, as a change: http is dead, email serves www and ftp stands in."""
    why = "http silent 0.31 s, the SDS heard nothing either"
    alarm = Remark(level="warn", text="http is silent: no word for 1.2 s")
    passage = Passage(id="www-6", service="www", from_="http", to="email", kind="takeover", state="done", began_at=now - 0.38, ended_at=now)
    evidence = {"ground": "takeover", "from": "http", "secondary_heard_nothing_s": 0.31, "sds_heard_nothing_s": 0.35}
    told = f"www moved from http to email in 0.38 s: {why}"
    dead = {"priority": None, "loadlevel": None, "last_seen_s": 1.2, "holds": (), "stands_in_for": (), "if_it_died": ()}
    out = (
        CandidateShown(server="ftp", priority=35, ok=True, why_not=None),
        CandidateShown(server="http", priority=None, ok=False, why_not="silent for 1.2 s"),
    )
    news = {"holder": "email", "epoch": 6, "secondary": "ftp", "since_at": now, "candidates": out, "dns_address": ADDRESSES["email"]}
    changes = {
        "version": version,
        "head": head(now, "warn", "All services are served; http is silent", alarms=(alarm,)),
        "servers": {
            "http": server("http", now, state="silent", **dead),
            "email": server("email", now, holds=("mail", "www"), stands_in_for=("ftp",)),
            "ftp": server("ftp", now, stands_in_for=("mail", "www")),
        },
        "services": {"www": service("www", now, **news), "ftp": service("ftp", now, secondary="email")},
        "passages": (passage,),
        "events": (
            event(20, now - 0.1, "silent", "http is silent", server="http", evidence={"guard_heard_s": 0.35}),
            event(21, now, "granted", told, service="www", server="email", epoch=6, evidence=evidence, sequence=True),
        ),
    }
    return plain(changes)


def sequence() -> Sequence:
    """The messages of that takeover."""
    said = [
        ("http", "email", "keep-alive", 0.0, "the last one"),
        ("email", "SDS", "takeover", 0.31, "epoch 5: nothing heard for 0.31 s"),
        ("SDS", "SDS", "writes epoch 6", 0.312, None),
        ("SDS", "email", "grant", 0.318, "epoch 6"),
        ("SDS", "ftp", "table update", 0.319, None),
        ("email", "ftp", "assignment", 0.362, "epoch 6"),
        ("ftp", "email", "acknowledgement", 0.371, None),
        ("email", "ftp", "keep-alive", 0.38, "from now on"),
    ]
    names = (("http", True), ("email", False), ("SDS", False), ("ftp", False))
    return Sequence(
        title="www: takeover from http by email",
        participants=tuple(Participant(name=name, dead=dead) for name, dead in names),
        messages=tuple(Said(from_=one, to=other, name=name, at_s=at_s, note=note) for one, other, name, at_s, note in said),
    )
