"""The monitor's settings and command line: a mistake is one line (DESIGN section 9)."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from site_running import CHECKOUT, SOON_S

from bus import keys
from bus.config import ConfigError, MonitorConfig, parse
from monitor.passwords import hashed, matches


@pytest.fixture
def good(tmp_path: Path) -> str:
    """Settings in which nothing is wrong."""
    for name in ("sds", "monitor", "operator"):
        keys.make(tmp_path / f"{name}.key")
    return f'''cluster = "test"
port = 18080
state_dir = "{tmp_path}/monitor"
key_file = "{tmp_path}/monitor.key"
operator_key_file = "{tmp_path}/operator.key"
[sds]
address = "127.0.0.1"
public_key_file = "{tmp_path}/sds.key.pub"
'''


def locum(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "cli.main", "monitor", *words],
        env={"PYTHONPATH": str(CHECKOUT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=False,
    )


def test_good_settings_are_good(good: str, tmp_path: Path) -> None:
    path = tmp_path / "monitor.toml"
    path.write_text(good)
    checked = locum("--config", str(path), "--check")
    assert (checked.returncode, checked.stdout) == (0, f"{path}: good\n")
    assert not (tmp_path / "monitor").exists(), "nothing was begun"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("port = 18080", "port = 0", "port"),
        ("port = 18080", "prot = 18080", 'did you mean "port"?'),
        ("port = 18080", 'address = "page.test"', "address"),
        ('address = "127.0.0.1"', "", "sds.address"),
        ("port = 18080", 'password_hash = "secret"', "--hash-password"),
        ("port = 18080", 'names = ["http://page.test"]', "names"),
        ("port = 18080", "browsers = 0", "browsers"),
        ("port = 18080", "session_s = 1", "session_s"),
        ("/monitor.key", "/nothing.key", "key_file"),
        ("/operator.key", "/nothing.key", "operator_key_file"),
        ("/sds.key.pub", "/nothing.pub", "nothing.pub"),
        ('/monitor"\n', '/monitor.key/in"\n', "state_dir"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_remedy(good: str, tmp_path: Path, old: str, new: str, key: str) -> None:
    assert old in good
    path = tmp_path / "bad.toml"
    path.write_text(good.replace(old, new, 1))
    for words in (("--check",), ()):
        refused = locum("--config", str(path), *words)
        assert (refused.returncode, refused.stdout) == (2, ""), refused
        assert len(refused.stderr.splitlines()) == 1 and key in refused.stderr


def test_a_password_needs_an_operators_key(good: str) -> None:
    text = "\n".join(line for line in good.splitlines() if not line.startswith("operator_key_file"))
    with pytest.raises(ConfigError, match="operator_key_file"):
        parse(f'password_hash = "{hashed("long enough")}"\n{text}', MonitorConfig, "monitor.toml")
    assert parse(text, MonitorConfig, "monitor.toml").operator_key_file is None


def test_a_port_that_is_taken_is_one_line(good: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path = tmp_path / "monitor.toml"
        path.write_text(good)
        refused = locum("--config", str(path), "--port", str(taken.getsockname()[1]))
    assert refused.returncode == 1 and refused.stdout == ""
    assert len(refused.stderr.splitlines()) == 1 and "set `port` to another" in refused.stderr


def test_usage(good: str, tmp_path: Path) -> None:
    assert locum().returncode == 2
    path = tmp_path / "monitor.toml"
    path.write_text("\n".join(line for line in good.splitlines() if not line.startswith("operator_key_file")))
    refused = locum("--config", str(path), "--link")
    assert refused.returncode == 2 and "operator_key_file" in refused.stderr


def test_a_password_is_asked_for_and_hashed() -> None:
    """At a terminal, since it is not to be seen."""
    ours, theirs = pty.openpty()
    asking = subprocess.Popen(
        [sys.executable, "-P", "-m", "cli.main", "monitor", "--hash-password"],
        env={"PYTHONPATH": str(CHECKOUT), "TERM": "dumb"},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(theirs)
    try:
        for prompt in (b"Password", b"Repeat"):
            shown = b""
            while prompt not in shown:  # what is typed before it asks is thrown away
                shown += os.read(ours, 1_000)
            os.write(ours, b"pretty secret\n")
        told, _ = asking.communicate(timeout=SOON_S)
    finally:
        asking.kill()
        os.close(ours)
    stored = tomllib.loads(told.decode())["password_hash"]
    assert matches(stored, "pretty secret") and not matches(stored, "Pretty secret")


def _take_terminal() -> None:
    """Standard input becomes the terminal of the session, where a password is read."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_hashes() -> None:
    first, second = hashed("correct horse"), hashed("correct horse")
    assert first != second and matches(first, "correct horse") and matches(second, "correct horse")
    assert not matches(first, "") and not matches("scrypt$99$8$1$" + "A" * 22 + "$" + "A" * 43, "x") and not matches("plain", "plain")
    with pytest.raises(ValueError, match="at least 8"):
        hashed("short")
