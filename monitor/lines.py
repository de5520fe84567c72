"""The network connection under a web socket: all is sent, or the connection is cut.

simple-websocket sends with `send`, which on gevent's sockets may take but a
part: of a large snapshot the rest would be lost.  And a browser that does not
read would hold its messages for ever (TRAPS: a stuck web socket's queue only
grows), so it is cut off after `SEND_S`.
"""

from __future__ import annotations

import errno
import socket
from types import SimpleNamespace
from typing import Any

import gevent

SEND_S = 10.0
"""A browser that takes nothing for so long is cut off."""


class Line:
    """A connected socket as simple-websocket uses it."""

    def __init__(self, wrapped: Any, send_s: float = SEND_S) -> None:
        self.spoken = False
        """Whether a web socket was begun on it."""
        self._socket = wrapped
        self._send_s = send_s
        self._cut = False

    def send(self, data: bytes) -> int:
        """Send all of it; raises `OSError` once the other end does not read."""
        self.spoken = True
        if self._cut:
            raise OSError(errno.EPIPE, "cut off")
        try:
            with gevent.Timeout(self._send_s, TimeoutError):
                self._socket.sendall(data)
        except TimeoutError:
            self.cut()
            raise OSError(errno.EPIPE, "cut off: it does not read") from None
        return len(data)

    def recv(self, size: int) -> bytes:
        """What came in; empty at the end."""
        received: bytes = self._socket.recv(size)
        return received

    def cut(self) -> None:
        """No more in either direction; whoever waits for it wakes up."""
        self._cut = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        """Give it back to the system."""
        self._socket.close()

    def dup(self) -> Line:
        """There is but one of it."""
        raise NotImplementedError

    def fileno(self) -> int:
        """Its descriptor."""
        number: int = self._socket.fileno()
        return number


class LineInput:
    """In the place of a request's body: where simple-websocket looks for the connection under gevent's server."""

    def __init__(self, line: Line) -> None:
        self.raw = SimpleNamespace(_sock=line)
