"""Whether a demo runs on this machine, which, and how to speak to it.

A running demo is present on an abstract unix socket.  The kernel binds that
name once in a network namespace, exactly where the demo's addresses exist once,
and takes it back the moment the demo is gone: there is no stale file to be
mistaken for a demo.  Whoever connects is told pid, state directory and the
path of the control socket, which alone takes orders and is its owner's (0600).
The state directory has a lock of its own, against a demo elsewhere.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import socket
import struct
import tempfile
from pathlib import Path
from typing import NamedTuple

_NAME = "\0locum-demo-127.0.1.10"
_LONGEST_PATH = 100  # of sun_path's 108, some room left


class Running(NamedTuple):
    """A demo that runs; state and control are empty if it does not answer."""

    pid: int
    state: str
    control: str

    def __str__(self) -> str:
        return f"pid {self.pid}, state {self.state}" if self.state else f"pid {self.pid}, which does not answer"


class Occupied(Exception):
    """Another demo has these addresses or this state directory.  Nothing was started."""


def running(within_s: float = 1.0) -> Running | None:
    """The demo of this machine, if one runs and is this user's or another's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(within_s)
        try:
            line.connect(_NAME)
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        except OSError:
            return Running(0, "", "")
        pid, owner, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        try:
            with line.makefile("rb") as answer:
                told = json.loads(answer.read(65_536))
            if os.getuid() not in (owner, 0):
                return Running(pid, told["state"], "")
            return Running(pid, told["state"], told["control"])
        except (OSError, ValueError, KeyError):
            return Running(pid, "", "")


def control_path(state: Path) -> Path:
    """Where the demo of this state directory takes orders: in it, unless the path is too long for a socket."""
    path = state / "demo.sock"
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        return path
    mark = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime else Path(tempfile.gettempdir())
    return base / f"locum-{os.getuid()}-{mark}.sock"


class Presence:
    """This process is the demo: held until it ends, whichever way it ends."""

    def __init__(self, state: Path) -> None:
        """Claim the addresses and the state directory; raises `Occupied` naming the demo that has them."""
        self.state = state
        self.control = control_path(state)
        try:
            self._lock = os.open(state / "demo.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Occupied(f"{state}/demo.lock: {error.strerror}: is it another user's? name a place of your own with --state") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            first = os.pread(self._lock, 32, 0).decode(errors="replace").strip()
            os.close(self._lock)
            raise Occupied(f"a demo runs already (pid {first}, state {state}): end it first, or use it") from None
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._line.bind(_NAME)
        except OSError:
            self._line.close()
            os.close(self._lock)
            raise Occupied(f"a demo runs already ({running() or 'just ending'}): end it first, or use it") from None
        self._line.listen(64)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    async def announce(self) -> asyncio.Server:
        """Tell whoever connects which demo this is."""
        told = json.dumps({"pid": os.getpid(), "state": str(self.state), "control": str(self.control)}).encode()

        async def tell(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                writer.write(told)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
            except OSError:
                pass

        self._line.setblocking(False)
        return await asyncio.start_unix_server(tell, sock=self._line)

    def release(self) -> None:
        """Let another demo have the addresses and the state directory."""
        self._line.close()
        os.close(self._lock)
