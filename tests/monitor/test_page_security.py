"""Who may do what, and who is kept out, of a monitor that runs."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import Any

import pytest
from conftest import PASSWORD
from site_running import CHECKOUT, SOON_S, Site
from waiting import until

from bus.messages import Order
from monitor import links


def until_closed(line: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    line.settimeout(SOON_S)
    received = b""
    while True:
        try:
            more = line.recv(65_536)
        except ConnectionError:
            return received
        if not more:
            return received
        received += more


# -- what every answer carries


@pytest.mark.parametrize("path", ["/", "/api/status", "/metrics", "/nothing", "/socket.io/?EIO=4&transport=polling"])
def test_every_answer_makes_the_browser_strict(site: Site, path: str) -> None:
    headers = site.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in headers


def test_answers_are_json_and_never_markup(site: Site) -> None:
    answer = site.get("/api/sequence/<script>alert(1)")
    assert answer.headers["Content-Type"] == "application/json" and answer.code == 404
    assert site.get("/%3Cimg%20src=x%3E").headers["Content-Type"] == "application/json"


def test_the_cookie_is_not_for_scripts_and_not_for_other_sites(site: Site) -> None:
    cookie = site.get("/api/session").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" not in cookie


# -- for whom, and from where


@pytest.mark.parametrize("host", ["evil.test", "evil.test:8080", "locum.test.evil.test", "", "localhost.evil.test"])
def test_a_name_that_is_not_ours_is_refused(site: Site, host: str) -> None:
    answer = site.get("/api/status", Host=host)
    assert answer.code == 421 and "names" in answer.json["error"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "[::1]:8080", "[::1]", "LOCUM.test", "192.0.2.7:8080"])
def test_addresses_and_names_of_ours_are_let_in(site: Site, host: str) -> None:
    assert site.get("/api/status", Host=host).code == 200


@pytest.mark.parametrize("origin", ["http://evil.test", "null", "https://127.0.0.1.evil.test", "http://127.0.0.1:1"])
def test_the_web_socket_is_for_our_own_pages(site: Site, origin: str) -> None:
    path = "/socket.io/?EIO=4&transport=polling"
    assert site.get(path, Origin=origin).code == 403
    upgrade = {
        "Origin": origin,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "A" * 24,
    }
    assert site.get("/socket.io/?EIO=4&transport=websocket", **upgrade).code == 403
    assert site.get(path, Origin=f"http://127.0.0.1:{site.port}").code == 200


# -- logging in


def test_a_visitor_may_look_and_nothing_else(site: Site) -> None:
    told = site.get("/api/session")
    assert told.json["operator"] is False and told.json["name"] is None
    headers = {"Cookie": told.cookie, "X_CSRF_Token": told.json["csrf"]}
    for path, body in (
        ("/api/act", {"action": "drain", "server": "http"}),
        ("/api/demo", {"verb": "kill", "part": "http"}),
        ("/logout", {}),
    ):
        answer = site.post(path, body, **headers)
        assert answer.code == 403 and "log in" in answer.json["error"]
    assert site.sds.orders == []


def test_an_operator_has_it_done_in_his_name(site: Site) -> None:
    headers = site.log_in(PASSWORD)
    assert site.get("/api/session", **headers).json["name"] == "operator"
    preview = site.post("/api/preview", {"action": "drain", "server": "http"}, **headers).json
    assert preview["ok"] and any("www" in sentence for sentence in preview["sentences"])
    assert site.post("/api/act", {"action": "drain", "server": "http"}, **headers).json == {"done": True, "text": "drain: it is done"}
    assert site.post("/api/act", {"action": "move", "service": "www", "to": "ftp"}, **headers).json["done"] is True
    assert site.sds.orders == [Order(verb="drain", server="http"), Order(verb="move", service="www", server="ftp")]
    site.sds.refusal = "ftp cannot take www"
    answer = site.post("/api/act", {"action": "move", "service": "www", "to": "ftp"}, **headers).json
    assert answer == {"done": False, "text": "ftp cannot take www"}
    site.sds.refusal = None
    assert site.post("/api/demo", {"verb": "kill", "part": "http"}, **headers).code == 404, "this is no demo"
    assert site.post("/logout", {}, **headers).json["operator"] is False
    assert site.post("/api/act", {"action": "drain", "server": "http"}, **headers).code == 403, "logging out is final"


def test_without_the_token_of_our_own_page_nothing_is_done(site: Site) -> None:
    headers, before = site.log_in(PASSWORD), list(site.sds.orders)
    other = site.get("/api/session").json["csrf"]
    for token in ({}, {"X_CSRF_Token": ""}, {"X_CSRF_Token": other}, {"X_CSRF_Token": "\xff"}):
        answer = site.post("/api/act", {"action": "drain", "server": "http"}, Cookie=headers["Cookie"], **token)
        assert answer.code == 403 and "X-CSRF-Token" in answer.json["error"]
    assert site.sds.orders == before


def test_a_foreign_page_cannot_post(site: Site) -> None:
    headers = site.log_in(PASSWORD)
    assert site.post("/api/act", {"action": "drain", "server": "http"}, Origin="http://evil.test", **headers).code == 403
    plain = site.ask("POST", "/login", b'{"password": "x"}', {"Content-Type": "text/plain"})
    assert plain.code == 415, "a form of a foreign page can send no JSON"


def test_a_login_gets_a_new_cookie(site: Site) -> None:
    visitor = site.get("/api/session").cookie
    answer = site.post("/login", {"password": PASSWORD}, Cookie=visitor)
    assert answer.code == 200 and answer.cookie != visitor
    assert site.get("/api/session", Cookie=visitor).json["operator"] is False


def test_a_link_logs_in_once(site: Site) -> None:
    printed = site.log.read_text()
    path = printed[printed.index("/login?link=") :].split()[0]
    first = site.get(path)
    assert first.code == 303 and first.headers["Location"] == "/"
    assert site.get("/api/session", Cookie=first.cookie).json["operator"] is True
    second = site.get(path)
    assert second.code == 303 and second.headers["Location"] == "/?link=used" and second.headers["Set-Cookie"] is None
    for odd in ("", "x", "../../etc/passwd", "x" * 1_000, "%00", "%F0%28"):
        assert site.get(f"/login?link={odd}").headers["Location"] == "/?link=used"


def test_another_link_is_made_while_it_runs(site: Site) -> None:
    made = subprocess.run(
        [sys.executable, "-P", "-m", "cli.main", "monitor", "--config", str(site.settings), "--link"],
        env={"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=True,
    ).stdout.strip()
    assert made.startswith(f"http://127.0.0.1:{site.port}/login?link=")
    assert site.get(made[made.index("/login") :]).headers["Location"] == "/"


def test_links_are_files_that_only_their_owner_reads(site: Site) -> None:
    state = site.directory / "monitor"
    token = links.issue(state)
    (link,) = [path for path in (state / "links").iterdir() if path.stat().st_size == 0][-1:]
    assert link.stat().st_mode & 0o077 == 0 and (state / "links").stat().st_mode & 0o077 == 0
    assert token not in "".join(path.name for path in (state / "links").iterdir())
    assert links.use(state, token) and not links.use(state, token)


def test_wrong_passwords_are_soon_no_longer_looked_at(sds: Any, tmp_path: Any) -> None:
    from monitor.passwords import hashed

    site = Site(sds.public_key_file.parent, sds, state_dir=str(tmp_path), password_hash=hashed(PASSWORD)).ready()
    try:
        codes = [site.post("/login", {"password": f"guess number {number}"}).code for number in range(7)]
        assert codes == [403] * 6 + [429]
        assert site.post("/login", {"password": PASSWORD}).code == 429, "nor the right one from there, for a minute"
    finally:
        site.end()


def test_without_an_operators_key_nobody_logs_in(sds: Any, tmp_path: Any) -> None:
    site = Site(sds.public_key_file.parent, sds, state_dir=str(tmp_path))
    site.end()
    lines = [line for line in site.settings.read_text().splitlines() if not line.startswith("operator_key_file")]
    site.settings.write_text("\n".join(lines) + "\n")
    site = _again(site)
    try:
        site.ready()
        assert "log in" not in site.log.read_text().partition("the page is at")[2]
        token = links.issue(tmp_path)
        assert site.get(f"/login?link={token}").headers["Location"] == "/?link=used"
        assert site.post("/login", {"password": "anything at all"}).code == 403
    finally:
        site.end()


def _again(site: Site) -> Site:
    """The same settings, another process."""
    with site.log.open("wb") as said:
        site.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cli.main", "monitor", "--config", str(site.settings)],
            env={"PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    return site


# -- bad input


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/login", b"{"),
        ("/login", b"[]"),
        ("/login", b'{"password": 1}'),
        ("/login", b'{"password": "a", "more": 1}'),
        ("/api/preview", b'{"action": "burn"}'),
        ("/api/preview", b"\xff\xfe"),
        ("/api/preview", b"[" * 60_000),
        ("/api/preview", b""),
    ],
)
def test_a_body_that_is_none_of_ours_is_one_line(site: Site, path: str, body: bytes) -> None:
    answer = site.ask("POST", path, body, {"Content-Type": "application/json"})
    assert answer.code == 400 and "\n" not in answer.json["error"]


def test_a_body_that_is_too_long_is_not_read(site: Site) -> None:
    with site.open() as line:
        line.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\n\r\n")
        assert until_closed(line).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "head",
    [
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
    ],
)
def test_odd_requests_are_answered_and_ended(site: Site, head: bytes) -> None:
    with site.open() as line:
        line.sendall(head)
        line.shutdown(socket.SHUT_WR)
        assert until_closed(line).startswith(b"HTTP/1.1 4")


SLOW = (
    b"",
    b"GET / HT",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
)
"""Nothing, half a line, half a head, half a body."""


def test_a_request_that_never_ends_is_cut_off(site: Site) -> None:
    lines = [site.open() for _ in SLOW]
    try:
        for line, begin in zip(lines, SLOW, strict=True):
            line.sendall(begin)
        for line in lines:
            until_closed(line)
    finally:
        for line in lines:
            line.close()


def test_a_browser_that_does_not_read_is_cut_off(site: Site) -> None:
    """It takes some megabytes to fill what lies between; then its connection ends, and others notice nothing."""
    key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    with site.open() as line, site.page() as other:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        line.sendall(f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n{key}\r\n".encode())
        assert b" 101 " in line.recv(4_096)
        line.sendall(_text_frame("40"))

        def browsers() -> str:
            return next(row for row in site.get("/metrics").text.splitlines() if row.startswith("locum_monitor_browsers "))

        # Sessions that earlier tests began and left are forgotten after a while.
        until(lambda: browsers().endswith(" 2.0"), within_s=60, every_s=0.2)

        def stuck_is_gone() -> bool:
            for number in range(20):
                site.sds.change(reason=f"{number} " + "x" * 1_900)
            return browsers().endswith(" 1.0")

        until(stuck_is_gone, within_s=90, every_s=0.1)
        site.sds.change(reason=None)
        until(lambda: other.state()["services"]["www"]["reason"] is None, within_s=SOON_S)


def _text_frame(text: str) -> bytes:
    """A short masked frame of RFC 6455, with a mask of zeros."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()


def test_nothing_of_all_this_was_a_surprise_to_the_monitor(site: Site) -> None:
    """Runs last: no traceback, and it still answers."""
    assert "Traceback" not in site.log.read_text()
    assert json.loads(site.get("/healthz").text)["ok"] is True
