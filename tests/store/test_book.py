"""The SDS's file of who joined: whole at every instant, and one line whatever is wrong with it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sds.admission import Book, Member
from sds.book import BookFile
from sds.rows import StoreError

BOOK = Book(cluster="test", joined=(Member(public_key="k" * 40, role="server", name="extra"),), left=("http",), highest=3)


def test_what_was_written_is_read_by_the_next_sds(tmp_path: Path) -> None:
    path = tmp_path / "joined.json"
    assert BookFile(path, "test").read() == Book(cluster="test")
    BookFile(path, "test").write(BOOK)
    assert BookFile(path, "test").read() == BOOK
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_write_that_was_cut_short_changes_nothing(tmp_path: Path) -> None:
    file = BookFile(tmp_path / "joined.json", "test")
    file.write(BOOK)
    (tmp_path / "joined.json.new").write_text('{"cluster": "te')
    assert file.read() == BOOK
    file.write(Book(cluster="test"))
    assert file.read() == Book(cluster="test")


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"cluster": "test", "joined": [{"name": 1}]}', b"\xff", b"[" * 100_000])
def test_a_damaged_one_is_not_taken_for_an_empty_one(tmp_path: Path, content: bytes) -> None:
    """Empty would mean that revoked keys are trusted again."""
    path = tmp_path / "joined.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged: restore it") as error:
        BookFile(path, "test").read()
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_another_clusters_is_refused(tmp_path: Path) -> None:
    BookFile(tmp_path / "joined.json", "test").write(BOOK)
    with pytest.raises(StoreError, match="is of cluster 'test', this is 'other'"):
        BookFile(tmp_path / "joined.json", "other").read()


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "joined.json").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        BookFile(tmp_path / "joined.json", "test").write(BOOK)
    with pytest.raises(StoreError, match="cannot be written"):
        BookFile(tmp_path / "none" / "joined.json", "test").write(BOOK)
    with pytest.raises(StoreError, match="cannot read"):
        BookFile(tmp_path / "joined.json", "test").read()
