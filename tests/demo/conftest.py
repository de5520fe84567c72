from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_demo import RunningDemo, another_demo, one_demo


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """One demo for all tests of a file, which leave it as they found it."""
    yield from one_demo(tmp_path_factory.mktemp("demo") / "state")


@pytest.fixture
def demo(running: RunningDemo) -> Iterator[RunningDemo]:
    """That demo with every part up and every service at home."""
    running.settled()
    yield running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], RunningDemo]]:
    """Demos of one's own, on state directories by name; whatever is left of them is ended."""
    reason = another_demo()
    if reason:
        pytest.skip(reason)
    started: list[RunningDemo] = []

    def begin(state: str = "state") -> RunningDemo:
        started.append(RunningDemo(tmp_path / state))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None or one.left():
            one.power_cut()
