"""Two servers of one name, strange keys, borrowed names (R20): refused with one clear line, and nothing happens to the others."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from small_cluster import SOON_S, SmallCluster
from waiting import until

MakeCluster = Callable[..., SmallCluster]


def test_a_second_server_of_a_name_is_refused(make_cluster: MakeCluster) -> None:
    """A cloned machine: the same name, key and state directory, at another address."""
    cluster = make_cluster("one", "two")
    cluster.begin()
    before = cluster.settled("one", "two")
    shutil.copytree(cluster.directory / "one", cluster.directory / "clone")
    clone = cluster.start(
        "agent", cluster.agent_settings("one", {}, address=f"{cluster.net}.99", state_dir=str(cluster.directory / "clone"))
    )
    assert clone.ended() == 1
    refusals = [line for line in clone.said().splitlines() if "another live server speaks as one" in line]
    assert len(refusals) == 1, clone.said()
    assert "give one of the two another name and key" in refusals[0]
    assert any(event["kind"] == "refused" and event["server"] == "one" for event in cluster.history())
    after = cluster.settled("one", "two")
    assert (after["epoch"], after["holder"]) == (before["epoch"], "one")
    assert cluster.whoami("one") == {"service": "www", "server": "one", "epoch": before["epoch"]}


def test_a_server_whose_key_nobody_trusts_gets_nowhere(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one", "two")
    parts = cluster.begin()
    before = cluster.settled("one", "two")
    cluster.servers["stranger"] = f"{cluster.net}.66"
    stranger = cluster.start("agent", cluster.agent_settings("stranger"))
    until(lambda: "nobody here has that key: add it to the trust file" in parts["sds"].said(), within_s=SOON_S)
    until(lambda: "has its trust file this server's key?" in stranger.said(), within_s=SOON_S)
    assert [row["name"] for row in cluster.status()["servers"]] == ["one", "two"]
    assert cluster.service()["epoch"] == before["epoch"]


def test_a_server_that_borrows_anothers_name_gets_nowhere(make_cluster: MakeCluster) -> None:
    """The key decides who speaks: two's key and one's name are no way in."""
    cluster = make_cluster("one", "two")
    parts = cluster.begin()
    before = cluster.settled("one", "two")
    settings = cluster.agent_settings(
        "one", {}, address=f"{cluster.net}.66", state_dir=str(cluster.directory / "impostor"), key_file=str(cluster.key("two"))
    )
    impostor = cluster.start("agent", settings)
    until(lambda: "may not speak as" in parts["sds"].said(), within_s=SOON_S)
    until(lambda: "may not speak as" in impostor.said() or impostor.process.poll() is not None, within_s=SOON_S)
    after = cluster.settled("one", "two")
    assert after["epoch"] == before["epoch"]
    rows = {row["name"]: row["address"] for row in cluster.status()["servers"]}
    assert rows == {"one": cluster.servers["one"], "two": cluster.servers["two"]}
