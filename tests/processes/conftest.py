from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hosts import Switch
from running_demo import RunningDemo, one_demo
from small_cluster import SmallCluster

MakeCluster = Callable[..., SmallCluster]


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[MakeCluster]:
    """Small clusters of these servers, of which nothing is started yet; ended with the test."""
    made: list[SmallCluster] = []
    switches: list[Switch] = []

    def make(*servers: str, on_hosts: bool = False) -> SmallCluster:
        directory = tmp_path / f"cluster{len(made)}"
        directory.mkdir()
        made.append(SmallCluster(directory, servers))
        if on_hosts:
            switches.append(Switch())
            made[-1].move_to_hosts(switches[-1])
        return made[-1]

    yield make
    for cluster in made:
        cluster.end()
    for namespace in [*(host for cluster in made for host in cluster.hosts.values()), *switches]:
        namespace.end()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """One demo for all tests of a file."""
    yield from one_demo(tmp_path_factory.mktemp("demo") / "state")


@pytest.fixture
def demo(running: RunningDemo) -> RunningDemo:
    """That demo with every part up and every service at home."""
    running.settled(within_s=90)
    return running
