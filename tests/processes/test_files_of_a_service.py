"""The files of a service reach whoever may run it (P4): real agents, and the store of the SDS."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from file_servers import PASSWORD, Store
from small_cluster import SmallCluster

MakeCluster = Callable[..., SmallCluster]

FILES = {"files": ["/srv/www"], "failback": "manual"}


def with_pages(make_cluster: MakeCluster, *servers: str, **service: Any) -> SmallCluster:
    """A cluster whose www has a page, on the disk of its home alone."""
    cluster = make_cluster(*servers)
    cluster.begin_files()
    cluster.page("one", "first")
    cluster.begin(FILES | service)
    return cluster


def cut_power(cluster: SmallCluster, name: str) -> None:
    """SIGKILL to the agent's tether; the kernel and the tether's children see to the rest."""
    for part in cluster.parts:
        if part.name.startswith(f"{name}-") and part.process.poll() is None:
            part.process.send_signal(signal.SIGKILL)
            part.process.wait()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A database of files apart from the SDS's store."""
    made = Store(tmp_path / "files", "small")
    yield made
    made.valkey.stop()


def test_a_change_reaches_the_secondary_and_survives_the_death_of_the_holder(make_cluster: MakeCluster) -> None:
    cluster = with_pages(make_cluster, "one", "two")
    cluster.settled("one", "two")
    cluster._until(lambda: cluster.page("two") == "first")
    cluster.page("one", "second")
    cluster._until(lambda: cluster.page("two") == "second")

    def same() -> bool:
        files = cluster.service()["files"]
        return len(files) == 2 and len({state["version"] for state in files.values()}) == 1

    cluster._until(same)
    cut_power(cluster, "one")
    cluster.served("two")
    assert cluster.page("two") == "second"
    assert {"stored", "staged"} <= {event["kind"] for event in cluster.history()}
    cluster.page("two", "third")
    cluster.start("agent", cluster.agent_settings("one", FILES))
    cluster.settled("two", "one")
    cluster._until(lambda: cluster.page("one") == "third")
    assert cluster.locum("move", "www", "one").returncode == 0
    cluster.served("one")
    assert cluster.page("one") == "third"


def test_a_foreign_file_makes_no_candidate_and_is_not_overwritten(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    cluster.begin_files()
    cluster.page("one", "first")
    cluster.page("two", "somebody else's")
    cluster.begin(FILES)
    why = cluster._until(lambda: "is not ours" in (why := cluster.candidate("two").get("why_not") or "") and why)
    assert "/srv/www/index.html" in why and "locum files put" in why
    cluster.settled_without_secondary("one")
    assert cluster.page("two") == "somebody else's"
    (cluster.root("two") / "srv/www/index.html").unlink()
    cluster.settled("one", "two")
    cluster._until(lambda: cluster.page("two") == "first")


def test_a_database_that_is_away_stops_nothing_and_a_takeover_has_what_was_staged_last(make_cluster: MakeCluster, store: Store) -> None:
    cluster = make_cluster("one", "two")
    cluster.begin_files(store.settings.url, PASSWORD)
    cluster.page("one", "first")
    cluster.begin(FILES)
    cluster.settled("one", "two")
    cluster._until(lambda: cluster.service()["standby"] == "warm")
    store.valkey.stop()
    cluster.page("one", "second")
    cluster._until(lambda: "cannot be reached" in (cluster.service()["files"]["two"]["trouble"] or ""))
    cluster.settled("one", "two")
    assert cluster.candidate("two")["ok"]
    cut_power(cluster, "one")
    cluster.served("two")
    assert cluster.page("two") == "first"
    store.valkey.start(within_s=60)
    cluster._until(lambda: cluster.service()["files"]["two"]["trouble"] is None)
    cluster.page("two", "third")
    cluster.start("agent", cluster.agent_settings("one"))
    why = cluster._until(lambda: "was changed here" in (why := cluster.candidate("one").get("why_not") or "") and why)
    assert "/srv/www/index.html" in why, "what nobody stored before the power was cut is not overwritten"
    assert cluster.page("one") == "second"


def test_a_server_without_the_database_is_no_candidate_and_says_what_to_add(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    cluster.begin_files()
    cluster.page("one", "first")
    cluster.start("sds", cluster.sds_settings())
    cluster.start("agent", cluster.agent_settings("one", FILES))
    cluster.files_url = None
    cluster.start("agent", cluster.agent_settings("two"))
    cluster._until(lambda: "[files]" in (cluster.candidate("two").get("why_not") or ""))
    cluster.settled_without_secondary("one")
