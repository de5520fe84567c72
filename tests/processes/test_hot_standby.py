"""Section 5: a hot secondary of real processes: up, shut, activated; and every way in which that fails."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pytest
from conftest import MakeCluster
from small_cluster import PORT, SmallCluster
from waiting import until

from agent import adoption
from agent.listeners import listening
from demo.layout import ACTIVATE

HOT = {"standby": "hot", "activate": ACTIVATE, "failback": "manual"}
OPEN_AT_ONCE = ["/bin/sh", "-c", 'unset LOCUM_STANDBY; exec "$0" -P -m demo.services.http']


def standby(cluster: SmallCluster, server: str) -> adoption.Adopted | None:
    """The process of www on that server that has no epoch."""
    mark = f"small/{server}@{os.path.realpath(cluster.directory / server)}"
    return next((one for one in adoption.find(mark, "www") if one.epoch == 0), None)


def hot(cluster: SmallCluster, server: str) -> adoption.Adopted:
    """Wait until that server is www's secondary, and hot."""
    cluster._until(lambda: cluster.service().get("standby") == "hot" and cluster.service()["secondary"] == server)
    found = standby(cluster, server)
    assert found is not None
    return found


def told(cluster: SmallCluster, kind: str, server: str) -> str:
    """The text of the first such event of that server."""

    def found() -> str | None:
        return next((event["text"] for event in cluster.history() if (event["kind"], event["server"]) == (kind, server)), None)

    return str(cluster._until(found))


def cut_power(cluster: SmallCluster, server: str, parts: dict[str, Any]) -> None:
    """SIGKILL to the tether's whole family at once: stopped first, so that nobody outlives another long enough to react."""
    mark = f"small/{server}@{os.path.realpath(cluster.directory / server)}"
    victims = [parts[server].process.pid, *(one.pid for one in adoption.find(mark))]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in victims:
            os.kill(pid, number)
    parts[server].process.wait()


def test_a_hot_standby_is_shut_and_takes_over_as_it_is(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    parts = cluster.begin(HOT)
    cluster.settled("one", "two")
    process = hot(cluster, "two")
    assert not listening(cluster.servers["two"], PORT), "it is started, but shut"
    cut_power(cluster, "one", parts)
    answer = cluster.served("two")
    assert (answer["server"], answer["epoch"]) == ("two", 2)
    assert adoption.stat_of(process.pid) is not None and standby(cluster, "two").pid == process.pid, "the very same process"
    assert "activating" in told(cluster, "starting", "two")


def test_a_standby_that_dies_is_started_again(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    cluster.begin(HOT)
    first = hot(cluster, "two")
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: (found := standby(cluster, "two")) and found.pid != first.pid, within_s=30)
    assert "signal 9" in told(cluster, "unprepared", "two")
    hot(cluster, "two")
    assert cluster.whoami("one")["epoch"] == 1, "the holder has not noticed"


def test_a_standby_that_opens_its_port_unasked_is_killed_and_reported(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    cluster.begin({**HOT, "start": [*OPEN_AT_ONCE, sys.executable]})
    assert f"port {PORT} is open before the standby was activated" in told(cluster, "unprepared", "two")
    until(lambda: not listening(cluster.servers["two"], PORT) and standby(cluster, "two") is None, within_s=30)
    assert cluster.service()["standby"] == "preparing"
    assert cluster.whoami("one")["server"] == "one"


@pytest.mark.parametrize("activate", [["/bin/false"], ["/bin/sleep", "1000"], ["/bin/true"]])
def test_a_standby_that_cannot_be_activated_is_replaced_by_a_start(make_cluster: MakeCluster, activate: list[str]) -> None:
    cluster = make_cluster("one", "two")
    parts = cluster.begin({**HOT, "activate": activate})
    process = hot(cluster, "two")
    cut_power(cluster, "one", parts)
    assert cluster.served("two")["epoch"] == 2
    assert adoption.stat_of(process.pid) is None, "the standby is gone"
    assert "could not be activated" in told(cluster, "restarted", "two")


def test_a_secondary_that_is_not_ready_is_no_candidate_and_says_why(make_cluster: MakeCluster) -> None:
    """The first by name, and so the first to be appointed, lacks something: the other becomes it."""
    cluster = make_cluster("one", "three", "two")
    script = 'test "$LOCUM_SERVER" != three || { echo a page is missing >&2; exit 1; }'
    cluster.start("sds", cluster.sds_settings())
    cluster.start("agent", cluster.agent_settings("three"))
    cluster.start("agent", cluster.agent_settings("one", {"prepare": ["/bin/sh", "-c", script]}))
    cluster._until(lambda: "a page is missing" in (cluster.candidate("three").get("why_not") or ""))
    cluster.start("agent", cluster.agent_settings("two"))
    cluster.settled("one", "two")
    cluster._until(lambda: cluster.service()["standby"] == "warm")


def test_a_standby_ends_with_its_agent(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    parts = cluster.begin(HOT)
    process = hot(cluster, "two")
    parts["two"].process.send_signal(signal.SIGTERM)
    assert parts["two"].ended() == 0
    assert adoption.stat_of(process.pid) is None
