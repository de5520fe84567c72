"""`locum files` as a user runs it, against a real store."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import locum
from file_servers import Store

from agent.database import NotStored
from agent.depot import upload
from agent.disk import Disk
from agent.staging import taken

PATHS = ("/srv/www", "/etc/www.conf")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("store"), "demo")
    yield made
    made.valkey.stop()


class Server:
    """An agent's settings and its files; nothing of it runs."""

    def __init__(self, directory: Path, store: Store) -> None:
        self.root = directory / "root"
        self.settings = directory / "agent.toml"
        self.settings.write_text(
            f'cluster = "demo"\nname = "http"\naddress = "127.0.0.1"\nstate_dir = "{directory}/state"\nkey_file = "unused"\n'
            f'[sds]\npublic_key_file = "unused"\n'
            f'[files]\nurl = "{store.settings.url}"\npassword_file = "{store.password}"\nroot = "{self.root}"\n'
        )
        for path, text in (("/srv/www/index.html", "one"), ("/srv/www/sub/page.html", "page"), ("/etc/www.conf", "port 80")):
            self.write(path, text)

    def write(self, path: str, text: str) -> Path:
        file = self.root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def store(self, store: Store, service: str, paths: tuple[str, ...] = PATHS) -> None:
        """As its agent would."""
        files, disk = store.files(), Disk(str(self.root))
        manifest = taken(service, paths, disk.look(paths))
        upload(files, disk, manifest)
        files.commit(manifest, None, 1, "http")
        files.close()

    def files(self, *words: str) -> subprocess.CompletedProcess[str]:
        return locum("files", *words, "--config", str(self.settings))

    def stored(self, service: str, path: str, to: Path) -> str | None:
        """What is stored there now."""
        done = self.files("get", service, "--to", str(to))
        assert done.returncode == 0, done.stderr
        return (to / path[1:]).read_text() if (to / path[1:]).exists() else None


@pytest.fixture
def server(tmp_path: Path, store: Store) -> Server:
    return Server(tmp_path, store)


def test_what_is_stored_is_listed_and_shown(server: Server, store: Store) -> None:
    server.store(store, "listed")
    (row,) = [row for row in server.files("list").stdout.splitlines() if row.startswith("listed")]
    assert row.split()[2:5] == ["1", "3", "14"] and row.endswith("http")
    entries = [json.loads(line) for line in server.files("list", "listed", "--json").stdout.splitlines()]
    assert [entry["path"] for entry in entries] == [
        "/etc/www.conf",
        "/srv/www/",
        "/srv/www/index.html",
        "/srv/www/sub/",
        "/srv/www/sub/page.html",
    ]
    shown = json.loads(server.files("show", "listed", "--json").stdout)
    assert (shown["paths"], shown["files"], [version["number"] for version in shown["versions"]]) == (list(PATHS), 3, [1])
    assert "3 files, 14 bytes, at /srv/www, /etc/www.conf" in server.files("show", "listed").stdout


def test_a_file_is_put_as_it_is_below_the_root_of_this_server(server: Server, store: Store, tmp_path: Path) -> None:
    server.store(store, "put-here")
    server.write("/srv/www/index.html", "two").chmod(0o600)
    done = server.files("put", "put-here", "/srv/www/index.html")
    assert done.returncode == 0 and "number 2" in done.stdout, done.stderr
    assert server.stored("put-here", "/srv/www/index.html", tmp_path / "copy") == "two"
    assert (tmp_path / "copy/srv/www/index.html").stat().st_mode & 0o777 == 0o644, "its mode is that of before"
    again = server.files("put", "put-here", str(server.root / "srv/www/index.html"))
    assert again.returncode == 1 and "just so already" in again.stderr


def test_a_file_from_anywhere_goes_into_the_only_directory_or_where_it_is_told(server: Server, store: Store, tmp_path: Path) -> None:
    server.store(store, "put-into")
    draft = tmp_path / "draft.html"
    draft.write_text("draft")
    assert server.files("put", "put-into", str(draft)).returncode == 0
    assert server.files("put", "put-into", str(draft), "--into", "/srv/www/new/deep").returncode == 0
    assert server.stored("put-into", "/srv/www/draft.html", tmp_path / "copy") == "draft"
    assert (tmp_path / "copy/srv/www/new/deep/draft.html").read_text() == "draft"
    assert (tmp_path / "copy/etc/www.conf").read_text() == "port 80", "all else is as it was"


def test_a_directory_takes_the_place_of_what_was_below_it(server: Server, store: Store, tmp_path: Path) -> None:
    server.store(store, "put-tree")
    (server.root / "srv/www/sub/page.html").unlink()
    server.write("/srv/www/sub/other.html", "other")
    assert server.files("put", "put-tree", "/srv/www/sub").returncode == 0
    assert server.stored("put-tree", "/srv/www/sub/page.html", tmp_path / "copy") is None
    assert (tmp_path / "copy/srv/www/sub/other.html").read_text() == "other"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("put", "bad", "/nowhere/x"), "/nowhere/x: is not here"),
        (("put", "bad", "{root}/srv/www/link"), "link or a special file"),
        (("put", "bad", "{root}/etc/www.conf", "--into", "/etc"), "--into /etc: lies in none of"),
        (("put", "bad", "{root}/etc/www.conf", "--into", "/srv/www/../.."), "no plain path"),
        (("show", "unknown"), "the files of unknown are not in the database"),
        (("put", "unknown", "/etc/hosts"), "its holder stores the first version"),
        (("get", "bad", "--to", "{root}/different"), "is there already, and differs"),
        (("get", "bad", "--to", "/dev/null/x"), "/dev/null/x"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(server: Server, store: Store, words: tuple[str, ...], says: str) -> None:
    if "bad" not in store.files().heads():
        server.store(store, "bad")
    before = store.files().heads()
    (server.root / "srv/www/link").symlink_to("index.html")
    server.write("/different/srv/www/index.html", "another")
    done = server.files(*(word.format(root=server.root) for word in words))
    assert (done.returncode, done.stdout) == (1, ""), done
    assert len(done.stderr.splitlines()) == 1 and says in done.stderr, done.stderr
    assert store.files().heads() == before


def test_two_who_put_at_once_do_not_lose_each_others_change(server: Server, store: Store) -> None:
    """The second one's version is not the successor of the newest: it is refused, and nothing is lost."""
    server.store(store, "raced")
    files, disk = store.files(), Disk(str(server.root))
    base = files.heads()["raced"].version
    server.write("/srv/www/index.html", "first")
    assert server.files("put", "raced", "/srv/www/index.html").returncode == 0
    manifest = taken("raced", PATHS, disk.look(PATHS))
    with pytest.raises(NotStored, match="came between"):
        files.commit(manifest, base, 0, "somebody")


def test_a_database_that_is_away_a_file_without_files_and_no_cluster_have_their_exit_codes(server: Server, tmp_path: Path) -> None:
    away = tmp_path / "away.toml"
    text = server.settings.read_text()
    port = text.partition("files@127.0.0.1:")[2].partition("/")[0]
    away.write_text(text.replace(f":{port}/", ":1/"))
    done = locum("files", "list", "--config", str(away))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1), done
    without = tmp_path / "without.toml"
    without.write_text(text.partition("[files]")[0])
    done = locum("files", "list", "--config", str(without))
    assert done.returncode == 2 and "add [files]" in done.stderr
    done = locum("files", "list", "--config", str(tmp_path / "none.toml"))
    assert done.returncode == 2 and "none.toml" in done.stderr


def test_the_settings_of_the_sds_lead_there_too(server: Server, store: Store, tmp_path: Path) -> None:
    server.store(store, "by-sds")
    sds = tmp_path / "sds.toml"
    sds.write_text(
        f'cluster = "demo"\nstate_dir = "s"\nkey_file = "k"\ntrust_file = "t"\n'
        f'[files]\naddress = "127.0.0.1"\nport = {store.door.port}\npassword_file = "{store.password}"\n'
    )
    done = locum("files", "show", "by-sds", "--config", str(sds))
    assert done.returncode == 0 and "3 files" in done.stdout, done.stderr


def test_a_password_file_that_is_no_good_is_one_line(server: Server, tmp_path: Path) -> None:
    for name, mode, words in (("none", None, "none"), ("open", 0o644, "chmod 600")):
        file = tmp_path / name
        if mode is not None:
            file.write_text("secret\n")
            file.chmod(mode)
        text = server.settings.read_text()
        settings = tmp_path / f"{name}.toml"
        settings.write_text(
            "".join(f'password_file = "{file}"\n' if row.startswith("password_file") else row + "\n" for row in text.splitlines())
        )
        done = locum("files", "list", "--config", str(settings))
        assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
