"""What a delta makes of the page's state, what it holds of older events, and where its arrows run: pure_check.mjs, by Node."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cli.page import Node, Page

CHECKS = Path(__file__).with_name("pure_check.mjs")


def test_folding_older_events_and_routes(built: Page, tmp_path: Path) -> None:
    node = Node.found(built.root).node
    bundle = tmp_path / "checks.mjs"
    esbuild = [*node, str(built.packages / "esbuild" / "bin" / "esbuild")]
    subprocess.run([*esbuild, str(CHECKS), "--bundle", "--platform=node", "--format=esm", f"--outfile={bundle}"], check=True, timeout=120)
    done = subprocess.run([*node, str(bundle)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ok: ") == 11
