"""Hosts of a test: network namespaces on one switch, made by the test and gone with it.  They need root."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from waiting import until

Answer = TypeVar("Answer")

_NEW_NET = 0x40000000  # CLONE_NEWNET
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace of its own, which lives as long as a process that does nothing."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        ours = os.readlink("/proc/self/ns/net")
        until(lambda: os.readlink(self._path) != ours, within_s=20)
        self.pid = self._holder.pid
        self.run("ip", "link", "set", "lo", "up")

    @property
    def _path(self) -> str:
        return f"/proc/{self._holder.pid}/ns/net"

    @property
    def prefix(self) -> list[str]:
        """Before a command, to have it run in there: it becomes that very process, without a fork."""
        return ["nsenter", f"--net={self._path}"]

    def run(self, *words: str) -> str:
        """A command in there, to its end; what it printed."""
        result = subprocess.run([*self.prefix, *words], capture_output=True, text=True, check=False, timeout=60)
        assert result.returncode == 0, f"{words}: {result.stderr}"
        return result.stdout

    def inside(self, work: Callable[[], Answer]) -> Answer:
        """What this function gives in there.  It has a thread of its own: a namespace is a thread's."""
        outcome: list[Any] = []

        def enter() -> None:
            try:
                with open(self._path) as path:
                    if _libc.setns(path.fileno(), _NEW_NET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                outcome.append((work(), None))
            except BaseException as error:
                outcome.append((None, error))

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        answer, error = outcome[0]
        if error is not None:
            raise error
        found: Answer = answer
        return found

    def reaches(self, address: str, port: int, within_s: float = 1.0) -> bool:
        """Whether a client in there can connect to that place."""

        def connect() -> bool:
            try:
                socket.create_connection((address, port), within_s).close()
            except OSError:
                return False
            return True

        return self.inside(connect)

    def end(self) -> None:
        """Nothing is left of it, once whatever still runs in there has ended."""
        self._holder.kill()
        self._holder.wait()


class Switch(Namespace):
    """What hosts are plugged into."""

    def __init__(self) -> None:
        super().__init__()
        self.run("ip", "link", "add", "bridge", "type", "bridge")
        self.run("ip", "link", "set", "bridge", "up")
        self._ports = 0

    def plug_in(self, address: str, prefix_length: int = 24) -> Namespace:
        """A new host with this address."""
        host = Namespace()
        self._ports += 1
        port = f"port{self._ports}"
        self.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(host.pid))
        self.run("ip", "link", "set", port, "master", "bridge", "up")
        host.run("ip", "link", "set", "eth0", "up")
        host.run("ip", "address", "add", f"{address}/{prefix_length}", "dev", "eth0", *(("nodad",) if ":" in address else ()))
        return host


def why_not() -> str | None:
    """Why such hosts cannot be had here."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [program for program in ("unshare", "nsenter", "ip") if shutil.which(program) is None]
    if missing:
        return f"{missing[0]} is not installed (Debian: util-linux, iproute2)"
    tried = subprocess.run(["unshare", "--net", "ip", "link", "add", "b0", "type", "bridge"], capture_output=True, text=True, check=False)
    return f"no network namespace with a bridge can be made here: {tried.stderr.strip()}" if tried.returncode else None


def why_no_gate() -> str | None:
    """Why the kernel gate cannot be tried here."""
    reason = why_not()
    if reason:
        return reason
    try:
        ctypes.CDLL("libnftables.so.1")
    except OSError:
        return "libnftables1 is not installed"
    tried = subprocess.run(["unshare", "--net", "nft", "add table inet locum-try"], capture_output=True, text=True, check=False)
    return f"nftables cannot be used here: {tried.stderr.strip()}" if tried.returncode else None
