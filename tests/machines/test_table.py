"""P7, P8: the table, its sequence, and how a gap is seen; the line of a transition."""

from __future__ import annotations

from test_choosing import server

from bus.messages import TableUpdate
from bus.table_copy import TableCopy
from bus.timeline import Transition, line
from sds.table import TableOfAll


def published(table: TableOfAll, rank: int) -> TableUpdate:
    update = table.refresh({"ftp": server("ftp", rank)}, {})
    assert update
    return update


def reader(table: TableOfAll) -> TableCopy:
    copy = TableCopy()
    copy.take(table.whole(0))
    return copy


def test_updates_carry_only_what_changed() -> None:
    table = TableOfAll(seq=10)
    update = table.refresh({"ftp": server("ftp", 0), "email": server("email", 0)}, {})
    assert update and update.seq == 11 and len(update.servers) == 2
    update = table.refresh({"email": server("email", 5)}, {})
    assert update and (update.seq, [row.name for row in update.servers], update.left) == (12, ["email"], ("ftp",))
    assert table.refresh({"email": server("email", 5)}, {}) is None


def test_copy_follows_without_gaps() -> None:
    table = TableOfAll()
    copy = reader(table)
    assert copy.follow(published(table, 5)) and copy.servers["ftp"].priority == 5
    stale = published(table, 6)
    assert copy.follow(stale) and copy.follow(stale), "an update that comes twice changes nothing"
    assert (copy.seq, copy.servers) == (table.seq, table.servers)


def test_gap_is_seen() -> None:
    table = TableOfAll()
    copy = reader(table)
    published(table, 5)
    assert not copy.follow(published(table, 6))
    assert copy.seq == 0, "nothing is applied across a gap"
    copy.take(table.whole(0))
    assert copy.follow(published(table, 7)) and copy.servers["ftp"].priority == 7


def test_beacon_shows_that_the_last_update_was_lost() -> None:
    table = TableOfAll()
    copy = reader(table)
    assert copy.follow(table.beacon())
    published(table, 5)
    assert not copy.follow(table.beacon())
    copy.take(table.whole(0))
    assert copy.follow(table.beacon())


def test_reader_without_a_table_asks_for_it() -> None:
    assert not TableCopy().follow(TableOfAll().beacon())


def test_transition_is_one_line() -> None:
    transition = Transition(kind="granted", server="email", service="www", epoch=8, text="http silent 0.31 s, the SDS agrees")
    assert line(transition, "12:04:31.207") == ("12:04:31.207  email   www    granted        epoch 8    http silent 0.31 s, the SDS agrees")
    assert line(Transition(kind="silent", server="ftp")) == "ftp            silent"
