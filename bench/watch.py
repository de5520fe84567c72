"""A prober at work, and what its answers mean."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType

from bench.asking import Answer, monotonic
from demo import layout

CHECKOUT = Path(__file__).resolve().parent.parent
PORT = next(server.port for server in layout.SERVERS if server.service == "www")
CLIENT_EVERY_S = 0.01
DIRECT_EVERY_S = 0.005


class NotSeen(Exception):
    """What was waited for has not come in time."""


class Watch:
    """The answers of one prober, as they come in."""

    def __init__(self, arguments: Sequence[str], through: Sequence[str] = ()) -> None:
        """`through`: a command that runs the prober elsewhere."""
        self._arguments = arguments
        self._through = through
        self._answers: list[Answer] = []

    @classmethod
    def client(cls) -> Watch:
        """A client of www: resolves its name and asks, every 10 ms."""
        at = [layout.DNS.address, str(layout.DNS.port)]
        return cls([str(PORT), "--every", str(CLIENT_EVERY_S), "--name", f"www.{layout.ZONE}.", "--at", *at])

    @classmethod
    def direct(cls) -> Watch:
        """Asks every server of the demo for www, every 5 ms, whatever the name says; keeps what was answered."""
        addresses = [word for server in layout.SERVERS for word in ("--listen", server.address)]
        return cls([str(PORT), "--every", str(DIRECT_EVERY_S), *addresses])

    @classmethod
    def at(cls, address: str) -> Watch:
        """Asks one server for www, every 10 ms, whatever the name says."""
        return cls([str(PORT), "--every", str(CLIENT_EVERY_S), "--address", address])

    def __enter__(self) -> Watch:
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
        command = [*self._through, sys.executable, "-P", "-m", "bench.prober", *self._arguments]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._reader.join()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.append(Answer(*json.loads(line)))

    @property
    def answers(self) -> list[Answer]:
        """All so far, in the order in which they ended."""
        return list(self._answers)

    def between(self, begin_at: float, end_at: float) -> list[Answer]:
        """Those that were asked between the two instants, in the order of asking."""
        return sorted(answer for answer in self.answers if begin_at <= answer.asked_at < end_at)

    def _ended_after(self, since: float) -> Iterable[Answer]:
        """The last first, as they come in by their end."""
        for answer in reversed(self.answers):
            if answer.ended_at < since:
                return
            yield answer

    def first(self, good: Callable[[Answer], bool], since: float, within_s: float = 60.0) -> Answer:
        """Wait for the first such answer to a question asked after `since`; raises `NotSeen`."""
        until = monotonic() + within_s
        while True:
            late = monotonic() > until
            found = [answer for answer in self._ended_after(since) if answer.asked_at >= since and answer.server and good(answer)]
            if found:
                return found[-1]
            if self._process.poll() is not None:
                raise NotSeen(f"the prober ended with {self._process.returncode}")
            if late:
                raise NotSeen(f"no such answer within {within_s:.0f} s: {self.answers[-3:]}")
            time.sleep(0.02)


def failed(answers: Iterable[Answer]) -> list[Answer]:
    """The questions that nobody answered."""
    return [answer for answer in answers if not answer.server]


def refusal_s(answers: Iterable[Answer]) -> float:
    """The longest time from one good answer to the next with a failed request in between; 0 if none failed."""
    longest, last_good_at, broken = 0.0, 0.0, False
    for answer in sorted(answers, key=lambda answer: answer.ended_at):
        if not answer.server:
            broken = True
            continue
        if broken and last_good_at:
            longest = max(longest, answer.ended_at - last_good_at)
        last_good_at, broken = answer.ended_at, False
    return longest


def overlaps(answers: Iterable[Answer]) -> list[tuple[Answer, Answer]]:
    """Pairs of answers that prove that two served at the same instant.

    A server that answers a question serves at some instant between asking and
    answer.  So an answer under a lower epoch to a question that was asked after
    a higher epoch had answered proves that both served then.
    """
    found = []
    highest: Answer | None = None
    good = [answer for answer in answers if answer.server]
    heard = sorted(good, key=lambda answer: answer.ended_at)
    coming = iter(heard)
    pending = next(coming, None)
    for answer in sorted(good):
        while pending is not None and pending.ended_at <= answer.asked_at:
            if highest is None or pending.epoch > highest.epoch:
                highest = pending
            pending = next(coming, None)
        if highest is not None and (answer.epoch < highest.epoch or (answer.epoch == highest.epoch and answer.server != highest.server)):
            found.append((answer, highest))
    return found


def undecided(answers: Iterable[Answer]) -> int:
    """How many times two servers answered questions whose times overlap: too close to tell who was first."""
    good = sorted(answer for answer in answers if answer.server)
    latest: dict[str, Answer] = {}
    count = 0
    for answer in good:
        count += any(other.ended_at > answer.asked_at for server, other in latest.items() if server != answer.server)
        latest[answer.server] = answer
    return count
