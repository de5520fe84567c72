"""What is done with a server's disk to have a version there, and what never is: P4."""

from __future__ import annotations

import msgspec
import pytest
from files_made import PAGE, entry, manifest_of, of_text, seen, text_entry, tree_of

from agent.manifest import ManifestError
from agent.staging import Mark, Record, intending, plan, recorded, taken, why_suspicious

NEW = of_text("www", "new")
NOTHING = Record(service="www")


def having(text: str, version: str = "old") -> Record:
    """The record of a server that has this page."""
    return recorded(of_text("www", text), version, tree_of(index=text), NOTHING)


def test_what_is_not_there_is_written() -> None:
    steps = plan(NEW, "v", {}, NOTHING)
    assert [step.path for step in steps.write] == ["/srv/www", PAGE] and not steps.foreign and not steps.done


def test_what_is_the_same_is_adopted() -> None:
    steps = plan(NEW, "v", tree_of(index="new"), NOTHING)
    assert steps.done
    assert recorded(NEW, "v", tree_of(index="new"), NOTHING).marks[PAGE].contents == (NEW.entries[1].content,)


def test_what_we_left_is_replaced() -> None:
    steps = plan(NEW, "v", tree_of(index="old"), having("old"))
    assert [step.path for step in steps.write] == [PAGE] and not steps.foreign


def test_what_is_not_ours_is_foreign_and_named_with_the_remedy() -> None:
    steps = plan(NEW, "v", tree_of(index="theirs"), NOTHING)
    assert [foreign.path for foreign in steps.foreign] == [PAGE] and not steps.write
    assert PAGE in (steps.why_not or "") and "locum files put" in (steps.why_not or "")


def test_what_was_ours_and_was_changed_here_is_foreign() -> None:
    steps = plan(NEW, "v", tree_of(index="edited"), having("old"))
    assert "was changed here" in (steps.why_not or "") and not steps.write


def test_a_file_or_directory_more_than_the_database_has_is_foreign() -> None:
    tree = tree_of(index="new", more="x") | {"/srv/www/sub": seen()}
    steps = plan(NEW, "v", tree, NOTHING)
    assert {foreign.path for foreign in steps.foreign} == {"/srv/www/more.html", "/srv/www/sub"}


def test_what_lies_at_a_path_that_the_database_does_not_know_yet_is_not_in_the_way() -> None:
    """A path was added to the service's files, and its home has not stored it yet."""
    assert plan(NEW, "v", tree_of(index="new") | {"/etc/www.conf": seen("x")}, NOTHING).done


def test_what_the_new_version_no_longer_has_is_removed_the_deepest_first() -> None:
    old = manifest_of("www", entry("/srv/www", kind="directory"), entry("/srv/www/a", kind="directory"), text_entry("/srv/www/a/b", "x"))
    tree = {"/srv/www": seen(), "/srv/www/a": seen(), "/srv/www/a/b": seen("x")}
    record = recorded(old, "old", tree, NOTHING)
    steps = plan(manifest_of("www", entry("/srv/www", kind="directory")), "v", tree, record)
    assert steps.remove == ("/srv/www/a/b", "/srv/www/a")
    changed = tree | {"/srv/www/a/b": seen("edited")}
    steps = plan(manifest_of("www", entry("/srv/www", kind="directory")), "v", changed, record)
    assert [foreign.path for foreign in steps.foreign] == ["/srv/www/a/b"]


@pytest.mark.parametrize("there", [seen(), seen(kind="other")])
def test_another_kind_in_the_place_of_a_file_is_foreign(there: object) -> None:
    steps = plan(NEW, "v", {"/srv/www": seen(), PAGE: there}, NOTHING)  # type: ignore[dict-item]
    assert [foreign.path for foreign in steps.foreign] == [PAGE]


def test_many_foreign_files_are_counted_not_listed() -> None:
    steps = plan(NEW, "v", tree_of(**{f"f{number}": "x" for number in range(50)}), NOTHING)
    assert "and 47 more" in (steps.why_not or "") and len(steps.why_not or "") < 600


def test_a_mode_alone_is_set_with_a_new_version_and_not_again() -> None:
    """A file system that keeps no modes must not be written to for ever."""
    manifest = manifest_of("www", entry("/srv/www", kind="directory"), text_entry(PAGE, "old", mode=0o600))
    assert plan(manifest, "new", tree_of(index="old"), having("old")).write
    assert plan(manifest, "old", tree_of(index="old"), having("old")).done


def test_whatever_moment_the_power_fails_each_file_is_ours() -> None:
    record = having("old")
    intent = intending(record, plan(NEW, "v", tree_of(index="old"), record))
    for text in ("old", "new"):
        assert not plan(of_text("www", "newer"), "w", tree_of(index=text), intent).foreign
    assert plan(of_text("www", "newer"), "w", tree_of(index="else"), intent).foreign


def test_a_version_is_here_only_if_all_of_it_is() -> None:
    with pytest.raises(ManifestError):
        recorded(NEW, "v", tree_of(index="old"), NOTHING)


# -- from the disk to the database


def test_the_first_version_is_what_is_on_the_disk() -> None:
    assert taken("www", ("/srv/www",), tree_of(index="new")) == NEW


def test_what_nobody_touched_gives_the_same_version_again() -> None:
    """Also where modes and owners could not be set as the database has them."""
    manifest = manifest_of("www", entry("/srv/www", kind="directory"), text_entry(PAGE, "new", mode=0o640, owner="www-data"))
    tree = {"/srv/www": seen(), PAGE: seen("new", owner="demo")}
    record = recorded(manifest, "v", tree, NOTHING)
    assert taken("www", ("/srv/www",), tree, manifest, record) == manifest


def test_an_edit_a_new_file_and_one_that_is_gone_are_taken() -> None:
    record = having("new", "v")
    assert taken("www", ("/srv/www",), tree_of(index="newer"), NEW, record) == of_text("www", "newer")
    assert taken("www", ("/srv/www",), tree_of(index="new", more="x"), NEW, record).files == 2
    assert taken("www", ("/srv/www",), tree_of(), NEW, record).files == 0


def test_a_mode_that_somebody_set_is_taken() -> None:
    tree = tree_of(index="new")
    tree[PAGE] = msgspec.structs.replace(tree[PAGE], mode=0o600)
    assert taken("www", ("/srv/www",), tree, NEW, having("new", "v")).entries[1].mode == 0o600


def test_a_path_that_is_missing_a_link_and_a_pipe_are_refused_in_clear_words() -> None:
    with pytest.raises(ManifestError, match="/srv/www: is not here"):
        taken("www", ("/srv/www",), {})
    with pytest.raises(ManifestError, match=r"index\.html: is a link or a special file"):
        taken("www", ("/srv/www",), {"/srv/www": seen(), PAGE: seen(kind="other")})


def test_files_that_are_all_gone_are_not_passed_on() -> None:
    gone = taken("www", ("/srv/www",), tree_of(), NEW, having("new", "v"))
    assert "not passed on" in (why_suspicious(gone, NEW) or "")
    assert why_suspicious(of_text("www", "newer"), NEW) is None


def test_a_mark_without_contents_is_nobodys() -> None:
    assert plan(NEW, "v", tree_of(index=""), Record(service="www", marks={PAGE: Mark(contents=())})).foreign
