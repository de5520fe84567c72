"""Every test of this directory meets the demo's name server and BIND 9 alike."""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from authorities import NAMED, ZONE, Authority

from agent.dns import NameWriter
from agent.dns_twin import NamesTwin, ZoneTwin


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Authority]]:
    """Running name servers by kind, started on first use."""
    running: dict[str, Authority] = {}

    def running_one(kind: str) -> Authority:
        if kind == "bind" and NAMED is None:
            pytest.skip("no BIND 9 here: install the package bind9 to have these tests run against it")
        if kind not in running:
            server = Authority(kind, tmp_path_factory.mktemp(kind))
            server.start()
            running[kind] = server
        return running[kind]

    yield running_one
    for server in running.values():
        server.end()


@pytest.fixture(params=["demo", "bind"])
def authority(request: pytest.FixtureRequest, servers: Callable[[str], Authority]) -> Authority:
    """A running name server; tests share it, each under a name of its own."""
    return servers(request.param)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name in the zone that no other test uses."""
    readable = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return f"{readable[:50]}-{zlib.crc32(request.node.nodeid.encode()):x}.{ZONE}."


@pytest.fixture
def demo_server(tmp_path: Path) -> Iterator[Authority]:
    """A demo name server of this test alone, not yet started."""
    server = Authority("demo", tmp_path)
    yield server
    if server.process is not None:
        server.end()


@pytest.fixture(params=["demo", "bind", "twin"])
def writer(request: pytest.FixtureRequest, servers: Callable[[str], Authority]) -> Callable[[], NameWriter]:
    """Makes writers to one authority, real or the twin."""
    if request.param == "twin":
        zone = ZoneTwin()
        return lambda: NamesTwin(zone)
    return servers(request.param).names
