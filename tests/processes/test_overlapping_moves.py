"""R22 and R14: a service that is not exclusive is moved without a failed request; one that is, with a gap and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from conftest import MakeCluster
from small_cluster import DNS_PORT, PORT, SmallCluster
from waiting import until

from bench.asking import Answer, Resolver, ask, monotonic

RATE = 200.0
"""Requests a second."""

TTL_S = 1.0
FINISH_S = 5.0
SHARED = {"exclusive": False, "finish_s": FINISH_S, "failback_delay_s": 1.0}


class Client:
    """Asks for www by its FQDN at RATE, and remembers an address for as long as the name server allows."""

    def __init__(self, name_server: str) -> None:
        self.answers: list[Answer] = []
        self.ended = threading.Event()
        self._name_server = name_server
        self._address, self._looked_at = "", float("-inf")

    def run(self) -> None:
        asyncio.run(self._ask_all())

    async def _ask_all(self) -> None:
        loop = asyncio.get_running_loop()
        resolver = Resolver("www.test")
        transport, _ = await loop.create_datagram_endpoint(lambda: resolver, remote_addr=(self._name_server, DNS_PORT))
        asking: set[asyncio.Task[None]] = set()
        due = monotonic()
        while not self.ended.is_set():
            if monotonic() - self._looked_at > TTL_S:
                self._looked_at = monotonic()
                self._address = await resolver.look_up()
            task = loop.create_task(self._ask())
            asking.add(task)
            task.add_done_callback(asking.discard)
            due = max(due + 1 / RATE, monotonic() - 0.1)
            await asyncio.sleep(max(0.0, due - monotonic()))
        await asyncio.gather(*asking)
        transport.close()

    async def _ask(self) -> None:
        self.answers.append(await ask(self._address, PORT, monotonic(), 0.0))

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if not answer.server]

    def served_by(self) -> list[str]:
        """The servers that answered, in order, each once in a row."""
        servers = [answer.server for answer in self.answers if answer.server]
        return [server for at, server in enumerate(servers) if at == 0 or servers[at - 1] != server]


@contextmanager
def asking(cluster: SmallCluster) -> Iterator[Client]:
    client = Client(cluster.name_server or "")
    thread = threading.Thread(target=client.run, daemon=True)
    thread.start()
    try:
        until(lambda: len(client.answers) > RATE / 4, within_s=30)
        yield client
    finally:
        client.ended.set()
        thread.join(30)


def named(make_cluster: MakeCluster, service: dict[str, Any]) -> SmallCluster:
    """Three servers and a name server; www is at home on one, and its name says so."""
    cluster = make_cluster("one", "two", "three")
    cluster.timing = "calm"  # so that nothing lapses on a busy machine
    cluster.begin_names()
    cluster.begin(service)
    cluster.settled("one")
    cluster._until(lambda: cluster.service()["dns_address"] == cluster.servers["one"])
    return cluster


def moved(cluster: SmallCluster, holder: str) -> None:
    """Wait until that server holds www, its name says so, and nobody finishes any more."""
    cluster.settled(holder)
    cluster._until(lambda: cluster.service()["dns_address"] == cluster.servers[holder])
    others = [server for server in cluster.servers if server != holder]
    until(lambda: not any(cluster.whoami(server) for server in others), within_s=30)


def test_no_request_fails_during_drain_failback_and_move(make_cluster: MakeCluster) -> None:
    cluster = named(make_cluster, SHARED)
    with asking(cluster) as client:
        assert cluster.locum("drain", "one").returncode == 0
        cluster._until(lambda: cluster.service()["holder"] not in ("one", None))
        away = cluster.service()["holder"]
        moved(cluster, away)
        assert cluster.locum("resume", "one").returncode == 0
        moved(cluster, "one")
        cluster._until(lambda: cluster.locum("move", "www", "two").returncode == 0)
        moved(cluster, "two")
        until(lambda: client.served_by()[-1] == "two", within_s=30)
    assert client.failed == []
    assert len(client.answers) > 5 * RATE
    assert client.served_by()[0] == "one" and client.served_by()[-1] == "two" and away in client.served_by()
    assert {answer.epoch for answer in client.answers} == {1, 2, 3, 4}
    finished = [event["server"] for event in cluster.history() if event["kind"] == "finishing"]
    assert finished == ["one", away, "one"]


def test_an_agent_that_ends_leaves_no_request_unanswered(make_cluster: MakeCluster) -> None:
    cluster = named(make_cluster, SHARED)
    one = next(part for part in cluster.parts if part.name.startswith("one"))
    with asking(cluster) as client:
        one.process.terminate()
        assert one.ended() == 0
        holder = cluster._until(lambda: (row := cluster.service())["state"] == "serving" and row["holder"])
        until(lambda: client.answers[-1].server == holder, within_s=30)
    assert client.failed == [], cluster.logs()


def test_old_and_new_serve_side_by_side_and_no_longer_than_they_may(make_cluster: MakeCluster) -> None:
    cluster = named(make_cluster, SHARED)
    assert cluster.locum("move", "www", "two").returncode == 0
    cluster.served("two")
    new_at = monotonic()
    assert cluster.whoami("one")["epoch"] == 1, "the old one serves on"
    refused = cluster.locum("move", "www", "one")
    assert refused.returncode == 1 and ("may serve on" in refused.stderr or "not being served" in refused.stderr)
    until(lambda: cluster.whoami("one") is None, within_s=30)
    assert monotonic() - new_at < FINISH_S + 2.0
    moved(cluster, "two")


def test_an_exclusive_service_never_overlaps(make_cluster: MakeCluster) -> None:
    cluster = named(make_cluster, {"failback_delay_s": 1.0})
    with asking(cluster) as client:
        assert cluster.locum("move", "www", "two").returncode == 0
        moved(cluster, "two")
        until(lambda: client.served_by()[-1] == "two", within_s=30)  # it may remember the former address for its TTL
    assert client.served_by() == ["one", "two"] and client.failed, "its clients see the gap"
    assert not [event for event in cluster.history() if event["kind"] == "finishing"]
