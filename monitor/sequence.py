"""The messages of one change of holder under their names in the paper, for a sequence diagram.

http (dead)      email                SDS                 ftp
   x--keep-alive   |                   |                   |
                   |-----takeover----->|                   |
                   |<---table update---|---table update--->|
                   |----------------assignment------------>|
"""

from __future__ import annotations

from collections import abc

from bus.timeline import paper_name
from monitor.answers import Event
from monitor.changes import Change, change
from monitor.state import Participant, Said, Sequence
from monitor.wording import arrived

SDS = "SDS"

RETURN_S = 120.0
"""A server that registered longer ago than this did not come back for this move."""

_CAME = ("registered", "returned", "resumed")
"""How a server becomes one to which its service comes home."""


def has_sequence(event: Event) -> bool:
    """Whether this event may have a diagram: it ends, or grants, a change of holder."""
    return event.kind in ("granted", "serving") and event.service is not None and event.epoch is not None


def sequence(events: abc.Sequence[Event], identity: str) -> Sequence | None:
    """The diagram of the change to which this event belongs; None if there is none."""
    event = next((event for event in events if event.id == identity), None)
    if event is None or not has_sequence(event):
        return None
    found = change(events, event.service or "", event.epoch or 0)
    if found is None or found.holder is None:
        return None
    said = sorted([*_coming(found, events), *_going(found)], key=lambda message: message.at_s)
    begin = said[0].at_s if said else found.granted.at
    messages = tuple(_counted(message, begin) for message in said)
    return Sequence(title=_title(found), participants=_participants(found, messages), messages=messages)


def _counted(message: Said, begin: float) -> Said:
    return Said(from_=message.from_, to=message.to, name=message.name, at_s=round(message.at_s - begin, 3), note=message.note)


def _title(found: Change) -> str:
    if found.served is None:
        return f"{found.service} is on its way to {found.holder}"
    return arrived(found) if found.former else f"{found.service} began at {found.holder}"


def _participants(found: Change, messages: abc.Sequence[Said]) -> tuple[Participant, ...]:
    """Former holder, new holder, SDS, then whoever else has part in it."""
    first = [name for name in (found.former, found.holder, SDS) if name]
    names = dict.fromkeys([*first, *(name for message in messages for name in (message.from_, message.to))])
    dead = found.former if found.sudden and found.former != found.holder else None
    return tuple(Participant(name=name, dead=name == dead) for name in names)


def _say(sender: str | None, receiver: str | None, name: str, at: float, note: str | None = None) -> list[Said]:
    """One message, if both ends are known; `at_s` is an instant still."""
    return [Said(from_=sender, to=receiver, name=name, at_s=at, note=note)] if sender and receiver and sender != receiver else []


def _coming(found: Change, events: abc.Sequence[Event]) -> list[Said]:
    """What was said up to the grant, and the grant."""
    said: list[Said] = []
    if found.asked is not None:
        number = found.asked.seconds("keep_alives")
        last = f"the last of {number:.0f}" if number else "the last one"
        said += _say(found.former, found.asked.server, "keep-alive", found.asked.at - found.silent_s, last)
    elif not found.sudden:
        said += _registered(found, events)
    for event in found.events:
        said += _of_event(event, found)
    for server in _told(found):
        note = f"with the grant of epoch {found.epoch}" if server == found.holder else None
        said += _say(SDS, server, "table update", found.granted.at, note)
    return said


def _told(found: Change) -> list[str]:
    """Who gets the update that matters: the new holder, and those who could have been it."""
    others = found.granted.evidence.get("candidates")
    entries = others if isinstance(others, list | tuple) else ()
    named = [entry["server"] for entry in entries if isinstance(entry, abc.Mapping) and isinstance(entry.get("server"), str)]
    silent = found.former if found.sudden else None
    return [name for name in dict.fromkeys([found.holder or "", *named]) if name and name != silent]


def _registered(found: Change, events: abc.Sequence[Event]) -> list[Said]:
    """The registration of the new holder that led to it, with the table it was answered with (P6, P7, P15)."""
    first = found.events[0].at
    come = [e for e in events if e.server == found.holder and e.kind in _CAME and 0 <= first - e.at <= RETURN_S]
    if not come or come[-1].kind == "resumed" or (found.former and (found.move is None or found.move.evidence.get("cause") != "failback")):
        return []
    return [*_say(found.holder, SDS, "registration", come[-1].at), *_say(SDS, found.holder, "table update", come[-1].at)]


def _of_event(event: Event, found: Change) -> list[Said]:
    """The message that an event shows."""
    name = paper_name({"kind": event.kind, "evidence": event.evidence})
    match event.kind:
        case "asking":
            note = f"nothing heard for {event.seconds('heard_nothing_s') or 0.0:.2f} s"
            return _say(event.server, SDS, name or "takeover", event.at, note)
        case "release-asked":
            return _say(event.names("by"), event.server, name or "release service", event.at)
        case "standing-in":
            return _say(event.names("holder"), event.server, name or "assignment", event.at)
        case "dismissed" if name:
            return _say(event.names("by"), event.server, name, event.at)
        case "released" if event.epoch != found.epoch:
            return _say(event.server, SDS, name or "acknowledgement", event.at, "verified stopped")
    return []


def _going(found: Change) -> list[Said]:
    """What the new holder says once it serves: keep-alives to its own secondary (P14)."""
    recorded = next((e for e in found.events if e.kind == "recorded" and e.epoch == found.epoch), None)
    return _say(found.holder, recorded.names("secondary"), "keep-alive", recorded.at, "and so on") if recorded else []
