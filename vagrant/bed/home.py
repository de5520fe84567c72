"""Whether everything is at home, and what is not, by what `locum status --json` says: the one place that decides it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from vagrant.bed.plan import SERVICES, Plan

EVERYTHING = tuple(service.name for service in SERVICES)

Status = Mapping[str, Any]


def lacking(
    status: Status | None, plan: Plan, names: Collection[str] = EVERYTHING, secondaries: Mapping[str, str] | None = None
) -> list[str]:
    """What of these services, or of any server, is not as it should be, in words.

    At home is what its home serves, with a secondary (that of `secondaries`, if
    it has one there), and whose name leads home.  No status: the SDS is silent.
    """
    if status is None:
        return ["the SDS does not answer"]
    rows = {row["name"]: row for row in status["services"]}
    missing = []
    for home in plan.servers:
        assert home.service
        name = home.service.name
        if name in names:
            missing += _of_service(name, home.name, home.address, rows.get(name), (secondaries or {}).get(name))
    return missing + [f"{row['name']}: {row['state']}" for row in status["servers"] if row["state"] != "up"]


def _of_service(name: str, home: str, address: str, row: Status | None, secondary: str | None) -> list[str]:
    if row is None:
        return [f"{name}: not there"]
    if (row["state"], row["holder"]) != ("serving", home):
        return [f"{name}: {row['state']} at {row['holder']}" + (f", {row['reason']}" if row["reason"] else "")]
    if not row["secondary"] or row["secondary"] != (secondary or row["secondary"]):
        return [f"{name}: its secondary is {row['secondary'] or 'nobody'}" + (f" and not {secondary}" if secondary else "")]
    return [] if row["dns_address"] == address else [f"{name}: its name leads to {row['dns_address']}"]


def strays(status: Status | None, plan: Plan) -> list[tuple[str, str]]:
    """The services that another server serves, each with its home."""
    homes = {host.service.name: host.name for host in plan.servers if host.service}
    rows = status["services"] if status else ()
    return [
        (row["name"], homes[row["name"]])
        for row in rows
        if row["name"] in homes and row["state"] == "serving" and row["holder"] not in (homes[row["name"]], None)
    ]


def words(status: Status) -> str:
    """Who serves and who stands in, in one line."""
    return ", ".join(f"{row['name']} at {row['holder']} (secondary {row['secondary']})" for row in status["services"])
