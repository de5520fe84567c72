"""`locum demo --story`: P6-P18 and P22-P25 played on a real cluster; what is not seen makes it fail."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_demo import another_demo, command, environment, locum, settle_for
from waiting import until

from demo import presence
from demo.processes import of_state


class Telling:
    """One run of the story, as a process of its own."""

    def __init__(self, state: Path, *words: str, **more: str) -> None:
        self.state = state
        self.output = state.parent / f"{state.name}.output"
        with self.output.open("wb") as said:
            words = words or ("--state", str(state))
            self.process = subprocess.Popen(
                command("demo", "--story", *words),
                env=environment() | more,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.output.read_text()

    def awaits(self, word: str, within_s: float = 60.0) -> None:
        """Until it has said that."""

        def heard() -> bool:
            assert self.process.poll() is None, self.said()
            return word in self.said()

        until(heard, within_s=within_s)

    def end(self, within_s: float = 120.0) -> int:
        """Its exit code."""
        return self.process.wait(timeout=within_s)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A furnished state directory with a timing that a busy machine can keep."""
    reason = another_demo()
    if reason:
        pytest.skip(reason)
    settle_for("calm", tmp_path / "state")
    yield tmp_path / "state"


@pytest.fixture
def telling(state: Path) -> Iterator[Telling]:
    story = Telling(state)
    yield story
    if story.process.poll() is None:
        story.process.send_signal(signal.SIGINT)
        story.end()


def test_a_good_run_sees_all_in_order_and_ends_with_0(telling: Telling) -> None:
    """P6, P7, P8, P9, P10, P11, P12, P13, P14, P15, P16, P17, P18, P22, P23, P24, P25: in the paper's order, seen from outside."""
    assert telling.end() == 0, telling.said()
    said = telling.said()
    steps = re.findall(r"^ *\d+\.\d\d +(?:\+\d+\.\d\d +)?((?:P\d+(?:-P\d+)? ?)+) ", said, re.MULTILINE)
    numbers = [re.findall(r"\d+", step) for step in steps]
    firsts = [int(number) for step in numbers for number in step]
    story = [6, 7, 9, 10, 11, 22, 23, 12, 13, 14, 24, 15, 16, 17, 18, 25]
    assert list(dict.fromkeys(number for number in firsts if number in story)) == story
    for name in ("registration", "table update", "loadlevel", "assignment", "keep-alive", "takeover", "release service"):
        assert re.search(rf"^ +{name}: ", said, re.MULTILINE), name
    assert re.search(r"^ +remove assignment: email to ftp \(www\)$", said, re.MULTILINE)
    assert re.search(r"^ +acknowledgement: SDS to email \(www\)$", said, re.MULTILINE)
    assert re.search(r"^power cut of http +www +[1-9]\d* ms +[1-9]\d* of \d+ +http -> email$", said, re.MULTILINE), said
    assert re.search(r"^meanwhile +the others +0 ms +0 of [1-9]\d+$", said, re.MULTILINE), said
    assert of_state(str(telling.state)) == [] and presence.running() is None


def test_a_name_server_that_dies_in_the_middle_is_seen(telling: Telling) -> None:
    """P5: without it no user finds the new holder, however well the cluster does."""
    telling.awaits("the power of http is cut")
    assert locum("demo", "kill", "dns").returncode == 0
    assert telling.end() == 1, telling.said()
    failed = next(line for line in telling.said().splitlines() if line.startswith("FAILED"))
    assert re.search(
        r"FAILED  P.*: expected (www|ftp|mail)\.demo\.locum\.test to be used .*; seen: .*no answer from 127\.0\.1\.14:10053", failed
    )
    assert of_state(str(telling.state)) == [] and presence.running() is None


def test_sigint_ends_it_and_leaves_nothing(state: Path) -> None:
    """On a fresh state of its own, which it removes."""
    with tempfile.TemporaryDirectory(prefix="story-") as scratch:  # a short path: the demo's socket lies there
        story = Telling(state, "--story", TMPDIR=scratch)
        try:
            story.awaits("P6 ")
            assert [name[:12] for name in os.listdir(scratch)] == ["locum-story-"]
            os.kill(story.process.pid, signal.SIGINT)
            assert story.end(within_s=30) == 1
        finally:
            if story.process.poll() is None:
                story.process.send_signal(signal.SIGINT)
                story.end()
        assert "interrupted: not all was seen" in story.said() and "Traceback" not in story.said()
        assert os.listdir(scratch) == [] and presence.running() is None


def test_a_story_is_refused_while_a_demo_runs(telling: Telling) -> None:
    telling.awaits("starting the cluster")
    second = locum("demo", "--story")
    assert second.returncode == 1 and f"state {telling.state}" in second.stderr
    assert len(second.stderr.splitlines()) == 1 and second.stdout == ""


def test_a_story_is_for_starting_a_demo() -> None:
    wrong = locum("demo", "--story", "ps")
    assert (wrong.returncode, wrong.stdout) == (2, "")
