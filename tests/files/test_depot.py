"""Two servers' disks and one database kept the same, round by round (P4): the real loop and disks, the database's twin."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from file_servers import Server, comes, play

from agent.depot import Part
from agent.files_twin import FilesTwin
from agent.shelf_events import Head
from bus.values import ServiceDefinition

WWW = ServiceDefinition(name="www", fqdn="www.test", port=80, home="one", start=("run",), files=("/srv/www",))


def test_an_edit_of_the_holder_reaches_the_stand_in(tmp_path: Path) -> None:
    files = FilesTwin()
    one, two = Server("one", tmp_path, files, Part("holder", 1)), Server("two", tmp_path, files, Part("stand-in", 0))
    one.page("first")

    async def story() -> None:
        await comes(lambda: two.page() == "first")
        assert await two.depot.staged(WWW) is None
        one.page("second")
        await comes(lambda: two.page() == "second")
        await comes(lambda: two.depot.states()["www"].version == one.depot.states()["www"].version)

    play(story, WWW, one, two)
    assert [getattr(message, "kind", "") for message in one.told] == ["stored", "stored"]


def test_whoever_waits_for_files_is_told_when_they_are_here(tmp_path: Path) -> None:
    files = FilesTwin()
    one, two = Server("one", tmp_path, files, Part("holder", 1)), Server("two", tmp_path, files, Part("stand-in", 0))

    async def story() -> None:
        why = await two.depot.staged(WWW)
        assert why is not None and "not in the database" in why
        one.page("first")
        await comes(lambda: two.page() == "first")
        assert await two.depot.staged(WWW) is None

    play(story, WWW, one, two)


def test_a_database_that_is_away_stops_nothing_and_is_used_again_when_it_is_back(tmp_path: Path) -> None:
    files = FilesTwin()
    one, two = Server("one", tmp_path, files, Part("holder", 1)), Server("two", tmp_path, files, Part("stand-in", 0))
    one.page("first")

    async def story() -> None:
        await comes(lambda: two.page() == "first")
        files.away = "switched off"
        one.page("second")
        await comes(lambda: two.depot.states()["www"].trouble == "switched off")
        assert await two.depot.staged(WWW) is None and two.depot.why_not(WWW) is None
        assert two.page() == "first"
        files.away = ""
        await comes(lambda: two.page() == "second")

    play(story, WWW, one, two)


def test_files_are_lacking_until_a_version_is_here_and_never_at_a_home_that_has_them(tmp_path: Path) -> None:
    """An empty directory, which the program's package made, is no version."""
    files = FilesTwin()
    one, two = Server("one", tmp_path, files, Part("holder", 1)), Server("two", tmp_path, files, Part("stand-in", 0))
    assert one.depot.lacks(WWW), "nothing is on its disk"
    one.page("first")
    Path(two.depot._disk.where("/srv/www")).mkdir(parents=True, exist_ok=True)
    assert not one.depot.lacks(WWW) and two.depot.lacks(WWW)

    async def story() -> None:
        await comes(lambda: two.page() == "first")
        await comes(lambda: not two.depot.lacks(WWW))

    play(story, WWW, one, two)


def test_a_server_without_settings_for_the_files_says_what_to_add(tmp_path: Path) -> None:
    two = Server("two", tmp_path, None, Part("stand-in", 0))

    async def story() -> None:
        assert "[files]" in (await two.depot.staged(WWW) or "")
        assert await two.depot.staged(ServiceDefinition(name="ftp", fqdn="ftp.test", port=21, home="one")) is None

    play(story, WWW, two)


def test_a_start_waits_for_files_no_longer_than_it_may(tmp_path: Path) -> None:
    files = FilesTwin()
    files.away = "switched off"
    two = Server("two", tmp_path, files, Part("holder", 2))

    async def story() -> None:
        assert await two.depot.staged(WWW, 0.2) == "its files were not here in time"

    play(story, WWW, two)


class Slow(FilesTwin):
    """Nothing can be fetched from it while `goes_on` is not set."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.waited_for = False

    def chunk(self, name: str) -> bytes:
        self.waited_for = not self.goes_on.is_set()
        self.goes_on.wait(60)
        return super().chunk(name)


def test_a_start_takes_the_version_that_is_complete_while_a_newer_one_comes(tmp_path: Path) -> None:
    """A takeover must not fail for an edit that the former holder stored as its last."""
    files = Slow()
    one, two = Server("one", tmp_path, files, Part("holder", 1)), Server("two", tmp_path, files, Part("stand-in", 0))
    one.page("first")

    async def story() -> None:
        await comes(lambda: two.depot.states()["www"].version)
        files.goes_on.clear()
        try:
            one.page("second")
            await comes(lambda: files.waited_for)
            assert await two.depot.staged(WWW, 20.0) is None and two.page() == "first"
        finally:
            files.goes_on.set()

    play(story, WWW, one, two)


class Counted(FilesTwin):
    """How often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds = 0

    def heads(self) -> dict[str, Head]:
        self.rounds += 1
        return super().heads()


def test_what_this_server_can_run_is_told_when_it_changed_and_not_each_round(tmp_path: Path) -> None:
    files, told = Counted(), [""]
    two = Server("two", tmp_path, files, Part("stand-in", 0))
    two.depot.turned = lambda: told.append(str(two.depot.why_not(WWW)))

    async def story() -> None:
        await comes(lambda: "not in the database" in told[-1])
        before, rounds = len(told), files.rounds
        while files.rounds < rounds + 3:
            two.depot.wake()
            await asyncio.sleep(0.02)
        assert len(told) == before
        files.away = "switched off"
        await comes(lambda: "switched off" in told[-1])

    play(story, WWW, two)
