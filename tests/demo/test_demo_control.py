"""Orders to a demo over its control socket, as the command line and as the monitor give them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bus.config import MonitorConfig, SdsAddress
from bus.demo_control import NoAnswer, Reply
from demo import control
from demo.presence import Running
from monitor.hands import Hands
from monitor.state import DemoWish


def by_command(path: str) -> str:
    """What `locum demo load http 0.5` hears."""
    reply = control.order(Running(7, "/d", path), "load", "http", 0.5)
    return f"{reply['code']} {reply['text']}"


def by_page(path: str) -> str:
    """What the page's button hears."""
    config = MonitorConfig(cluster="demo", state_dir="s", key_file="k", demo_control=path, sds=SdsAddress(public_key_file="p"))
    outcome = Hands(config).demo(DemoWish(verb="load", part="http", level=0.5))
    return f"{int(not outcome.done)} {outcome.text}"


@pytest.mark.parametrize("give", [by_command, by_page])
def test_an_order_arrives_and_its_answer_comes_back(give: Callable[[str], str], tmp_path: Path) -> None:
    asked: list[tuple[str, str | None, float | None]] = []

    async def obey(verb: str, part: str | None, level: float | None) -> Reply:
        asked.append((verb, part, level))
        return {"code": len(asked) - 1, "text": f"{verb} {part} {level}"}

    async def both() -> list[str]:
        path = tmp_path / "demo.sock"
        async with await control.serve(path, obey):
            return [await asyncio.to_thread(give, str(path)) for _ in range(2)]

    assert asyncio.run(both()) == ["0 load http 0.5", "1 load http 0.5"]
    assert asked == [("load", "http", 0.5)] * 2


@contextmanager
def answering(path: Path, said: bytes) -> Iterator[None]:
    """Whatever listens there says this to the first who comes, and hangs up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.bind(str(path))
        line.listen()

        def say() -> None:
            with line.accept()[0] as caller:
                caller.recv(4_096)
                caller.sendall(said)

        speaker = threading.Thread(target=say)
        speaker.start()
        yield
        speaker.join()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "it hung up"),
        (b"what?\n", "Expecting value"),
        (b"[0]\n", "no answer to an order"),
        (b'{"code": 0}\n', "no answer to an order"),
        (b'{"code": "0", "text": ""}\n', "no answer to an order"),
        (b"[" * 100_000 + b"\n", ""),
    ],
    ids=["nothing", "no JSON", "no reply", "no text", "no code", "nested"],
)
def test_what_is_no_answer_is_one_line_at_both(said: bytes, why: str, tmp_path: Path) -> None:
    with answering(tmp_path / "a.sock", said), pytest.raises(NoAnswer) as silence:
        by_command(str(tmp_path / "a.sock"))
    line = str(silence.value)
    assert line.startswith("the running demo (pid 7, state /d) does not answer: ") and why in line and "\n" not in line
    with answering(tmp_path / "b.sock", said):
        heard = by_page(str(tmp_path / "b.sock"))
    assert heard.startswith("1 the demo does not answer: ") and why in heard and "\n" not in heard


def test_a_demo_that_is_gone_is_one_line_at_both(tmp_path: Path) -> None:
    path = str(tmp_path / "none.sock")
    with pytest.raises(NoAnswer, match=r"\(pid 7, state /d\) does not answer: .*No such file"):
        by_command(path)
    assert by_page(path).startswith("1 the demo does not answer: ")


def test_a_demo_of_another_user_is_not_asked() -> None:
    with pytest.raises(NoAnswer, match="belongs to another user"):
        control.order(Running(7, "/d", ""), "kill", "http")
