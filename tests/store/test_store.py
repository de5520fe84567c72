"""What every store does, the twin included; then what only real ones can suffer."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from bus.config import ConfigError
from sds.rows import HighWater, Row, StoreError
from sds.store import Store
from sds.twin import StoreTwin
from tests.waiting import until


def row(version: int, epoch: int = 0, payload: bytes = b"", name: str = "www", kind: str = "service") -> Row:
    return Row(kind, name, version, epoch, payload or b"v%d" % version)


# -- of every store ------------------------------------------------------------------------


def test_what_was_written_is_loaded(store) -> None:
    assert store.load().rows == () and store.load().high_water == {}
    rows = (row(3, 2, b"\x00\xff" * 50), row(1, kind="server", name="http"), row(9, kind="cluster", name="demo"))
    assert store.write(rows) == ()
    loaded = store.load()
    assert set(loaded.rows) == set(rows)
    assert loaded.high_water == {"www": HighWater(3, 2)}


def test_an_older_version_changes_nothing_and_is_named(store) -> None:
    store.write([row(7, 4), row(2, 1, name="ftp")])
    stale, fresh = row(6, 9), row(3, 1, name="ftp")
    assert store.write([stale, fresh]) == (stale,)
    assert set(store.load().rows) == {row(7, 4), fresh}
    assert store.load().high_water == {"www": HighWater(7, 4), "ftp": HighWater(3, 1)}


def test_the_same_row_again_is_no_harm_and_another_of_its_version_is_stale(store) -> None:
    store.write([row(7, 4)])
    assert store.write([row(7, 4)]) == ()
    other = row(7, 4, b"other")
    assert store.write([other]) == (other,)
    assert store.load().rows == (row(7, 4),)


def test_versions_are_compared_as_whole_numbers(store) -> None:
    """2**53 and 2**53 + 1 are the same to a double."""
    for version in (9, 10, 2**53, 2**53 + 1, 2**62):
        assert store.write([row(version)]) == ()
        assert store.write([row(version - 1)]) == (row(version - 1),)


def test_the_marks_only_rise(store) -> None:
    store.write([row(5, 9)])
    store.write([row(6, 8)])
    assert store.load().high_water == {"www": HighWater(6, 9)}


def test_a_large_batch_is_one_write(store) -> None:
    rows = [row(1, name=f"s{number}", payload=bytes(300), kind="server") for number in range(3000)]
    assert store.write(rows) == ()
    assert len(store.load().rows) == 3000
    assert store.write([]) == ()


def test_the_history_is_bounded_and_in_order(store) -> None:
    assert store.events(10) == ()
    first = store.append_event(b"event 0", 100)
    assert store.events(10)[0].id == first
    ids = store.append_events([b"event %d" % number for number in range(1, 2000)], 100)
    assert len(set(ids)) == 1999 and store.append_events([], 100) == ()
    assert [e.payload for e in store.events(3)] == [b"event 1997", b"event 1998", b"event 1999"]
    assert [e.id for e in store.events(3)] == list(ids[-3:])
    assert 100 <= len(store.events(10_000)) <= 300  # Redis trims whole nodes of its tree
    assert store.events(0) == ()
    assert [e.payload for e in store.events(2, before=ids[-3])] == [b"event 1995", b"event 1996"]
    assert store.events(10, before=store.events(10_000)[0].id) == ()


def test_incarnations_only_rise(store) -> None:
    numbers = [store.next_incarnation() for _ in range(5)]
    assert numbers == [1, 2, 3, 4, 5]


# -- of the twin ---------------------------------------------------------------------------


def test_the_twin_refuses_on_demand() -> None:
    twin = StoreTwin()
    twin.write([row(1)])
    twin.refuse = True
    for call in (twin.load, twin.next_incarnation, lambda: twin.write([row(2)]), lambda: twin.append_event(b"", 1), lambda: twin.events(1)):
        with pytest.raises(StoreError):
            call()
    twin.refuse = False
    assert twin.load().rows == (row(1),)


def test_the_twin_loses_its_last_write_and_the_mark_shows_it() -> None:
    twin = StoreTwin()
    twin.write([row(1, 1)])
    twin.write([row(2, 2)])
    twin.lose_last_write()
    assert twin.load().rows == (row(1, 1),) and twin.load().high_water == {"www": HighWater(2, 2)}
    number = twin.next_incarnation()
    twin.lose_everything()
    assert twin.load().rows == () and twin.next_incarnation() > number


def test_the_twin_loses_an_answer() -> None:
    twin = StoreTwin()
    twin.lose_answer = True
    with pytest.raises(StoreError):
        twin.write([row(1, 1)])
    assert twin.load().rows == (row(1, 1),) and twin.load().high_water == {}


# -- of real ones --------------------------------------------------------------------------


def _write_for_ever(url: str, home: str, confirmed: multiprocessing.Value) -> None:
    store = Store(url, "demo", Path(home) / "writer.json", 10, 10)
    for version in range(1, 1_000_000):
        store.write([row(version, version)])
        confirmed.value = version


def test_a_kill_in_mid_write_loses_nothing_that_was_confirmed(server) -> None:
    spawn = multiprocessing.get_context("spawn")
    confirmed = spawn.Value("q", 0)
    writer = spawn.Process(target=_write_for_ever, args=(server.url, str(server.home), confirmed), daemon=True)
    writer.start()
    until(lambda: confirmed.value > 50, 30)
    server.kill()
    writer.join(30)  # a StoreError ends it
    assert writer.exitcode == 1
    server.start()
    [found] = server.store(file="writer.json").load().rows
    assert confirmed.value <= found.version <= confirmed.value + 1
    assert server.store(file="writer.json").load().high_water["www"].version == confirmed.value


def test_a_store_that_comes_back_is_used_again_by_the_same_connection(server) -> None:
    store = server.store()
    store.write([row(1)])
    server.kill()
    with pytest.raises(StoreError, match=r"cannot be reached .* not known to be written"):
        store.write([row(2)])
    server.start()
    assert store.load().rows == (row(1),)
    assert store.write([row(2)]) == ()


def test_a_late_write_does_not_replace_a_newer_one(server) -> None:
    hasty, patient = server.store(read_s=0.3), server.store(file="other.json")
    hasty.write([row(1, 1)])
    server.signal(signal.SIGSTOP)
    with pytest.raises(StoreError, match="does not answer in time"):
        hasty.write([row(2, 2, b"given up")])
    assert hasty._high_water.services == {"www": HighWater(1, 1)}
    server.signal(signal.SIGCONT)
    until(lambda: patient.load().rows[0].version == 2)  # it was made after all
    newer = row(3, 3, b"newer")
    assert patient.write([newer]) == ()
    hasty.load()  # it has a connection again, so that what it sends waits before the stopped server
    server.signal(signal.SIGSTOP)
    with pytest.raises(StoreError):
        hasty.write([row(2, 2, b"given up again"), row(1, name="sign", kind="cluster")])
    server.signal(signal.SIGCONT)
    until(lambda: len(patient.load().rows) == 2)  # the late write has been carried out
    assert newer in patient.load().rows


def test_nothing_is_sent_twice_and_no_answer_is_taken_for_anothers(server) -> None:
    store, patient = server.store(read_s=0.3), server.store()
    ids = [store.append_event(b"first", 100)]
    server.signal(signal.SIGSTOP)
    waking = threading.Timer(0.5, server.signal, [signal.SIGCONT])  # when a client that tries again would do so
    waking.start()
    try:
        ids.append(store.append_event(b"second", 100))
    except StoreError:
        pass
    waking.join()
    until(lambda: len(patient.events(10)) >= 2)
    ids.append(patient.append_event(b"third", 100))
    assert [e.payload for e in patient.events(10)] == [b"first", b"second", b"third"]
    assert len(set(ids)) == len(ids)
    assert store.events(1)[0].payload == b"third"


def test_clusters_do_not_see_each_other(server) -> None:
    one, other = server.store("demo"), server.store("other", "other.json")
    one.write([row(5, 5)])
    one.append_event(b"x", 10)
    assert other.load().rows == () and other.events(10) == () and other.next_incarnation() == 1


def test_a_write_of_an_earlier_incarnation_is_refused(server) -> None:
    """However long it was on its way: what the later one has loaded must stay as it is (R18)."""
    earlier, later = server.store(), server.store("demo", "later.json")
    earlier.next_incarnation()
    earlier.write([row(1, 1)])
    later.next_incarnation()
    with pytest.raises(StoreError, match="a later SDS writes here"):
        earlier.write([row(2, 2)])
    assert later.load().rows == (row(1, 1),)
    assert later.write([row(2, 2)]) == ()


def test_incarnations_rise_though_the_store_lost_everything(server, tmp_path) -> None:
    store = server.store()
    assert [store.next_incarnation() for _ in range(3)] == [1, 2, 3]
    store._redis.flushall()
    assert server.store().next_incarnation() == 4
    (tmp_path / "high-water.json").unlink()
    assert server.store().next_incarnation() == 5, "and though the file is lost"


def test_a_store_that_lost_writes_shows(server) -> None:
    store = server.store()
    store.write([row(4, 2)])
    store._redis.flushall()
    loaded = server.store().load()
    assert loaded.rows == () and loaded.high_water == {"www": HighWater(4, 2)}


def test_damaged_rows_and_foreign_keys_are_one_line(server) -> None:
    store = server.store()
    store.write([row(1)])
    redis, key = store._redis, store._rows_key
    for value in (b"", b"x" * 40, b"%020d" % 2 + redis.hget(key, "service/www")[20:], redis.hget(key, "service/www")[:-1]):
        redis.hset(key, "service/www", value)
        with pytest.raises(StoreError, match="damaged") as error:
            store.load()
        assert "\n" not in str(error.value) and "service/www" in str(error.value)
    redis.delete(key)
    redis.set(key, "something else")
    for call in (store.load, lambda: store.write([row(2)])):
        with pytest.raises(StoreError, match="another program uses our keys"):
            call()


def test_a_store_out_of_memory_or_read_only_is_one_line_and_not_written(server, tmp_path) -> None:
    store = server.store()
    store.write([row(1, 1)])
    store._redis.config_set("maxmemory", "1")
    for call in (lambda: store.write([row(2, 2)]), lambda: store.append_event(b"x", 10), store.next_incarnation):
        with pytest.raises(StoreError, match="out of memory"):
            call()
    store._redis.config_set("maxmemory", "0")
    store._redis.replicaof("127.0.0.1", 1)
    for call in (lambda: store.write([row(2, 2)]), lambda: store.append_event(b"x", 10), store.next_incarnation):
        with pytest.raises(StoreError, match="read-only replica"):
            call()
    store._redis.replicaof("NO", "ONE")
    assert store.load().rows == (row(1, 1),) and store.load().high_water == {"www": HighWater(1, 1)}


def test_passwords_are_asked_for_and_never_shown(server, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    store = server.store()
    store._redis.config_set("requirepass", "hush-hush")
    with pytest.raises(StoreError, match="wants a password"):
        server.store().load()
    socket = server.url.removeprefix("unix://")
    for url in (f"unix://:wrong-one@{socket}", f"unix://{socket}?password=wrong-one", f"unix://nobody:wrong-one@{socket}"):
        with pytest.raises(StoreError, match="refuses this user or password") as error:
            Store(url, "demo", server.home / "h.json").load()
        assert "wrong-one" not in str(error.value) and "\n" not in str(error.value)
    good = Store(f"unix://:hush-hush@{socket}", "demo", server.home / "h.json")
    good.write([row(1)])
    good._redis.acl_setuser("reader", enabled=True, passwords=["+letmein"], categories=["+@read"], keys=["*"])
    reader = Store(f"unix://reader:letmein@{socket}", "demo", server.home / "h.json")
    assert reader.load().rows == (row(1),)
    with pytest.raises(StoreError, match="may not do that"):
        reader.write([row(2)])
    for text in (caplog.text, repr(good.__dict__), repr(reader)):
        assert "letmein" not in text
    assert "hush-hush" not in caplog.text
    good.close()
    reader.close()


def test_no_store_at_all_is_one_clear_line(tmp_path) -> None:
    for url in ("redis://127.0.0.1:1/0", f"unix://{tmp_path}/none.sock", "redis://user:sesame@127.0.0.1:1/0"):
        store = Store(url, "demo", tmp_path / "h.json")
        for call in (store.load, store.next_incarnation, lambda s=store: s.write([row(1)]), lambda s=store: s.append_event(b"", 1)):
            with pytest.raises(StoreError, match="cannot be reached") as error:
                call()
            assert "\n" not in str(error.value) and "sesame" not in str(error.value)
    assert not (tmp_path / "h.json").exists()


@pytest.mark.parametrize(
    "url", ["http://x", "redis", "", "redis://user:sesame@host:port", "redis://h:se/same@x:1x/0", "redis://h?socket_timeout=x"]
)
def test_an_unusable_url_is_one_clear_line(tmp_path, url) -> None:
    with pytest.raises(ConfigError) as error:
        Store(url, "demo", tmp_path / "h.json")
    assert str(error.value).startswith("store: ") and "sesame" not in str(error.value) and "\n" not in str(error.value)


# -- the high-water file -------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage", [lambda t: t[:-5], lambda t: b"", lambda t: b"\x00" * len(t), lambda t: t.replace(b"4", b"-4"), lambda t: b"{}"]
)
def test_a_damaged_file_is_an_error_and_no_reset(server, tmp_path, damage) -> None:
    server.store().write([row(4, 4)])
    path = tmp_path / "high-water.json"
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    store = server.store()
    for call in (store.load, store.next_incarnation, lambda: store.write([row(5, 5)])):
        with pytest.raises(StoreError, match="damaged") as error:
            call()
        assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    assert path.read_bytes() == damaged


def test_a_file_of_another_cluster_is_refused(server) -> None:
    server.store("demo").write([row(1)])
    with pytest.raises(StoreError, match="of cluster 'demo', this is 'other'"):
        server.store("other").load()


def test_an_interrupted_replacement_leaves_the_old_file(server, tmp_path) -> None:
    server.store().write([row(4, 4)])
    (tmp_path / "high-water.json.new").write_bytes(b'{"clus')
    store = server.store()
    assert store.load().high_water == {"www": HighWater(4, 4)}
    store.write([row(5, 5)])
    assert server.store().load().high_water == {"www": HighWater(5, 5)}


@pytest.fixture
def full_disk(tmp_path: Path):
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a full disk needs root, to mount a tmpfs")
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True).returncode != 0:
        pytest.skip("a full disk needs a tmpfs, which cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_means_not_written_and_heals(server, full_disk) -> None:
    store = Store(server.url, "demo", full_disk / "h.json", 10, 10)
    store.write([row(1, 1)])
    with (full_disk / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            pass
    with pytest.raises(StoreError, match="No space left") as error:
        store.write([row(2, 2)])
    assert "\n" not in str(error.value)
    assert Store(server.url, "demo", full_disk / "h.json").load().high_water == {"www": HighWater(1, 1)}
    (full_disk / "ballast").unlink()
    assert store.write([row(2, 2)]) == ()
    assert Store(server.url, "demo", full_disk / "h.json").load().high_water == {"www": HighWater(2, 2)}
