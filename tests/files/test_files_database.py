"""agent/files.py against a real Valkey, and its twin by the same tests: P4."""

from __future__ import annotations

from uuid import uuid4

import pytest
import redis
from file_servers import Store
from files_made import entry, manifest_of, of_text

from agent.database import KEPT_VERSIONS, AnyFiles, FilesAway, NotStored
from agent.files import Files
from agent.manifest import ManifestError, digest, written
from bus.files_settings import FilesSettings


def name() -> str:
    """A service that no other test has."""
    return f"s{uuid4().hex[:12]}"


def store_text(files: AnyFiles, service: str, text: str, base: str | None = None, epoch: int = 0) -> str:
    files.put(text.encode())
    return files.commit(of_text(service, text), base, epoch, "http").version


def test_a_version_is_found_again_whole(files: AnyFiles) -> None:
    service = name()
    version = store_text(files, service, "hello")
    head = files.heads()[service]
    assert (head.version, head.number, head.by) == (version, 1, "http")
    manifest = files.manifest(service, version)
    assert manifest == of_text(service, "hello")
    assert [files.chunk(chunk) for chunk in manifest.chunks] == [b"hello"]


def test_numbers_go_on_and_versions_are_listed_newest_first(files: AnyFiles) -> None:
    service = name()
    first = store_text(files, service, "one", epoch=4)
    second = store_text(files, service, "two", first)
    assert [(head.version, head.number, head.epoch) for head in files.versions(service)] == [(second, 2, 4), (first, 1, 4)]


def test_a_version_that_another_came_before_is_refused_and_nothing_changes(files: AnyFiles) -> None:
    service = name()
    first = store_text(files, service, "one")
    with pytest.raises(NotStored, match="came between"):
        store_text(files, service, "two")
    assert files.heads()[service].version == first


def test_the_holder_of_an_earlier_epoch_is_refused(files: AnyFiles) -> None:
    service = name()
    first = store_text(files, service, "one", epoch=7)
    with pytest.raises(NotStored, match="epoch 7"):
        store_text(files, service, "two", first, epoch=6)
    store_text(files, service, "two", first, epoch=7)


def test_a_version_whose_chunks_are_not_there_is_refused(files: AnyFiles) -> None:
    service = name()
    with pytest.raises(NotStored, match="missing"):
        files.commit(of_text(service, f"never put {service}"), None, 0, "http")
    assert service not in files.heads()


def test_what_no_kept_version_needs_is_forgotten_and_what_one_needs_is_not(files: AnyFiles) -> None:
    service, base = name(), None
    texts = [f"{service} {number}" for number in range(KEPT_VERSIONS + 1)]
    for text in texts:
        base = store_text(files, service, text, base)
    assert len(files.versions(service)) == KEPT_VERSIONS
    chunks = [digest(text.encode()) for text in texts]
    assert files.lacking(chunks) == [chunks[0]]
    with pytest.raises(ManifestError, match="no longer has"):
        files.manifest(service, written(of_text(service, texts[0]))[0])


def test_going_back_and_forth_keeps_what_is_needed(files: AnyFiles) -> None:
    """The same version may be kept twice; when the older place of it is forgotten its chunks are not."""
    service, base = name(), None
    texts = [f"{service} {letter}" for letter in "abacd"]
    for text in texts:
        base = store_text(files, service, text, base)
    assert files.lacking(digest(text.encode()) for text in texts) == [digest(texts[1].encode())]
    for head in files.versions(service):
        files.manifest(service, head.version)


def test_two_services_with_the_same_content_store_it_once_and_lose_it_together(files: AnyFiles) -> None:
    one, other = name(), name()
    text = f"shared {one}"
    base, _ = store_text(files, one, text), store_text(files, other, text)
    for number in range(KEPT_VERSIONS):
        base = store_text(files, one, f"{one} {number}", base)
    assert files.chunk(digest(text.encode())) == text.encode()


def test_an_unknown_chunk_is_one_line(files: AnyFiles) -> None:
    with pytest.raises(ManifestError, match="lacks the chunk"):
        files.chunk("0" * 64)


# -- only of the real one


def test_a_damaged_chunk_and_a_damaged_manifest_are_not_believed(store: Store) -> None:
    files, service = store.files(), name()
    version = store_text(files, service, service)
    direct = redis.Redis.from_url(store.valkey.url)
    prefix = "locum:{demo}:files:"
    assert direct.get(f"{prefix}chunk:{digest(service.encode())}") == service.encode()
    direct.set(f"{prefix}chunk:{digest(service.encode())}", "something else")
    with pytest.raises(ManifestError, match="damaged"):
        files.chunk(digest(service.encode()))
    direct.set(f"{prefix}manifest:{service}:{version}", b"{}")
    with pytest.raises(ManifestError, match="not what its version says"):
        files.manifest(service, version)
    direct.close()


def test_chunks_that_nobody_committed_expire(store: Store) -> None:
    files, text = store.files(), f"left over {name()}"
    chunk = files.put(text.encode())
    direct = redis.Redis.from_url(store.valkey.url)
    key = f"locum:{{demo}}:files:chunk:{chunk}"
    assert direct.ttl(key) > 0
    files.commit(of_text(name(), text), None, 0, "http")
    assert direct.ttl(key) == -1
    direct.close()


def test_the_user_of_the_files_reaches_nothing_else(store: Store) -> None:
    url = f"redis://files:{store.door.password}@127.0.0.1:{store.door.port}/0"
    stranger = redis.Redis.from_url(url, protocol=2)
    for attempt in (
        lambda: stranger.hgetall("locum:{demo}:rows"),
        lambda: stranger.set("locum:{demo}:rows", "x"),
        lambda: stranger.eval("return redis.call('GET', 'locum:{demo}:rows')", 0),
        lambda: stranger.keys("*"),
        lambda: stranger.flushall(),
        lambda: stranger.config_get("*"),
        lambda: stranger.acl_list(),
    ):
        with pytest.raises(redis.ResponseError):
            attempt()
    stranger.close()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(f"redis://127.0.0.1:{store.door.port}/0", protocol=2).ping()


def test_a_wrong_password_a_closed_door_and_another_cluster_are_one_line_each(store: Store) -> None:
    files = store.files("other")
    with pytest.raises(FilesAway, match="may not do that"):
        files.heads()
    wrong = store.password.with_name("wrong")
    wrong.touch(mode=0o600)
    wrong.write_text("wrong")
    with pytest.raises(FilesAway, match="refuses this user or password") as refused:
        Files(FilesSettings(url=store.settings.url, password_file=str(wrong)), "demo").heads()
    assert "wrong" not in str(refused.value).replace("wrong password", "")
    with pytest.raises(FilesAway, match="cannot be reached"):
        Files(FilesSettings(url="redis://127.0.0.1:1/0"), "demo").heads()


def test_many_chunks_in_one_version(store: Store) -> None:
    files, service = store.files(), name()
    chunks = [files.put(f"{service} {number}".encode()) for number in range(1_500)]
    entries = [entry("/srv", kind="directory")]
    entries += [entry(f"/srv/{n:04}", size=1, chunks=(chunk,)) for n, chunk in enumerate(chunks)]
    head = files.commit(manifest_of(service, *entries, paths=("/srv",)), None, 1, "http")
    assert len(files.manifest(service, head.version).chunks) == 1_500
    assert files.lacking(chunks) == []
