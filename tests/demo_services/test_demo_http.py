"""The demo's `www`, asked by real clients."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import urllib.request
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.waiting import until

HOSTILE = """<img/src=x/onerror=alert(1)>"'&</title><script>"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to serve, beside a file that must never be served."""
    (tmp_path / "secret.txt").write_text("SECRET")
    root = tmp_path / "root"
    (root / "guide").mkdir(parents=True)
    (root / "guide" / "index.html").write_text("<p>guide")
    (root / "note one.txt").write_text("größe")
    (root / "big.bin").write_bytes(bytes(range(256)) * 2_000)
    (root / "inside").symlink_to("note one.txt")
    (root / "outside").symlink_to("../secret.txt")
    (root / "circle").symlink_to("circle")
    (root / "up").symlink_to("..")
    os.mkfifo(root / "fifo")
    return root


def ask(service, path: str, method: str = "GET") -> tuple[int, http.client.HTTPMessage, bytes]:
    """One question on a connection of its own."""
    connection = http.client.HTTPConnection(service.address, service.port, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def say(service, words: bytes) -> bytes:
    """All that comes back for these bytes, until the service hangs up."""
    with socket.create_connection((service.address, service.port), timeout=20) as client:
        client.sendall(words)
        client.shutdown(socket.SHUT_WR)
        heard = b""
        while block := client.recv(65_536):
            heard += block
        return heard


def test_whoami(start):
    service = start("http", LOCUM_SERVICE="www")
    with urllib.request.urlopen(f"http://{service.address}:{service.port}/whoami", timeout=20) as answer:
        assert json.load(answer) == {"service": "www", "server": "email", "epoch": 7}
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
    assert ask(service, "/whoami?now")[0] == 200
    assert ask(service, "http://www.demo.locum.test/whoami")[0] == 200


class _Elements(HTMLParser):
    """The elements and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: set[str | None] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.links |= {value for name, value in attrs if name in ("src", "href")}

    def handle_data(self, data):
        self.text += data


def test_the_page_for_people(start):
    status, headers, body = ask(start("http", LOCUM_SERVICE="www"), "/")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    page = _Elements(body.decode())
    assert "The server email is serving you www." in page.text
    assert "./locum demo kill http" in page.text
    assert "Epoch7" in page.text.replace("\n", "")
    assert page.links == {"/whoami"}  # it needs nothing from anywhere else
    assert "prefers-color-scheme: dark" in body.decode()


def test_the_page_escapes_what_it_was_given(start):
    service = start("http", LOCUM_SERVICE=HOSTILE, LOCUM_SERVER=HOSTILE)
    body = ask(service, "/")[2].decode()
    assert HOSTILE not in body
    page = _Elements(body)
    assert f"The server {HOSTILE} is serving you {HOSTILE}." in page.text
    assert page.names.isdisjoint({"img", "script"})
    assert json.loads(ask(service, "/whoami")[2]) == {"service": HOSTILE, "server": HOSTILE, "epoch": 7}


def test_files(start, root):
    service = start("http", "--root", str(root))
    assert ask(service, "/note%20one.txt")[2].decode() == "größe"
    assert ask(service, "/note%20one.txt")[1]["Content-Type"] == "text/plain; charset=utf-8"
    assert ask(service, "/guide/")[2] == ask(service, "/guide")[2] == b"<p>guide"
    assert ask(service, "/inside")[2].decode() == "größe"
    assert ask(service, "/big.bin")[2] == (root / "big.bin").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/guide/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/guide/%2e%2e%2f%2e%2e%2fsecret.txt",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/outside",
        "/up/secret.txt",
        "/up",
        "/circle",
        "/fifo",
        "/",
        "/guide%00/index.html",
        "/" + "x" * 5_000,
        "/..\\secret.txt",
        "/absent",
    ],
)
def test_nothing_outside_the_root(start, root, path):
    status, _, body = ask(start("http", "--root", str(root)), path)
    assert status == (200 if path == "/" else 404)
    assert b"SECRET" not in body
    assert b"root:" not in body


def test_without_a_root_there_are_no_files(start):
    service = start("http")
    assert ask(service, "/etc/passwd")[0] == 404
    assert ask(service, "/demo/services/http.py")[0] == 404


def test_head_has_the_same_head_and_no_body(start, root):
    service = start("http", "--root", str(root))
    for path in ("/", "/whoami", "/note%20one.txt", "/absent"):
        asked, told = ask(service, path), ask(service, path, "HEAD")
        assert told[0] == asked[0]
        assert told[1]["Content-Length"] == asked[1]["Content-Length"]
        assert told[1]["Content-Type"] == asked[1]["Content-Type"]
        assert say(service, b"HEAD %b HTTP/1.0\r\n\r\n" % path.encode()).endswith(b"\r\n\r\n")


def test_several_questions_on_one_connection(start, root):
    service = start("http", "--root", str(root))
    connection = http.client.HTTPConnection(service.address, service.port, timeout=20)
    connection.connect()
    line = connection.sock
    for path in ("/whoami", "/", "/big.bin", "/whoami"):
        connection.request("GET", path)
        assert connection.getresponse().read()
        assert connection.sock is line
    connection.close()


def test_a_body_is_not_taken_for_the_next_request(start):
    """What follows a GET's body on the same connection is dropped with the connection."""
    inner = b"GET /absent HTTP/1.1\r\nHost: www\r\n\r\n"
    heard = say(start("http"), b"GET /whoami HTTP/1.1\r\nHost: www\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner)
    assert heard.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in heard


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/x.y\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET /%ff HTTP/1.1\r\n\r\n", 400),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 501),
        (b"GET /<script> HTTP/1.1\r\n\r\n", 404),
        (b"<script> / HTTP/1.1\r\n\r\n", 501),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 200 + b"\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
def test_malformed_requests(start, words, status):
    service = start("http")
    try:
        heard = say(service, words)
    except ConnectionResetError:  # it hung up on what it did not read
        heard = b""
    else:
        assert heard.split(b"\r\n")[0].split()[1:2] == [str(status).encode()] or b"Error code: %d" % status in heard
    assert b"<script>" not in heard.partition(b"\r\n\r\n")[2]
    assert ask(service, "/whoami")[0] == 200
    assert len(service.log) <= 1  # garbage does not fill the log


@pytest.mark.parametrize("words", [b"", b"GET /who", b"\r\n", b"\0" * 500])
def test_clients_that_hang_up(start, words):
    service = start("http")
    say(service, words)
    assert ask(service, "/whoami")[0] == 200


def test_idle_connections_hold_nobody_up(start):
    service = start("http")
    idle = [socket.create_connection((service.address, service.port), timeout=20) for _ in range(50)]
    assert ask(service, "/whoami")[0] == 200
    for client in idle:
        client.close()


def test_many_clients_at_once(start):
    """A new connection for each question, as the demo's observers do it."""
    service = start("http")
    failures: list[BaseException] = []

    def client() -> None:
        try:
            for _ in range(40):
                assert json.loads(ask(service, "/whoami")[2])["epoch"] == 7
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def standby(begin, tmp_path):
    """A hot standby, once it can be activated; and where it listens for that."""
    run = tmp_path / "run"
    run.mkdir(exist_ok=True)
    (run / "standby.1").touch()  # of one that died
    service = begin("http", LOCUM_STANDBY="1", LOCUM_RUN=str(run), LOCUM_EPOCH="0")
    bell = run / f"standby.{service.process.pid}"
    until(bell.is_fifo, within_s=20)
    until(lambda: any("standing by" in line for line in service.log), within_s=20)
    return service, bell


def test_a_standby_is_shut_until_it_is_told_its_epoch(begin, tmp_path):
    service, bell = standby(begin, tmp_path)
    assert not service.answers()
    assert [path.name for path in bell.parent.iterdir()] == [bell.name], "what others left there is gone"
    bell.write_text("no epoch\n")
    until(lambda: any("is no epoch: still shut" in line for line in service.log))
    assert not service.answers()
    bell.write_text("12\n")
    until(service.answers)
    with urllib.request.urlopen(f"http://{service.address}:{service.port}/whoami", timeout=20) as answer:
        assert json.load(answer)["epoch"] == 12
    assert not bell.exists()
    assert service.stop() == 0


def test_a_standby_that_is_not_needed_stops_cleanly(begin, tmp_path):
    service, _ = standby(begin, tmp_path)
    assert service.stop() == 0


def test_a_standby_whose_port_was_taken_meanwhile_says_so(begin, tmp_path):
    service, bell = standby(begin, tmp_path)
    with socket.create_server((service.address, service.port)):
        bell.write_text("12\n")
        assert service.ended() == 1
    assert "is taken by another program" in service.log[-1]


def test_a_standby_without_a_meeting_place_is_wrongly_called(begin, tmp_path):
    service = begin("http", LOCUM_STANDBY="1")
    assert service.ended() == 2 and "LOCUM_RUN: is missing" in service.log[0]
    service = begin("http", LOCUM_STANDBY="1", LOCUM_RUN=str(tmp_path / "nowhere"))
    assert service.ended() == 1 and "give LOCUM_RUN a directory" in service.log[0]
