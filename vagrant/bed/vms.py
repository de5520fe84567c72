"""The five hosts as virtual machines, by Vagrant, with libvirt or VirtualBox behind it: vagrant/Vagrantfile.

The outside world is this machine, which is on the private network too.
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

from vagrant.bed.backend import CHECKOUT, BedError, finished
from vagrant.bed.plan import CLIENT, Plan
from vagrant.bed.wire import Wire, at_a_host

UP_S = 3600.0
"""For five machines to be up with what they need: minutes with KVM, far longer where they are emulated."""

_TRIES = 3
"""`vagrant destroy` has said "done" while a machine still ran."""


class Machines:
    """One bed of virtual machines; their state is in the bed's own directory, and so is Vagrant's.

    Vagrant takes a name for the beginning of a machine's number, if any machine that it knows of has such a one,
    before it takes it for a name; `db` is hexadecimal.  So machines that exist are called by their numbers.
    """

    patience = 10.0
    has_client = False
    wheels_for: tuple[str, ...] = ("--for-debian-12",)

    def __init__(self, state: Path, plan: Plan) -> None:
        self.plan = plan
        self._dotfiles = state / "vagrant"
        self._ssh_config = state / "ssh-config"
        self._environment = {
            **os.environ,
            "VAGRANT_CWD": str(CHECKOUT / "vagrant"),
            "VAGRANT_DOTFILE_PATH": str(self._dotfiles),
            "LOCUM_WHEELS": str(state / "cache" / "wheels"),
        }

    def missing(self) -> list[str]:
        wanted = {"vagrant": "vagrant", "ssh": "openssh-client", "rsync": "rsync"}
        packages = {package for program, package in wanted.items() if not shutil.which(program)}
        if not shutil.which("virsh") and not shutil.which("VBoxManage"):
            packages.add("vagrant-libvirt libvirt-daemon-system libvirt-clients (or VirtualBox)")
        return [f"packages: apt install {' '.join(sorted(packages))}"] if packages else []

    def make(self, wheels: Path) -> None:
        self.end()
        self._dotfiles.mkdir(parents=True, exist_ok=True)
        self._vagrant("up", f"--provider={self._provider}", limit_s=UP_S)
        missing = [host.name for host in self.plan.hosts if not self._number(host.name)]
        if missing:
            raise BedError(
                f"Vagrant made no machine {' '.join(missing)}: it took the name for the number of another (vagrant global-status)"
            )
        self._learn_ways()

    def end(self) -> None:
        if not self._dotfiles.is_dir():
            return
        for _ in range(_TRIES):
            self._vagrant("destroy", "-f", *self._numbers(), limit_s=600)
            if not self._machines_left():
                break
        else:
            raise BedError(f"machines are left: {' '.join(self._machines_left())}: look with virsh list --all, or VBoxManage list vms")
        shutil.rmtree(self._dotfiles, ignore_errors=True)
        self._ssh_config.unlink(missing_ok=True)

    def is_up(self, host: str) -> bool:
        try:
            self.run(host, ["true"], limit_s=90)
        except BedError:
            return False
        return True

    def run(self, host: str, argv: Sequence[str], given: str = "", limit_s: float = 120) -> str:
        return finished(self._entrance(host, argv), given, limit_s, host)

    def become(self, host: str, argv: Sequence[str]) -> NoReturn:
        if host == CLIENT:
            self._become_client(argv)
        entrance = self._entrance(host, argv)
        os.execvp(entrance[0], entrance)

    def crash(self, host: str) -> float:
        """Not by `vagrant halt -f`: with libvirt that first lets the machine shut down in peace."""
        at = time.monotonic()
        self._control(host, "destroy", "poweroff")
        return at

    def boot(self, host: str) -> None:
        if self.is_up(host):
            raise BedError(f"{host} is up already")
        self._vagrant("up", "--no-provision", f"--provider={self._provider}", self._number(host) or host, limit_s=UP_S / 5)
        self._learn_ways()

    def freeze(self, host: str) -> float:
        at = time.monotonic()
        self._control(host, "suspend", "pause")
        return at

    def thaw(self, host: str) -> float:
        try:
            self._control(host, "resume", "resume")
        except BedError as error:
            # It runs.  Both programs take that for a mistake.
            if "paused" not in str(error) and "already" not in str(error):
                raise
        return time.monotonic()

    def spoil(self, wire: Wire) -> float:
        """At every host that is on, one end of its wires; not quite at once.  One that is off boots without faults."""

        def apply(name: str) -> None:
            try:
                self.run(name, ["nft", "-f", "-"], at_a_host(wire, self.plan.host(name), self.plan), 60)
            except BedError:
                if self.is_up(name):
                    raise

        with ThreadPoolExecutor() as several:
            list(several.map(apply, [host.name for host in self.plan.hosts]))
        return time.monotonic()

    @property
    def _provider(self) -> str:
        return "libvirt" if shutil.which("virsh") else "virtualbox"

    def _vagrant(self, *words: str, limit_s: float) -> str:
        return finished(["vagrant", *words], "", limit_s, "vagrant", self._environment)

    def _machines_left(self) -> list[str]:
        lines = self._vagrant("status", "--machine-readable", *self._numbers(), limit_s=300).splitlines()
        states = [line.split(",") for line in lines]
        return [words[1] for words in states if len(words) > 3 and words[2] == "state" and words[3] != "not_created"]

    def _number(self, host: str) -> str:
        """By what Vagrant knows the machine; empty if there is none."""
        try:
            return (self._dotfiles / "machines" / host / self._provider / "index_uuid").read_text().strip()
        except FileNotFoundError:
            return ""

    def _numbers(self) -> list[str]:
        """Of all machines that there are; if there are none Vagrant is asked without a name, which is for all."""
        return [number for host in self.plan.hosts if (number := self._number(host.name))]

    def _learn_ways(self) -> None:
        """How ssh reaches each machine: asked once, since each call of vagrant takes seconds."""
        self._ssh_config.write_text(self._vagrant("ssh-config", *self._numbers(), limit_s=300))
        self._ssh_config.chmod(0o600)

    def _entrance(self, host: str, argv: Sequence[str]) -> list[str]:
        if not self._ssh_config.exists():
            raise BedError("there is no bed: vagrant/testbed up --backend vagrant")
        options = ["-F", str(self._ssh_config), "-o", "ConnectTimeout=20", "-o", "LogLevel=ERROR"]
        return ["ssh", *options, host, "sudo", "-n", shlex.join(argv)]

    def _become_client(self, argv: Sequence[str]) -> NoReturn:
        """This machine, with db as its name server if we may say so (root): in a mount namespace of the program's own."""
        server = self.plan.host("db").address
        if os.getuid():
            os.execvp(argv[0], list(argv))
        resolver = self._ssh_config.with_name("resolv.conf")
        resolver.write_text(f"nameserver {server}\noptions timeout:1 attempts:2\n")
        script = 'mount --bind "$0" "$(readlink -f /etc/resolv.conf)" && exec "$@"'
        os.execvp("unshare", ["unshare", "-m", "sh", "-c", script, str(resolver), *argv])

    def _control(self, host: str, by_libvirt: str, by_virtualbox: str) -> None:
        number = (self._dotfiles / "machines" / host / self._provider / "id").read_text().strip()
        if self._provider == "libvirt":
            finished(["virsh", "-c", "qemu:///system", by_libvirt, number], "", 60, host)
        else:
            finished(["VBoxManage", "controlvm", number, by_virtualbox], "", 60, host)
