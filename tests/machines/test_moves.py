"""Planned moves: one at a time, back-off when a service flaps, orders and drains (R14, section 5)."""

from __future__ import annotations

from typing import Any

import msgspec
from parts import WWW

from bus.messages import ServiceDefinition
from sds.moves import FLAP_WINDOW, MOVE_LIMIT_S, PIN_S, UNABLE_LIMIT_S, Moves, Situation

MAIL = ServiceDefinition(name="mail", fqdn="mail.test", port=2525, home="email", start=("run",))


class Cluster:
    """What moves see, as a test sets it."""

    def __init__(self) -> None:
        self.found: dict[str, Situation] = {}
        self.up: dict[str, float] = {}

    def put(self, definition: ServiceDefinition, holder: str | None, *candidates: str, **how: Any) -> None:
        serving, draining = how.get("serving", holder is not None), how.get("draining", False)
        self.found[definition.name] = Situation(definition, holder, serving, draining, candidates)

    def situations(self, now: float) -> list[Situation]:
        return list(self.found.values())

    def up_since(self, server: str) -> float:
        return self.up.get(server, 0.0)


def test_failback_waits_until_the_home_is_stable() -> None:
    cluster, moves = Cluster(), Moves()
    cluster.up["http"] = 100.0
    cluster.put(WWW, "email", "http", "ftp")
    moves.step(cluster, 100.0 + WWW.failback_delay_s - 0.1)
    assert not moves.wishes
    moves.step(cluster, 100.0 + WWW.failback_delay_s)
    assert moves.wishes["www"].target == "http"
    cluster.put(WWW, "http", "email", "ftp")
    moves.step(cluster, 140.0)
    assert not moves.wishes


def test_one_move_at_a_time() -> None:
    cluster, moves = Cluster(), Moves()
    cluster.put(WWW, "ftp", "http", "email")
    cluster.put(MAIL, "ftp", "email", "http")
    moves.step(cluster, 100.0)
    assert list(moves.wishes) == ["www"]
    cluster.put(WWW, "http", "ftp", "email")
    moves.step(cluster, 101.0)
    assert list(moves.wishes) == ["mail"]


def test_move_that_does_not_come_about_is_withdrawn_and_tried_later() -> None:
    cluster, moves = Cluster(), Moves()
    cluster.put(WWW, "email", "http")
    moves.step(cluster, 100.0)
    moves.step(cluster, 100.0 + MOVE_LIMIT_S)
    assert not moves.wishes
    moves.step(cluster, 100.0 + MOVE_LIMIT_S + 1.0)
    assert not moves.wishes
    moves.step(cluster, 100.0 + 2 * MOVE_LIMIT_S)
    assert moves.wishes


def test_target_that_cannot_take_it_for_a_moment_is_waited_for() -> None:
    cluster, moves = Cluster(), Moves()
    cluster.put(WWW, "email", "http")
    moves.step(cluster, 100.0)
    cluster.put(WWW, "email", "ftp")
    moves.step(cluster, 101.0)
    moves.step(cluster, 101.0 + UNABLE_LIMIT_S - 0.1)
    assert moves.wishes["www"].target == "http"
    cluster.put(WWW, "email", "http", "ftp")
    moves.step(cluster, 103.0)
    assert moves.wishes, "it is able again, and the time counts anew"
    cluster.put(WWW, "email", "ftp")
    moves.step(cluster, 104.0)
    assert moves.wake_at() == 104.0 + UNABLE_LIMIT_S
    moves.step(cluster, moves.wake_at())
    assert not moves.wishes


def test_service_that_flaps_goes_home_later_each_time() -> None:
    """Its home must have been up twice as long; one that stays at home is forgiven."""
    cluster, moves = Cluster(), Moves()
    delays = []
    now = 100.0
    for _ in range(3):
        cluster.put(WWW, "http", "email")
        moves.step(cluster, now)
        now += 5.0
        cluster.up["http"] = now
        cluster.put(WWW, "email", "http")
        moves.step(cluster, now)
        left_at = now
        while not moves.wishes:
            now += 1.0
            moves.step(cluster, now)
        delays.append(now - left_at)
    assert delays == [2 * WWW.failback_delay_s, 4 * WWW.failback_delay_s, 8 * WWW.failback_delay_s]
    cluster.put(WWW, "http", "email")
    moves.step(cluster, now)
    forgiven_at = now + FLAP_WINDOW * WWW.failback_delay_s + 1.0
    moves.step(cluster, forgiven_at)
    cluster.up["http"] = forgiven_at + 1.0
    cluster.put(WWW, "email", "http")
    moves.step(cluster, cluster.up["http"])
    assert not moves.wishes
    moves.step(cluster, cluster.up["http"] + WWW.failback_delay_s)
    assert moves.wishes


def test_order_moves_once_and_a_drain_empties() -> None:
    cluster, moves = Cluster(), Moves()
    cluster.put(WWW, "http", "email", "ftp")
    moves.order("www", "ftp", 100.0)
    moves.step(cluster, 100.0)
    assert moves.wishes["www"].target == "ftp"
    cluster.put(WWW, "ftp", "email", draining=True)
    moves.step(cluster, 101.0)
    assert moves.wishes["www"].target == "email"


def test_nothing_moves_that_is_not_served() -> None:
    """A planned move begins from a service that answers; the rest is failover's."""
    cluster, moves = Cluster(), Moves()
    cluster.put(WWW, "email", "http", serving=False)
    moves.step(cluster, 1_000.0)
    assert not moves.wishes


def test_an_ordered_move_is_not_failed_back_while_it_is_pinned() -> None:
    """And the outlook says for how long; a home that comes up anew ends it."""
    cluster, moves = Cluster(), Moves()
    cluster.put(WWW, "http", "email")
    moves.order("www", "email", 100.0)
    moves.step(cluster, 100.0)
    cluster.put(WWW, "email", "http")
    moves.step(cluster, 101.0)
    situation = cluster.found["www"]
    outlook = moves.outlook(situation, cluster, 150.0)
    assert (outlook.pinned_s, outlook.failback_in_s) == (PIN_S - 50.0, PIN_S - 50.0)
    moves.step(cluster, 100.0 + PIN_S - 0.1)
    assert not moves.wishes
    cluster.up["http"] = 200.0
    assert moves.outlook(situation, cluster, 210.0).failback_in_s == 2 * WWW.failback_delay_s - 10.0
    cluster.up["http"] = 0.0
    moves.step(cluster, 100.0 + PIN_S)
    assert moves.wishes["www"].target == "http"


def test_the_outlook_says_why_it_does_not_go_home() -> None:
    cluster, moves = Cluster(), Moves()
    cluster.put(WWW, "email")
    assert moves.outlook(cluster.found["www"], cluster, 100.0).failback_why_not == "http cannot take it now"
    cluster.put(msgspec.structs.replace(WWW, failback="manual"), "email", "http")
    assert moves.outlook(cluster.found["www"], cluster, 100.0).failback_why_not == "its failback is manual"
    cluster.put(WWW, "http", "email")
    at_home = moves.outlook(cluster.found["www"], cluster, 100.0)
    assert (at_home.failback_in_s, at_home.failback_why_not) == (None, None)


def test_manual_failback_waits_for_an_order() -> None:
    cluster, moves = Cluster(), Moves()
    cluster.put(msgspec.structs.replace(WWW, failback="manual"), "email", "http", "ftp")
    moves.step(cluster, 100.0 + 100 * WWW.failback_delay_s)
    assert not moves.wishes
    moves.order("www", "http", 10_000.0)
    moves.step(cluster, 10_000.0)
    assert moves.wishes["www"].target == "http"


def test_r22_nothing_moves_while_a_former_holder_may_serve_on() -> None:
    cluster, moves = Cluster(), Moves()
    cluster.put(WWW, "email", "http", "ftp")
    cluster.found["www"] = msgspec.structs.replace(cluster.found["www"], finishing=True)
    moves.step(cluster, 10_000.0)
    assert not moves.wishes
    cluster.put(WWW, "email", "http", "ftp")
    moves.step(cluster, 10_001.0)
    assert moves.wishes["www"].target == "http"
