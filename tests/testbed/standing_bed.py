"""A test-bed as a user has it: `vagrant/testbed` and the failure scripts, each a program that is run."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from waiting import until

from vagrant.bed import processes

CHECKOUT = Path(__file__).resolve().parents[2]
TESTBED = CHECKOUT / "vagrant" / "testbed"
FAILURES = CHECKOUT / "vagrant" / "failures"
HOMES = {"www": "http", "ftp": "ftp", "mail": "email"}

SOON_S = 90.0
"""What is asserted is that it comes, not when."""

Done = subprocess.CompletedProcess[str]


class StandingBed:
    """One bed in a directory of its own; whether it is up is up to who has it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("LOCUM_")} | {"LOCUM_TESTBED": str(state)}

    def testbed(self, *words: str, within_s: float = 120) -> Done:
        return self._run(TESTBED, *words, within_s=within_s)

    def fail(self, script: str, *words: str, within_s: float = 120) -> Done:
        return self._run(FAILURES / script, *words, within_s=within_s)

    def broken(self, script: str, *words: str) -> str:
        """What a failure script says that must succeed."""
        done = self.fail(script, *words)
        assert done.returncode == 0, f"{script} {' '.join(words)}: {done.stderr or done.stdout}"
        return done.stdout

    def on(self, host: str, *words: str) -> str:
        return self._said(self.testbed("on", host, *words))

    def client(self, *words: str) -> str:
        return self._said(self.testbed("client", *words))

    def status(self) -> dict[str, Any]:
        """What Locum says; empty while its SDS does not answer."""
        done = self.testbed("on", "sds", "locum", "status", "--json")
        found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {"servers": [], "services": []}
        return found

    def service(self, name: str) -> dict[str, Any]:
        return next(
            (service for service in self.status()["services"] if service["name"] == name), {"state": None, "holder": None, "epoch": 0}
        )

    def away(self) -> str:
        """What is not served at home under the home's address, with a secondary."""
        done = self.testbed("settled")
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def heal(self) -> None:
        """Everything mended, and everything at home."""
        assert self.fail("heal-all.sh").returncode == 0
        until(lambda: self.testbed("home").returncode == 0, SOON_S, every_s=0.3)

    def pids(self, host: str, *pattern: str) -> list[int]:
        """Of the processes on a host whose command line has this in it, by the host's own numbers."""
        done = self.testbed("on", host, "pgrep", "-f", "--", *pattern)
        return [int(line) for line in done.stdout.split()]

    def inits(self) -> dict[str, int]:
        return processes.inits(self.state)

    def served_by(self) -> str:
        """Who answers for www, as a client finds it by its name; empty if nobody does."""
        done = self.testbed("client", "curl", "-fsS", "-m", "2", "http://www.testbed.locum.test/whoami")
        return str(json.loads(done.stdout)["server"]) if done.returncode == 0 else ""

    def _run(self, program: Path, *words: str, within_s: float) -> Done:
        return subprocess.run(
            [program, *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=within_s,
            check=False,
        )

    def _said(self, done: Done) -> str:
        assert done.returncode == 0, done.stderr or done.stdout
        return done.stdout


def mounts_of(state: Path) -> list[str]:
    """The mounts below a bed's directory that any process of this machine sees, by the kernel's list of each."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            found |= {line for line in entry.read_text().splitlines() if f"{state}/" in line}
        except OSError:
            continue
    return sorted(found)
