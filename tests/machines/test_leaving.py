"""When an agent that ends may go."""

from __future__ import annotations

from parts import WWW

from agent.leaving import LOOK_BACK_S, Leaving
from bus.messages import Table
from bus.table_copy import TableCopy
from bus.values import NOBODY, ServerRow, ServiceRow


def table(holder: str | None, state: str, other: str = "up", secondary: str = NOBODY, third: tuple[str, ...] = ()) -> TableCopy:
    """http, email and ftp; www is held so, and email is in that state."""
    row = {"address": "127.0.0.1", "peer_port": 1, "public_key": "", "incarnation": 1}
    servers = (
        ServerRow(name="http", state="draining", able=("www",), **row),
        ServerRow(name="email", state=other, able=("www",), **row),  # type: ignore[arg-type]
        ServerRow(name="ftp", state="up", able=third, **row),
    )
    copy = TableCopy()
    service = ServiceRow(definition=WWW, epoch=2, holder=holder, state=state, secondary=secondary)  # type: ignore[arg-type]
    copy.take(Table(seq=1, incarnation=1, servers=servers, services=(service,)))
    return copy


def leaving(*held: str) -> Leaving:
    one = Leaving("http", held)
    one.handed_over(100.0)
    return one


def test_it_stays_while_it_holds_anything() -> None:
    assert not Leaving("http", ["www"]).may_go(table("email", "serving"), 100.0)


def test_it_stays_until_another_serves_what_it_held() -> None:
    one = leaving("www")
    for holder, state in (("http", "serving"), (None, "unserved"), ("email", "starting")):
        assert not one.may_go(table(holder, state), 100.1)
    assert one.may_go(table("email", "serving"), 100.1)


def test_it_does_not_wait_for_ever() -> None:
    one = leaving("www")
    one.handed_over(101.0)
    assert one.may_go(table(None, "unserved"), 100.0 + LOOK_BACK_S)


def test_it_waits_for_nobody_who_cannot_run_it() -> None:
    assert leaving("www").may_go(table(None, "unserved", other="draining"), 100.0)
    assert leaving("www").may_go(table(None, "unserved", other="silent"), 100.0)


def test_it_stays_until_another_stands_in_where_it_did() -> None:
    one = leaving()
    assert not one.may_go(table("email", "serving", secondary="http", third=("www",)), 100.1)
    assert one.may_go(table("email", "serving", secondary="ftp", third=("www",)), 100.1)
    assert one.may_go(table("email", "serving", secondary="http"), 100.1), "nobody else could"


def test_it_goes_at_once_if_it_held_nothing_or_nothing_known() -> None:
    assert leaving().may_go(table("email", "starting"), 100.0)
    assert leaving("mail").may_go(table(None, "unserved"), 100.0)
    assert leaving("www").may_go(TableCopy(), 100.0)
