"""A browser for the tests of the page: Debian's chromium, driven by Playwright.

The fixtures are our own and not those of its pytest plugin: those keep an
event loop in the worker until it ends, and other tests there want their own.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import recorded
from browsing import Look
from fake_monitor import FakeMonitor
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from cli.page import BuildError
from cli.page import Page as Sources

CHECKOUT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]

PATIENCE_MS = 60_000
"""How long what is awaited may take: a busy machine draws slowly."""


@pytest.fixture(scope="session")
def built() -> Sources:
    """The page's sources, with a fresh bundle and what its tests need; skips aloud if that cannot be had."""
    sources = Sources(CHECKOUT)
    try:
        sources.build(for_tests=True)
    except BuildError as error:
        pytest.skip(f"the page cannot be built here: {error}")
    return sources


@pytest.fixture(scope="module")
def browser(built: Sources) -> Iterator[Browser]:
    """One chromium for a module's tests."""
    if not shutil.which(CHROMIUM):
        pytest.skip(f"there is no {CHROMIUM} (Debian: apt install chromium)")
    sandbox = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *sandbox], timeout=PATIENCE_MS)
        try:
            yield started
        finally:
            started.close()


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Look at an address: a new page each time; whatever its console complains of fails the test."""
    opened: list[BrowserContext] = []
    complaints: list[str] = []

    def at(url: str, width: int = 1280, height: int = 900, expect_errors: bool = False, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(PATIENCE_MS)
        opened.append(context)
        page = context.new_page()
        if not expect_errors:
            page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}") if said.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(f"thrown: {error}"))
        page.goto(url)
        return page

    yield at
    for context in opened:
        context.close()
    assert not complaints, complaints


@pytest.fixture
def monitor(built: Sources) -> Iterator[FakeMonitor]:
    """A monitor of a calm cluster."""
    fake = FakeMonitor(recorded.calm(time.time()))
    yield fake
    fake.close()
