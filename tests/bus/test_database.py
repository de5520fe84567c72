"""What an error of Redis is called, once for the store and for the database of files."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bus.config import ConfigError
from bus.database import Database, DatabaseError, Setting

SETTING = Setting("here", "redis://example", password="give one", login="mend them", permission="allow it")


@contextmanager
def answering(line: str) -> Iterator[str]:
    """A database that answers every command with this error; its URL."""

    class Talk(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while asked := self.request.recv(65_536):
                self.request.sendall(f"-{line}\r\n".encode() * len(re.findall(rb"(?:\A|\r\n)\*\d+\r\n", asked)))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        finally:
            server.shutdown()
            serving.join()


def trouble(url: str, password: str = "") -> str:
    database = Database(SETTING, url, 30, 30, password)
    try:
        with pytest.raises(DatabaseError) as caught:
            database.call(lambda: database.redis.get("locum:x"))
    finally:
        database.close()
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("NOAUTH Authentication required.", "it wants a password: give one"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "it refuses this user or password: mend them"),
        ("NOPERM this user has no permissions to run the 'get' command", "this user may not do that: allow it"),
        ("READONLY You can't write against a read only replica.", "it is a read-only replica: name the primary"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "it is out of memory: raise maxmemory"),
        ("MISCONF Errors writing to the AOF file", "it cannot save to its disk: make room there"),
        ("LOADING Redis is loading the dataset in memory", "it is still loading its data: wait"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "another program uses our keys locum:*"),
        ("ERR something new", "something new"),
    ],
)
def test_each_error_of_the_database_is_one_line_of_ours(line: str, words: str) -> None:
    with answering(line) as url:
        said = trouble(url)
    assert said.startswith(words) and "\n" not in said


def test_who_cannot_be_reached_is_said_with_what_to_look_at(tmp_path: Path) -> None:
    said = trouble(f"unix://{tmp_path}/nobody.sock")
    assert said.startswith("it cannot be reached (") and said.endswith("is it running, and its address right?")


def test_a_password_is_never_shown_wherever_it_stood() -> None:
    with answering("ERR hush is no password, nor is sesame") as url:
        for place, beside in ((url, "sesame"), (url.replace("//", "//user:sesame@"), ""), (f"{url}?password=sesame", "")):
            database = Database(SETTING, place, 30, 30, beside)
            assert "sesame" not in database.where and database.where == url
            database.close()
            assert trouble(place, beside) == "hush is no password, nor is ***"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://user:sesame@x", "the URL begins with none of redis://, rediss:// and unix://: write redis://example"),
        ("redis://user:sesame@host:port", "(the URL given) is no usable URL: write redis://example"),
        ("redis://h?socket_timeout=sesame", "redis://h is no usable URL: write redis://example"),
    ],
)
def test_an_unusable_url_names_its_setting_and_no_password(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Database(SETTING, url, 1, 1)
    assert str(caught.value) == f"here: {words}"


def test_only_one_file_knows_the_library() -> None:
    house = Path(__file__).resolve().parents[2]
    files = [
        path for package in ("bus", "sds", "agent", "monitor", "cli", "demo", "simulation") for path in (house / package).rglob("*.py")
    ]
    knowing = [path for path in files if re.search(r"^\s*(import|from) redis\b", path.read_text(), re.MULTILINE)]
    assert [path.relative_to(house).as_posix() for path in knowing] == ["bus/database.py"]
