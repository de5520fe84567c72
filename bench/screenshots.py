"""The pictures of the monitor's page in docs/pictures/, taken of a demo that runs.

python -m bench.screenshots [--into DIR]

Starts a demo on a state directory of its own, kills http, and looks at the
page before and after: at a desk, at a wall in the dark, on a phone, and at the
messages of the takeover.  It needs chromium and what `./locum test` installs.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.subject import Subject, wait_for
from bench.watch import CHECKOUT, NotSeen
from cli.page import BuildError
from cli.page import Page as Sources
from demo import presence
from demo.state import StateError

CHROMIUM = "/usr/bin/chromium"
DESK = {"viewport": {"width": 1280, "height": 860}, "color_scheme": "light"}
WALL = {"viewport": {"width": 1920, "height": 1080}, "color_scheme": "dark"}
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "device_scale_factor": 2}
LOADS = {"http": 0.15, "ftp": 0.42, "email": 0.28}
_LOADS_ARE_A_LINE_MS = 60_000
_DRAWN_MS = 60_000
_CHIP_IS_ON_ITS_WAY_MS = 700


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


class Camera:
    """A browser, and where its pictures go."""

    def __init__(self, browser: Any, into: Path) -> None:
        self._browser = browser
        self._into = into

    def look(self, url: str, seen: str, **how: Any) -> Any:
        """A page of its own at this address, once that is to be seen on it."""
        page = self._browser.new_context(**how).new_page()
        page.goto(url)
        page.locator(seen).first.wait_for(timeout=_DRAWN_MS)
        page.wait_for_timeout(_CHIP_IS_ON_ITS_WAY_MS)
        return page

    def take(self, page: Any, name: str) -> None:
        """Write the picture, and say so."""
        path = self._into / f"{name}.png"
        page.screenshot(path=path)
        print(f"{path} {path.stat().st_size // 1024} KB", flush=True)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; raises `NotSeen` where there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise NotSeen("playwright is not installed: ./locum test --version installs it") from None
    if not shutil.which(CHROMIUM):
        raise NotSeen(f"there is no {CHROMIUM}: apt install chromium")
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--disable-gpu", *sandbox])
        try:
            yield browser
        finally:
            browser.close()


def take_all(camera: Camera, subject: Subject, url: str) -> None:
    """All pictures: the calm page, then what a takeover looks like."""
    for server, level in LOADS.items():
        subject.order("load", server, level)
    wall = camera.look(url, "[data-server=http] [data-holds=www]", **WALL)
    wall.wait_for_timeout(_LOADS_ARE_A_LINE_MS)
    desk = camera.look(url, "[data-server=http] [data-holds=www]", **DESK)
    camera.take(desk, "page")
    phone = camera.look(url, "[data-server=http] [data-holds=www]", **PHONE)
    subject.order("kill", "http")
    wall.locator("[data-passage=www]").first.wait_for(timeout=_DRAWN_MS)
    wall.wait_for_timeout(_CHIP_IS_ON_ITS_WAY_MS)
    camera.take(wall, "page-takeover-dark")
    phone.locator("[data-server=email] [data-holds=www], [data-server=ftp] [data-holds=www]").first.wait_for(timeout=_DRAWN_MS)
    camera.take(phone, "page-phone")
    desk.locator(".event", has_text="www moved").get_by_role("button", name="Messages").first.click(timeout=_DRAWN_MS)
    desk.locator(".message").first.wait_for(timeout=_DRAWN_MS)
    desk.evaluate("window.scrollTo(0, 0)")
    camera.take(desk, "page-messages")


def address(subject: Subject) -> str:
    """Where the demo said that its page is."""

    def said() -> str | None:
        found = re.search(r"^.*\bpage  (http://\S+)", subject.output.read_text(), re.MULTILINE)
        return found[1] if found else None

    return wait_for("the demo's line about its page", said)


def main(arguments: list[str] | None = None) -> int:
    """Take them; 1 with one line of reason if that cannot be."""
    parser = argparse.ArgumentParser(prog="python -m bench.screenshots", description="Take the pictures of the monitor's page.")
    parser.add_argument("--into", type=Path, default=CHECKOUT / "docs" / "pictures", metavar="DIR", help="default: docs/pictures")
    into = parser.parse_args(arguments).into
    if other := presence.running():
        print(f"screenshots: a demo runs already ({other}): end it first", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        subject = Subject(Path(scratch) / "state", ("--monitor-port", str(free_port())))
        try:
            into.mkdir(parents=True, exist_ok=True)
            Sources(CHECKOUT).build()
            with chromium() as browser:
                subject.start()
                take_all(Camera(browser, into), subject, address(subject))
        except (NotSeen, StateError, BuildError, OSError) as error:
            print(f"screenshots: {error}", file=sys.stderr)
            return 1
        finally:
            subject.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
