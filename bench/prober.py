"""Asks again and again, and prints each answer: a process of its own, so that nothing else stalls it.

python -m bench.prober PORT --every S --name FQDN --at ADDRESS PORT    a client: a new connection each time, never waiting for the last
python -m bench.prober PORT --every S --address A                      the same, at one address
python -m bench.prober PORT --every S --listen A --listen B ...        who answers: one connection to each, each question after the last
python -m bench.prober PORT --every S --knock A --knock B ...          the same over a new connection each time
--speech whoami|page|greeting    how the service is asked

One line of JSON for each `Answer`, until stdin is closed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import get_args

from bench.asking import Answer, Listener, Resolver, Speech, ask, ask_by_name, monotonic

Question = Callable[[float, float], Awaitable[Answer]]
"""A question, from when it is asked and how late that is."""

_NICE = -10


def _take_precedence() -> None:
    """Before ordinary processes: else the asker waits in the very queue that it measures.  Not in real time, as the guards."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    except OSError:
        pass


def _tell(task: asyncio.Future[Answer]) -> None:
    if task.exception() is not None:
        raise SystemExit(f"the prober failed: {task.exception()!r}")
    print(json.dumps(task.result()), flush=True)


async def _until_closed() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def _in_time(every_s: float, ask: Callable[[float, float], None]) -> None:
    """Ask every `every_s` until stdin is closed; what was slept through is left out."""
    closed = asyncio.create_task(_until_closed())
    planned_at = monotonic()
    while not closed.done():
        now = monotonic()
        ask(now, now - planned_at)
        planned_at = max(planned_at + every_s, monotonic() - every_s)
        await asyncio.sleep(max(0.0, planned_at - monotonic()))


async def _as_client(every_s: float, question: Question) -> None:
    """A question each time, whether or not the one before was answered."""
    asked: set[asyncio.Future[Answer]] = set()

    def ask_one(now: float, late_s: float) -> None:
        task = asyncio.ensure_future(question(now, late_s))
        asked.add(task)
        task.add_done_callback(_tell)
        task.add_done_callback(asked.discard)

    await _in_time(every_s, ask_one)
    if asked:
        await asyncio.wait(asked)


class Knocker:
    """One address, asked over a new connection each time: for what speaks no HTTP, or closes after each answer."""

    def __init__(self, address: str, port: int, speech: Speech) -> None:
        self._where, self._speech = (address, port), speech

    async def ask(self, asked_at: float, late_s: float) -> Answer:
        """One question."""
        return await ask(*self._where, asked_at, late_s, self._speech)

    def close(self) -> None:
        """Nothing is kept open."""


async def _as_listener(every_s: float, listeners: Sequence[Listener | Knocker]) -> None:
    """A question to each whose last question is over; only what was answered is told."""
    asked: dict[Listener | Knocker, asyncio.Future[Answer]] = {}

    def tell_answered(task: asyncio.Future[Answer]) -> None:
        if task.exception() is not None or task.result().server:
            _tell(task)

    def ask_all(now: float, late_s: float) -> None:
        for listener in listeners:
            if listener not in asked or asked[listener].done():
                asked[listener] = asyncio.ensure_future(listener.ask(now, late_s))
                asked[listener].add_done_callback(tell_answered)

    await _in_time(every_s, ask_all)
    await asyncio.wait(asked.values())
    for listener in listeners:
        listener.close()


async def _run(wanted: argparse.Namespace) -> None:
    port: int = wanted.port
    speech: Speech = wanted.speech
    if wanted.listen or wanted.knock:
        knockers = [Knocker(address, port, speech) for address in wanted.knock]
        await _as_listener(wanted.every, [*(Listener(address, port) for address in wanted.listen), *knockers])
    elif wanted.address:
        await _as_client(wanted.every, lambda now, late_s: ask(wanted.address, port, now, late_s, speech))
    else:
        at = (wanted.at[0], int(wanted.at[1]))
        line, resolver = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Resolver(wanted.name), remote_addr=at)
        await _as_client(wanted.every, lambda now, late_s: ask_by_name(resolver, port, now, late_s, speech))
        line.close()


def main() -> None:
    """Ask until stdin is closed."""
    parser = argparse.ArgumentParser(prog="python -m bench.prober", description=__doc__.partition("\n")[0])
    parser.add_argument("port", type=int, help="the service's port")
    parser.add_argument("--every", type=float, default=0.01, help="seconds between two rounds")
    parser.add_argument("--name", default="", help="the FQDN to resolve each time")
    parser.add_argument("--at", nargs=2, default=["127.0.0.1", "53"], metavar=("ADDRESS", "PORT"), help="the name server")
    parser.add_argument("--address", default="", help="ask there directly")
    parser.add_argument("--listen", action="append", default=[], metavar="ADDRESS", help="ask there over one connection; may be repeated")
    parser.add_argument("--knock", action="append", default=[], metavar="ADDRESS", help="ask there over new connections; may be repeated")
    parser.add_argument("--speech", choices=get_args(Speech), default="whoami", help="how the service is asked")
    wanted = parser.parse_args()
    _take_precedence()
    asyncio.run(_run(wanted))


if __name__ == "__main__":
    main()
