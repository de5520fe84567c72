"""One transition is one line: for the log, the stories, the history and the page.

Keep-alives, renewals and loadlevels are never transitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

KINDS: dict[str, str] = {
    "registered": "a server came up and registered (P6)",
    "returned": "a server came back under a new incarnation (R15)",
    "moved": "a server registered from another address (P20)",
    "silent": "a server gave no word for three loadlevel intervals",
    "heard": "a silent server was heard again",
    "token": "an operator made a join token",
    "joined": "a server or a person joined by a token",
    "left": "a server left the cluster",
    "revoked": "a key is no longer trusted, on an operator's order",
    "trust": "the trust file was read again",
    "draining": "a server is to hold nothing, on request",
    "resumed": "a drained server may hold services again",
    "refused": "a message, a question or a server was refused, and why",
    "defined": "a service was described, or described anew, by its home (R15)",
    "granted": "the SDS granted a service: a new epoch (R8)",
    "holding": "a server accepted a grant",
    "starting": "a holder began to start its service",
    "serving": "a holder's service answers",
    "named": "a name was written: a service's points to its holder, a server's to itself (P5)",
    "unnamed": "the name server refused, did not answer, or answered something else; the name is written again",
    "converged": "every authority answers the address that was written, and how long that took (P5)",
    "restarted": "a service's process died and was started again in place",
    "start-failed": "a service could not be started",
    "recorded": "the SDS recorded a secondary (R11)",
    "alone": "the SDS agreed that a holder has no secondary (R12)",
    "standing-in": "a server became a secondary (P10)",
    "dismissed": "a secondary was dismissed (P16)",
    "prepared": "a secondary is prepared: warm, or hot",
    "stored": "a holder stored its service's files as a new version (P4)",
    "staged": "a server has a version of a service's files completely, in place of another (P4)",
    "unstaged": "files of a service could not be staged or stored, and why (P4)",
    "unprepared": "a secondary could not be prepared, and why; it is tried again",
    "asking": "a secondary no longer hears its holder and asks to take over (P12)",
    "lapsed": "a holder had no acknowledgement left and cut itself off (R5)",
    "continued": "a holder that had lapsed resumed under the same epoch (R5)",
    "release-asked": "the target of a planned move asked the holder to release the service (P15)",
    "stopping": "a holder began to stop its service",
    "finishing": "a holder gave its epoch up on a planned move and serves on for finish_s, since the service is not exclusive (R22)",
    "released": "a holder gave its epoch up after a verified stop (R14)",
    "unheld": "a service has no holder",
    "move": "a planned move was begun (R14)",
    "move-over": "a planned move ended, done or given up",
    "suspect": "the store is older than the SDS's own file; waiting for reports (R18)",
    "trusted": "the store's record was confirmed or mended by reports (R18)",
    "store-failed": "the store did not take a write; nothing was granted (R18)",
    "confirmed-dead": "an operator vouched that a server is dead (R13)",
    "sds-started": "the SDS started and waits out one G (R16)",
}
"""Every kind of event in the history; docs/protocol.md lists them too."""

EVIDENCE: dict[str, tuple[str, ...]] = {
    "registered": ("incarnation",),
    "returned": ("incarnation", "before"),
    "moved": ("from", "to"),
    "silent": ("guard_heard_s", "runner_heard_s"),
    "token": ("token", "by"),
    "joined": ("token", "by", "role", "name", "public_key"),
    "left": ("by", "held"),
    "revoked": ("role", "name", "by", "public_key"),
    "draining": ("by",),
    "resumed": ("by",),
    "refused": ("message", "code", "by", "untold", "number", "recorded", "recorded_number", "holder_heard_s", "promised_s"),
    "granted": (
        "ground",
        "from",
        "from_epoch",
        "secondary",
        "number",
        "question",
        "holder",
        "secondary_heard_nothing_s",
        "sds_heard_nothing_s",
        "candidates",
    ),
    "holding": ("question", "clean"),
    "named": ("fqdn", "address"),
    "unnamed": ("fqdn", "address"),
    "converged": ("fqdn", "address", "took_s", "authorities"),
    "recorded": ("secondary", "number", "before"),
    "alone": ("number", "before", "candidates"),
    "standing-in": ("holder", "number"),
    "dismissed": ("number", "by"),
    "stored": ("version", "files"),
    "staged": ("version", "files"),
    "asking": ("holder", "number", "heard_nothing_s", "keep_alives"),
    "lapsed": ("heard_nothing_s",),
    "release-asked": ("by",),
    "stopping": ("failed",),
    "released": ("failed", "secondary", "candidates"),
    "unheld": ("incarnation", "before"),
    "move": ("target", "cause", "candidates"),
    "move-over": ("target", "done"),
    "suspect": ("waiting_for",),
    "confirmed-dead": ("by",),
    "sds-started": ("incarnation",),
}
"""What the evidence of an event may hold, by kind; a kind that is not here has none."""

PAPER: dict[str, tuple[str, str]] = {
    "registered": ("registration", "P6"),
    "returned": ("registration", "P15"),
    "standing-in": ("assignment", "P10"),
    "asking": ("takeover", "P12"),
    "release-asked": ("release service", "P15"),
    "dismissed": ("remove assignment", "P16"),
    "released": ("acknowledgement", "P17"),
}
"""The message of the paper that an event shows to have arrived, and its fact.

`dismissed` shows one only where it was the holder who dismissed (its `by`);
what the paper calls takeover is `asking` and, when it was answered, `granted`.
"""


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """Something changed, at one place, for a reason."""

    kind: str
    server: str | None = None
    service: str | None = None
    epoch: int | None = None
    text: str = ""
    evidence: dict[str, Any] = {}


EVIDENCE_LIMIT = 16_384
"""Bytes of JSON; evidence that is longer is left out."""


def sound(evidence: dict[str, Any]) -> dict[str, Any]:
    """The evidence of a peer as every reader can have it: plain JSON and of bounded length, or nothing."""
    try:
        text = msgspec.json.encode(evidence)
        return msgspec.json.decode(text, type=dict[str, Any]) if len(text) <= EVIDENCE_LIMIT else {}
    except (TypeError, ValueError, RecursionError):
        return {}


def line(transition: Transition, clock: str = "") -> str:
    """The transition as a person reads it.

    12:04:31.207  email   www    granted        epoch 8   http silent 0.31 s, the SDS agrees
    """
    epoch = f"epoch {transition.epoch}" if transition.epoch is not None else ""
    columns = f"{transition.server or '':<7} {transition.service or '':<6} {transition.kind:<14} {epoch:<10} {transition.text}"
    return f"{clock}  {columns}".strip() if clock else columns.rstrip()


def paper_name(event: Mapping[str, Any]) -> str | None:
    """What the paper calls the message that this event shows; None if it shows none."""
    if event["kind"] == "dismissed" and not event.get("evidence", {}).get("by"):
        return None
    return PAPER.get(event["kind"], (None, ""))[0]


def concerns(event: Mapping[str, Any], service: str | None, server: str | None) -> bool:
    """Whether an event is about this service and this server; None is any.

    A server is concerned too where the evidence names it: as the holder that
    was replaced, or as the target of a move.
    """
    if service is not None and event.get("service") != service:
        return False
    named = {event.get("server"), *(value for key, value in event.get("evidence", {}).items() if key in _SERVERS)}
    return server is None or server in named


_SERVERS = ("from", "holder", "secondary", "before", "target", "by")
"""Keys of the evidence under which a server may stand."""
