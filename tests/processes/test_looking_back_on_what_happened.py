"""History and explanation of a small cluster of real processes: a death, strangers, refused orders."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from typing import Any

from small_cluster import SOON_S, SmallCluster
from waiting import until

MakeCluster = Callable[..., SmallCluster]


def events(cluster: SmallCluster, *words: str) -> list[dict[str, Any]]:
    done = cluster.locum("history", "--json", *words)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_takeover_is_explained_afterwards(make_cluster: MakeCluster) -> None:
    """P12, P13: who heard whom when, and who else could have."""
    cluster = make_cluster("one", "two", "three")
    parts = cluster.begin()
    before = cluster.settled("one")
    heir, third = before["secondary"], ({"two", "three"} - {before["secondary"]}).pop()
    parts["one"].process.kill()
    cluster.served(heir)
    cluster.settled(heir, third)
    (granted,) = [event for event in events(cluster, "--service", "www") if event["kind"] == "granted" and event["server"] == heir]
    evidence = granted["evidence"]
    assert (evidence["ground"], evidence["from"], evidence["from_epoch"]) == ("asked", "one", before["epoch"])
    assert evidence["secondary_heard_nothing_s"] > 0
    able = {row["server"]: row["ok"] for row in evidence["candidates"]}
    assert able == {"one": False, heir: True, third: True}
    said = cluster.locum("explain", "www").stdout
    assert f"one fell silent: {heir}, its recorded secondary" in said
    assert f"if {heir} dies, {third} takes over: it is the recorded secondary" in said
    assert "Why not the others:\n  one: it is silent\n" in said
    found = json.loads(cluster.locum("explain", "www", "--json").stdout)
    assert found["change"]["id"] == granted["id"] and found["holder"] == heir


def test_strangers_and_refused_orders_are_in_the_history_once(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one")
    cluster.begin()
    until(lambda: cluster.service().get("holder") == "one", within_s=SOON_S, every_s=0.1)
    for _ in range(3):
        assert cluster.locum("drain", "toaster").returncode == 1
        with socket.create_connection((cluster.sds_address, 5750), timeout=5) as line:
            line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
            with contextlib.suppress(ConnectionResetError):
                while line.recv(4096):
                    pass

    def refused() -> list[dict[str, Any]]:
        return [event for event in events(cluster, "--since", "1h") if event["kind"] == "refused"]

    until(lambda: {event["evidence"]["code"] for event in refused()} == {"bad-request", "handshake"}, within_s=SOON_S, every_s=0.1)
    assert len(refused()) == 2, refused()
    order = next(event for event in refused() if event["evidence"]["code"] == "bad-request")
    assert order["evidence"] == {"message": "Order", "code": "bad-request", "by": "operator"}
    assert "there is no server 'toaster'" in order["text"]
    assert events(cluster, "--server", "toaster") == [] == events(cluster, "--service", "mail")
    assert {event["service"] for event in events(cluster, "--service", "www")} == {"www"}
