"""Events in plain words, as the page's timeline shows them."""

from __future__ import annotations

from collections.abc import Sequence

from bus.values import is_server
from monitor.answers import Event
from monitor.changes import Change, change

SENTENCES: dict[str, str] = {
    "registered": "{server} came up and registered",
    "returned": "{server} came back",
    "moved": "{server} has another address: {text}",
    "silent": "{server} fell silent: {text}",
    "heard": "{server} is heard: {text}",
    "token": "a join token was made: {text}",
    "joined": "{server} joined: {text}",
    "left": "{server} left: {text}",
    "revoked": "a key is no longer trusted: {text}",
    "trust": "the trust file was {text}",
    "draining": "{server} is to hold nothing: {text}",
    "resumed": "{server} may hold services again: {text}",
    "refused": "refused: {text}",
    "defined": "{service} was described {text}",
    "granted": "the SDS granted {service} to {server}: {text}",
    "holding": "{server} accepted {service}: {text}",
    "starting": "{server} starts {service}, {text}",
    "serving": "{server} serves {service}: {text}",
    "named": "the name {text}",
    "unnamed": "the name server did not do it: {text}",
    "converged": "the name {text}",
    "restarted": "{server} started {service} again in place: {text}",
    "start-failed": "{server} could not start {service}: {text}",
    "recorded": "{server}'s stand-in for {service} is now {secondary}",
    "alone": "{server} has no stand-in for {service}: {text}",
    "standing-in": "{server} stands in for {holder} with {service}",
    "dismissed": "{server} no longer stands in with {service}: {text}",
    "prepared": "{server} is prepared to take {service}: {text}",
    "stored": "{server} stored the files of {service}: {text}",
    "staged": "{server} has the files of {service}: {text}",
    "unstaged": "{server} could not bring or store the files of {service}: {text}",
    "unprepared": "{server} could not be prepared for {service}: {text}",
    "asking": "{server} asks to take {service} over: {text}",
    "lapsed": "{server} cut itself off from {service}: {text}",
    "continued": "{server} goes on with {service}: {text}",
    "release-asked": "{by} asks {server} to release {service}",
    "stopping": "{server} stops {service}: {text}",
    "finishing": "{server} serves the last requests of {service}: {text}",
    "released": "{server} gave {service} up: {text}",
    "unheld": "nobody holds {service}: {text}",
    "move": "{service} is to move {text}",
    "move-over": "the move of {service} is over: {text}",
    "suspect": "the record of {service} is in doubt: {text}",
    "trusted": "the record of {service} is trusted again: {text}",
    "store-failed": "the store did not take a write about {service}, so nothing was granted: {text}",
    "confirmed-dead": "an operator vouched that {server} is dead: {text}",
    "sds-started": "the SDS started: {text}",
}
"""A sentence for each kind of event, in the order of `KINDS`; of another, a later release's, the text is shown as it came."""


def plain(event: Event, events: Sequence[Event]) -> str:
    """What happened, in a sentence; `events` is the history up to it, oldest first."""
    if event.kind == "serving" and event.service is not None and event.epoch is not None:
        found = change((*events, event), event.service, event.epoch)
        if found is not None and found.former and found.served is not None:
            return arrived(found)
    sentence = SENTENCES.get(event.kind, "{text}" if event.text else "{server} {service}")
    words = {
        "server": event.server or "somebody",
        "service": event.service or "",
        "text": event.text,
        "holder": event.names("holder") or "the holder",
        "by": event.names("by") or "another",
        "secondary": _secondary(event),
    }
    return sentence.format_map(words).strip().removesuffix(":")


def _secondary(event: Event) -> str:
    name = event.evidence.get("secondary")
    return name if isinstance(name, str) and is_server(name) else "nobody"


def arrived(found: Change) -> str:
    """A change of holder that is done: from whom to whom, how long nobody served, and why.

    www moved from http to email in 0.38 s: http silent 0.31 s, the SDS heard nothing either
    """
    took = f" in {found.took_s:.2f} s" if found.took_s is not None else ""
    where = f"{found.service} came back to {found.holder}" if found.former == found.holder else _moved(found)
    return f"{where}{took}: {_reason(found)}"


def _moved(found: Change) -> str:
    return f"{found.service} moved from {found.former} to {found.holder}"


def _reason(found: Change) -> str:
    if found.move is not None:
        return found.move.text.partition(": ")[2] or found.move.text
    return found.granted.text
