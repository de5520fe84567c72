"""A short program run to its end: a check, a stop.  It is bounded in time and in what it may say."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping

from agent.spawning import DEFAULT_PATH

LONGEST_LINE = 300
"""Of the last line that a program says, so much is passed on."""

_TAIL = 4096


async def run(argv: tuple[str, ...], environment: Mapping[str, str], limit_s: float) -> tuple[bool | None, str]:
    """Whether it ended with status 0, and in words how; None if it took longer, and was killed with its whole session.

    Only its own end is waited for: a descendant that keeps its standard error
    open holds up nothing.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    tail = _Tail(reading)
    try:
        os.set_blocking(writing, True)
        process = await asyncio.create_subprocess_exec(
            *argv,
            env={"PATH": DEFAULT_PATH, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=writing,
            start_new_session=True,
        )
    except OSError as error:
        tail.close()
        return False, f"{argv[0]}: {error.strerror}"
    finally:
        os.close(writing)
    try:
        async with asyncio.timeout(limit_s):
            status = await process.wait()
    except TimeoutError:
        _kill_session(process.pid)
        await process.wait()
        return None, f"{argv[0]} took longer than {limit_s:g} s"
    finally:
        said = tail.close()
    return status == 0, f"{argv[0]} ended with status {status}{': ' if said else ''}{said}"


class _Tail:
    """Reads a pipe as it fills, and keeps the end of what came."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._kept = b""
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> bool:
        """Take in what is there; whether there may be more."""
        try:
            more = os.read(self._descriptor, 65_536)
        except BlockingIOError:
            return False
        self._kept = (self._kept + more)[-_TAIL:]
        if not more:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        return bool(more)

    def close(self) -> str:
        """The last line that came."""
        while self._read():
            pass
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        lines = self._kept.decode(errors="replace").strip().splitlines()
        return lines[-1][:LONGEST_LINE] if lines else ""


def _kill_session(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended in this moment
