"""The page's whole state, folded from what the SDS says.

    table, updates, status, history  ->  View  ->  Snapshot, Delta

`now` is CLOCK_BOOTTIME in seconds (R2).  The wall clock is for what is shown:
every instant that goes out is put forward by as much as that is ahead, and a
step of it moves nothing else.  An update is a hint (P7): it changes the page
at once, and the next status, which is asked for right after it, has the last
word.  What changes all the time, loadlevels and ages, is passed on now and
then; what matters, at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from bus.messages import Table, TableUpdate
from bus.table_copy import TableCopy
from bus.values import ServerRow, ServiceRow
from monitor import answers
from monitor.answers import Event, StatusTold
from monitor.loads import LoadHistory
from monitor.passages import Passages
from monitor.rows import servers_shown, services_shown
from monitor.state import Delta, Head, Passage, SdsShown, ServerShown, ServiceShown, Snapshot, StoreShown
from monitor.timeline import Timeline
from monitor.verdict import remarks, verdict

LOST_S = 3.0
"""An SDS that says nothing for so long is lost: its updates come twice a second."""

HEAD_S = 1.0
"""Between two heads that tell nothing but that the view is fresh."""

SET_S = 0.5
"""A wall clock that went so far astray of what is shown was set."""

SEQ_BITS = 32
"""Of a table's sequence number; those above are the incarnation of the SDS."""


class View:
    """Everything that is shown, and what of it the pages do not have yet."""

    def __init__(self, cluster: str, now: float, demo: bool = False, ahead_s: float = 0.0) -> None:
        """`ahead_s`: how far the wall clock, in Unix seconds, is ahead of `now`."""
        self.cluster = cluster
        self.demo = demo
        self.answer: dict[str, Any] | None = None
        """The last status, as the SDS gave it."""
        self.timeline = Timeline()
        self.heard_at: float | None = None
        self.trouble: str | None = None
        """Why the SDS refuses us, while it does."""
        self._began_at = now
        self._told = StatusTold()
        self._table = TableCopy()
        self._ahead_s = ahead_s
        self._loads = LoadHistory(ahead_s)
        self._passages = Passages()
        self._since: dict[str, tuple[tuple[str, str | None, int], float]] = {}
        self._stirred = self._grave = True  # something changed, something that matters did
        self._rows_at = self._head_at = now
        self._pushed = self._empty(now)

    # -- what comes in

    def take_table(self, table: Table, now: float) -> None:
        """The whole table."""
        self._hear(now)
        before = self._table.services
        self._table.take(table)
        self._note(table.servers, table.services, before, now)
        self._grave = True

    def follow(self, update: TableUpdate, now: float) -> Literal["gap", "slight", "grave"]:
        """A table update: whether one before it was lost and the whole must be asked for, or how much it says."""
        self._hear(now)
        before, services_before = dict(self._table.servers), dict(self._table.services)
        if not self._table.follow(update):
            return "gap"
        self._note(update.servers, update.services, services_before, now)
        grave = bool(update.services or update.left) or any(_matters(before.get(row.name), row) for row in update.servers)
        self._stirred, self._grave = self._stirred or bool(update.servers), self._grave or grave
        return "grave" if grave else "slight"

    def take_status(self, answer: dict[str, Any], now: float) -> None:
        """The answer to a question about the status; raises `ValueError` if it cannot be understood."""
        self._hear(now)
        told = answers.status(answer)
        self.answer, self._told, self.trouble = answer, told, None
        for service in told.services:
            self._since[service.name] = ((service.state, service.holder, service.epoch), now - service.since_s)
        for server in told.servers:
            self._loads.note(server.name, server.loadlevel, now)
        self._loads.forget({server.name for server in told.servers} | set(self._table.servers))
        self._grave = True

    def take_history(self, events: Sequence[Event], now: float) -> None:
        """The answer to a question about the history: the newest events, some of which may be known."""
        self._hear(now)
        services = {service.name: service for service in self._told.services}
        self._grave = self.timeline.fold(events, services) or self._grave

    def _hear(self, now: float) -> None:
        self.heard_at = now

    def _note(self, servers: Iterable[ServerRow], services: Iterable[ServiceRow], before: Mapping[str, ServiceRow], now: float) -> None:
        for server in servers:
            self._loads.note(server.name, server.loadlevel, now)
        for row in services:
            name, state = row.definition.name, (str(row.state), row.holder, row.epoch)
            known = self._since.get(name)
            if known is None or known[0] != state:
                self._since[name] = (state, now)
            if name in before:
                self._passages.see(before[name], row, now)

    # -- what is known

    @property
    def seq(self) -> int | None:
        """The newest table that is followed."""
        return self._table.seq

    @property
    def now_shown(self) -> Snapshot:
        """What the pages have."""
        return self._pushed

    def lost_since(self, now: float) -> float | None:
        """Since when the SDS is not heard; None while it is."""
        last = self.heard_at if self.heard_at is not None else self._began_at
        return last if now - last > LOST_S else None

    # -- what goes out

    def show_by(self, ahead_s: float) -> None:
        """The wall clock is this far ahead of `now`."""
        if abs(ahead_s - self._ahead_s) >= SET_S:
            self._ahead_s, self._grave = ahead_s, True
            self._head_at = float("-inf")
            self._loads.show_by(ahead_s)

    def snapshot(self, now: float) -> Snapshot:
        """Everything, as the deltas so far made it."""
        return msgspec.structs.replace(self._pushed, head=msgspec.structs.replace(self._pushed.head, served_at=self._shown(now)))

    def delta(self, now: float) -> Delta | None:
        """What changed since the delta before; None if nothing did that is worth a push now."""
        old = self._pushed
        servers, services = old.servers, old.services
        if self._grave or (self._stirred and now - self._rows_at >= calm_s(len(servers))):
            self._grave = self._stirred = False
            self._rows_at = now
            servers, services = self._rows()
        passages = tuple(self._passing(passage) for passage in self._passages.current(now))
        head = self._head(servers, services, now)
        due = now - self._head_at >= HEAD_S
        delta = Delta(
            version=old.version + 1,
            head=head if due or _tells(old.head, head) else None,
            servers=_changed(old.servers, servers) or None,
            services=_changed(old.services, services) or None,
            passages=passages if passages != old.passages else None,
            events=self.timeline.fresh() or None,
        )
        if delta == Delta(version=delta.version):
            return None
        if delta.head is not None:
            self._head_at = now
        events = tuple(self.timeline.shown)
        self._pushed = Snapshot(
            version=delta.version, head=delta.head or old.head, servers=servers, services=services, passages=passages, events=events
        )
        return delta

    def _shown(self, at: float) -> float:
        return round(at + self._ahead_s, 3)

    def _passing(self, passage: Passage) -> Passage:
        ended_at = None if passage.ended_at is None else self._shown(passage.ended_at)
        return msgspec.structs.replace(passage, began_at=self._shown(passage.began_at), ended_at=ended_at)

    def _rows(self) -> tuple[dict[str, ServerShown], dict[str, ServiceShown]]:
        told_servers = {server.name: server for server in self._told.servers}
        told_services = {service.name: service for service in self._told.services}
        # A table that is older than the status says nothing; the update that it lacks is on its way, or will be missed.
        table = self._table if self._table.seq is not None and self._table.seq >= self._told.seq else TableCopy()
        rows, since = table.servers, {name: self._shown(at) for name, (_, at) in self._since.items()}
        states = {name: server.state for name, server in told_servers.items()} | {name: str(row.state) for name, row in rows.items()}
        services = services_shown(told_services, table.services, since, states)
        return servers_shown(told_servers, rows, self._loads.shown, services.values()), services

    def _head(self, servers: Mapping[str, ServerShown], services: Mapping[str, ServiceShown], now: float) -> Head:
        told, lost = self._told, self.lost_since(now)
        sds = tuple(SdsShown(name=s.name, role=s.role, address=s.address, uptime_s=s.uptime_s) for s in told.sds)
        store = StoreShown(state=told.store.state, last_write_s=told.store.last_write_s)
        lost_s = None if lost is None else now - lost
        alarms = remarks(servers.values(), services.values(), sds, store, lost_s, self.trouble, self.timeline.twice(), self._shown(now))
        seq = max(self._table.seq or 0, told.seq)
        return Head(
            cluster=told.cluster or self.cluster,
            seq=seq & (2**SEQ_BITS - 1),
            incarnation=seq >> SEQ_BITS,
            sds=sds,
            store=store,
            heard_at=None if self.heard_at is None else self._shown(self.heard_at),
            lost_since=None if lost is None else self._shown(lost),
            verdict=verdict(alarms, servers, services, self.answer is not None),
            alarms=alarms,
            demo=self.demo,
            served_at=self._shown(now),
        )

    def _empty(self, now: float) -> Snapshot:
        return Snapshot(version=0, head=self._head({}, {}, now), servers={}, services={}, passages=(), events=())


def calm_s(servers: int) -> float:
    """How long loadlevels of a cluster of this size wait until they are passed on."""
    return max(0.5, servers / 100)


def _matters(before: ServerRow | None, row: ServerRow) -> bool:
    """Whether more than its load changed."""
    return before is None or (before.state, before.address, before.zone, before.guards) != (row.state, row.address, row.zone, row.guards)


def _tells(old: Head, head: Head) -> bool:
    """Whether something in this head is worth a push, besides that the view is fresh."""
    same = {"served_at": old.served_at, "heard_at": old.heard_at, "sds": old.sds, "store": old.store}
    return msgspec.structs.replace(head, **same) != old or _places(head) != _places(old) or head.store.state != old.store.state


def _places(head: Head) -> list[tuple[str, str, str]]:
    return [(sds.name, sds.role, sds.address) for sds in head.sds]


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The rows that differ; None for those that are gone."""
    if old is new:
        return {}
    gone: dict[str, Any] = dict.fromkeys(old.keys() - new.keys())
    return {name: row for name, row in new.items() if old.get(name) != row} | gone
