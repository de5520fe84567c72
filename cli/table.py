"""The status as plain text: two tables, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def page(status: Row) -> str:
    """All that `locum status` prints."""
    places = ", ".join(f"{sds['name']} {sds['address']} ({sds['role']})" for sds in status["sds"])
    blocks = [f"cluster {status['cluster']}   SDS {places}", table(_SERVER_HEAD, [_server(row) for row in status["servers"]])]
    blocks.append(table(_SERVICE_HEAD, [_service(row) for row in status["services"]]))
    wrong = warnings(status)
    if wrong:
        blocks.append("\n".join(f"! {line}" for line in wrong))
    return "\n\n".join(blocks)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; an empty table says so."""
    if not rows:
        return f"{head[0]}\n(none)"
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows))


_SERVER_HEAD = ("SERVER", "ADDRESS", "STATE", "LOAD", "PRIORITY", "HEARD", "GUARDS")
_SERVICE_HEAD = ("SERVICE", "AT", "HOLDER", "EPOCH", "SECONDARY", "STATE", "SINCE", "NAME LEADS TO", "REASON")


def _server(row: Row) -> tuple[str, ...]:
    load = "-" if row["loadlevel"] is None else f"{row['loadlevel']:.2f}"
    priority = "-" if row["priority"] is None else str(row["priority"])
    guards = " ".join(row["guards"]) or "-"
    heard = "-" if row["last_seen_s"] is None else f"{span(row['last_seen_s'])} ago"
    return row["name"], row["address"], row["state"], load, priority, heard, guards


def _service(row: Row) -> tuple[str, ...]:
    holder = row["holder"] or "-"
    secondary = (row["secondary"] or "-") + (f" ({row['standby']})" if row.get("standby") else "")
    away = f" (home {row['home']})" if row["holder"] != row["home"] else ""
    return (
        row["name"],
        f"{row['fqdn']}:{row['port']}",
        holder + away,
        str(row["epoch"]),
        secondary,
        row["state"],
        span(row["since_s"]),
        _leads_to(row),
        row["reason"] or "",
    )


def _leads_to(row: Row) -> str:
    """What the name server answers, and whether that is not yet, or no longer, as it should be."""
    name = row.get("dns")
    address = row["dns_address"] or "-"
    return address if name is None or name["state"] == "converged" else f"{address} ({name['state']})"


def span(seconds: float) -> str:
    """A duration as people say it, in its largest two units."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7_200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min" if whole < 172_800 else f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def warnings(status: Row) -> list[str]:
    """What somebody should look at, a line each."""
    return [*_of_services(status), *_of_servers(status), *_of_sds(status)]


def _of_services(status: Row) -> list[str]:
    addresses = {row["name"]: row["address"] for row in status["servers"]}
    lines = []
    for row in status["services"]:
        if row["state"] == "unserved":
            lines.append(f"{row['name']} is served by nobody: {row['reason'] or 'no reason is known'}")
        elif row["secondary"] is None:
            lines.append(f"{row['name']} has no secondary: if {row['holder']} dies now, its absence lasts")
        if row["state"] == "serving" and not row.get("dns") and row["dns_address"] not in (None, addresses.get(row["holder"])):
            lines.append(f"{row['fqdn']} still points to {row['dns_address']}, {row['holder']} is at {addresses.get(row['holder'], '?')}")
        lines += _of_name(row)
        lines += _of_files(row)
    return lines


def _of_files(row: Row) -> list[str]:
    """Files that are not where they should be, or not the same (P4)."""
    files = row.get("files") or {}
    lines = [f"files of {row['name']} on {server}: {state['trouble']}" for server, state in files.items() if state["trouble"]]
    ours, theirs = (files.get(row[who] or "", {}).get("version") for who in ("holder", "secondary"))
    if ours and theirs and ours != theirs:
        lines.append(f"files of {row['name']}: {row['holder']} has version {ours[:12]}, {row['secondary']} still {theirs[:12]}")
    return lines


def _of_servers(status: Row) -> list[str]:
    lines = []
    for row in status["servers"]:
        if row["state"] == "silent":
            lasting = "since this SDS started" if row["last_seen_s"] is None else f"for {span(row['last_seen_s'])}"
            lines.append(f"{row['name']} is silent: no word {lasting}")
        else:
            lines += _of_name(row)
    return lines


def _of_name(row: Row) -> list[str]:
    """A name in the DNS that is not as it should be."""
    name = row.get("dns")
    if name is None or name["state"] == "converged":
        return []
    lasting = f" for {span(name['for_s'])}" if name["for_s"] is not None else ""
    return [f"the name {name['fqdn']} is {name['state']}{lasting}: {name['why'] or 'no reason is known'}"]


def _of_sds(status: Row) -> list[str]:
    """W must not share a machine with holder or secondary (section 4): the three voters would fail as one."""
    places = {_host(sds["address"]) for sds in status["sds"]}
    shared = [row["name"] for row in status["servers"] if row["address"] in places]
    return [f"the SDS shares a machine with {name}: if it fails, two of three voters are gone" for name in shared]


def _host(address: str) -> str:
    """The address without its port and brackets."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
