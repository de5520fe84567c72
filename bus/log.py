"""Lines on standard error: what happened, for people or for machines.

The wall clock is read here only to be printed (R2).  Nobody ever waits for who
reads the lines: rather a line is lost than a beat.
"""

from __future__ import annotations

import logging
import os
import select
import time
from datetime import datetime

import msgspec

from bus.timeline import Transition, line

_ENCODER = msgspec.json.Encoder()


def wall_clock() -> datetime:
    """The time of day, to be printed or stored for people; never to be reckoned with."""
    return datetime.fromtimestamp(time.time()).astimezone()  # wall clock, to print


class Log:
    """The lines of one part of one server."""

    def __init__(self, server: str, part: str, log_format: str = "text") -> None:
        self._server = server
        self._part = part
        self._json = log_format == "json"
        self._poller = select.poll()
        self._poller.register(2, select.POLLOUT)

    def __call__(self, text: str) -> None:
        """One line of free text."""
        self._write({"text": text}, f"{self._server:<7} {self._part:<6} {text}")

    def transition(self, transition: Transition) -> None:
        """One line of the timeline."""
        shown = {name: value for name, value in msgspec.to_builtins(transition).items() if value not in (None, {})}
        self._write(shown, line(transition))

    def _write(self, fields: dict[str, object], text: str) -> None:
        at = wall_clock()
        row = f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}  {text}".encode()
        if self._json:
            row = _ENCODER.encode({"at": at.isoformat(), "reporter": self._server, "part": self._part} | fields)
        try:
            if self._poller.poll(0):
                os.write(2, row + b"\n")
        except OSError:
            pass  # nobody reads it any more


class LogHandler(logging.Handler):
    """Lets what libraries and bus/refusals.py log come out the same way."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        self._log(record.getMessage())


def take_over_logging(log: Log) -> None:
    """From now on everything logged in this process goes to `log`."""
    root = logging.getLogger()
    root.handlers[:] = [LogHandler(log)]
    root.setLevel(logging.INFO)
