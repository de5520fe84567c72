"""The prober, as a process, against real servers that speak as services do."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.asking import Answer

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = b"HTTP/1.0 200 OK\r\n\r\nhello"
BROKEN = b"HTTP/1.0 503 Service Unavailable\r\n\r\n"
WHOAMI = b'HTTP/1.0 200 OK\r\n\r\n{"service": "www", "server": "http", "epoch": 4}'


@contextmanager
def serving(words: bytes) -> Iterator[int]:
    """A server on a free port that says these words to everyone; the port."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            while True:
                try:
                    line, _ = door.accept()
                except OSError:
                    return
                with line:
                    if words.startswith(b"HTTP"):
                        line.recv(4096)
                    line.sendall(words)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join(20)


def first_answer(port: int, *words: str) -> Answer:
    """What the prober says first; it ends when its input is closed."""
    command = [sys.executable, "-m", "bench.prober", str(port), "--every", "0.02", *words]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as prober:
        assert prober.stdout is not None and prober.stdin is not None
        answer = Answer(*json.loads(prober.stdout.readline()))
        prober.stdin.close()
        prober.stdout.read()
        assert prober.wait(20) == 0
    return answer


@pytest.mark.parametrize(
    "speech, words, server, epoch",
    [
        ("whoami", WHOAMI, "http", 4),
        ("page", PAGE, "127.0.0.1", 0),
        ("greeting", b"220 http ESMTP\r\n", "127.0.0.1", 0),
        ("greeting", b"220-http\r\n220 \r\n", "127.0.0.1", 0),
    ],
)
@pytest.mark.parametrize("how", ["--address", "--knock"])
def test_each_speech_is_understood(speech: str, words: bytes, server: str, epoch: int, how: str) -> None:
    with serving(words) as port:
        answer = first_answer(port, how, "127.0.0.1", "--speech", speech)
    assert (answer.server, answer.epoch, answer.failure) == (server, epoch, "")


@pytest.mark.parametrize("speech, words", [("whoami", PAGE), ("page", BROKEN), ("greeting", b"421 closed\r\n"), ("greeting", b"")])
def test_another_answer_is_a_failure(speech: str, words: bytes) -> None:
    with serving(words) as port:
        answer = first_answer(port, "--address", "127.0.0.1", "--speech", speech)
    assert (answer.server, answer.failure) == ("", "cut off")
