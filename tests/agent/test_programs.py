"""Checks and stops: bounded in time and in words, whatever they leave behind."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from waiting import until

from agent.adoption import stat_of
from agent.drivers.command import CommandDriver
from agent.drivers.programs import LONGEST_LINE, run
from bus.values import ServiceDefinition


def shell(script: str, limit_s: float = 10.0) -> tuple[bool | None, str]:
    return asyncio.run(run(("sh", "-c", script), {}, limit_s))


def test_status_and_last_line_are_told() -> None:
    assert shell("exit 0") == (True, "sh ended with status 0")
    assert shell("echo first >&2; echo last >&2; exit 3") == (False, "sh ended with status 3: last")


def test_a_program_that_is_not_there_is_told() -> None:
    assert asyncio.run(run(("/no/such/check",), {}, 1.0)) == (False, "/no/such/check: No such file or directory")


@pytest.mark.parametrize(
    ("word", "environment", "text"),
    [
        ("a\0b", {}, "embedded null byte"),
        ("a", {"B": "\0"}, "embedded null byte"),
        ("a", {"B=C": "1"}, "illegal environment variable name"),
    ],
)
def test_words_that_no_program_can_be_given_are_told(word: str, environment: dict[str, str], text: str) -> None:
    """A definition may come from another server, whose own file nobody here has read."""
    open_before = os.listdir("/proc/self/fd")
    assert asyncio.run(run(("echo", word), environment, 10.0)) == (False, f"echo: {text}")
    assert os.listdir("/proc/self/fd") == open_before


def test_a_program_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    answer = shell(f"sleep 1000 & echo $! > {child}; wait", limit_s=0.5)
    assert answer == (None, "sh took longer than 0.5 s")
    stat = stat_of(int(child.read_text()))
    until(lambda: stat is None or (now := stat_of(int(child.read_text()))) is None or now.zombie or now.started != stat.started)


def test_a_child_that_keeps_its_output_open_holds_up_nothing() -> None:
    began = time.monotonic()
    assert shell("sleep 20 & echo done >&2; exit 0", limit_s=15.0) == (True, "sh ended with status 0: done")
    assert time.monotonic() - began < 10


def test_much_that_is_said_neither_blocks_nor_fills_anything() -> None:
    answers, text = shell("i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789 >&2; i=$((i+1)); done; "
                          "head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1")  # fmt: skip
    assert answers is False and text.endswith("x" * LONGEST_LINE) and len(text) < LONGEST_LINE + 50


def test_a_program_of_the_administrators_directories_is_found(tmp_path: Path) -> None:
    """Where nginx and others are installed: those need not be in an ordinary user's path."""
    driver = CommandDriver("http", "127.0.0.1", "nobody", tmp_path)
    definition = ServiceDefinition(name="www", fqdn="www.test", port=1, home="http", start=("useradd",))
    assert driver.why_not(definition) is None
