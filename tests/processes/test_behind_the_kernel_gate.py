"""R6: real agents on hosts of their own, seen by a client on another: the kernel shuts the door when everything of ours is stopped.

They need root, for network namespaces and nftables.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
from conftest import MakeCluster
from hosts import why_no_gate
from small_cluster import PORT, SOON_S, SmallCluster
from waiting import until

from agent import adoption
from agent.listeners import listening

NO_GATE = why_no_gate()
pytestmark = pytest.mark.skipif(NO_GATE is not None, reason=str(NO_GATE))

BEHIND = {"standby": "hot", "failback": "manual"}
"""Its program listens at once, and nothing can activate it: hot only behind the gate."""

A_WHILE_S = 7.0
"""Longer than a runner goes without looking at what its server can run."""


def guards(cluster: SmallCluster, server: str) -> list[str]:
    """What status says protects that server."""
    return next((row["guards"] for row in cluster.status()["servers"] if row["name"] == server), [])


def ours(cluster: SmallCluster, server: str) -> list[adoption.Adopted]:
    """Everything that bears the mark of that server's agent."""
    return adoption.find(f"small/{server}@{os.path.realpath(cluster.directory / server)}")


def stop_all_but_the_service(cluster: SmallCluster, server: str, tether: int) -> list[int]:
    """SIGSTOP to tether, guard and runner at once: nobody is left who could kill the service, or shut a door."""
    pids = [tether, *(one.pid for one in ours(cluster, server) if one.service is None)]
    assert len(pids) == 3
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


def both_reached(cluster: SmallCluster, old: str, new: str) -> bool:
    """Whether a client reaches the old one after it reached the new one; asks for some time after that."""
    cluster.served(new)
    return any(cluster.whoami(old) for _ in range(10))


@pytest.mark.parametrize("gate", ["auto", "off"])
def test_a_service_that_outlives_all_of_ours_is_reached_by_nobody(make_cluster: MakeCluster, gate: str) -> None:
    """Without the gate it is: that is what the gate is for."""
    cluster = make_cluster("one", "two", on_hosts=True)
    cluster.start("sds", cluster.sds_settings())
    one = cluster.start("agent", cluster.agent_settings("one", {"failback": "manual"}, kernel_gate=gate))
    cluster.start("agent", cluster.agent_settings("two", kernel_gate=gate))
    cluster.settled("one", "two")
    (service,) = [process.pid for process in ours(cluster, "one") if process.service == "www"]
    stopped = stop_all_but_the_service(cluster, "one", one.process.pid)
    try:
        assert both_reached(cluster, "one", "two") is (gate == "off")
        assert adoption.stat_of(service) is not None, "it lives: nobody could kill it"
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    until(lambda: adoption.stat_of(service) is None, within_s=SOON_S)
    assert cluster.whoami("two")["epoch"] == 2
    cluster.settled("two", "one")
    if gate == "auto":
        until(lambda: "kernel gate" in guards(cluster, "one"), within_s=SOON_S)
        until(lambda: "8081" not in cluster.hosts["one"].run("nft", "list", "ruleset"), within_s=SOON_S)  # nothing of it runs
    else:
        assert "kernel gate" not in guards(cluster, "one")


def hot(cluster: SmallCluster, server: str) -> adoption.Adopted:
    """Wait until that server is hot, and give its standby."""
    cluster._until(lambda: cluster.service().get("standby") == "hot" and cluster.service()["secondary"] == server)
    (found,) = [one for one in ours(cluster, server) if one.service == "www"]
    assert found.epoch == 0
    return found


def listens(cluster: SmallCluster, server: str) -> bool:
    """Whether its program listens, as only its own agent can see."""
    return cluster.hosts[server].inside(lambda: listening(cluster.servers[server], PORT))


def told(cluster: SmallCluster, kind: str, server: str) -> str:
    """The text of the first such event of that server."""

    def found() -> str | None:
        return next((event["text"] for event in cluster.history() if (event["kind"], event["server"]) == (kind, server)), None)

    return str(until(found, within_s=SOON_S))


def cut_power(cluster: SmallCluster, server: str, tether: Any) -> None:
    """SIGKILL to all of it; stopped first, so that nobody outlives another long enough to react."""
    victims = [tether.process.pid, *(one.pid for one in ours(cluster, server))]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in victims:
            os.kill(pid, number)
    tether.process.wait()


def test_a_hot_standby_behind_the_gate_needs_no_activation(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two", on_hosts=True)
    parts = cluster.begin(BEHIND)
    standby = hot(cluster, "two")
    assert listens(cluster, "two") and cluster.whoami("two") is None
    until_at = time.monotonic() + A_WHILE_S
    while time.monotonic() < until_at:
        assert cluster.candidate("two")["why_not"] is None, "its own standby is nothing foreign"
        assert cluster.whoami("two") is None
    cut_power(cluster, "one", parts["one"])
    assert cluster.served("two")["server"] == "two"
    assert [one.pid for one in ours(cluster, "two") if one.service == "www"] == [standby.pid], "the very same process"
    assert told(cluster, "starting", "two") == "by opening the kernel gate before its hot standby"


def test_a_gate_that_somebody_flushes_is_shut_again(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two", on_hosts=True)
    cluster.begin(BEHIND)
    standby = hot(cluster, "two")
    cluster.hosts["two"].run("nft", "flush", "ruleset")
    until(lambda: cluster.whoami("two") is None, within_s=SOON_S)
    assert "locum" in cluster.hosts["two"].run("nft", "list", "tables")
    assert hot(cluster, "two").pid == standby.pid and cluster.whoami("one")["server"] == "one"


def test_an_agent_that_ends_leaves_no_table(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two", on_hosts=True)
    parts = cluster.begin(BEHIND)
    hot(cluster, "two")
    assert "locum.small.two" in cluster.hosts["two"].run("nft", "list", "tables")
    parts["two"].process.send_signal(signal.SIGTERM)
    assert parts["two"].ended() == 0
    assert cluster.hosts["two"].run("nft", "list", "tables") == ""


def test_without_the_gate_such_a_secondary_is_warm_and_says_so(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two", on_hosts=True)
    cluster.start("sds", cluster.sds_settings())
    cluster.start("agent", cluster.agent_settings("one", BEHIND))
    two = cluster.start("agent", cluster.agent_settings("two", kernel_gate="off"))
    cluster.settled("one", "two")
    cluster._until(lambda: cluster.service()["standby"] == "warm")
    assert "kernel gate" in told(cluster, "prepared", "two")
    assert not listens(cluster, "two") and "no kernel gate: it is off in the settings" in two.said()
