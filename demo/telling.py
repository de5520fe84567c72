"""What the story tells: the messages of a step by their paper names, and the outages as a client saw them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bus.messages import TableUpdate
from bus.timeline import paper_name

Event = Mapping[str, Any]


class Answer(NamedTuple):
    """One question of a client, by the service's name: who answered, or nobody."""

    service: str
    asked_at: float  # CLOCK_MONOTONIC, s
    ended_at: float
    server: str  # empty: nobody
    trouble: str = ""


class Outage(NamedTuple):
    """How long a client was without a service."""

    service: str
    seconds: float  # from the last good answer before to the first after; 0: no question failed
    failed: int  # questions
    asked: int
    before: str  # who answered last before it
    after: str  # who answered first after it


def outage(answers: Iterable[Answer], service: str, since: float, until: float) -> Outage:
    """The longest absence of a service among the questions of that time."""
    asked = sorted((a for a in answers if a.service == service and since <= a.asked_at < until), key=lambda a: a.ended_at)
    seconds, before, after = 0.0, "", ""
    good: Answer | None = None
    broken = False
    for answer in asked:
        if not answer.server:
            broken = True
            continue
        if broken and good is not None and answer.ended_at - good.ended_at > seconds:
            seconds, before, after = answer.ended_at - good.ended_at, good.server, answer.server
        good, broken = answer, False
    servers = list(dict.fromkeys(a.server for a in asked if a.server))
    return Outage(
        service,
        seconds,
        sum(not a.server for a in asked),
        len(asked),
        before or (servers[0] if servers else ""),
        after or (servers[-1] if servers else ""),
    )


_WAYS: dict[str, Callable[[Event], tuple[Any, Any]]] = {
    "registered": lambda event: (event["server"], "SDS"),
    "returned": lambda event: (event["server"], "SDS"),
    "standing-in": lambda event: (event["evidence"].get("holder"), event["server"]),
    "asking": lambda event: (event["server"], "SDS"),
    "release-asked": lambda event: (event["evidence"].get("by"), event["server"]),
    "dismissed": lambda event: (event["evidence"].get("by"), event["server"]),
    "released": lambda event: ("SDS", event["server"]),
}
"""From whom to whom the message went that an event shows."""


def messages(events: Sequence[Event], updates: Sequence[TableUpdate]) -> list[str]:
    """The paper's messages that went since the last step, as events and published updates show them; a line for each kind."""
    ways: dict[str, list[str]] = {}
    for event in events:
        name = paper_name(event)
        if name is None:
            continue
        heard = event["evidence"].get("keep_alives")
        if heard:
            silent_s = event["evidence"]["heard_nothing_s"]
            went = f"{event['evidence'].get('holder')} to {event['server']}, {heard} of them, then none for {silent_s:.2f} s"
            ways.setdefault("keep-alive", []).append(went)
        sender, receiver = _WAYS[event["kind"]](event)
        about = f" ({event['service']})" if event.get("service") else ""
        ways.setdefault(name, []).append(f"{sender} to {receiver}{about}")
    loads = {row.name: row.loadlevel for update in updates for row in update.servers if row.loadlevel is not None}
    if loads:
        ways["loadlevel"] = [f"{name} {level:.2f}" for name, level in sorted(loads.items())]
    if updates:
        ways["table update"] = [f"to all, {len(updates)} of them"]
    return [f"{name}: {', '.join(dict.fromkeys(said))}" for name, said in ways.items()]


def line(at_s: float, since_fault_s: float | None, facts: str, text: str) -> str:
    """One step: seconds since the start and since the fault, the facts of the paper, what was seen."""
    fault = "" if since_fault_s is None else f"+{since_fault_s:.2f}"
    return f"{at_s:7.2f} {fault:>7}  {facts:<8} {text}"
