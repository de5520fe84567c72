"""One order to the running demo, and its answer: a line of JSON each way over its control socket."""

from __future__ import annotations

import json
import socket
from typing import Any

Reply = dict[str, Any]
"""`{"code": 0 or 1, "text": str}`, and `"processes"` as the answer to `ps`."""

LONGEST_S = 60.0
"""No order takes longer: an agent's clean stop is the slowest."""


class NoAnswer(Exception):
    """The demo did not say what became of the order: it is paused, is just ending, or is gone."""


def order(path: str, verb: str, part: str | None = None, level: float | None = None) -> Reply:
    """Have the demo whose control socket is at `path` carry out one order; returns when it is done.  Raises `NoAnswer`."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(LONGEST_S)
            line.connect(path)
            line.sendall(json.dumps({"verb": verb, "part": part, "level": level}).encode() + b"\n")
            with line.makefile("rb") as answer:
                said = answer.readline()
        reply = json.loads(said) if said else None
    except (OSError, ValueError, RecursionError) as error:
        raise NoAnswer(str(error)) from None
    if reply is None:
        raise NoAnswer("it hung up")
    if not (isinstance(reply, dict) and isinstance(reply.get("code"), int) and isinstance(reply.get("text"), str)):
        raise NoAnswer(f"what it said is no answer to an order: {said[:100]!r}")
    return reply
