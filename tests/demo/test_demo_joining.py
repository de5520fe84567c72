"""A fourth server joins a running demo by a token, stands by, serves, and leaves again."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_demo import SOON_S, RunningDemo, command, environment, locum
from waiting import until

EXTRA = "127.0.1.15"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Agents that a test starts, ended with it."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        for _ in range(2):  # the second SIGTERM ends it at once
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
        if process.poll() is None:
            process.kill()
            process.wait()


def test_an_extra_server_joins_and_leaves(demo: RunningDemo, agent: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    """P19: no administrator configures it; all that it needs is one line."""
    settings, log = tmp_path / "agent.toml", tmp_path / "agent.log"
    made = locum("token", "--valid", "10m")
    assert made.returncode == 0 and len(made.stdout.splitlines()) == 1, made.stderr
    where = ["--config", str(settings), "--state-dir", str(tmp_path / "state")]
    joined = locum("join", made.stdout.strip(), "--name", "extra", "--address", EXTRA, *where)
    assert joined.returncode == 0, joined.stderr
    assert "it can back up: ftp, mail, www" in joined.stdout
    assert locum("agent", "--config", str(settings), "--check").returncode == 0
    with log.open("wb") as said:
        agent.append(subprocess.Popen(command("agent", "--config", str(settings)), env=environment(), stdout=said, stderr=said))

    def stands_by() -> bool:
        row = next((row for row in demo.status()["servers"] if row["name"] == "extra"), None)
        offers = [c for service in demo.status()["services"] for c in service["candidates"] if c["server"] == "extra" and c["ok"]]
        return row is not None and (row["state"], row["address"]) == ("up", EXTRA) and len(offers) == 3

    until(stands_by, within_s=SOON_S, every_s=0.2)
    assert locum("move", "www", "extra").returncode == 0
    seen = demo.served("www", lambda server: server == "extra")
    assert seen.address == EXTRA, "its name was written with the settings that came with the answer"
    left = locum("leave", "extra")
    assert left.returncode == 0, left.stderr
    row = next(row for row in demo.status()["servers"] if row["name"] == "extra")
    assert row["state"] == "left"
    assert all(c["server"] != "extra" for service in demo.status()["services"] for c in service["candidates"])
    demo.served("www", lambda server: server != "extra")
    demo.settled(within_s=90)
