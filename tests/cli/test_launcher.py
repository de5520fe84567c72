"""`./locum` in a checkout of its own: first use, interrupted, at the same time, changed, and what it says when it cannot."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import CHECKOUT
from waiting import until

from cli import VERSION

TOOLS = ("sh", "cat", "cmp", "readlink")


def clone(directory: Path) -> Path:
    """A checkout with the launcher, and next to nothing to install."""
    directory.mkdir()
    for name in ("locum", "cli", "bus"):
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, directory / name)
    pins = (CHECKOUT / "requirements.txt").read_text().splitlines()
    (directory / "requirements.txt").write_text("".join(f"{pin}\n" for pin in pins if pin.startswith("click")))
    (directory / "requirements-dev.txt").write_text("# nothing\n")
    return directory


def use(launcher: Path, *words: str, **changed: str) -> subprocess.Popen[str]:
    """Start it; with `PATH` or others of the environment changed."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | changed
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([str(launcher), *words], env=environment, text=True, start_new_session=True, **pipes)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def only(directory: Path, *extra: tuple[str, str]) -> str:
    """A PATH with the launcher's own tools alone, and these scripts."""
    directory.mkdir()
    for tool in TOOLS:
        (directory / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    for name, script in extra:
        (directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name).chmod(0o755)
    return str(directory)


def test_without_python_it_says_what_to_install(tmp_path: Path) -> None:
    code, out, err = ended(use(clone(tmp_path / "c") / "locum", "--version", PATH=only(tmp_path / "bin")))
    assert (code, out) == (1, "")
    assert err.startswith("locum: there is no python3: install Python 3.11") and err.count("\n") == 1


def test_an_old_python_is_named(tmp_path: Path) -> None:
    old = ("python3", 'case "$1" in -V) echo "Python 3.9.2" ;; *) exit 1 ;; esac')
    code, out, err = ended(use(clone(tmp_path / "c") / "locum", "--version", PATH=only(tmp_path / "bin", old)))
    assert (code, out) == (1, "")
    assert err.startswith("locum: Python 3.9.2 is too old") and err.count("\n") == 1


def test_a_python_without_venv_is_named(tmp_path: Path) -> None:
    real = getattr(sys, "_base_executable", sys.executable)  # a python3 of the PATH may be a shim that needs the PATH
    hide = "import sys, runpy; sys.modules['ensurepip'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    bare = ("python3", f'if [ "$2" = -c ]; then exec {real} "$@"; fi; shift; exec {real} -I -c "{hide}" "$@"')
    code, out, err = ended(use(clone(tmp_path / "c") / "locum", "--version", PATH=only(tmp_path / "bin", bare)))
    assert (code, out) == (1, "")
    assert "has no venv module" in err and "apt install python3-venv" in err and err.count("\n") == 2, err


def test_without_an_index_it_says_so(tmp_path: Path) -> None:
    away = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_RETRIES": "0"}
    launcher = clone(tmp_path / "c") / "locum"
    code, out, err = ended(use(launcher, "--version", PIP_EXTRA_INDEX_URL="", PIP_NO_CACHE_DIR="1", **away))
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert len(lines) == 2, err
    assert lines[1].startswith("locum: cannot reach the package index: check the network"), err


def test_a_read_only_checkout_is_named(tmp_path: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("root may write anywhere: this needs an ordinary user")
    directory = clone(tmp_path / "c")
    directory.chmod(0o555)
    code, out, err = ended(use(directory / "locum", "--version"))
    directory.chmod(0o755)
    assert (code, out) == (1, "")
    assert "copy the checkout to a place of your own" in err and err.count("\n") == 1


def test_first_use_interrupted_then_twice_at_once_then_changed(tmp_path: Path) -> None:
    directory = clone(tmp_path / "c")
    launcher = directory / "locum"
    cut = use(launcher, "--version")
    until((directory / ".venv" / "bin" / "python").exists, within_s=120)
    os.killpg(cut.pid, signal.SIGKILL)
    ended(cut)

    both = [ended(process) for process in (use(launcher, "--version"), use(launcher, "--version"))]
    if any("cannot reach the package index" in err for _, _, err in both):
        pytest.skip("no package index to install from")
    assert [(code, out) for code, out, _ in both] == [(0, f"locum {VERSION}\n")] * 2, both
    assert sorted("installed in" in err for _, _, err in both) == [False, True], both
    assert ended(use(launcher, "--version")) == (0, f"locum {VERSION}\n", "")

    link = tmp_path / "elsewhere"
    link.mkdir()
    (link / "locum").symlink_to(os.path.relpath(launcher, link))
    assert ended(use(link / "locum", "--version")) == (0, f"locum {VERSION}\n", "")

    with (directory / "requirements.txt").open("a") as file:
        file.write("# changed\n")
    code, out, err = ended(use(launcher, "--version"))
    assert (code, out) == (0, f"locum {VERSION}\n")
    assert "installed in" in err
    code, out, err = ended(use(launcher, "test"))
    assert code == 2 and "no tests here" in err and "installed in" in err


@pytest.mark.parametrize(
    ("words", "built"),
    [
        ("demo", True),
        ("demo --state d", True),
        ("demo --help", False),
        ("demo kill http", False),
        ("monitor --config m.toml", True),
        ("monitor --config m.toml --port 8080", True),
        ("monitor --config m.toml --check", False),
        ("monitor --config m.toml --link", False),
        ("monitor --link --config m.toml", False),
        ("monitor --hash-password", False),
        ("monitor --help", False),
        ("monitor -h", False),
        ("status", False),
    ],
)
def test_the_page_is_built_only_for_what_serves_it(words: str, built: bool, tmp_path: Path) -> None:
    """With a python that only notes what it was to run."""
    directory, noted = clone(tmp_path / "c"), tmp_path / "noted"
    python = directory / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\necho \"$*\" >> '{noted}'\n")
    python.chmod(0o755)
    shutil.copy2(directory / "requirements.txt", directory / ".venv" / "installed-run")
    assert ended(use(directory / "locum", *words.split())) == (0, "", "")
    page = f"-I {directory}/cli/page.py {directory} build"
    assert noted.read_text().splitlines() == [*([page] if built else []), f"-P -m cli.main {words}"]
