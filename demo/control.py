"""Orders to the running demo: one line of JSON each way over its control socket."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from demo.presence import Running

Reply = dict[str, Any]
"""`{"code": 0 or 1, "text": str}`, and `"processes"` as the answer to `ps`."""

LONGEST_S = 60.0
"""No order takes longer: an agent's clean stop is the slowest."""


class NoAnswer(Exception):
    """The demo is there and does not answer: it is paused, or just ending."""


def order(demo: Running, verb: str, part: str | None = None, level: float | None = None) -> Reply:
    """Have the demo carry out one order; returns when it is done."""
    if not demo.control:
        raise NoAnswer(f"the running demo ({demo}) belongs to another user" if demo.state else f"the running demo ({demo})")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(LONGEST_S)
        try:
            line.connect(demo.control)
            line.sendall(json.dumps({"verb": verb, "part": part, "level": level}).encode() + b"\n")
            with line.makefile("rb") as answer:
                reply: Reply = json.loads(answer.readline())
        except (OSError, ValueError) as error:
            raise NoAnswer(f"the running demo ({demo}) does not answer: {error}") from None
    return reply


async def serve(path: Path, obey: Callable[[str, str | None, float | None], Awaitable[Reply]]) -> asyncio.Server:
    """Take orders at `path`, which only its owner may open; whatever lies there is of a demo that is gone."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = json.loads(await reader.readline())
            level = asked.get("level")
            reply = await obey(str(asked["verb"]), asked.get("part"), None if level is None else float(level))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reply = {"code": 1, "text": f"not an order: {error}"}
        except OSError:
            return
        try:
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except OSError:
            pass

    path.unlink(missing_ok=True)
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        line.bind(os.fspath(path))
    finally:
        os.umask(before)
    return await asyncio.start_unix_server(converse, sock=line)
