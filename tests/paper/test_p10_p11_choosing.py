"""P10, P11: every holder chooses a secondary for its own service, appoints it and keeps telling it that it lives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from machines.parts import WITNESS, WWW, Guard, acknowledge, guard, recipients, said

from agent import channel
from agent.choosing import ChoosingSettings
from agent.running import FromGuard, Offer, Running
from agent.takeover_events import ToGuard
from bus.config import Timing
from bus.messages import Assignment, KeepAlive, Renewal, Renewed, Table
from bus.step import Received
from bus.values import ServerRow, ServiceRow
from simulation.life import Life


def row(name: str, priority: int | None, **more: Any) -> ServerRow:
    return ServerRow(
        **({"name": name, "address": name, "peer_port": 5760, "public_key": "k", "incarnation": 1, "state": "up", "able": ("www",)} | more),
        priority=priority,
    )


class Home:
    """The real runner and guard of http, which holds www."""

    def __init__(self) -> None:
        self.guard = Guard("http")
        self.guard.runner(channel.Peers(peers={}))
        offer = Offer(name="http", address="http", peer_port=5760, services=(WWW,))
        self.runner = Running(offer, Timing.calm(), ChoosingSettings(), self.guard.now)
        self.runner.step(FromGuard(channel.Welcome(incarnation=1)), self.guard.now)
        actions = self.guard.grant() + self.guard.wait(0.01)
        renewal = said(actions, Renewal)[0]
        answer = Renewed(service="www", epoch=renewal.epoch, grant_id=renewal.grant_id, beat=renewal.beat)
        self.take(self.guard.hear(WITNESS, answer))

    def take(self, actions: list[Any]) -> None:
        """What the guard says reaches the runner."""
        for line in said(actions, channel.Start):
            self.runner.step(FromGuard(line), self.guard.now)

    def table(self, *servers: ServerRow) -> list[Any]:
        """The table comes; what runner and guard then do."""
        services = (ServiceRow(definition=WWW, epoch=1, holder="http"),)
        message = Table(seq=1, incarnation=1, servers=servers, services=services)
        done: list[Any] = []
        for action in self.runner.step(Received(WITNESS, message), self.guard.now):
            if isinstance(action, ToGuard):
                done += self.guard.runner(action.line)
        return done + self.guard.wait(Timing.calm().beat_s)


@pytest.fixture
def life() -> Iterator[Life]:
    """Four servers and three services, on the real machines, in virtual time."""
    life = Life(19, "quiet")
    life.world.run(8.0)
    assert all(life.settled(service) for service in life.services)
    yield life
    assert life.judge.violation is None


def test_p10_after_a_table_update_the_chosen_server_gets_an_assignment() -> None:
    """P10: after a table update a primary sends an assignment to the server it chose: be my secondary, listen to my keep-alive."""
    home = Home()
    done = home.table(row("http", 10), row("ftp", 30), row("email", 20))
    assert set(recipients(done, Assignment)) == {"email"} and recipients(done, KeepAlive) == []
    (assignment, *_) = said(done, Assignment)
    home.guard.hear(guard("email"), acknowledge(assignment))
    later = home.guard.wait(3 * Timing.calm().beat_s)
    assert set(recipients(later, KeepAlive)) == {"email"}


def test_p11_the_choice_goes_by_the_present_status_of_each_candidate() -> None:
    """P11: it chooses by the current status of each candidate: silent, draining and unable ones are none, whatever their priority."""
    rows = (row("email", 0, state="silent"), row("dns", 0, state="draining"), row("web", 0, able=()), row("ftp", 90))
    assert set(recipients(Home().table(row("http", 10), *rows), Assignment)) == {"ftp"}


def test_p11_every_server_chooses_for_its_own_and_is_primary_and_secondary_at_once(life: Life) -> None:
    """P11: every server does so for its own primary service, and is primary and secondary at once."""
    life.hosts["d"].load(0.9)  # it has no service of its own, and would be the first choice of all
    life.world.run(life.world.now + 20.0)
    records = {service: life.central.record(service) for service in life.services}
    holders = {record.holder for record in records.values() if record}
    secondaries = {record.secondary for record in records.values() if record}
    assert holders == {"a", "b", "c"} and all(record and record.secondary != record.holder for record in records.values())
    assert holders & secondaries
    for service, record in records.items():
        assert record is not None and record.holder is not None
        its_guard = life.hosts[record.holder].guard
        assert its_guard is not None
        holding = its_guard.duties[service].holding
        assert holding is not None and holding.recorded == record.secondary
