"""When a driver looks anew whether a service could run here: the same for resource agents and units."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.drivers.looking import Look, LookingDriver
from bus.values import ServiceDefinition


class Counting(LookingDriver[Look]):
    """It finds the trouble that it is told to find, and notes whom it looked at."""

    def __init__(self, place: Path, every_s: float, again_s: float) -> None:
        super().__init__("one", "127.0.0.1", "test/one", place)
        self.look_every_s, self.look_again_s = every_s, again_s
        self.trouble: str | None = None
        self.asked: list[str] = []

    async def _find_out(self, definition: ServiceDefinition, ours: bool) -> Look:
        self.asked.append(definition.name + " (ours)" * ours)
        return Look(definition, self.trouble)


def looks(driver: Counting, *definitions: ServiceDefinition, ours: tuple[str, ...] = ()) -> list[str]:
    """At whom it looks when it is asked to now."""
    driver.asked.clear()
    asyncio.run(driver.look(definitions, frozenset(ours)))
    return list(driver.asked)


def service(name: str, port: int = 1) -> ServiceDefinition:
    return ServiceDefinition(name=name, fqdn=f"{name}.test", port=port, home="one")


WWW, FTP = service("www"), service("ftp")


def test_only_what_is_new_or_changed_is_looked_at_before_its_time(tmp_path: Path) -> None:
    driver = Counting(tmp_path, every_s=3600, again_s=3600)
    assert looks(driver, WWW) == ["www"]
    assert looks(driver, WWW, FTP) == ["ftp"]
    changed = service("www", port=2)
    assert driver.knows(WWW) and not driver.knows(changed)
    assert looks(driver, changed, FTP) == ["www"] and driver.knows(changed)


def test_what_runs_here_is_left_in_peace_but_looked_at_once(tmp_path: Path) -> None:
    driver = Counting(tmp_path, every_s=0, again_s=0)
    assert looks(driver, WWW, ours=("www",)) == ["www (ours)"]
    assert looks(driver, WWW, ours=("www",)) == []
    assert looks(driver, WWW) == ["www"]


@pytest.mark.parametrize(("every_s", "again_s"), [(0, 3600), (3600, 0)])
def test_trouble_has_a_time_of_its_own(tmp_path: Path, every_s: float, again_s: float) -> None:
    driver = Counting(tmp_path, every_s, again_s)
    looks(driver, WWW)
    assert looks(driver, WWW) == ([] if every_s else ["www"])
    driver = Counting(tmp_path, every_s, again_s)
    driver.trouble = "it is not installed"
    looks(driver, WWW)
    assert looks(driver, WWW) == ([] if again_s else ["www"])


class Hanging(Counting):
    """Whatever it asks of ftp takes until it is let go."""

    look_within_s = 0.05

    def __init__(self, place: Path) -> None:
        super().__init__(place, every_s=3600, again_s=3600)
        self.go = asyncio.Event()
        self.breaks = False

    async def _find_out(self, definition: ServiceDefinition, ours: bool) -> Look:
        if definition.name == "ftp":
            await self.go.wait()
        if self.breaks:
            raise RuntimeError("broken")
        return await super()._find_out(definition, ours)


def test_what_takes_long_holds_up_nobody_and_is_known_when_it_is_over(tmp_path: Path) -> None:
    async def rounds() -> None:
        driver = Hanging(tmp_path)
        for _ in range(2):
            await driver.look((FTP, WWW), frozenset())
            assert driver.asked == ["www"] and driver.knows(WWW) and not driver.knows(FTP)
        driver.go.set()
        await driver.look((FTP, WWW), frozenset())
        assert driver.asked == ["www", "ftp"] and driver.knows(FTP)

    asyncio.run(rounds())


def test_what_breaks_after_its_round_is_told_in_a_later_one(tmp_path: Path) -> None:
    async def rounds() -> None:
        driver = Hanging(tmp_path)
        await driver.look((FTP, WWW), frozenset())
        driver.breaks = True
        driver.go.set()
        await asyncio.sleep(0)  # it ends between two rounds
        with pytest.raises(RuntimeError, match="broken"):
            await driver.look((WWW,), frozenset())

    asyncio.run(rounds())


def test_what_is_no_longer_there_is_forgotten(tmp_path: Path) -> None:
    driver = Counting(tmp_path, every_s=3600, again_s=3600)
    looks(driver, WWW, FTP)
    assert looks(driver, FTP) == [] and not driver.knows(WWW)
    assert looks(driver, WWW, FTP) == ["www"]
