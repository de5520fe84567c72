"""Bugs of what is to be economical: who is admitted, what moves, and when."""

from __future__ import annotations

from typing import Any

from agent.choosing import Choosing
from bus.messages import TableUpdate
from bus.step import LONG_AGO, Peer
from bus.table_copy import TableCopy
from bus.values import ServerRow
from sds.membership import Membership, Presence, Server
from sds.moves import Cluster, Moves
from simulation.bugs.planting import Put, bug


@bug("R20", "a new incarnation is admitted at once, though the old one lives")
def newcomer_at_once(put: Put) -> None:
    honest = Membership._newcomer

    def newcomer(self: Membership, sender: Peer, server: Server | None, presence: Presence, now: float) -> tuple[bool, list[Any]]:
        presence.challenger, presence.challenged_at = sender, LONG_AGO
        return honest(self, sender, server, presence, now)

    put(Membership, "_newcomer", newcomer)


@bug("section 5", "a secondary is left for one that is merely as good")
def no_margin(put: Put) -> None:
    honest = Choosing._advantage

    def advantage(self: Choosing, candidate: str, recorded: str, zone: str | None, servers: dict[str, ServerRow]) -> int:
        return self._settings.margin + 1 if honest(self, candidate, recorded, zone, servers) >= 0 else 0

    put(Choosing, "_advantage", advantage)


@bug("section 5", "a secondary is left for one that is better for a moment")
def no_dwell(put: Put) -> None:
    put(Choosing, "_dwell_s", property(lambda self: 0.0))


@bug("section 5", "planned moves run side by side")
def moves_side_by_side(put: Put) -> None:
    honest = Moves.step

    def step(self: Moves, cluster: Cluster, now: float) -> list[Any]:
        wishes, notes = self.wishes, honest(self, cluster, now)
        for situation in cluster.situations(now):
            if situation.definition.name not in wishes:
                notes += self._begin(situation, cluster, now)
        return notes

    put(Moves, "step", step)


@bug("section 3", "a beacon passes for the update that was lost before it")
def beacon_taken_for_update(put: Put) -> None:
    honest = TableCopy.follow

    def follow(self: TableCopy, update: TableUpdate) -> bool:
        beacon = not (update.servers or update.services or update.left)
        if beacon and self.seq is not None and update.seq == self.seq + 1:
            self.seq = update.seq
        return honest(self, update)

    put(TableCopy, "follow", follow)
