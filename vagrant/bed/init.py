"""Process 1 of a host of the netns backend: makes the host's own world, then starts its units and reaps.

    init.py STATE switch                      the outer namespaces of a bed: reaps, and by its death ends everything
    init.py STATE HOST ADDRESS CHECKOUT       a host: overlayfs over /, its own /run, /tmp and /dev, its units

It stands for systemd on these hosts, as little of it as they need.  A unit
is an executable file in /etc/bed/units.  It is started at boot, and again
two seconds after it ended, unless /run/bed/NAME.held says that it was ended
on purpose.  SIGHUP looks again: new units are started, units whose file was
touched are ended and started anew, held ones are ended.  SIGTERM is a clean
shutdown.  Only the standard library: run as `python3 -I -S`.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

UNITS = Path("/etc/bed/units")
ADDRESS = Path("/etc/bed/address")
RUN = Path("/run/bed")
LOGS = Path("/var/log/bed")

PAUSE_S = 2.0
"""Before a unit that ended is started again."""

SHUTDOWN_S = 20.0
"""For units to end by themselves."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SIGNALS = {signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM}
_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}


def call(*argv: str) -> None:
    """Run a program to its end; raises CalledProcessError."""
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


def mount(kind: str, where: Path, options: str = "") -> None:
    """A new file system at `where`."""
    call("mount", "-t", kind, *(["-o", options] if options else []), kind, str(where))


def disk(state: Path, host: str) -> Path:
    """The host's root: what was written to its disk, over what all hosts share, over this machine's own /."""
    disks = state / "disks"
    own, image = disks / host, disks / "image" / "upper"
    for name in ("upper", "work", "root"):
        (own / name).mkdir(parents=True, exist_ok=True)
    lower = f"{image}:/" if image.is_dir() and host != "image" else "/"
    root = own / "root"
    mount("overlay", root, f"lowerdir={lower},upperdir={own / 'upper'},workdir={own / 'work'}")
    return root


def devices(root: Path) -> None:
    """A /dev of its own, with what every program may expect."""
    dev = root / "dev"
    mount("tmpfs", dev, "mode=755,size=1m")
    for name, (major, minor) in _DEVICES.items():
        os.mknod(dev / name, 0o666 | 0o020000, os.makedev(major, minor))
        os.chmod(dev / name, 0o666)
    for name in ("pts", "shm", "mqueue"):
        (dev / name).mkdir()
    mount("devpts", dev / "pts", "newinstance,ptmxmode=0666,mode=0620")
    mount("tmpfs", dev / "shm", "mode=1777,size=64m")
    for name, target in (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        (dev / name).symlink_to(target)


def world(state: Path, host: str, checkout: Path) -> None:
    """Everything that this process and its children see from now on."""
    root = disk(state, host)
    devices(root)
    mount("proc", root / "proc")
    mount("sysfs", root / "sys")
    for name, mode in (("run", "755"), ("tmp", "1777"), ("var/tmp", "1777")):
        mount("tmpfs", root / name, f"mode={mode},size=64m")
    shown = {"vagrant": checkout / "vagrant", "wheels": state / "cache" / "wheels"}
    if host == "client":
        shown[str(checkout.relative_to("/"))] = checkout  # its probers run there, and may be below one of these new file systems
    for name, source in shown.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        call("mount", "--bind", "-o", "ro", str(source), str(root / name))
    old = root / "run" / "old"
    old.mkdir()
    call("pivot_root", str(root), str(old))
    os.chdir("/")
    call("umount", "-l", "/run/old")
    Path("/run/old").rmdir()
    Path("/run/lock").mkdir(mode=0o1777)
    socket.sethostname(host)


def network(address: str) -> None:
    """Take this address, or the one that was given to this host since, once the cable is in."""
    if ADDRESS.is_file():
        address = ADDRESS.read_text().strip()
    give_up_at = time.monotonic() + 60
    while not Path("/sys/class/net/eth0").exists():
        if time.monotonic() > give_up_at:
            sys.exit("init: nobody plugged in eth0")
        time.sleep(0.005)
    call("ip", "link", "set", "lo", "up")
    call("ip", "address", "add", f"{address}/24", "dev", "eth0")
    call("ip", "link", "set", "eth0", "up")


def limits() -> None:
    """As generous as this machine lets us be: many open files, and locked memory."""
    for kind, wanted in ((resource.RLIMIT_NOFILE, 65_536), (resource.RLIMIT_MEMLOCK, resource.RLIM_INFINITY)):
        try:
            resource.setrlimit(kind, (wanted, wanted))
        except ValueError:
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (hard, hard))


class Units:
    """The host's units: which should run, and which do."""

    def __init__(self) -> None:
        self._pids: dict[str, int] = {}
        self._begun_with: dict[str, int] = {}  # the time of its file when a unit was started
        self._not_before: dict[str, float] = {}
        self._ending: set[str] = set()

    def look(self) -> float | None:
        """Start and end what must be; how long until the next start is due, if one is."""
        there = {file.name: file.stat().st_mtime_ns for file in sorted(UNITS.glob("*"))} if UNITS.is_dir() else {}
        wanted = {name: made for name, made in there.items() if not (RUN / f"{name}.held").exists()}
        for name, pid in self._pids.items():
            if wanted.get(name) != self._begun_with[name] and name not in self._ending:
                self._ending.add(name)
                os.kill(pid, signal.SIGTERM)
        now, waits = time.monotonic(), []
        for name in wanted.keys() - self._pids.keys():
            wait = self._not_before.get(name, now) - now
            if wait > 0:
                waits.append(wait)
            else:
                self._start(name, wanted[name])
        return min(waits, default=None)

    def _start(self, name: str, made: int) -> None:
        with (LOGS / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [UNITS / name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, ()),
            )
        self._pids[name], self._begun_with[name] = process.pid, made
        process.returncode = 0  # `reap` collects it, not subprocess
        (RUN / f"{name}.pid").write_text(f"{process.pid}\n")

    def reap(self) -> None:
        """Collect everyone who ended, orphans too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for name in [name for name, unit in self._pids.items() if unit == pid]:
                del self._pids[name]
                self._ending.discard(name)
                (RUN / f"{name}.pid").unlink(missing_ok=True)
                changed = (UNITS / name).exists() and (UNITS / name).stat().st_mtime_ns != self._begun_with[name]
                on_purpose = changed or (RUN / f"{name}.held").exists()
                self._not_before[name] = time.monotonic() + (0 if on_purpose else PAUSE_S)
                print(f"init: {name} ended with {os.waitstatus_to_exitcode(status)}", flush=True)

    def end(self) -> None:
        """A clean shutdown."""
        for pid in self._pids.values():
            os.kill(pid, signal.SIGTERM)
        give_up_at = time.monotonic() + SHUTDOWN_S
        while self._pids and time.monotonic() < give_up_at:
            signal.sigtimedwait({signal.SIGCHLD}, 0.2)
            self.reap()


def environment() -> dict[str, str]:
    """What a unit finds, as under systemd."""
    return {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}


def reap_until_killed() -> NoReturn:
    """All that the outermost process of a bed does."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            signal.sigwait({signal.SIGCHLD})


def serve(units: Units) -> None:
    """Until SIGTERM."""
    while True:
        units.reap()
        due_s = units.look()
        news = signal.sigtimedwait(_SIGNALS, 3600 if due_s is None else due_s)
        if news and news.si_signo == signal.SIGTERM:
            return units.end()


def main() -> None:
    """Become process 1 of what the command line names."""
    state, name, *more = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    os.environ.clear()
    os.environ.update(environment())
    limits()
    if name == "switch":
        reap_until_killed()
    address, checkout = more
    world(Path(state), name, Path(checkout))
    network(address)
    for directory in (RUN, LOGS):
        directory.mkdir(parents=True, exist_ok=True)
    (RUN / "ready").touch()
    serve(Units())


if __name__ == "__main__":
    main()
