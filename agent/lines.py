"""The line between two parts of an agent: whole messages, in order, never waiting.

A line is one end of an AF_UNIX SOCK_SEQPACKET socket pair.  What the kernel
does not take at once is kept in order and sent by `flush`; a message longer
than a packet travels in pieces, so a table of any size passes whatever
net.core.wmem_max is.  The end of a process is the end of its line.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import deque

import msgspec

from agent import channel
from agent.channel import Line

PIECE_BYTES = 60_000
"""The longest packet; a longer message is sent in several."""

BACKLOG_BYTES = 4 * 1024 * 1024
"""A peer that has left this much unread is taken for dead."""

_WANTED_BUFFER_BYTES = 1024 * 1024
_CONTROL_BYTES = socket.CMSG_SPACE(8 * 4)  # eight descriptors
_MORE, _LAST = b"m", b"l"


class LineError(Exception):
    """What came in is no line of ours.  The line is closed; its other end is to be started anew."""


def pair() -> tuple[socket.socket, socket.socket]:
    """The two ends of a new line; neither is inherited by default."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class LineSocket:
    """One end of a line; the socket is its own from now on.

    `closed` turns true when the other end is gone and all it said has been
    received, or when this end was closed.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _WANTED_BUFFER_BYTES)
        self._sock = sock
        self._backlog: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._backlog_bytes = 0
        self._pieces: list[bytes] = []
        self._fds: list[int] = []
        self._deaf = False  # the other end takes nothing any more; it may still have said something
        self.closed = False

    @classmethod
    def inherited(cls, fd: int) -> LineSocket:
        """The end whose number stood on the command line; raises OSError if there is none."""
        sock = socket.socket(fileno=fd)
        sock.set_inheritable(False)
        return cls(sock)

    def fileno(self) -> int:
        """For a poller; -1 once closed here."""
        return self._sock.fileno()

    @property
    def wants_write(self) -> bool:
        """Something waits for the kernel: poll for POLLOUT too, then `flush`."""
        return bool(self._backlog)

    def send(self, line: Line, fds: tuple[int, ...] = ()) -> bool:
        """Say this after all that was said before; file descriptors go along with it and are closed here.

        False: the line is closed, or the other side has not read for so long
        that its backlog is full; the message is dropped whole.
        """
        message = channel.encode(line)
        full = self._backlog_bytes > 0 and self._backlog_bytes + len(message) > BACKLOG_BYTES
        if self.closed or self._deaf or full:
            _close_all(fds)
            return False
        self._append(message, fds)
        self.flush()
        return not self._deaf

    def _append(self, message: bytes, fds: tuple[int, ...]) -> None:
        for start in range(0, len(message), PIECE_BYTES):
            last = start + PIECE_BYTES >= len(message)
            packet = (_LAST if last else _MORE) + message[start : start + PIECE_BYTES]
            self._backlog.append((packet, fds if last else ()))
            self._backlog_bytes += len(packet)

    def flush(self) -> None:
        """Give the kernel what it takes now."""
        while self._backlog:
            packet, fds = self._backlog[0]
            try:
                if fds:
                    socket.send_fds(self._sock, [packet], fds)
                else:
                    self._sock.send(packet)
            except BlockingIOError:
                return
            except OSError:  # EPIPE, ECONNRESET: nobody is there
                self._deaf = True
                self._drop_backlog()
                return
            self._backlog.popleft()
            self._backlog_bytes -= len(packet)
            _close_all(fds)

    def receive(self, limit: int = 500) -> list[tuple[Line, tuple[int, ...]]]:
        """What has come in, at most `limit` lines, with the file descriptors that came along.

        Raises `LineError` on what is no line, and closes.
        """
        lines: list[tuple[Line, tuple[int, ...]]] = []
        while len(lines) < limit and not self.closed:
            packet = self._packet()
            if not packet:
                break
            self._pieces.append(packet[1:])
            if packet[:1] == _MORE:
                continue
            message, self._pieces = b"".join(self._pieces), []
            fds, self._fds = tuple(self._fds), []
            try:
                lines.append((channel.decode(message), fds))
            except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                _close_all(fds)
                self.close()
                raise LineError(f"malformed line of {len(message)} bytes: {error}") from None
        return lines

    def _packet(self) -> bytes:
        """The next packet, or nothing; its descriptors are added to `_fds`."""
        resets = 0
        while True:
            try:
                # Not socket.recv_fds: in Python 3.11 it forgets the flags.
                packet, control, _, _ = self._sock.recvmsg(PIECE_BYTES + 1, _CONTROL_BYTES, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return b""
            except ConnectionResetError:
                # The other end closed with something unread.  The kernel says so once, before what is still queued for us.
                resets += 1
                if resets < 3:
                    continue
                packet, control = b"", []
            except OSError:
                packet, control = b"", []
            for level, kind, payload in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    self._fds.extend(struct.unpack(f"{len(payload) // 4}i", payload))
            if not packet:
                self.close()
            return packet

    def close(self) -> None:
        """Close this end; what was not sent is dropped."""
        self.closed = True
        self._drop_backlog()
        _close_all(tuple(self._fds))
        self._fds.clear()
        self._sock.close()

    def _drop_backlog(self) -> None:
        for _, fds in self._backlog:
            _close_all(fds)
        self._backlog.clear()
        self._backlog_bytes = 0


def _close_all(fds: tuple[int, ...]) -> None:
    for fd in fds:
        os.close(fd)
