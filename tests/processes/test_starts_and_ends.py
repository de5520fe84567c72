"""How parts start in the wrong order or not at all, and how an agent ends: it hands over first."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from small_cluster import SmallCluster, listening

MakeCluster = Callable[..., SmallCluster]


def last_line(text: str) -> str:
    return text.splitlines()[-1]


def test_sigterm_hands_over_before_the_end(make_cluster: MakeCluster) -> None:
    """R14: the service is served elsewhere before the agent is gone; exit 0."""
    cluster = make_cluster("one", "two")
    parts = cluster.begin()
    before = cluster.settled("one", "two")
    parts["one"].process.send_signal(signal.SIGTERM)
    served = cluster.served("two")
    assert parts["one"].process.poll() is None, "it has handed over before it is gone"
    assert parts["one"].ended() == 0, parts["one"].said()
    assert served["epoch"] == before["epoch"] + 1
    kinds = [(event["kind"], event["server"]) for event in cluster.history() if event["service"] == "www"]
    released = kinds.index(("released", "one"))
    assert ("recorded", "one") in kinds[:released], "its target was the recorded secondary before it stopped"
    assert ("granted", "two") in kinds[released:]
    assert cluster.whoami("one") is None


def test_an_agent_waits_for_an_sds_that_is_not_there_yet(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    agents = [cluster.start("agent", cluster.agent_settings("one", {})), cluster.start("agent", cluster.agent_settings("two"))]
    assert cluster.locum("status").returncode == 3
    cluster.start("sds", cluster.sds_settings())
    cluster.settled("one", "two")
    assert all(agent.process.poll() is None for agent in agents)


def test_an_agent_whose_port_is_taken_is_refused(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one")
    with listening(cluster.servers["one"], 5760):
        agent = cluster.start("agent", cluster.agent_settings("one", {}))
        assert agent.ended() == 1
    assert f"cannot listen on {cluster.servers['one']} port 5760: already in use" in agent.said(), agent.said()
    assert "Traceback" not in agent.said()


@pytest.mark.parametrize("port", [5750, 5751])
def test_an_sds_whose_port_is_taken_is_refused(make_cluster: MakeCluster, port: int) -> None:
    cluster = make_cluster("one")
    with listening(cluster.sds_address, port):
        sds = cluster.start("sds", cluster.sds_settings())
        assert sds.ended() == 1
    assert f"cannot listen on {cluster.sds_address} port {port}: already in use" in sds.said(), sds.said()
    assert len(sds.said().splitlines()) == 1, sds.said()


def test_an_sds_whose_store_is_down_is_refused(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one")
    sds = cluster.start("sds", cluster.sds_settings(store="redis://:secret@127.0.0.1:1/0"))
    assert sds.ended() == 1
    assert "127.0.0.1" in last_line(sds.said()) and "secret" not in sds.said(), sds.said()
    assert len(sds.said().splitlines()) == 1, sds.said()


def test_an_sds_ends_cleanly_and_starts_again_where_it_was(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    parts = cluster.begin()
    before = cluster.settled("one", "two")
    parts["sds"].process.send_signal(signal.SIGTERM)
    assert parts["sds"].ended() == 0, parts["sds"].said()
    assert cluster.whoami("one") is not None
    cluster.start("sds", cluster.sds_settings())
    after = cluster.settled("one", "two")
    assert after["epoch"] == before["epoch"]
    assert [event["kind"] for event in cluster.history()].count("sds-started") == 2
