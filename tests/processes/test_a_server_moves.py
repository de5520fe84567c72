"""P20: an agent reads its address anew on SIGHUP, and nothing of what it holds is touched by that."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from small_cluster import Part, SmallCluster
from waiting import until

MakeCluster = Callable[..., SmallCluster]


class Moved:
    """Servers one and two, with www at home on one, whose settings can be changed."""

    def __init__(self, cluster: SmallCluster) -> None:
        self.cluster = cluster
        self.new = f"{cluster.net}.31"
        cluster.start("sds", cluster.sds_settings(timing="wan"))
        self.settings = cluster.agent_settings("one", {}, timing="wan")
        self.one = cluster.start("agent", self.settings)
        cluster.start("agent", cluster.agent_settings("two", timing="wan"))
        self.before = cluster.settled("one", "two")

    def hang_up(self, old: str, new: str) -> None:
        """Change the settings, and tell the agent."""
        text = self.settings.read_text()
        assert old in text
        self.settings.write_text(text.replace(old, new, 1))
        self.one.process.send_signal(signal.SIGHUP)

    def says(self, words: str) -> None:
        until(lambda: words in self.one.said(), within_s=30)

    def at(self, address: str) -> bool:
        return any((row["name"], row["address"]) == ("one", address) for row in self.cluster.status()["servers"])


@pytest.fixture
def moved(make_cluster: MakeCluster) -> Moved:
    return Moved(make_cluster("one", "two"))


def test_p20_sighup_moves_a_server_and_leaves_its_leases_alone(moved: Moved) -> None:
    cluster, old = moved.cluster, moved.cluster.servers["one"]
    moved.hang_up(f'address = "{old}"', f'address = "{moved.new}"')
    until(lambda: moved.at(moved.new), within_s=30)
    cluster.servers["one"] = moved.new
    assert cluster.served("one")["epoch"] == moved.before["epoch"]
    assert cluster.settled("one", "two")["epoch"] == moved.before["epoch"]
    kinds = [event["kind"] for event in cluster.history()]
    assert kinds.count("moved") == 1 and not {"lapsed", "asking", "released"} & set(kinds)
    # the secondary must find it at the new address: only there it can ask for a release
    assert cluster.locum("move", "www", "two").returncode == 0
    cluster.settled("two", "one")


def test_sighup_with_the_same_settings_changes_nothing(moved: Moved) -> None:
    pid = _runner(moved.one)
    moved.one.process.send_signal(signal.SIGHUP)
    moved.says("SIGHUP: address =")
    assert moved.cluster.settled("one", "two")["epoch"] == moved.before["epoch"]
    assert _runner(moved.one) == pid and moved.one.process.poll() is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("address =", "adress =", "nothing is changed"),
        ('address = "127.', 'address = "127.0.0.0.', "nothing is changed"),
        ("[sds]", "peer_port = 5999\n[sds]", "only address comes into force"),
    ],
)
def test_what_cannot_be_taken_over_is_said_and_left(moved: Moved, old: str, new: str, words: str) -> None:
    moved.hang_up(old, new)
    moved.says(words)
    assert moved.cluster.settled("one", "two")["epoch"] == moved.before["epoch"]
    assert moved.at(moved.cluster.servers["one"])


def test_agent_that_has_no_address_yet_waits_for_one(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    cluster.start("sds", cluster.sds_settings())
    settings = cluster.agent_settings("one", {}, address="interface:nowhere0", peer_port=_free_port())
    one = cluster.start("agent", settings)
    until(lambda: "waiting for one" in one.said(), within_s=30)
    assert cluster.status()["servers"] == []
    settings.write_text(settings.read_text().replace("interface:nowhere0", cluster.servers["one"]))
    one.process.send_signal(signal.SIGHUP)
    cluster.served("one")


def _runner(part: Part) -> int:
    """The pid of the agent's runner."""
    children = Path(f"/proc/{part.process.pid}/task/{part.process.pid}/children").read_text().split()
    (found,) = [int(pid) for pid in children if b"agent.runner" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert os.path.exists(f"/proc/{found}")
    return found


def _free_port() -> int:
    """An agent that finds its address listens on all: its port must be nobody's at any."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
