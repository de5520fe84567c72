"""Servers that keep a service's files: real loops and disks; and a real database of files."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from agent.database import AnyFiles
from agent.depot import Depot, Part
from agent.files import Files
from bus.config import AgentConfig, SdsAddress
from bus.files_settings import FilesSettings
from bus.log import Log
from bus.messages import Message
from bus.values import ServiceDefinition
from sds.door import Door
from sds.valkey import Valkey

PASSWORD = "a-password-of-tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Store:
    """An embedded store with a door."""

    def __init__(self, home: Path, cluster: str = "demo") -> None:
        self.door = Door(cluster, "127.0.0.1", free_port(), PASSWORD)
        self.valkey = Valkey(home, self.door)
        self.valkey.start(within_s=60)
        self.password = home / "files.password"
        self.password.touch(mode=0o600)
        self.password.write_text(PASSWORD + "\n")

    @property
    def settings(self) -> FilesSettings:
        return FilesSettings(url=f"redis://files@127.0.0.1:{self.door.port}/0", password_file=str(self.password))

    def files(self, cluster: str = "demo") -> Files:
        return Files(self.settings, cluster, within_s=20.0)


class Server:
    """A server's depot and disk, and what it is for the service."""

    def __init__(self, name: str, directory: Path, files: AnyFiles | None, part: Part) -> None:
        self.root = directory / name / "root"
        config = AgentConfig(
            cluster="demo",
            name=name,
            address="127.0.0.1",
            state_dir=str(directory / name / "state"),
            key_file="unused",
            sds=SdsAddress(public_key_file="unused"),
            files=FilesSettings(url="redis://unused", root=str(self.root)) if files else None,
        )
        self.part = part
        self.told: list[Message] = []
        self.depot = Depot(config, Log(name, "runner"), files)
        self.depot.part_of = lambda _: self.part
        self.depot.tell = self.told.append

    def page(self, text: str | None = None, path: str = "/srv/www/index.html") -> str | None:
        """What a file of the service says here; with a text, after that was written."""
        file = self.root / path[1:]
        if text is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return file.read_text() if file.exists() else None


def play(story: Callable[[], Awaitable[None]], service: ServiceDefinition, *servers: Server) -> None:
    """What a test tells, while the loops of these servers run."""

    async def main() -> None:
        runs = [asyncio.ensure_future(server.depot.run(lambda: [service])) for server in servers]
        try:
            await asyncio.wait_for(story(), 200)
        finally:
            for server, run in zip(servers, runs, strict=True):
                server.depot.close()
                run.cancel()

    asyncio.run(main())


async def comes(condition: Callable[[], object]) -> None:
    """Wait for a fact."""
    end = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < end, "not within 40 s"
        await asyncio.sleep(0.02)
