"""Section 5: whom a runner tells of as waiting hot, when a service's program has ended."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from parts import WITNESS, WWW, said

from agent import channel
from agent.choosing import ChoosingSettings
from agent.running import FromGuard, Offer, Running
from agent.takeover_events import Checked, Surveyed
from bus.config import Timing
from bus.messages import Table
from bus.step import Received
from bus.values import ServiceRow

TIMING = Timing.calm()
HOT = msgspec.structs.replace(WWW, standby="hot", activate=("open",))
ROW = ServiceRow(definition=HOT, epoch=1, holder="http", secondary="email", standby="hot", state="serving")


def dies(row: ServiceRow, secondary: str = "email", changing: bool = False, silent_s: float = 0.0) -> list[Any]:
    """http serves www, with that on record and in the table, and its process ends."""
    runner = Running(Offer(name="http", address="http", peer_port=5760, services=(HOT,)), TIMING, ChoosingSettings(), 10.0)
    runner.step(FromGuard(channel.Welcome(incarnation=1)), 10.0)
    runner.step(Received(WITNESS, Table(seq=1, incarnation=1, servers=(), services=(row,))), 10.0)
    runner.step(FromGuard(channel.Start(service="www", epoch=1, grant_id=7, definition=HOT)), 10.0)
    runner.step(Surveyed("www", 1, None), 10.0)
    runner.step(FromGuard(channel.Spawned(service="www", epoch=1, pid=42)), 10.0)
    runner.step(Checked("www", 1, True), 10.0)
    runner.step(FromGuard(channel.Backed(service="www", epoch=1, secondary=secondary, changing=changing)), 10.0)
    return runner.step(FromGuard(channel.Exited(service="www", epoch=1, pid=42, status=-9)), 10.0 + silent_s)


def test_a_hot_secondary_is_told_of() -> None:
    actions = dies(ROW)
    assert said(actions, channel.YieldToHot) and not said(actions, channel.Spawn)


@pytest.mark.parametrize(
    "row",
    [msgspec.structs.replace(ROW, standby=standby) for standby in ("warm", "preparing", None)]
    + [msgspec.structs.replace(ROW, secondary="ftp"), msgspec.structs.replace(ROW, secondary="")],
)
def test_one_that_is_not_hot_or_not_the_recorded_one_is_not(row: ServiceRow) -> None:
    actions = dies(row)
    assert said(actions, channel.Spawn) and not said(actions, channel.YieldToHot)


def test_nor_while_the_secondary_changes_or_the_sds_is_silent() -> None:
    assert said(dies(ROW, changing=True), channel.Spawn)
    assert said(dies(ROW, silent_s=TIMING.silent_s + 0.01), channel.Spawn)
