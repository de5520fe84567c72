"""A service that will not start, and a place where something foreign stands (R17): one clear line, and another server is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from small_cluster import PORT, SOON_S, WEB, SmallCluster, listening
from waiting import until

MakeCluster = Callable[..., SmallCluster]


def only_on(server: str) -> list[str]:
    """A program that runs on that server alone, and ends at once elsewhere."""
    return ["/bin/sh", "-c", f'test "$LOCUM_SERVER" = {server} && exec {" ".join(WEB)}; exit 7']


def events(cluster: SmallCluster, kind: str) -> list[dict[str, Any]]:
    return [event for event in cluster.history() if event["kind"] == kind]


def test_a_service_that_will_not_start_is_tried_elsewhere(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    cluster.begin({"start": only_on("two"), "restart_limit": 1, "failback": "manual"})
    assert cluster.served("two")["server"] == "two"
    row = cluster.settled("two")
    assert row["home"] == "one" and row["epoch"] > 1
    failed = until(lambda: events(cluster, "start-failed"), within_s=SOON_S, every_s=0.1)
    assert {(event["server"], event["service"]) for event in failed} == {("one", "www")}
    assert "its process ended with status 7" in failed[0]["text"] and "\n" not in failed[0]["text"]
    assert cluster.whoami("one") is None


def test_a_service_that_starts_nowhere_is_unserved_and_says_why(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    cluster.begin({"start": ["/bin/sh", "-c", "exit 7"], "restart_limit": 0})

    def both_failed() -> bool:
        return {event["server"] for event in events(cluster, "start-failed")} == {"one", "two"}

    until(both_failed, within_s=SOON_S, every_s=0.2)
    assert "served by nobody" in cluster.locum("status").stdout or cluster.service()["state"] != "serving"
    assert cluster.whoami("one") is None and cluster.whoami("two") is None


def test_a_program_that_is_not_here_makes_no_candidate(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    cluster.begin({"start": ["/nonexistent/nginx"]})
    until(lambda: len(cluster.service().get("candidates", ())) == 2, within_s=SOON_S, every_s=0.1)
    row = until(lambda: "cannot run it" in str(cluster.service().get("reason")) and cluster.service(), within_s=SOON_S, every_s=0.1)
    assert row["state"] == "unserved"
    assert "/nonexistent/nginx is not here: install it" in row["reason"], row
    assert {candidate["server"]: candidate["ok"] for candidate in row["candidates"]} == {"one": False, "two": False}


def test_a_foreign_program_on_the_port_makes_no_candidate_until_it_is_gone(make_cluster: MakeCluster) -> None:
    """R17: that server is passed over, the reason and the remedy are shown, and nothing happens to the program."""
    cluster = make_cluster("one", "two", "three")
    with listening(cluster.servers["two"], PORT) as door:
        cluster.begin()
        cluster.settled("one", "three")
        row = cluster.candidate("two")
        assert row["ok"] is False
        assert f"a program that is not ours listens on {cluster.servers['two']} port {PORT}" in row["why_not"]
        assert "stop it" in row["why_not"]
        assert door.fileno() != -1
    until(lambda: cluster.candidate("two").get("ok"), within_s=SOON_S, every_s=0.1)
    assert cluster.service()["holder"] == "one"


def test_a_foreign_program_at_home_is_named_as_the_reason_until_it_is_gone(make_cluster: MakeCluster) -> None:
    """R15: a service begins at its home, and nowhere else."""
    cluster = make_cluster("one", "two")
    with listening(cluster.servers["one"], PORT):
        cluster.begin()
        reason = until(lambda: "cannot run it" in str(cluster.service().get("reason")) and cluster.service()["reason"], within_s=SOON_S)
        assert reason.startswith(f"its home one cannot run it: a program that is not ours listens on {cluster.servers['one']}"), reason
        assert cluster.whoami("two") is None
    cluster.settled("one", "two")
