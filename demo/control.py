"""Orders to the running demo, at both ends of its control socket (bus/demo_control.py)."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from bus import demo_control
from bus.demo_control import NoAnswer, Reply
from demo.presence import Running


def order(demo: Running, verb: str, part: str | None = None, level: float | None = None) -> Reply:
    """Have the demo carry out one order; returns when it is done.  Raises `NoAnswer`, which says which demo."""
    if not demo.control:
        raise NoAnswer(f"the running demo ({demo}) belongs to another user" if demo.state else f"the running demo ({demo})")
    try:
        return demo_control.order(demo.control, verb, part, level)
    except NoAnswer as silence:
        raise NoAnswer(f"the running demo ({demo}) does not answer: {silence}") from None


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
