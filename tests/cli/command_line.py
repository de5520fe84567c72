"""The command line as a user runs it: real processes, and a real router in the place of the SDS."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bus import keys
from bus.keys import Trust
from bus.messages import Message
from bus.polling import Poller
from bus.sockets import Router
from bus.wire import Header

CHECKOUT = Path(__file__).resolve().parents[2]


def environment(**more: str) -> dict[str, str]:
    """This process's, with the checkout to import from and no cluster named by accident."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LOCUM_")}
    return kept | {"PYTHONPATH": str(CHECKOUT)} | more


def begin(*words: str, **more: Any) -> subprocess.Popen[str]:
    """`locum WORDS` as a process, its output to be read."""
    command = [sys.executable, "-P", "-m", "cli.main", *words]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment(), **(pipes | more))


def locum(*words: str, within_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """`locum WORDS` to its end."""
    process = begin(*words)
    out, err = process.communicate(timeout=within_s)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


class Answering:
    """A router that lets one operator and one viewer in and answers as it is told."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("sds", "operator", "viewer", "stranger"):
            keys.make(directory / f"{name}.key")
        public = {name: keys.load_public(directory / f"{name}.key.pub") for name in ("operator", "viewer")}
        trust = Trust.of({"operator": {"operator": public["operator"]}, "viewer": {"watcher": public["viewer"]}})
        self.router = Router("127.0.0.1", 0, keys.load_secret(directory / "sds.key"), trust, Header("test", "sds", "sds", 1))
        self.poller = Poller()
        self.poller.register(self.router)
        self.heard: list[tuple[Header, Message]] = []

    def options(self, who: str = "operator") -> list[str]:
        """How a command finds this router."""
        files = ["--key", str(self.directory / f"{who}.key"), "--sds-key", str(self.directory / "sds.key.pub")]
        name = "watcher" if who == "viewer" else who
        return ["--sds", f"127.0.0.1:{self.router.port}", "--cluster", "test", "--as", name, *files]

    def answer(
        self, words: list[str], reply: Callable[[Message], Message | None], who: str = "operator"
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, answering what it asks."""
        process = begin(*words, *self.options(who))
        while process.poll() is None:
            self.poller.wait(0.05)
            for connection, header, message in self.router.receive():
                self.heard.append((header, message))
                said = reply(message)
                if said is not None:
                    self.router.send(connection, said)
        out, err = process.communicate(timeout=10)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def close(self) -> None:
        """Free the port."""
        self.poller.unregister(self.router)
        self.router.close()
