"""When a server looks, stages and stores, as news comes in: P4."""

from __future__ import annotations

from typing import Any

from files_made import PAGE, manifest_of, of_text, text_entry, tree_of

from agent.manifest import Manifest, written
from agent.shelf import AWAY_GRACE_S, FIRST_VERSION_S, FORGIVEN_S, LOOK_EVERY_S, SETTLED_S, Shelf
from agent.shelf_events import (
    Away,
    Head,
    Heads,
    Look,
    Looked,
    ManifestRead,
    ReadManifest,
    Remember,
    Restaged,
    Role,
    Save,
    Saved,
    Stage,
    Staged,
    Told,
)
from agent.staging import Record, Seen, Tree, recorded
from bus.values import ServiceDefinition

WWW = ServiceDefinition(name="www", fqdn="www.test", port=80, home="http", start=("run",), files=("/srv/www",))


class Server:
    """A shelf, and a database and a disk that do what it asks at once."""

    def __init__(self, me: str, role: Role = "other", tree: Tree | None = None, record: Record | None = None) -> None:
        self.shelf = Shelf(me, WWW, record or Record(service="www"))
        self.shelf.be(WWW, role, 3 if role == "holder" else 0)
        self.me = me
        self.tree: Tree = tree or {}
        self.database: Manifest | None = None
        self.number = 0
        self.now = 100.0
        self.done: list[Any] = []
        self.fails = ""

    @property
    def head(self) -> Head | None:
        return None if self.database is None else Head(version=written(self.database)[0], number=self.number, by="http")

    def put(self, manifest: Manifest) -> None:
        self.database, self.number = manifest, self.number + 1

    def be(self, role: Role, epoch: int = 0) -> None:
        self.shelf.be(WWW, role, epoch)

    def pass_time(self, seconds: float = LOOK_EVERY_S, away: str = "") -> list[Any]:
        """A round after so long, and all that comes of it."""
        self.now += seconds
        self.done, events = [], [Away(away) if away else Heads(self.head)]
        while events:
            for action in self.shelf.step(events.pop(0), self.now):
                self.done.append(action)
                events += [answer] if (answer := self._perform(action)) is not None else []
        return self.done

    def _perform(self, action: Any) -> Any:
        match action:
            case ReadManifest():
                return ManifestRead(action.version, self.database)
            case Look():
                return Looked(self.tree)
            case Stage() if self.fails:
                return Staged(None, self.fails)
            case Stage():
                assert self.database is not None
                self.tree = {
                    entry.path: Seen(kind=entry.kind, mode=entry.mode, size=entry.size, chunks=entry.chunks)
                    for entry in self.database.entries
                }
                return Staged(self.tree)
            case Save() if action.base != (self.head.version if self.head else None):
                return Saved(None, "came between")
            case Save():
                self.put(action.manifest)
                return Saved(self.head)
            case _:
                return None

    def did(self, kind: type) -> list[Any]:
        return [action for action in self.done if isinstance(action, kind)]

    def why_not(self) -> str | None:
        return self.shelf.why_not(self.now)

    def ready(self, starting: bool = False) -> bool | str:
        return self.shelf.ready(self.now, starting)


# -- the first version


def test_the_holder_at_home_stores_the_first_version_at_once() -> None:
    http = Server("http", "holder", tree_of(index="one"))
    http.pass_time()
    (saved,) = http.did(Save)
    assert (saved.manifest, saved.base, saved.epoch) == (of_text("www", "one"), None, 3)
    assert http.did(Remember)[0].record.version == http.head.version  # type: ignore[union-attr]
    assert [told.message.kind for told in http.did(Told)] == ["stored"]


def test_nobody_else_is_the_source_of_a_first_version() -> None:
    email = Server("email", "holder", tree_of(index="something"))
    email.pass_time()
    assert not email.did(Save)
    http = Server("http", "other", tree_of(index="one"))
    http.pass_time()
    assert not http.did(Save) and http.why_not() is None


def test_who_held_the_files_before_stores_them_in_a_database_that_lost_them() -> None:
    record = recorded(of_text("www", "one"), "v", tree_of(index="one"), Record(service="www"))
    email = Server("email", "holder", tree_of(index="one"), record)
    email.pass_time()
    assert email.did(Save)[0].manifest == of_text("www", "one")


def test_until_there_is_a_version_only_the_home_is_a_candidate() -> None:
    email = Server("email")
    assert email.why_not() == "its files are being looked at"
    email.pass_time()
    assert email.why_not() is None and email.ready() is False, "its home is given some time"
    email.pass_time(FIRST_VERSION_S)
    assert "http has not stored them yet" in (email.why_not() or "")
    assert isinstance(email.ready(), str)


# -- staging


def test_a_stand_in_stages_and_is_ready_only_then() -> None:
    email = Server("email", "stand-in")
    assert email.ready() is False
    email.put(of_text("www", "one"))
    email.fails = "no room"
    email.pass_time()
    assert email.ready() == "no room" and email.shelf.state.trouble == "no room"
    email.fails = ""
    email.pass_time()
    assert email.did(Stage) and email.did(Restaged) and email.ready() is True
    assert email.shelf.state.version == email.head.version  # type: ignore[union-attr]


def test_who_is_neither_looks_but_does_not_stage() -> None:
    email = Server("email")
    email.put(of_text("www", "one"))
    email.pass_time()
    assert email.did(Look) and not email.did(Stage) and email.why_not() is None


def test_where_something_stands_already_it_is_not_a_candidate_before_it_is_known_to_be_right() -> None:
    email = Server("email", tree=tree_of(index="one"))
    email.pass_time()
    assert email.why_not() is not None
    email.put(of_text("www", "one"))
    email.pass_time()
    assert email.why_not() is None


def test_where_staging_failed_it_is_no_candidate_for_a_while() -> None:
    email = Server("email", "stand-in")
    email.put(of_text("www", "one"))
    email.fails = "no room"
    email.pass_time()
    email.be("other")
    email.pass_time()
    assert email.why_not() == "no room"
    email.pass_time(FORGIVEN_S)
    assert email.why_not() is None


def test_a_foreign_file_makes_no_candidate_until_it_is_away() -> None:
    email = Server("email", tree=tree_of(index="theirs"))
    email.put(of_text("www", "one"))
    email.pass_time()
    assert PAGE in (email.why_not() or "")
    email.be("stand-in")
    email.pass_time()
    assert not email.did(Stage) and PAGE in str(email.ready())
    email.tree = {}
    email.pass_time()
    assert email.ready() is True and email.why_not() is None


def test_a_new_version_is_staged_when_it_comes() -> None:
    email = Server("email", "stand-in")
    email.put(of_text("www", "one"))
    email.pass_time()
    email.put(of_text("www", "two"))
    email.pass_time(0.1)
    assert email.did(Stage) and email.did(Restaged)


def test_the_last_complete_version_stands_while_a_newer_one_is_not() -> None:
    email = Server("email", "stand-in")
    email.put(of_text("www", "one"))
    email.pass_time()
    one = email.shelf.state.version
    email.put(of_text("www", "two"))
    email.fails = "no room"
    email.pass_time()
    assert email.shelf.state.version == one and email.shelf.state.trouble == "no room"
    assert email.ready() is True and email.why_not() is None


def test_a_start_uses_what_is_complete_and_waits_for_no_newer_version() -> None:
    email = Server("email", "stand-in")
    assert email.ready(starting=True) is False
    email.put(of_text("www", "one"))
    email.pass_time()
    email.put(of_text("www", "two"))
    email.shelf.step(Heads(email.head), email.now)
    assert email.ready() is False, "a secondary is ready with the newest only"
    assert email.ready(starting=True) is True
    email.pass_time()
    email.tree = tree_of(index="not ours")
    email.put(of_text("www", "three"))
    email.pass_time()
    assert isinstance(email.ready(starting=True), str), "what is in the way is no version"


def test_a_start_waits_for_no_answer_of_the_database_when_a_version_is_here() -> None:
    record = recorded(of_text("www", "one"), "v1", tree_of(index="one"), Record(service="www"))
    email = Server("email", "holder", tree_of(index="one"), record)
    assert email.ready() is False and email.ready(starting=True) is True


def test_the_home_that_returns_has_the_present_version_before_it_may_start() -> None:
    record = recorded(of_text("www", "one"), "v1", tree_of(index="one"), Record(service="www"))
    http = Server("http", "other", tree_of(index="one"), record)
    assert http.why_not() == "its files are being looked at"
    http.put(of_text("www", "two"))
    http.fails = "no room"
    http.pass_time()
    assert http.why_not() == "no room"
    http.fails = ""
    http.pass_time()
    assert http.why_not() is None and http.shelf.state.version == http.head.version  # type: ignore[union-attr]


def test_files_that_were_changed_at_a_home_that_was_down_are_not_overwritten() -> None:
    record = recorded(of_text("www", "one"), "v1", tree_of(index="one"), Record(service="www"))
    http = Server("http", "other", tree_of(index="edited while down"), record)
    http.put(of_text("www", "two"))
    http.pass_time()
    assert "was changed here" in (http.why_not() or "") and not http.did(Stage)


def test_a_version_with_paths_of_its_own_is_not_staged() -> None:
    email = Server("email", "stand-in")
    email.put(manifest_of("www", text_entry("/etc/x", "x"), paths=("/etc/x",)))
    email.pass_time()
    assert "/etc/x" in str(email.ready()) and not email.did(Stage) and "/etc/x" in (email.why_not() or "")


def test_a_manifest_that_is_no_good_is_said_once() -> None:
    email = Server("email", "stand-in")
    email.put(of_text("www", "one"))
    email.shelf.step(Heads(email.head), email.now)
    for _ in range(3):
        found = email.shelf.step(ManifestRead(email.head.version, None, "no good"), email.now)  # type: ignore[union-attr]
    assert found == [] and email.ready() == "no good" and email.why_not() == "no good"


# -- edits of the holder


def test_an_edit_is_stored_when_it_rests() -> None:
    http = Server("http", "holder", tree_of(index="one"))
    http.pass_time()
    http.tree = tree_of(index="half")
    http.pass_time()
    assert not http.did(Save)
    http.tree = tree_of(index="whole")
    http.pass_time(SETTLED_S)
    assert not http.did(Save)
    http.pass_time(SETTLED_S)
    assert http.did(Save)[0].manifest == of_text("www", "whole")
    http.pass_time()
    assert not http.did(Save)


def test_files_that_are_all_gone_are_not_stored_and_that_shows() -> None:
    http = Server("http", "holder", tree_of(index="one"))
    http.pass_time()
    http.tree = tree_of()
    http.pass_time()
    http.pass_time()
    assert not http.did(Save) and "not passed on" in (http.shelf.state.trouble or "")
    http.tree = {}
    http.pass_time()
    assert "is not here" in (http.shelf.state.trouble or "")


def test_a_version_that_a_person_put_is_staged_by_the_holder() -> None:
    http = Server("http", "holder", tree_of(index="one"))
    http.pass_time()
    http.put(of_text("www", "put"))
    http.pass_time(0.1)
    assert http.did(Stage) and not http.did(Save)


def test_an_edit_that_came_with_a_put_is_not_overwritten() -> None:
    http = Server("http", "holder", tree_of(index="one"))
    http.pass_time()
    http.put(of_text("www", "put"))
    http.tree = tree_of(index="edited")
    http.pass_time()
    assert not http.did(Stage) and "was changed here" in (http.shelf.state.trouble or "")
    assert http.why_not() is None  # what serves goes on


def test_a_new_holder_with_what_was_staged_stores_nothing() -> None:
    email = Server("email", "stand-in")
    email.put(of_text("www", "one"))
    email.pass_time()
    email.be("holder", 4)
    email.pass_time()
    email.pass_time()
    assert not email.did(Save) and not email.did(Stage)


# -- the database is away


def test_with_the_database_away_what_was_staged_last_has_to_do() -> None:
    record = recorded(of_text("www", "one"), "v1", tree_of(index="one"), Record(service="www"))
    for me in ("http", "email"):
        server = Server(me, "other", tree_of(index="one"), record)
        server.pass_time(0.1, away="refused")
        server.pass_time(AWAY_GRACE_S, away="refused")
        assert server.why_not() is None and server.ready() is True
        assert server.shelf.state.trouble == "refused"


def test_without_any_version_only_the_home_starts_while_the_database_is_away() -> None:
    for me, able in (("http", True), ("email", False)):
        server = Server(me, "other", tree_of(index="one") if able else {})
        server.pass_time(0.1, away="refused")
        server.pass_time(AWAY_GRACE_S, away="refused")
        assert (server.why_not() is None) is able and (server.ready() is True) is able


def test_a_stand_in_that_was_being_staged_goes_on_when_the_database_is_back() -> None:
    email = Server("email", "stand-in")
    email.put(of_text("www", "one"))
    email.pass_time(0.1, away="refused")
    email.pass_time(0.1)
    assert email.did(Stage) and email.ready() is True
