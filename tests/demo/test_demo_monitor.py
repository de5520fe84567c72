"""The demo's monitor: it is there, it may die, and the cluster goes on.  One demo serves all tests of this file."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from running_demo import SOON_S, RunningDemo, another_demo, command, environment, settle_for
from waiting import until

from demo.layout import MONITOR


def ask(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, str]:
    """Status, JSON if it is any, and the cookie that is set."""
    connection = http.client.HTTPConnection(MONITOR.address, MONITOR.port, timeout=90)
    sent = {key.replace("_", "-"): value for key, value in headers.items()} | {"Content-Type": "application/json"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        told = json.loads(text) if answer.headers.get_content_type() == "application/json" else text
        return answer.status, told, (answer.headers["Set-Cookie"] or "").partition(";")[0]
    finally:
        connection.close()


def answers() -> bool:
    try:
        return ask("GET", "/api/status")[0] == 200
    except OSError:
        return False


def has_page(demo: RunningDemo) -> str:
    """The line in which the demo says where its page is."""
    return until(lambda: next((line for line in demo.said().splitlines() if "page  http" in line), ""), within_s=SOON_S)


@pytest.fixture(autouse=True)
def _page(demo: RunningDemo) -> None:
    has_page(demo)
    until(answers, within_s=SOON_S, every_s=0.1)


def test_the_demo_says_where_its_page_is(demo: RunningDemo) -> None:
    assert f"http://{MONITOR}/ " in has_page(demo)
    assert demo.roles("monitor") == ["monitor"]
    status, told, _ = ask("GET", "/api/status")
    assert status == 200 and [service["holder"] for service in told["services"]] == ["ftp", "email", "http"]
    assert told["store"]["state"] == "good" and told["sds"][0]["uptime_s"] > 0


def test_an_operator_logs_in_by_the_link_and_moves_a_service(demo: RunningDemo) -> None:
    link = re.search(r"/login\?link=\S+", has_page(demo))
    assert link is not None
    status, _, cookie = ask("GET", link[0])
    assert status == 303 and cookie
    csrf = ask("GET", "/api/session", Cookie=cookie)[1]["csrf"]
    headers = {"Cookie": cookie, "X_CSRF_Token": csrf}
    _, told, _ = ask("POST", "/api/act", {"action": "move", "service": "ftp", "to": "http"}, **headers)
    assert told == {"done": True, "text": "ftp is being moved to http"}
    until(lambda: demo.service("ftp")["holder"] == "http", within_s=SOON_S, every_s=0.1)

    def back_home() -> bool:
        ask("POST", "/api/act", {"action": "move", "service": "ftp", "to": "ftp"}, **headers)
        return bool(demo.service("ftp")["holder"] == "ftp")

    until(back_home, within_s=SOON_S, every_s=0.5)
    _, told, _ = ask("POST", "/api/demo", {"verb": "pause", "part": "dns"}, **headers)
    assert told["done"], told
    _, told, _ = ask("POST", "/api/demo", {"verb": "pause", "part": "dns"}, **headers)
    assert not told["done"] and "already paused" in told["text"]
    assert ask("POST", "/api/demo", {"verb": "continue", "part": "dns"}, **headers)[1]["done"]
    demo.settled()


def test_a_monitor_that_is_killed_is_missed_by_nobody(demo: RunningDemo) -> None:
    before = {name: demo.service(name)["epoch"] for name in ("www", "ftp", "mail")}
    demo.done("kill", "monitor")
    assert not answers() and demo.roles("monitor") == []
    demo.refused("kill", "monitor", "already killed")
    assert {name: demo.service(name)["epoch"] for name in before} == before
    demo.done("start", "monitor")
    demo.refused("start", "monitor", "already running")
    until(answers, within_s=SOON_S, every_s=0.1)


def test_it_is_paused_stopped_and_started_as_any_part(demo: RunningDemo) -> None:
    demo.done("pause", "monitor")
    demo.refused("pause", "monitor", "already paused")
    demo.done("continue", "monitor")
    until(answers, within_s=SOON_S, every_s=0.1)
    demo.done("stop", "monitor")
    demo.done("start", "monitor")
    until(answers, within_s=SOON_S, every_s=0.1)


def test_a_takeover_is_drawn(demo: RunningDemo) -> None:
    demo.done("kill", "http")
    demo.served("www", lambda server: server != "http")

    def told() -> dict[str, Any] | None:
        events = ask("GET", "/api/history?service=www&limit=50")[1]["events"]
        return next((event for event in reversed(events) if event["kind"] == "serving" and event["server"] != "http"), None)

    event = until(told, within_s=SOON_S, every_s=0.1)
    assert event is not None
    drawn = ask("GET", f"/api/sequence/{event['id']}")[1]
    assert [message["name"] for message in drawn["messages"]][:3] == ["keep-alive", "takeover", "table update"]
    assert {"name": "http", "dead": True} in drawn["participants"]
    assert 'locum_takeovers_total{service="www"} ' in ask("GET", "/metrics")[1]
    demo.done("start", "http")
    demo.settled(within_s=90)


def test_a_story_takes_no_port_for_a_page() -> None:
    refused = subprocess.run(
        command("demo", "--story", "--monitor-port", "8090"), env=environment(), capture_output=True, text=True, timeout=SOON_S, check=False
    )
    assert refused.returncode == 2 and "--monitor-port" in refused.stderr


def test_a_port_that_is_taken_is_one_line_and_the_cluster_runs(tmp_path: Path, running: RunningDemo) -> None:
    """The last of this file: its demo is ended first, for the addresses."""
    assert running.end() == 0
    assert not another_demo()
    state = tmp_path / "state"
    settle_for("wan", state)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((MONITOR.address, MONITOR.port))
        taken.listen()
        second = RunningDemo(state)
        try:
            second.ready()
            line = until(lambda: next((row for row in second.said().splitlines() if row.startswith("no page")), ""), within_s=SOON_S)
            assert str(MONITOR) in line and "--monitor-port" in line
            assert second.roles("monitor") == []
        finally:
            assert second.end() == 0
