"""The files of a service reach whoever may run it (P4): real agents, and the store of the SDS."""

from __future__ import annotations

import signal
from typing import Any

from conftest import MakeCluster
from small_cluster import SmallCluster

FILES = {"files": ["/srv/www"], "failback": "manual"}


def with_pages(make_cluster: MakeCluster, *servers: str, **service: Any) -> SmallCluster:
    """A cluster whose www has a page, on the disk of its home alone."""
    cluster = make_cluster(*servers)
    cluster.begin_files()
    cluster.page("one", "first")
    cluster.begin(FILES | service)
    return cluster


def awaits(cluster: SmallCluster, condition: Any) -> Any:
    return cluster._until(condition)


def test_a_change_reaches_the_secondary_and_survives_the_death_of_the_holder(make_cluster: MakeCluster) -> None:
    cluster = with_pages(make_cluster, "one", "two")
    row = cluster.settled("one", "two")
    awaits(cluster, lambda: cluster.page("two") == "first")
    cluster.page("one", "second")
    awaits(cluster, lambda: cluster.page("two") == "second")

    def same() -> bool:
        files = cluster.service()["files"]
        return len(files) == 2 and len({state["version"] for state in files.values()}) == 1

    awaits(cluster, same)
    assert row["files"] is not None
    for part in cluster.parts:
        if part.name.startswith("one"):
            part.process.send_signal(signal.SIGKILL)
    cluster.served("two")
    assert cluster.page("two") == "second"
    assert {"stored", "staged"} <= {event["kind"] for event in cluster.history()}


def test_a_foreign_file_makes_no_candidate_and_is_not_overwritten(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    cluster.begin_files()
    cluster.page("one", "first")
    cluster.page("two", "somebody else's")
    cluster.begin(FILES)
    why = awaits(cluster, lambda: "is not ours" in (cluster.candidate("two").get("why_not") or "") and cluster.candidate("two")["why_not"])
    assert "/srv/www/index.html" in why and "locum files put" in why
    cluster.settled_without_secondary("one")
    assert cluster.page("two") == "somebody else's"
    (cluster.root("two") / "srv/www/index.html").unlink()
    cluster.settled("one", "two")
    assert cluster.page("two") == "first"
