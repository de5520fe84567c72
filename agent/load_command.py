"""The owner's own measure of load: a program that prints a number, 0..1, and ends (P9, DESIGN section 5).

Whatever else it does, the last good number stands: it says nothing or something
else, it ends with another status than 0, it cannot be run, it takes too long.
The first line of that goes to the log at once, further ones once in
`REPEAT_S`; so does that it is good again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable

REPEAT_S = 60.0
"""At most so often it is said that the program is of no use."""

LONGEST_BYTES = 4_096
"""A program that prints more prints no number."""


class NoLevel(Exception):
    """A run of the program gave no number.  The last level stands."""


class LoadCommand:
    """The last number of a program that is run again and again."""

    def __init__(self, argv: tuple[str, ...], server: str, every_s: float, log: Callable[[str], None]) -> None:
        """`every_s`: between two runs, and how long one may take."""
        self._argv = argv
        self._environment = {"PATH": os.environ.get("PATH", os.defpath), "LOCUM_SERVER": server}
        self._every_s = every_s
        self._log = log
        self._complained_at: float | None = None
        self.level = 0.0
        """0..1; 0 until the first good number."""

    async def run(self) -> None:
        """For ever."""
        while True:
            started_at = _now()
            await self.look()
            await asyncio.sleep(max(0.0, started_at + self._every_s - _now()))

    async def look(self) -> None:
        """Run it once, and take its number if it gives one."""
        try:
            self.level = parse(await self._output())
        except NoLevel as error:
            self._complain(f"load_command: {self._argv[0]} {error}: the last loadlevel, {self.level:g}, stands")
            return
        if self._complained_at is not None:
            self._complained_at = None
            self._log(f"load_command: {self._argv[0]} gives a loadlevel again: {self.level:g}")

    def _complain(self, text: str) -> None:
        if self._complained_at is None or _now() - self._complained_at >= REPEAT_S:
            self._complained_at = _now()
            self._log(text)

    async def _output(self) -> bytes:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise NoLevel(f"cannot be run ({getattr(error, 'strerror', None) or error})") from None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._every_s):
                text = await _all(process.stdout)
                status = await process.wait()
        except TimeoutError:
            raise NoLevel(f"took longer than {self._every_s:g} s (load_command_every_s)") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and whatever it started
            await process.wait()
        if status != 0:
            raise NoLevel(f"ended with status {status}")
        return text


async def _all(stream: asyncio.StreamReader) -> bytes:
    text = b""
    while chunk := await stream.read(LONGEST_BYTES):
        text += chunk
        if len(text) > LONGEST_BYTES:
            raise NoLevel(f"printed more than {LONGEST_BYTES} bytes, where one number from 0 to 1 is due")
    return text


def parse(output: bytes) -> float:
    """The number that a run printed; raises `NoLevel`."""
    words = output.decode(errors="replace").split()
    with contextlib.suppress(ValueError):
        if len(words) == 1 and words[0].isascii() and 0.0 <= float(words[0]) <= 1.0:
            return abs(float(words[0]))  # not -0
    shown = " ".join(words)[:60]
    raise NoLevel(f"printed {shown!r}, where one number from 0 to 1 is due")


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
