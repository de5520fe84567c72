"""The load of a host, made by vagrant/bed/inside.py alone: nobody waits for it, and `off` ends all of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

INSIDE = Path(__file__).resolve().parents[2] / "vagrant" / "bed" / "inside.py"
WITHIN_S = 60
PROCESSORS = str(len(os.sched_getaffinity(0)))

ONE_HOST = 'mount -t tmpfs tmpfs /run && inside() { /usr/bin/python3 -I -S "$0" "$@"; } && '
REMAIN = 'remain() { for one in /proc/[0-9]*; do tr "\\0" " " <"$one/cmdline"; echo; done 2>/dev/null | grep -c "^[^ ]*python"; }; '
SOON = 'soon() { for turn in $(seq 200); do [ "$(remain)" = "$1" ] && break; sleep 0.1; done; remain || true; }; '
"""Who is killed is not gone at once."""


def played(script: str) -> str:
    """What a shell says in namespaces of its own, in which it is process 1: all that it began ends with it."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("namespaces of our own take root, and unshare of util-linux")
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", ONE_HOST + REMAIN + SOON + script, INSIDE]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WITHIN_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_load_that_was_just_begun_is_ended_by_off() -> None:
    turn = "inside load 0.1 >/dev/null; grep -c . /run/bed-load; inside load off; soon 0; "
    said = played(turn * 3 + "ls /run")
    assert said.split() == [PROCESSORS, "0"] * 3


def test_a_new_load_takes_the_place_of_the_former() -> None:
    said = played(f"inside load 0.1 >/dev/null; inside load 0.2 >/dev/null; soon {PROCESSORS}")
    assert said.strip() == PROCESSORS


def test_a_load_keeps_no_pipe_of_its_caller_open() -> None:
    """`cat` ends when nobody has the other end of its pipe any more; descriptor 9 is one that a caller left open."""
    assert "load 0.1" in played("inside load 0.1 9>&1 | cat; remain >&2")
