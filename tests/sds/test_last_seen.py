"""When a server was last heard, as the status tells it: by this SDS, since it started."""

from __future__ import annotations

from tests.machines.parts import Sds


def test_an_sds_that_was_started_anew_says_of_nobody_when_it_was_last_heard() -> None:
    first = Sds()
    first.join("http")
    first.join("email", able=())
    first.wait(2.0, "http")
    ages = {row["name"]: row["last_seen_s"] for row in first.machine.status([], first.now)["servers"]}
    assert ages["http"] == 0.0 and ages["email"] == 2.0

    second = Sds([first.record], first.machine.membership.servers.values(), incarnation=2)
    second.wait(2.0)
    rows = second.machine.status([], second.now)["servers"]
    assert [(row["name"], row["state"], row["last_seen_s"]) for row in rows] == [("email", "silent", None), ("http", "silent", None)]
    second.speak("http")
    assert [row["last_seen_s"] for row in second.machine.status([], second.now)["servers"]] == [None, 0.0]
