"""The page's sources: their types are the monitor's, and strict; nothing is written into the page as markup."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from cli.page import Node, Page
from cli.page_types import written

SOURCES = Path(__file__).resolve().parents[2] / "monitor" / "web" / "src"


def test_the_types_are_those_of_the_monitor() -> None:
    assert (SOURCES / "state.ts").read_text() == written(), "write them anew: .venv/bin/python cli/page.py . types"


def test_the_types_hold(built: Page) -> None:
    node = Node.found(built.root).node
    checked = subprocess.run(
        [*node, "node_modules/typescript/bin/tsc", "-p", "."], cwd=built.sources, capture_output=True, text=True, timeout=240, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_nothing_becomes_markup_or_code() -> None:
    markup = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(.style")
    found = [
        f"{path.name}: {line.strip()}" for path in SOURCES.rglob("*.ts*") for line in path.read_text().splitlines() if markup.search(line)
    ]
    assert not found


def test_only_the_feed_knows_the_socket() -> None:
    assert [path.name for path in SOURCES.rglob("*.ts*") if "socket.io-client" in path.read_text()] == ["feed.ts"]
