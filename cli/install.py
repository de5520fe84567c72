"""The environment of a checkout: `.venv` beside `./locum`, with the pinned requirements.

Run by `./locum` with the system's Python before anything is installed, so it
needs the standard library alone.  The record of what is installed is written
last: an installation that was cut short has none, and is made anew.  A lock on
the directory lets simultaneous first uses wait for one another.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

REQUIREMENTS = {"run": ("requirements.txt",), "test": ("requirements.txt", "requirements-dev.txt")}
"""What is needed to run Locum, and what its tests need."""

_NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|Failed to establish|name resolution|unreachable|ConnectTimeout|ProxyError"
    r"|Connection (refused|reset|aborted)|No matching distribution|ReadTimeout|SSLError",
    re.IGNORECASE,
)


class InstallError(Exception):
    """Nothing usable was installed; the next use tries again."""


class Environment:
    """One `.venv` and what is on record about it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.directory = root / ".venv"
        self.python = self.directory / "bin" / "python"

    def record(self, group: str) -> Path:
        """Where the text of the installed requirements is kept; `./locum` compares it."""
        return self.directory / f"installed-{group}"

    def wanted(self, group: str) -> str:
        """The text of the requirements as they are now."""
        return "".join((self.root / name).read_text(encoding="utf-8") for name in REQUIREMENTS[group])

    def is_installed(self, group: str) -> bool:
        record = self.record(group)
        return os.access(self.python, os.X_OK) and record.is_file() and record.read_text(encoding="utf-8") == self.wanted(group)

    def lock(self) -> int:
        """Hold the directory, waiting for whoever installs into it; the kernel lets go when we end."""
        while True:
            try:
                self.directory.mkdir(exist_ok=True)
                held = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
            except OSError as error:
                raise InstallError(f"cannot make {self.directory}: {error.strerror}: copy the checkout to a place of your own") from None
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"another use is installing into {self.directory}: waiting for it")
                fcntl.flock(held, fcntl.LOCK_EX)
            if self.directory.exists() and os.path.samestat(os.fstat(held), self.directory.stat()):
                return held
            os.close(held)

    def install(self, group: str) -> None:
        """Make the environment, or bring the present one up to the requirements."""
        sound = os.access(self.python, os.X_OK) and self.record("run").is_file()
        for other in REQUIREMENTS:
            self.record(other).unlink(missing_ok=True)
        if not sound:
            self._create()
        self._pip(REQUIREMENTS[group])
        for name in REQUIREMENTS:
            if set(REQUIREMENTS[name]) <= set(REQUIREMENTS[group]):
                fresh = self.record(name).with_suffix(".new")
                fresh.write_text(self.wanted(name), encoding="utf-8")
                fresh.replace(self.record(name))

    def _create(self) -> None:
        if not importlib.util.find_spec("venv") or not importlib.util.find_spec("ensurepip"):
            raise InstallError(f"{sys.executable} has no venv module: install it (Debian: apt install python3-venv)")
        # The interpreter's own versioned path: an upgrade to another version leaves a dangling link, which is seen.
        made = run([os.path.realpath(sys.executable), "-I", "-m", "venv", "--clear", str(self.directory)])
        if made.returncode:
            raise InstallError(f"cannot make {self.directory}: {last_line(made.stdout)}")

    def _pip(self, files: Sequence[str]) -> None:
        chosen = [word for name in files for word in ("-r", str(self.root / name))]
        done = run([str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", *chosen])
        if not done.returncode:
            return
        reason = last_line(done.stdout)
        if _NO_NETWORK.search(done.stdout):
            raise InstallError(f"cannot reach the package index: check the network, or set PIP_INDEX_URL or PIP_FIND_LINKS ({reason})")
        raise InstallError(f"pip failed: {reason}")


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """A command with its output kept; settings meant for another environment are not passed on."""
    foreign = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "VIRTUAL_ENV")
    environment = {key: value for key, value in os.environ.items() if key not in foreign}
    environment.setdefault("PIP_RETRIES", "2")
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )


def last_line(output: str) -> str:
    """What a failed command said last, an error of pip's before a mere remark."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith(("[notice]", "WARNING"))]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1][:300]


def say(text: str, end: str = "\n") -> None:
    print(f"locum: {text}", end=end, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """`install.py CHECKOUT run|test`: 0 when it is installed, 1 with one line of reason when not."""
    root, group = Path(arguments[0]), arguments[1]
    environment = Environment(root)
    try:
        held = environment.lock()
        if not environment.is_installed(group):
            started = time.clock_gettime(time.CLOCK_BOOTTIME)
            say(f"installing what is needed to {group} into {environment.directory} (half a minute) ...", end="\n")
            environment.install(group)
            ended = time.clock_gettime(time.CLOCK_BOOTTIME)
            say(f"installed in {ended - started:.0f} s")
        os.close(held)
    except InstallError as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"cannot install into {environment.directory}: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted: the next use installs anew")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
