"""Hosts as network namespaces on one bridge: their addresses can be changed while they run (root, and the command `ip`)."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

_IP = shutil.which("ip") or "/usr/sbin/ip"
_CLONE_NEWNET = 0x40000000
_numbers = itertools.count(1)

Found = TypeVar("Found")


def why_not() -> str:
    """Why there can be no such hosts here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not os.path.exists(_IP):
        return "there is no command `ip`: install iproute2"
    probe = f"locum-{os.getpid()}-probe"
    made = _ip("netns", "add", probe, check=False)
    if made.returncode:
        return f"network namespaces cannot be made here: {made.stderr.strip()}"
    _ip("netns", "del", probe)
    return ""


def _ip(*words: str, check: bool = True, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([_IP, *words], input=given, capture_output=True, text=True, check=check, timeout=30)


class Network:
    """A bridge, and hosts on it, each with one interface eth0."""

    def __init__(self) -> None:
        self._prefix = f"locum-{os.getpid()}-{next(_numbers)}"
        self._hosts: list[str] = []

    def namespace(self, host: str) -> str:
        """The name of a host's namespace: of this run alone."""
        return f"{self._prefix}-{host}"

    def begin(self) -> None:
        """The bridge, in a namespace of its own, so that nothing is left in this one."""
        self._add("bridge")
        self._in("bridge", "link add br0 type bridge", "link set br0 up")

    def add(self, host: str, *addresses: str) -> None:
        """A host with these addresses, each with its prefix length."""
        self._add(host)
        self._in("bridge", f"link add {host} type veth peer name eth0 netns {self.namespace(host)}")
        self._in("bridge", f"link set {host} master br0", f"link set {host} up")
        self._in(host, "link set lo up", "link set eth0 up", *(self._addition(address) for address in addresses))

    def readdress(self, host: str, gone: tuple[str, ...], new: tuple[str, ...]) -> None:
        """Take addresses away and give others, as one batch."""
        self._in(host, *(f"address del {address} dev eth0" for address in gone), *(self._addition(address) for address in new))

    def words(self, host: str) -> tuple[str, ...]:
        """The words before a command that is to run on a host; they become that command."""
        return (_IP, "netns", "exec", self.namespace(host))

    def end(self) -> None:
        """Remove every namespace, and with them bridge and links."""
        while self._hosts:
            _ip("netns", "del", self.namespace(self._hosts.pop()), check=False)

    @contextlib.contextmanager
    def inside(self, host: str) -> Iterator[Callable[[Callable[[], Found]], Found]]:
        """Do things on a host: a thread of this process is there, as only one thread may be elsewhere."""
        place = os.open(f"/run/netns/{self.namespace(host)}", os.O_RDONLY | os.O_CLOEXEC)

        def do(work: Callable[[], Found]) -> Found:
            found: list[Found] = []
            failed: list[BaseException] = []

            def there() -> None:
                if ctypes.CDLL(None, use_errno=True).setns(place, _CLONE_NEWNET):
                    failed.append(OSError(ctypes.get_errno(), "setns"))
                    return
                try:
                    found.append(work())
                except BaseException as error:
                    failed.append(error)

            thread = threading.Thread(target=there)
            thread.start()
            thread.join()
            if failed:
                raise failed[0]
            return found[0]

        try:
            yield do
        finally:
            os.close(place)

    def _addition(self, address: str) -> str:
        # without duplicate address detection: that is a second in which the address cannot be used
        return f"address add {address} dev eth0" + (" nodad" if ":" in address else "")

    def _add(self, host: str) -> None:
        _ip("netns", "add", self.namespace(host))
        self._hosts.append(host)

    def _in(self, host: str, *commands: str) -> None:
        _ip("-n", self.namespace(host), "-batch", "-", given="\n".join(commands) + "\n")
