"""The paper's story on a running demo, as it is seen on the page: http dies, is replaced, returns, and gets www back."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
from browsing import Look
from playwright.sync_api import Page, expect
from running_demo import RunningDemo, one_demo
from waiting import until

from cli.page import Page as Sources

SOON_MS = 90_000
expect.set_options(timeout=SOON_MS)


@pytest.fixture(scope="module")
def demo(built: Sources, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port = tried.getsockname()[1]
    yield from one_demo(tmp_path_factory.mktemp("page") / "state", "--monitor-port", str(port))


def said(demo: RunningDemo, pattern: str) -> str:
    """What the demo printed where its output matches."""

    def found() -> str:
        match = re.search(pattern, demo.said())
        return match[1] if match else ""

    return until(found, within_s=60)


def holds(page: Page, server: str, service: str) -> None:
    """Wait until the card of that server shows that it holds that service."""
    expect(page.locator(f"[data-server='{server}'] [data-holds='{service}']")).to_be_visible()


def test_the_story_is_seen_on_the_page(demo: RunningDemo, look: Look) -> None:
    page = look(said(demo, r"page  (http://\S+)"))
    for service, server in {"www": "http", "ftp": "ftp", "mail": "email"}.items():
        holds(page, server, service)
    expect(page.locator(".arrow.beating")).to_have_count(3)
    expect(page.locator(".verdict.tone-ok")).to_be_visible()

    demo.done("kill", "http")
    expect(page.locator("[data-server=http] [data-holds=www]")).to_have_count(0)
    stand_in = until(lambda: demo.service("www")["holder"], within_s=30)
    holds(page, stand_in, "www")
    expect(page.locator("[data-server=http] .state")).to_have_text("silent")
    expect(page.locator(".verdict.tone-ok")).to_have_count(0)

    told = page.locator("[data-kind=serving]", has_text=f"www moved from http to {stand_in}").first
    expect(told).to_be_visible()
    told.get_by_role("button", name="Messages").click()
    diagram = page.get_by_role("dialog")
    for name in ("takeover", "assignment"):
        expect(diagram.locator(".message .name", has_text=re.compile(name, re.IGNORECASE)).first).to_be_visible()
    page.keyboard.press("Escape")

    demo.done("start", "http")
    holds(page, "http", "www")
    expect(page.locator("[data-kind=serving]", has_text=f"www moved from {stand_in} to http").first).to_be_visible()
    expect(page.locator(".verdict.tone-ok")).to_be_visible()
    page.get_by_role("button", name="Older events").click()
    expect(page.get_by_role("button", name="Older events")).to_have_count(0)  # there are none


def test_an_operator_moves_a_service_and_breaks_a_part(demo: RunningDemo, look: Look) -> None:
    demo.settled()
    page = look(said(demo, r"log in once: (http://\S+)"))
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    page.get_by_role("button", name="Move mail").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="To").select_option("ftp")
    expect(dialog.get_by_role("button", name="Yes, move")).to_be_enabled()
    dialog.get_by_role("button", name="Yes, move").click()
    holds(page, "ftp", "mail")
    dialog.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="kill dns").click()
    expect(page.locator("#demo .said .mark-ok")).to_be_visible()
    until(lambda: not demo.roles("dns"), within_s=30)
    page.get_by_role("button", name="start dns").click()
    until(lambda: bool(demo.roles("dns")), within_s=30)


def test_a_page_finds_a_monitor_again_that_was_killed(demo: RunningDemo, look: Look) -> None:
    page = look(said(demo, r"page  (http://\S+)"), expect_errors=True)
    expect(page.locator("[data-server=http]")).to_be_visible()
    demo.done("kill", "monitor")
    expect(page.locator("#lost-monitor")).to_be_visible()
    expect(page.locator("main.stale")).to_be_visible()
    demo.done("start", "monitor")
    expect(page.locator("#lost-monitor")).to_have_count(0)
    expect(page.locator("main.stale")).to_have_count(0)
    expect(page.locator("[data-server=http]")).to_be_visible()
