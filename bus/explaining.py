"""Why a service is where it is, in plain words: from the status and the history, without asking anybody.

status    where it is, who could take it, what is under way
history   the last change of holder, with its cause and evidence
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Row = Mapping[str, Any]

TOLD_SINCE = ("lapsed", "continued", "refused", "restarted", "start-failed", "unnamed", "move-over", "suspect", "store-failed")
"""What may have happened since the last change of holder that people should know of."""

_AT_MOST = 3


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to the questions that people ask of one service; each a list of sentences."""

    service: str
    holder: str | None
    epoch: int
    secondary: str | None
    now: str
    why: tuple[str, ...]
    change: dict[str, Any] | None  # the event of the last change of holder; None: the history does not reach back to it
    since: tuple[dict[str, Any], ...]  # what happened to it since then, the newest few
    next: tuple[str, ...]
    others: tuple[str, ...]
    moves: tuple[str, ...]
    wrong: tuple[str, ...]


def explain(status: Row, events: Sequence[Row], service: str) -> Explanation | None:
    """The explanation of this service; None if the status knows none of that name.  `events`: oldest first."""
    row = next((row for row in status["services"] if row["name"] == service), None)
    if row is None:
        return None
    about = [event for event in events if event.get("service") == service]
    at = next((i for i in reversed(range(len(about))) if about[i]["kind"] == "granted" and about[i]["epoch"] == row["epoch"]), None)
    change = None if at is None else dict(about[at])
    before, after = (about[:at], about[at + 1 :]) if at is not None else ([], [])
    return Explanation(
        service=service,
        holder=row["holder"],
        epoch=row["epoch"],
        secondary=row["secondary"],
        now=_now(row),
        why=_why(row, change, before),
        change=change,
        since=tuple(dict(event) for event in after if event["kind"] in TOLD_SINCE)[-_AT_MOST:],
        next=_next(row),
        others=_others(row),
        moves=_moves(row, status),
        wrong=_wrong(row, status),
    )


# -- where it is


def _now(row: Row) -> str:
    name, holder, home = row["name"], row["holder"], row["home"]
    where = "its home" if holder == home else f"away from its home {home}"
    if row["state"] == "unserved":
        return f"{name} is served by nobody; its home is {home}, its last epoch {row['epoch']}"
    done = {"serving": "is served by", "starting": "is being started by", "stopping": "is being stopped by"}[row["state"]]
    return f"{name} {done} {holder}, {where}, under epoch {row['epoch']}, for {_span(row['since_s'])}"


# -- why it is there


def _why(row: Row, change: Row | None, before: Sequence[Row]) -> tuple[str, ...]:
    if row["epoch"] == 0:
        return ("it has never been granted to anybody: a service begins at its home",)
    if change is None:
        return (f"the history does not reach back to when epoch {row['epoch']} was granted",)
    evidence = change.get("evidence", {})
    sentences = [_ground(row, change, evidence, before)]
    others = [entry for entry in evidence.get("candidates", ()) if entry["server"] not in (change["server"], evidence.get("from"))]
    could = [_ranked(entry) for entry in others if entry["ok"]]
    could_not = [f"{entry['server']} ({entry['why_not']})" for entry in others if not entry["ok"]]
    if could:
        sentences.append(f"at that moment {_listed(could)} could have taken it as well")
    if could_not:
        sentences.append(f"at that moment {_listed(could_not)} could not")
    return tuple(sentences)


def _ground(row: Row, change: Row, evidence: Row, before: Sequence[Row]) -> str:
    server, former = change["server"], evidence.get("from")
    match evidence.get("ground"):
        case "asked":
            heard_s = evidence.get("sds_heard_nothing_s", 1e9)
            sds = f"for {heard_s:.2f} s" if heard_s < 3_600 else "at all"
            return (
                f"{former} fell silent: {server}, its recorded secondary (appointment {evidence.get('number')}), heard nothing of it for "
                f"{evidence.get('secondary_heard_nothing_s', 0.0):.2f} s and asked to take over; the SDS had heard nothing of it {sds}, "
                f"and granted {server} epoch {change['epoch']}"
            )
        case "first":
            return f"it began there: {server} is its home, and was up and able to run it"
        case "released":
            return f"{_gave_up(former, before)}; the SDS granted it to {server}, {_standing(row, server, former, evidence)}"
        case "unbacked":
            return f"{former} fell silent before a secondary of it was on record, so the SDS chose: {server} was the best that could run it"
        case "returned":
            return f"{former} is silent, and {server}, its recorded secondary, came up anew: the SDS granted it to {server} unasked"
        case "vouched":
            return f"an operator vouched that {former} is dead, so the SDS chose: {server} was the best that could run it"
        case "both-silent":
            return f"{former} and its secondary fell silent; it is not exclusive, so the SDS chose {server}"
        case _:
            return str(change.get("text", "")) or f"the SDS granted it to {server}"


def _gave_up(former: str | None, before: Sequence[Row]) -> str:
    """How its former holder came to hold it no more, from the events before the grant."""
    last = next((event for event in reversed(before) if event["kind"] in ("released", "unheld")), None)
    if last is None:
        return f"{former} held it no more"
    if last["kind"] == "unheld":
        return str(last["text"])
    move = next((event for event in reversed(before) if event["kind"] in ("move", "granted")), None)
    cause = (
        f" ({move['text'].partition(': ')[2]})" if move is not None and move["kind"] == "move" and "planned move" in last["text"] else ""
    )
    return f"{last['server']} stopped it and gave it up: {last['text']}{cause}"


def _standing(row: Row, server: str, former: str | None, evidence: Row) -> str:
    if server == evidence.get("secondary"):
        return "its recorded secondary"
    if server == former:
        return "since returning moves nothing"
    return "its home" if server == row["home"] else "the best that could run it"


# -- who would be next, and why not the others


def _able(row: Row) -> list[Row]:
    return [entry for entry in row["candidates"] if entry["ok"] and entry["server"] != row["secondary"]]


def _next(row: Row) -> tuple[str, ...]:
    able = _able(row)
    order = _listed([_ranked(entry) for entry in able])
    if row["holder"] is None:
        return (f"the first that can run it: {order}" if able else "nobody, as things stand",)
    if row["secondary"]:
        first = f"if {row['holder']} dies, {row['secondary']} takes over: it is the recorded secondary"
        return (first, f"after it, in this order: {order}" if able else "after it nobody else can")
    if row.get("alone"):
        return ("nobody: the SDS agreed that no other server can run it",)
    if able:
        return (f"no secondary is on record yet; if {row['holder']} falls silent now, the SDS chooses, in this order: {order}",)
    return ("nobody: no other server can run it",)


def _others(row: Row) -> tuple[str, ...]:
    secondary = next((entry for entry in row["candidates"] if entry["server"] == row["secondary"]), None)
    sentences = []
    for entry in row["candidates"]:
        if not entry["ok"]:
            sentences.append(f"{entry['server']}: {entry['why_not']}")
        elif entry.get("retry_s"):
            sentences.append(f"{entry['server']}: it could not run it a moment ago, and may try again in {_span(entry['retry_s'])}")
        elif secondary is not None and entry is not secondary:
            sentences.append(
                f"{_ranked(entry)}: it could, but {_ranked(secondary)} is the secondary on record, {_no_change(entry, secondary)}"
            )
    return tuple(sentences)


def _no_change(entry: Row, secondary: Row) -> str:
    mine, other = entry["priority"], secondary["priority"]
    if mine is None or other is None or mine >= other:
        return "and no worse"
    return "which is left for a better one only if that is clearly better for a while"


# -- what would make it move


def _moves(row: Row, status: Row) -> tuple[str, ...]:
    holder, home, name = row["holder"], row["home"], row["name"]
    sentences = []
    move = row.get("move")
    if move:
        sentences.append(
            f"it is being moved to {move['to']}: {move['why']}; given up if that has not come about in {_span(move['within_s'])}"
        )
    if holder and any(server["name"] == holder and server["state"] == "draining" for server in status["servers"]):
        sentences.append(
            f"{holder} is being drained: it goes to the best that can take it, and no service returns before ./locum resume {holder}"
        )
    if row.get("retry_s"):
        sentences.append(f"its last planned move did not come about: the next is not begun for {_span(row['retry_s'])}")
    if holder and holder != home and not move:
        sentences += _homewards(row)
    if holder:
        sentences.append(f"a failover: if {holder} dies, hangs, is cut off from its secondary and the SDS, or cannot keep it running")
        sentences.append(f"an order: ./locum move {name} SERVER, or ./locum drain {holder}")
    elif row["epoch"] == 0:
        sentences.append(f"{home}, coming up and able to run it")
    else:
        sentences.append("a server coming up that can run it")
    return tuple(sentences)


def _homewards(row: Row) -> list[str]:
    home, name = row["home"], row["name"]
    sentences = []
    if row.get("pinned_s"):
        sentences.append(f"an operator moved it here: it stays, unless {home} comes up anew, for {_span(row['pinned_s'])} more")
    if row.get("failback_in_s") is not None:
        flapped = f" ({row['back_off']} times the usual delay, since it did not stay there)" if row.get("back_off", 1) > 1 else ""
        sentences.append(f"a failback: it goes home to {home} by itself in {_span(row['failback_in_s'])}{flapped}, if {home} stays up")
    elif row.get("failback_why_not"):
        remedy = f": ./locum move {name} {home}" if row.get("failback") == "manual" else ""
        sentences.append(f"no failback by itself: {row['failback_why_not']}{remedy}")
    return sentences


# -- what is wrong


def _wrong(row: Row, status: Row) -> tuple[str, ...]:
    name, holder = row["name"], row["holder"]
    sentences = []
    if row["state"] == "unserved":
        sentences.append(f"{name} is served by nobody: {row['reason'] or 'no reason is known'}")
    elif row["reason"]:
        sentences.append(row["reason"])
    if holder and row["secondary"] is None:
        sentences.append(f"{name} has no secondary: if {holder} dies now, its absence lasts")
    address = next((server["address"] for server in status["servers"] if server["name"] == holder), None)
    if row["state"] == "serving" and row["dns_address"] not in (None, address):
        sentences.append(f"{row['fqdn']} still points to {row['dns_address']}; {holder} is at {address}")
    return tuple(sentences)


# -- words


def _ranked(entry: Row) -> str:
    return entry["server"] if entry["priority"] is None else f"{entry['server']} (priority {entry['priority']})"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"
