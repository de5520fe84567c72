"""Real files: looked at, put in place, never overwritten if they are not ours, never through a link: P4."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from files_made import PAGE, entry, manifest_of, text_entry

from agent.database import FilesAway
from agent.disk import Disk, DiskError
from agent.manifest import CHUNK_BYTES, Manifest, digest
from agent.records import Records
from agent.staging import Plan, Record, Tree, plan, recorded, taken

WWW = ("/srv/www",)
NOTHING = Record(service="www")


class Place:
    """A root, and what would be fetched."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.disk = Disk(str(root))
        self.chunks: dict[str, bytes] = {}

    def write(self, path: str, content: str | bytes) -> Path:
        file = self.root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def read(self, path: str) -> str:
        return (self.root / path[1:]).read_text()

    def manifest(self, **texts: str) -> Manifest:
        self.chunks |= {digest(text.encode()): text.encode() for text in texts.values()}
        return manifest_of(
            "www", entry("/srv/www", kind="directory"), *(text_entry(f"/srv/www/{name}", text) for name, text in sorted(texts.items()))
        )

    def stage(self, manifest: Manifest, record: Record = NOTHING, fetch: Callable[[str], bytes] | None = None) -> tuple[Plan, Tree]:
        tree = self.disk.look(WWW)
        steps = plan(manifest, "v", tree, record)
        assert not steps.foreign
        self.disk.stage(WWW, steps, tree, fetch or self.chunks.__getitem__, lambda: None)
        return steps, self.disk.look(WWW)

    def names(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "root").mkdir()
    return Place(tmp_path / "root")


def test_what_is_staged_is_there_whole_with_its_mode_and_nothing_else_is(place: Place) -> None:
    manifest = place.manifest(a="one", b="two")
    _, tree = place.stage(manifest)
    assert (place.read("/srv/www/a"), place.read("/srv/www/b")) == ("one", "two")
    assert place.names() == {"srv", "srv/www", "srv/www/a", "srv/www/b"}
    assert tree["/srv/www/a"].mode == 0o644
    assert recorded(manifest, "v", tree, NOTHING).version == "v"
    assert taken("www", WWW, tree, manifest, recorded(manifest, "v", tree, NOTHING)) == manifest


def test_a_large_file_goes_in_chunks_and_an_empty_one_in_none(place: Place) -> None:
    content = os.urandom(CHUNK_BYTES * 2 + 17)
    place.write("/srv/www/large", content)
    place.write("/srv/www/empty", "")
    tree = place.disk.look(WWW)
    manifest = taken("www", WWW, tree)
    assert [len(each.chunks) for each in manifest.entries] == [0, 0, 3]
    pieces = list(place.disk.pieces("/srv/www/large", WWW))
    assert [digest(piece) for piece in pieces] == list(tree["/srv/www/large"].chunks)
    other = Place(place.root.with_name("other"))
    other.chunks = {digest(piece): piece for piece in pieces}
    other.stage(manifest)
    assert (other.root / "srv/www/large").read_bytes() == content and (other.root / "srv/www/empty").read_bytes() == b""


def test_a_database_that_goes_away_half_way_leaves_the_old_version(place: Place) -> None:
    old = place.manifest(a="one", b="two")
    _, tree = place.stage(old)
    record = recorded(old, "old", tree, NOTHING)
    new = place.manifest(a="uno", b="due")
    fetched: list[str] = []

    def fetch(chunk: str) -> bytes:
        if fetched:
            raise FilesAway("gone")
        fetched.append(chunk)
        return place.chunks[chunk]

    with pytest.raises(FilesAway):
        place.stage(new, record, fetch)
    assert (place.read("/srv/www/a"), place.read("/srv/www/b")) == ("one", "two")
    assert place.names() == {"srv", "srv/www", "srv/www/a", "srv/www/b"}


def test_what_is_no_longer_in_the_version_goes_with_its_directory(place: Place) -> None:
    old = manifest_of("www", entry("/srv/www", kind="directory"), entry("/srv/www/d", kind="directory"), text_entry("/srv/www/d/a", "x"))
    place.chunks[digest(b"x")] = b"x"
    _, tree = place.stage(old)
    place.stage(place.manifest(b="y"), recorded(old, "old", tree, NOTHING))
    assert place.names() == {"srv", "srv/www", "srv/www/b"}


def test_a_file_that_came_or_changed_since_we_looked_is_not_overwritten(place: Place) -> None:
    old = place.manifest(a="one")
    _, tree = place.stage(old)
    record, new = recorded(old, "old", tree, NOTHING), place.manifest(a="uno", b="due")

    def fetch(chunk: str) -> bytes:
        place.write("/srv/www/a", "edited")
        return place.chunks[chunk]

    with pytest.raises(DiskError, match="changed while it was staged"):
        place.stage(new, record, fetch)
    assert place.read("/srv/www/a") == "edited"
    place.write("/srv/www/a", "one")
    tree = place.disk.look(WWW)
    steps = plan(new, "v", tree, record)
    place.write("/srv/www/b", "theirs")
    with pytest.raises(DiskError, match="changed while it was staged"):
        place.disk.stage(WWW, steps, tree, place.chunks.__getitem__, lambda: None)
    assert place.read("/srv/www/b") == "theirs"


def test_nobody_is_led_out_of_the_tree_by_a_link(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    manifest = manifest_of(
        "www", entry("/srv/www", kind="directory"), entry("/srv/www/d", kind="directory"), text_entry("/srv/www/d/a", "x")
    )
    place.chunks[digest(b"x")] = b"x"
    tree = place.disk.look(WWW)
    steps = plan(manifest, "v", tree, NOTHING)
    (place.root / "srv/www").mkdir(parents=True)
    (place.root / "srv/www/d").symlink_to(outside)
    with pytest.raises(DiskError):
        place.disk.stage(WWW, steps, tree, place.chunks.__getitem__, lambda: None)
    assert {path.name for path in outside.iterdir()} == {"secret"}
    seen = place.disk.look(WWW)
    assert seen["/srv/www/d"].kind == "other" and "/srv/www/d/secret" not in seen
    with pytest.raises(DiskError, match="link"):
        list(place.disk.pieces("/srv/www/d/secret", WWW))


def test_a_link_above_the_services_own_path_is_the_administrators(place: Place, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (place.root / "srv").symlink_to(tmp_path / "data")
    place.stage(place.manifest(a="one"))
    assert (tmp_path / "data/www/a").read_text() == "one"


def test_links_pipes_and_sockets_are_seen_as_what_they_are(place: Place) -> None:
    place.write("/srv/www/a", "one")
    os.mkfifo(place.root / "srv/www/pipe")
    (place.root / "srv/www/link").symlink_to("a")
    tree = place.disk.look(WWW)
    assert {tree[path].kind for path in ("/srv/www/pipe", "/srv/www/link")} == {"other"}


def test_a_single_file_can_be_all_that_a_service_has(place: Place) -> None:
    place.write(PAGE, "one")
    place.write("/srv/www/beside.html", "not ours")
    assert set(place.disk.look((PAGE, "/etc/not-there.conf"))) == {PAGE}


def test_a_name_that_is_no_text_is_one_clear_line(place: Place) -> None:
    place.write("/srv/www/a", "one")
    os.close(os.open(os.fsencode(place.root / "srv/www") + b"/\xff", os.O_CREAT | os.O_WRONLY))
    with pytest.raises(DiskError, match="no text: give it another name"):
        place.disk.look(WWW)


def test_a_change_of_the_same_size_is_seen(place: Place) -> None:
    place.write("/srv/www/a", "one")
    before = place.disk.look(WWW)
    place.write("/srv/www/a", "two")
    assert place.disk.look(WWW)["/srv/www/a"].content != before["/srv/www/a"].content


def test_what_an_earlier_agent_left_half_written_is_swept_and_never_counted(place: Place) -> None:
    place.write("/srv/www/a", "one")
    left = place.write("/srv/www/.locum-0123456789abcdef.new", "half")
    assert set(place.disk.look(WWW)) == {"/srv/www", "/srv/www/a"} and left.exists()
    Disk(str(place.root), sweeps=True).look(WWW)
    assert not left.exists()


def test_a_directory_that_may_not_be_read_is_one_clear_line(place: Place) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    place.write("/srv/www/a", "one")
    (place.root / "srv/www").chmod(0)
    try:
        with pytest.raises(DiskError, match="/srv/www: Permission denied: let this agent"):
            place.disk.look(WWW)
    finally:
        (place.root / "srv/www").chmod(0o755)


def test_a_record_is_kept_and_a_damaged_one_is_none(place: Place, tmp_path: Path) -> None:
    records = Records(tmp_path / "state")
    _, tree = place.stage(place.manifest(a="one"))
    record = recorded(place.manifest(a="one"), "v", tree, NOTHING)
    records.remember(record)
    assert records.of("www") == record and records.of("ftp") == Record(service="ftp")
    (tmp_path / "state/files/www.json").write_bytes(b"\xff{")
    assert records.of("www") == NOTHING
