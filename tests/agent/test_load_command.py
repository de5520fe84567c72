"""The owner's own measure of load: what it says counts, whatever else it does leaves the last level standing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from waiting import until

from agent.load_command import LONGEST_BYTES, LoadCommand, NoLevel, parse


class Owner:
    """A load_command that is a shell script, and the log."""

    def __init__(self, *argv: str, every_s: float = 5.0) -> None:
        self.said: list[str] = []
        self.command = LoadCommand(argv, "http", every_s, self.said.append)

    def look(self) -> float:
        asyncio.run(self.command.look())
        return self.command.level


def script(text: str, every_s: float = 5.0) -> Owner:
    return Owner("/bin/sh", "-c", text, every_s=every_s)


@pytest.mark.parametrize(("output", "level"), [(b"0", 0.0), (b"1\n", 1.0), (b" 0.25 \n", 0.25), (b"5e-1", 0.5), (b"-0", 0.0)])
def test_one_number_is_a_level(output: bytes, level: float) -> None:
    assert parse(output) == level and str(parse(output)) == str(level)


@pytest.mark.parametrize("output", [b"", b"\n", b"1.01", b"-0.1", b"nan", b"inf", b"0.5 0.6", b"50%", b"\xff\xfe", "٠".encode()])
def test_whatever_else_is_none(output: bytes) -> None:
    with pytest.raises(NoLevel, match="where one number from 0 to 1 is due"):
        parse(output)


def test_its_number_is_the_level() -> None:
    owner = script('test "$LOCUM_SERVER" = http && echo 0.7')
    assert owner.look() == 0.7 and owner.said == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo high", "printed 'high', where one number from 0 to 1 is due"),
        ("echo 0.9; exit 3", "ended with status 3"),
        ("kill -9 $$", "ended with status -9"),
        ("while :; do echo 0.9; done", f"printed more than {LONGEST_BYTES} bytes"),
    ],
)
def test_the_last_level_stands_and_one_line_says_why(tmp_path: Path, text: str, words: str) -> None:
    good = tmp_path / "good"
    good.touch()
    owner = script(f"if test -e {good}; then echo 0.4; else {text}; fi")
    assert owner.look() == 0.4
    good.unlink()
    assert [owner.look() for _ in range(3)] == [0.4] * 3
    (line,) = owner.said
    assert words in line and "the last loadlevel, 0.4, stands" in line and "\n" not in line and line.startswith("load_command: /bin/sh ")
    good.touch()
    assert owner.look() == 0.4 and owner.said[1:] == ["load_command: /bin/sh gives a loadlevel again: 0.4"]


def test_a_program_that_is_not_there_is_said_to_be_so() -> None:
    owner = Owner("/nonexistent/measure")
    assert owner.look() == 0.0
    assert owner.said == [
        "load_command: /nonexistent/measure cannot be run (No such file or directory): the last loadlevel, 0, stands",
    ]


def test_one_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    owner = script(f"sleep 600 & echo $! $$ > {pids}; wait", every_s=0.5)
    assert owner.look() == 0.0
    assert "took longer than 0.5 s (load_command_every_s)" in owner.said[0]
    until(lambda: not any(alive(pid) for pid in pids.read_text().split()))


def alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_it_is_run_again_and_again(tmp_path: Path) -> None:
    level = tmp_path / "level"
    level.write_text("0.1\n")
    owner = Owner(sys.executable, "-S", "-c", f"print(open({str(level)!r}).read())", every_s=0.5)

    async def watch() -> None:
        task = asyncio.create_task(owner.command.run())
        for wanted in (0.1, 0.8, 0.2):
            level.write_text(f"{wanted}\n")
            async with asyncio.timeout(30):
                while owner.command.level != wanted:
                    await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(watch())
