"""What a delta makes of the page's state, and where its arrows run: pure_check.mjs, by Node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cli.page import Page

CHECKS = Path(__file__).with_name("pure_check.mjs")


def test_folding_and_routes(built: Page, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the page's parts with")
    bundle = tmp_path / "checks.mjs"
    esbuild = [node, str(built.packages / "esbuild" / "bin" / "esbuild")]
    subprocess.run([*esbuild, str(CHECKS), "--bundle", "--platform=node", "--format=esm", f"--outfile={bundle}"], check=True, timeout=120)
    done = subprocess.run([node, str(bundle)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ok: ") == 6
