"""A short program run to its end: a check, a stop.  It is bounded in time and in what it may say."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Mapping

import msgspec

from agent.spawning import DEFAULT_PATH

LONGEST_LINE = 300
"""Of the last line that a program says, so much is passed on."""

_TAIL = 4096


class Outcome(msgspec.Struct, frozen=True):
    """How a program ended."""

    status: int | None  # None: it took too long, and was killed with its whole session
    said: str = ""  # the end of its standard error
    output: bytes = b""  # its standard output, if that was wanted


async def run(argv: tuple[str, ...], environment: Mapping[str, str], limit_s: float) -> tuple[bool | None, str]:
    """Whether it ended with status 0, and in words how; None if it took longer, and was killed with its whole session.

    Only its own end is waited for: a descendant that keeps its standard error
    open holds up nothing.
    """
    try:
        outcome = await outcome_of(argv, environment, limit_s)
    except OSError as error:
        return False, f"{argv[0]}: {error.strerror}"
    if outcome.status is None:
        return None, f"{argv[0]} took longer than {limit_s:g} s"
    lines = outcome.said.strip().splitlines()
    said = lines[-1][:LONGEST_LINE] if lines else ""
    return outcome.status == 0, f"{argv[0]} ended with status {outcome.status}{': ' if said else ''}{said}"


async def outcome_of(argv: tuple[str, ...], environment: Mapping[str, str], limit_s: float, output_limit: int = 0) -> Outcome:
    """Run it to its end; up to `output_limit` bytes of its standard output are kept.  Raises OSError if it cannot be run."""
    said = _Tail(_TAIL)
    output = _Tail(output_limit) if output_limit else None
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env={"PATH": DEFAULT_PATH, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output.writing if output else asyncio.subprocess.DEVNULL,
            stderr=said.writing,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        said.close()
        if output:
            output.close()
        if isinstance(error, ValueError):  # words or an environment that no program can be given
            raise OSError(errno.EINVAL, str(error)) from None
        raise
    status: int | None = None
    try:
        said.begin()
        if output:
            output.begin()
        async with asyncio.timeout(limit_s):
            status = await process.wait()
    except TimeoutError:
        _kill_session(process.pid)
        await process.wait()
    finally:
        words, result = said.close(), output.close() if output else b""
    return Outcome(status, words.decode(errors="replace"), result)


class _Tail:
    """Reads a pipe as it fills, and keeps the end of what came."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._descriptor, self.writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.writing, True)
        self._kept = b""
        self._begun = False

    def begin(self) -> None:
        """The program has its end of the pipe."""
        os.close(self.writing)
        self._begun = True
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _read(self) -> bool:
        """Take in what is there; whether there may be more."""
        try:
            more = os.read(self._descriptor, 65_536)
        except BlockingIOError:
            return False
        self._kept = (self._kept + more)[-self._limit :]
        if not more:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        return bool(more)

    def close(self) -> bytes:
        """The end of what came."""
        if not self._begun:
            os.close(self.writing)
        while self._begun and self._read():
            pass
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        return self._kept


def _kill_session(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended in this moment
