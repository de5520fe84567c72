"""P7 to P9: registrations and loads make the table that everyone is told, with its priorities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from machines.parts import Sds

from bus.messages import Loadlevel, TableUpdate
from bus.step import Peer
from sds.description import Publish
from sds.priority import HELD, PROMISED
from simulation.life import Life


def published(actions: Iterable[Any]) -> list[TableUpdate]:
    """What goes out to every server."""
    return [action.update for action in actions if isinstance(action, Publish)]


def load(sds: Sds, name: str, level: float) -> list[Any]:
    incarnation = sds.machine.membership.incarnation(name)
    return sds.hear(Peer(name, "runner", incarnation), Loadlevel(loadlevel=level, seq=sds.machine.table.seq))


def test_p7_a_registration_is_followed_by_an_update_to_every_server() -> None:
    """P7: on each registration the SDS sends a table update to every server."""
    sds = Sds()
    for name in ("http", "ftp", "email"):
        before = sds.machine.table.seq
        updates = published(sds.join(name))
        assert any(row.name == name for update in updates for row in update.servers)
        assert [update.seq for update in updates if update.seq > before] == list(range(before + 1, sds.machine.table.seq + 1))


def test_p7_also_one_that_only_says_something_new() -> None:
    """P7: what a server can run has changed, and all are told."""
    sds = Sds()
    sds.join("http")
    sds.join("ftp", able=())
    (update, *_) = published(sds.join("ftp", able=("www",)))
    assert [row.able for row in update.servers if row.name == "ftp"] == [("www",)]


def test_p8_the_table_lists_who_can_back_up_a_service_and_with_which_priority() -> None:
    """P8: the update lists the servers that can back up a service, each with its priority (lower value = higher priority)."""
    sds = Sds()
    for name, able in (("http", ("www",)), ("ftp", ("www",)), ("email", ("www",)), ("dns", ())):
        sds.join(name, able=able)
    load(sds, "ftp", 0.5)
    load(sds, "email", 0.2)
    rows = sds.machine.table.servers
    can = {name: row.priority for name, row in rows.items() if "www" in row.able and name != "http"}
    assert can == {"ftp": 50, "email": 20}
    (www,) = sds.machine.status([], sds.now)["services"]
    assert [(row["server"], row["ok"]) for row in www["candidates"] if row["server"] != "http"] == [
        ("email", True),
        ("ftp", True),
        ("dns", False),
    ]


def test_p9_priority_follows_the_loadlevels_that_servers_send() -> None:
    """P9: the SDS derives priority from loadlevel messages that every server sends periodically."""
    sds = Sds()
    sds.join("ftp")
    for level, priority in ((0.05, 0), (0.39, 30), (0.41, 40), (1.0, 100), (0.1, 10)):
        (update,) = published(load(sds, "ftp", level))
        assert [(row.name, row.loadlevel, row.priority) for row in update.servers] == [("ftp", level, priority)]


def test_p9_duties_count_too() -> None:
    """P9, section 5: held and promised services add to a priority, so that one idle server is not everybody's secondary."""
    life = Life(3, "quiet")
    life.world.run(8.0)
    assert all(life.settled(service) for service in life.services)
    records = [life.central.record(service) for service in life.services]
    machine = life.central.machine
    assert machine is not None
    for name, row in machine.table.servers.items():
        held = sum(record is not None and record.holder == name for record in records)
        promised = sum(record is not None and record.secondary == name for record in records)
        assert row.loadlevel == 0.0 and row.priority == HELD * held + PROMISED * promised
