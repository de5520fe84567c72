"""P21: the secondary's state changes during service, and the choice follows it: real machines in virtual time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.choosing import ChoosingSettings
from simulation.life import Life

SOON_S = 3 * ChoosingSettings().dwell_s


@pytest.fixture(params=range(3))
def life(request: pytest.FixtureRequest) -> Iterator[Life]:
    """Four servers and three services, settled."""
    life = Life(request.param, "quiet")
    life.world.run(8.0)
    assert all(life.settled(service) for service in life.services)
    yield life
    assert life.judge.violation is None


def places(life: Life) -> dict[str, tuple[str | None, int, str]]:
    """Where each service is: holder, epoch, secondary."""
    found = {}
    for service in life.services:
        record = life.central.record(service)
        assert record is not None
        found[service] = (record.holder, record.epoch, record.secondary)
    return found


def pass_(life: Life, seconds: float) -> None:
    life.world.run(life.world.now + seconds)


def test_p21_a_secondary_whose_load_rises_is_replaced_while_the_service_runs(life: Life) -> None:
    """P21: by another, once; the holder goes on under its epoch without a gap."""
    before, began_at = places(life), life.world.now
    _, _, loaded = before["x"]
    life.hosts[loaded].load(0.9)
    pass_(life, SOON_S)
    after = places(life)
    for service, (holder, epoch, secondary) in before.items():
        assert after[service][:2] == (holder, epoch)
        assert (after[service][2] != secondary) is (secondary == loaded)
        assert after[service][2] != loaded
    life.hosts[loaded].load(0.0)
    pass_(life, 10 * SOON_S)
    assert places(life) == after, "and nobody is called back"
    assert all(life.judge.longest_outage_s(service, began_at) == 0.0 for service in life.services)


def test_p21_a_load_that_does_not_last_moves_nothing(life: Life) -> None:
    before = places(life)
    _, _, loaded = before["x"]
    for _ in range(10):
        life.hosts[loaded].load(0.9)
        pass_(life, ChoosingSettings().dwell_s / 2)
        life.hosts[loaded].load(0.0)
        pass_(life, ChoosingSettings().dwell_s / 2)
    assert places(life) == before


def test_joining_and_returning_move_nothing(life: Life) -> None:
    """Section 5: d holds nothing; it goes and comes back, and only those whose secondary it was notice."""
    if any(secondary == "d" for *_, secondary in places(life).values()):
        for name in "abc":
            life.hosts[name].load(0.0)
        life.hosts["d"].load(0.9)
        pass_(life, SOON_S)
        life.hosts["d"].load(0.0)
        pass_(life, 1.0)
    before = places(life)
    assert all(secondary != "d" for *_, secondary in before.values())
    life.hosts["d"].crash()
    pass_(life, 10.0)
    life.hosts["d"].boot()
    pass_(life, 10 * SOON_S)
    assert places(life) == before
