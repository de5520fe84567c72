"""What may be in a manifest, and what is refused whoever wrote it: P4."""

from __future__ import annotations

import msgspec
import pytest
from files_made import PAGE, entry, manifest_of, of_text, text_entry

from agent.manifest import CHUNK_BYTES, MOST_BYTES, Manifest, ManifestError, astray, digest, read, written

TREE = entry("/srv/www", kind="directory")


def as_read(manifest: Manifest, service: str = "www") -> Manifest:
    text = msgspec.json.encode(manifest)
    return read(text, digest(text), service)


def test_what_is_written_is_read_again_and_its_version_is_that_of_its_text() -> None:
    manifest = of_text("www", "hello")
    version, text = written(manifest)
    assert version == digest(text)
    assert read(text, version, "www") == manifest
    assert (manifest.files, manifest.size) == (1, 5)


def test_another_mode_owner_or_content_is_another_version() -> None:
    versions = {
        written(manifest_of("www", TREE, page))[0]
        for page in (text_entry(PAGE, "a"), text_entry(PAGE, "b"), text_entry(PAGE, "a", mode=0o600), text_entry(PAGE, "a", owner="www"))
    }
    assert len(versions) == 4


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("srv/www/a", "absolute"),
        ("/srv/www/../../etc/passwd", "no plain path"),
        ("/srv/www/./a", "no plain path"),
        ("/srv/www//a", "no plain path"),
        ("/srv/www/a/", "no plain path"),
        ("/srv/www/a\nb", "no text"),
        ("/srv/www/a\0b", "no text"),
        ("/srv/www/" + "a" * 256, "too long"),
        ("/etc/shadow", "does not lie below"),
        ("/srv/wwwx", "does not lie below"),
        ("/srv/www/in/none", "no directory that is listed"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path: str, why: str) -> None:
    with pytest.raises(ManifestError, match=why):
        as_read(manifest_of("www", *sorted((TREE, text_entry(path, "x")), key=lambda each: each.path)))


@pytest.mark.parametrize("path", ["srv", "/", "/srv/..", "/srv/"])
def test_paths_of_the_manifest_itself_are_looked_at_too(path: str) -> None:
    with pytest.raises(ManifestError):
        as_read(manifest_of("www", paths=(path,)))


@pytest.mark.parametrize(
    "bad",
    [
        entry(PAGE, size=5),
        entry(PAGE, size=CHUNK_BYTES + 1, chunks=("a" * 64,)),
        entry(PAGE, kind="directory", chunks=("a" * 64,)),
    ],
)
def test_sizes_must_agree_with_chunks(bad: object) -> None:
    with pytest.raises(ManifestError):
        as_read(manifest_of("www", TREE, bad))  # type: ignore[arg-type]


def test_nothing_stands_twice_and_nothing_below_a_file() -> None:
    page = text_entry(PAGE, "x")
    for entries in ((TREE, page, page), (page, TREE), (TREE, page, text_entry(f"{PAGE}/b", "x"))):
        with pytest.raises(ManifestError):
            as_read(manifest_of("www", *entries))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        b"[" * 100_000,
        b'{"service":"www","paths":["/srv"],"entries":[{"path":"/srv","mode":4095}]}',
        b'{"service":"www","paths":["/srv"],"entries":[{"path":"/srv","mode":420,"kind":"link"}]}',
        b'{"service":"www","paths":["/srv"],"entries":[{"path":"/srv","mode":420,"size":1,"chunks":["../../etc"]}]}',
        b'{"service":"www","paths":["/srv"],"entries":[{"path":"/srv","mode":420,"size":-1}]}',
        b'{"service":"ftp","paths":[]}',
    ],
)
def test_any_other_text_is_one_error(text: bytes) -> None:
    with pytest.raises(ManifestError) as refused:
        read(text, digest(text), "www")
    assert "\n" not in str(refused.value)


def test_a_text_that_is_not_its_version_is_refused() -> None:
    version, text = written(of_text("www", "hello"))
    with pytest.raises(ManifestError, match="not what its version says"):
        read(text.replace(b"hello", b"hallo") + b" ", version, "www")


def test_too_much_is_refused_before_it_is_stored() -> None:
    chunks = ("a" * 64,) * (MOST_BYTES // CHUNK_BYTES)
    big = [entry(f"/srv/www/{letter}", size=MOST_BYTES, chunks=chunks) for letter in "ab"]
    with pytest.raises(ManifestError, match="bytes are more than"):
        written(manifest_of("www", TREE, *big))


def test_the_definition_has_the_last_word_about_where_files_may_lie() -> None:
    manifest = of_text("www", "hello")
    assert astray(manifest, ("/srv/www",)) is None
    assert "/srv/www" in (astray(manifest, ("/srv/other",)) or "")


def test_what_agrees_with_itself_is_read_with_fields_of_a_later_release() -> None:
    text = written(of_text("www", "hello"))[1][:-1] + b',"later":1}'
    assert read(text, digest(text), "www") == of_text("www", "hello")
