"""The demo's files lie on the disk of each service's home, and reach its secondary by the database (P4)."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from running_demo import SOON_S, RunningDemo, locum
from waiting import until

from demo import layout
from demo.state import State


def test_a_page_that_is_changed_or_put_is_on_holder_and_secondary(demo: RunningDemo, tmp_path: Path) -> None:
    state = State(demo.state)
    page = "srv/www/index.html"

    def everywhere(name: str, text: str) -> bool:
        row = demo.service("www")
        servers = [server for server in (row["holder"], row["secondary"]) if server]
        files = [state.root(server) / "srv/www" / name for server in servers]
        return len(servers) == 2 and all(file.exists() and file.read_text() == text for file in files)

    listed = locum("files", "list")
    assert listed.returncode == 0 and {line.split()[0] for line in listed.stdout.splitlines()[1:]} == {"ftp", "mail", "www"}
    (state.root("http") / page).write_text("changed at $server")
    until(lambda: everywhere("index.html", "changed at $server"), within_s=SOON_S, every_s=0.2)
    with urllib.request.urlopen(f"http://{layout.SERVERS[0].address}:8081/", timeout=20) as answer:
        assert answer.read() == b"changed at http"
    draft = tmp_path / "draft.html"
    draft.write_text("draft")
    assert locum("files", "put", "www", str(draft)).returncode == 0
    until(lambda: everywhere("draft.html", "draft"), within_s=SOON_S, every_s=0.2)
    assert locum("files", "get", "www", "--to", str(tmp_path / "copy")).returncode == 0
    assert (tmp_path / "copy" / page).read_text() == "changed at $server"
