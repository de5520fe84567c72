"""`locum demo load`, and what follows from a load on the running demo (P21, DESIGN section 9)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from running_demo import SOON_S, RunningDemo, locum
from waiting import until

from demo.client import use


def level(demo: RunningDemo, server: str) -> float:
    return float(next(row["loadlevel"] for row in demo.status()["servers"] if row["name"] == server))


def places(demo: RunningDemo) -> dict[str, tuple[str, int, str]]:
    """Where every service is: holder, epoch, secondary."""
    return {row["name"]: (row["holder"], row["epoch"], row["secondary"]) for row in demo.status()["services"]}


def changes(demo: RunningDemo, service: str) -> list[str]:
    """The secondaries of a service that were ever recorded, in order."""
    return [event["text"] for event in demo.history() if event["kind"] in ("recorded", "alone") and event["service"] == service]


@contextmanager
def in_use(service: str) -> Iterator[list[str]]:
    """Use a service all the while; what went wrong is in the list."""
    failures: list[str] = []
    over = threading.Event()

    def client() -> None:
        while not over.is_set():
            try:
                use(service)
            except Exception as error:  # whatever a user would meet
                failures.append(str(error))

    user = threading.Thread(target=client)
    user.start()
    try:
        yield failures
    finally:
        over.set()
        user.join()


def order(*words: str) -> Any:
    return locum("demo", "load", *words)


def test_a_load_is_reported_until_it_is_taken_off(demo: RunningDemo) -> None:
    for wanted in ("0.7", "0.333", "1"):
        done = order("http", wanted)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert level(demo, "http") >= float(wanted)
    again = order("http", "1.0")
    assert again.returncode == 1 and "bears a load of 1 already" in again.stderr and len(again.stderr.splitlines()) == 1
    assert order("http", "off").returncode == 0
    assert level(demo, "http") < 0.5
    again = order("http", "off")
    assert again.returncode == 1 and "bears no load" in again.stderr and len(again.stderr.splitlines()) == 1


@pytest.mark.parametrize("part", ["sds", "store", "dns"])
def test_only_servers_report_a_load(demo: RunningDemo, part: str) -> None:
    for what in ("0.5", "off"):
        refused = order(part, what)
        assert (refused.returncode, refused.stdout) == (1, "") and "only http, ftp, email" in refused.stderr


@pytest.mark.parametrize("what", ["1.01", "-0.1", "nan", "inf", "high", "", "50%"])
def test_a_load_that_cannot_be_is_wrong_usage(demo: RunningDemo, what: str) -> None:
    before = level(demo, "ftp")
    wrong = order("ftp", "--", what)
    assert (wrong.returncode, wrong.stdout) == (2, "") and "neither a number from 0 to 1 nor off" in wrong.stderr
    assert before < 0.5 and level(demo, "ftp") < 0.5


def test_a_load_outlives_the_runner_and_not_the_server(demo: RunningDemo) -> None:
    assert order("http", "0.8").returncode == 0
    demo.kill_one("http", "runner")
    until(lambda: level(demo, "http") >= 0.8, within_s=SOON_S, every_s=0.1)
    demo.done("kill", "http")
    refused = order("http", "0.9")
    assert refused.returncode == 1 and "http is not running: it is killed" in refused.stderr
    demo.done("start", "http")
    until(lambda: level(demo, "http") < 0.5, within_s=SOON_S, every_s=0.1)
    demo.settled()
    refused = order("http", "off")
    assert refused.returncode == 1 and "bears no load" in refused.stderr


def test_a_paused_server_takes_no_load(demo: RunningDemo) -> None:
    demo.done("pause", "ftp")
    refused = order("ftp", "0.9")
    assert refused.returncode == 1 and "paused" in refused.stderr
    demo.done("continue", "ftp")
    demo.settled()


def test_what_nobody_can_see_is_taken_back(demo: RunningDemo) -> None:
    demo.done("kill", "sds")
    refused = order("ftp", "0.9")
    assert refused.returncode == 1 and "taken back" in refused.stderr and len(refused.stderr.splitlines()) == 1
    demo.done("start", "sds")
    demo.settled()
    until(lambda: level(demo, "ftp") < 0.5, within_s=SOON_S)  # the SDS may have heard of it in between


def test_a_loaded_secondary_is_replaced_while_the_service_runs(demo: RunningDemo) -> None:
    """P21, once and for all: no request fails, the holder and its epoch stay, and nobody is called back afterwards."""
    holder, epoch, first = places(demo)["www"]
    (third,) = {"http", "ftp", "email"} - {holder, first}
    before = len(changes(demo, "www"))
    with in_use("www") as failures:
        assert order(first, "0.9").returncode == 0
        until(lambda: places(demo)["www"] == (holder, epoch, third), within_s=SOON_S, every_s=0.2)
        assert order(first, "off").returncode == 0
        until(lambda: level(demo, first) < 0.5, within_s=SOON_S)
        assert order(first, "0.9").returncode == 0, "for the one that is left it is no news"
        assert order(first, "off").returncode == 0
    assert failures == []
    assert places(demo)["www"] == (holder, epoch, third)
    assert len(changes(demo, "www")) == before + 1, changes(demo, "www")


def test_returning_moves_nothing(demo: RunningDemo) -> None:
    """Section 5: who comes back is a candidate; it takes nothing from anyone but what is at home there."""
    mine = {service: where for service, where in places(demo).items() if "http" in (where[0], where[2])}
    others = {service: where for service, where in places(demo).items() if service not in mine}
    demo.done("kill", "http")
    demo.served("www", lambda server: server != "http")
    demo.done("start", "http")
    demo.settled()
    assert {service: places(demo)[service] for service in others} == others
    served = {service: (holder, epoch) for service, (holder, epoch, _) in mine.items() if service != "www"}
    assert {service: places(demo)[service][:2] for service in served} == served
