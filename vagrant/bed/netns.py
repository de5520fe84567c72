"""The five hosts on one machine: namespaces on a bridge, each host with its own disk, processes and name.

    this machine
      switch     process 1 of the bed's outer namespaces: bridge `lan`, the hosts' disks on tmpfs
        http     process 1 of a host: eth0 on the bridge's port `http`, overlayfs over /, bed/init.py
        ...

Everything hangs on the switch: when that process is killed, the kernel ends
every process, network and mount of the bed.  So a bed that was half-built by
a process that was killed is cleared away like any other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeVar

from vagrant.bed import processes
from vagrant.bed.backend import CHECKOUT, BedError, finished
from vagrant.bed.init import PATH
from vagrant.bed.plan import Host, Plan
from vagrant.bed.wire import Wire, at_the_switch

_PROGRAMS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "pivot_root": "util-linux",
    "ip": "iproute2",
    "nft": "nftables",
    "nginx": "nginx-light",
    "vsftpd": "vsftpd",
    "postfix": "postfix",
    "redis-server": "redis-server",
    "named": "bind9",
    "dig": "bind9-dnsutils",
    "curl": "curl",
    "ps": "procps",
    "su": "util-linux",
}
_AGENTS = Path("/usr/lib/ocf/resource.d/heartbeat/nginx")

DISK = "256m"
"""Of each host: what it writes beyond what all share.  In memory, so an fsync costs nothing here."""

_START_S = 60.0
_ENTER = ("-m", "-u", "-i", "-n", "-p")


_OVERLAY = ("--xattrs", "--xattrs-include=trusted.overlay.*")
"""What tar must keep of an upper directory beside files."""

Found = TypeVar("Found")


class Netns:
    """One bed of namespaces; several may stand beside each other, in other state directories."""

    patience = 1.0
    has_client = True
    wheels_for: tuple[str, ...] = ()

    def __init__(self, state: Path, plan: Plan) -> None:
        self.plan = plan
        self._state = state
        self._disks = state / "disks"
        self._logs = state / "logs"

    def missing(self) -> list[str]:
        if os.getuid():
            return ["root, to make namespaces"]
        path = f"{os.environ.get('PATH', '')}:{PATH}"
        packages = {package for program, package in _PROGRAMS.items() if not shutil.which(program, path=path)}
        if not _AGENTS.exists():
            packages.add("resource-agents")
        if subprocess.run(["/usr/bin/env", "/usr/bin/python3", "-c", "import ensurepip"], capture_output=True).returncode:
            packages.add("python3-venv")
        if not packages and subprocess.run(["unshare", "-m", "-n", "-p", "--fork", "true"], capture_output=True).returncode:
            return ["the right to make namespaces (CAP_SYS_ADMIN)"]
        return [f"packages: apt install {' '.join(sorted(packages))}"] if packages else []

    def make(self, wheels: Path) -> None:
        self.end()
        for directory in (self._disks, self._logs):
            directory.mkdir(parents=True, exist_ok=True)
        self._switch_on()
        self._install()
        for host in (*self.plan.hosts, self.plan.client):
            self._start(host)
        for host in (*self.plan.hosts, self.plan.client):
            self._await_ready(host)

    def end(self) -> None:
        switch = processes.inits(self._state).get("switch")
        if switch and not processes.kill_and_wait(switch, 30):
            raise BedError(f"process {switch}, the bed's outermost, does not die: look at /proc/{switch}/stack")
        _until(lambda: not processes.inits(self._state), 30, "hosts of the bed that outlived it")
        shutil.rmtree(self._disks, ignore_errors=True)

    def is_up(self, host: str) -> bool:
        init = processes.inits(self._state).get(host)
        return init is not None and Path(f"/proc/{init}/root/run/bed/ready").exists()

    def run(self, host: str, argv: Sequence[str], given: str = "", limit_s: float = 120) -> str:
        return finished([*self._entrance(host), *argv], given, limit_s, host)

    def become(self, host: str, argv: Sequence[str]) -> NoReturn:
        entrance = self._entrance(host)
        os.execvp(entrance[0], [*entrance, *argv])

    def crash(self, host: str) -> float:
        """The cable first: the kernel of a dead host's namespace can go on answering for its addresses (TRAPS 34)."""
        init = self._init(host)
        self._at_switch("ip", "link", "set", host, "down")
        at = time.monotonic()
        if not processes.kill_and_wait(init, 30):
            raise BedError(f"{host}: its process 1 ({init}) does not die")
        with suppress(BedError):
            self._at_switch("ip", "link", "delete", host)
        return at

    def boot(self, host: str) -> None:
        if host in processes.inits(self._state):
            raise BedError(f"{host} is up already")
        entry = self.plan.host(host)
        self._start(entry)
        self._await_ready(entry)

    def freeze(self, host: str) -> float:
        at = time.monotonic()
        for _ in range(2):  # the second time those that were forked meanwhile
            _signal(processes.inside(self._init(host)), signal.SIGSTOP)
        return at

    def thaw(self, host: str) -> float:
        _signal(processes.inside(self._init(host)), signal.SIGCONT)
        return time.monotonic()

    def spoil(self, wire: Wire) -> float:
        switch = self._init("switch")
        finished(["nsenter", "-t", str(switch), "-n", "nft", "-f", "-"], at_the_switch(wire), 30, "switch")
        return time.monotonic()

    def _switch_on(self) -> None:
        self._spawn("switch", ["unshare", "-p", "-n", "-m", "--propagation", "private", "--fork", "--kill-child"])
        _until(lambda: "switch" in processes.inits(self._state), _START_S, "the bed's outer namespaces")
        self._at_switch("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(self._disks))
        self._at_switch("ip", "link", "set", "lo", "up")
        self._at_switch("ip", "link", "add", "lan", "type", "bridge", "stp_state", "0", "forward_delay", "0")
        self._at_switch("ip", "link", "set", "lan", "up")

    def _install(self) -> None:
        """What all hosts share is installed once, on a host that is off afterwards and whose disk the others have below theirs."""
        image = Host("image", "127.0.0.2")
        kept = self._state / "cache" / f"image-{_recipe(self._state / 'cache' / 'wheels')}.tar"
        below = self._disks / "image" / "upper"
        if kept.exists():
            self._at_switch("mkdir", "-p", str(below))
            self._at_switch("tar", *_OVERLAY, "-C", str(below), "-xf", str(kept))
            return
        self._start(image)
        self._await_ready(image)
        self.run(image.name, ["/vagrant/provision/install.sh", "/wheels"], limit_s=300)
        self.crash(image.name)
        for old in kept.parent.glob("image-*.tar"):
            old.unlink()
        part = kept.with_suffix(".part")
        self._at_switch("tar", *_OVERLAY, "-C", str(below), "--exclude=./etc/bed", "--exclude=./var/log/bed", "-cf", str(part), ".")
        part.rename(kept)

    def _start(self, host: Host) -> None:
        switch, own = self._init("switch"), self._disks / host.name
        size = DISK if host.name != "image" else "1g"
        if subprocess.run(["nsenter", "-t", str(switch), "-m", "mountpoint", "-q", str(own)]).returncode:
            self._at_switch("mkdir", "-p", str(own))
            self._at_switch("mount", "-t", "tmpfs", "-o", f"mode=755,size={size}", "tmpfs", str(own))
        with suppress(BedError):
            self._at_switch("ip", "link", "delete", host.name)
        spaces = ["unshare", "-p", "-n", "-m", "-u", "-i", "--propagation", "private", "--fork", "--kill-child"]
        self._spawn(host.name, ["nsenter", "-t", str(switch), "-m", "-n", "-p", *spaces], host.address, str(CHECKOUT))
        init = _until(lambda: processes.inits(self._state).get(host.name), _START_S, f"{host.name}'s process 1")
        self._at_switch("ip", "link", "add", host.name, "type", "veth", "peer", "name", "eth0", "netns", str(init))
        self._at_switch("ip", "link", "set", host.name, "master", "lan", "up")

    def _await_ready(self, host: Host) -> None:
        def ready() -> bool:
            if host.name not in processes.inits(self._state):
                said = (self._logs / f"{host.name}.log").read_text(errors="replace").strip().splitlines()
                raise BedError(f"{host.name} did not start: {said[-1] if said else 'it said nothing'}")
            return self.is_up(host.name)

        _until(ready, _START_S, f"{host.name} to be up")

    def _spawn(self, role: str, spaces: Sequence[str], *more: str) -> None:
        with (self._logs / f"{role}.log").open("ab") as log:
            subprocess.Popen(
                [*spaces, *processes.argv_of_init(self._state, role, *more)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env={"PATH": PATH},
            )

    def _init(self, role: str) -> int:
        pid = processes.inits(self._state).get(role)
        if pid is None:
            raise BedError(f"{role} is down" if role != "switch" else "there is no bed: vagrant/testbed up")
        return pid

    def _entrance(self, host: str) -> list[str]:
        home = ["env", "-i", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8", f"TERM={os.environ.get('TERM', 'dumb')}"]
        return ["nsenter", "-t", str(self._init(host)), *_ENTER, "--", *home]

    def _at_switch(self, *argv: str) -> str:
        return finished(["nsenter", "-t", str(self._init("switch")), "-m", "-n", *argv], "", 60, "switch")


def _recipe(wheels: Path) -> str:
    """Names the image by all that it is made of."""
    digest = hashlib.sha256((CHECKOUT / "vagrant" / "provision" / "install.sh").read_bytes())
    digest.update((CHECKOUT / "vagrant" / "provision" / "files" / "srv" / "mail" / "postfix" / "main.cf").read_bytes())
    for wheel in sorted(wheels.glob("*.whl")):
        digest.update(wheel.name.encode() + str(wheel.stat().st_mtime_ns).encode())
    return digest.hexdigest()[:16]


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _until(condition: Callable[[], Found], within_s: float, what: str) -> Found:
    give_up_at = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > give_up_at:
            raise BedError(f"waited {within_s:g} s for {what}")
        time.sleep(0.01)
