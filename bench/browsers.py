"""Many browsers that watch one monitor: just enough of RFC 6455, Engine.IO and Socket.IO to be told, and cheap."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import struct
from collections.abc import Sequence

from bench.asking import monotonic

_MARK = re.compile(rb'"reason":"update (\d+)"')
_PATIENCE_S = 20.0


class Browser:
    """One open page; it notes how long after each update it was told of it, or of a later one."""

    def __init__(self, host: str, port: int, sent_at: Sequence[float]) -> None:
        """`sent_at`: when each update was published, by its number; it grows meanwhile."""
        self._host, self._port = host, port
        self._sent_at = sent_at
        self._newest: int | None = None
        self.delays_s: list[float] = []
        self.pushes = 0

    async def open(self) -> None:
        """Connect, and wait for the snapshot."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=2**22)
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nUpgrade: websocket\r\n"
        self._writer.write(f"{head}Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        async with asyncio.timeout(_PATIENCE_S):
            answer = await self._reader.readuntil(b"\r\n\r\n")
            if b" 101 " not in answer:
                raise ConnectionError(f"the monitor answered {answer.splitlines()[0].decode()}")
            self._say(b"40")
            while not (await self._frame()).startswith(b'42["snapshot"'):
                pass

    async def watch(self) -> None:
        """Until it is closed."""
        try:
            while True:
                text = await self._frame()
                if text == b"2":
                    self._say(b"3")
                elif text.startswith(b'42["delta"'):
                    self._note(text)
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    def _note(self, text: bytes) -> None:
        self.pushes += 1
        found = _MARK.search(text)
        if found is None:
            return
        newest, now = int(found[1]), monotonic()
        if self._newest is not None:
            self.delays_s += [now - self._sent_at[number] for number in range(self._newest + 1, newest + 1)]
        self._newest = newest

    async def _frame(self) -> bytes:
        _, length = await self._reader.readexactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self._reader.readexactly(8))
        return await self._reader.readexactly(length)

    def _say(self, text: bytes) -> None:
        """A short frame, masked with zeros."""
        self._writer.write(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
