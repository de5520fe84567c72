"""Asks again and again, and prints each answer: a process of its own, so that nothing else stalls it.

python -m bench.prober PORT --every S --name FQDN --at ADDRESS PORT    what a client sees
python -m bench.prober PORT --every S --address A --address B ...      who answers, asked directly

One line of JSON for each `Answer`, until stdin is closed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from bench.asking import Answer, Resolver, ask, ask_by_name, monotonic

Round = Callable[[float, float], list[Awaitable[Answer]]]
"""The questions to ask at one time, from that time and how late it is."""

_NICE = -10


def _take_precedence() -> None:
    """Before ordinary processes: else the asker waits in the very queue that it measures.  Not in real time, as the guards."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    except OSError:
        pass


def _tell(task: asyncio.Future[Answer], answers_only: bool) -> None:
    if task.exception() is not None:
        raise SystemExit(f"the prober failed: {task.exception()!r}")
    if task.result().server or not answers_only:
        print(json.dumps(task.result()), flush=True)


async def _until_closed() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def _probe(questions: Round, every_s: float, answers_only: bool) -> None:
    """A round every `every_s`; rounds that were slept through are left out."""
    closed = asyncio.create_task(_until_closed())
    asked: set[asyncio.Future[Answer]] = set()
    tell = partial(_tell, answers_only=answers_only)
    planned_at = monotonic()
    while not closed.done():
        now = monotonic()
        for question in questions(now, now - planned_at):
            task = asyncio.ensure_future(question)
            asked.add(task)
            task.add_done_callback(tell)
            task.add_done_callback(asked.discard)
        planned_at = max(planned_at + every_s, monotonic() - every_s)
        await asyncio.sleep(max(0.0, planned_at - monotonic()))
    if asked:
        await asyncio.wait(asked)


async def _run(wanted: argparse.Namespace) -> None:
    port: int = wanted.port
    if not wanted.name:
        await _probe(lambda now, late_s: [ask(address, port, now, late_s) for address in wanted.address], wanted.every, wanted.answers_only)
        return
    at = (wanted.at[0], int(wanted.at[1]))
    line, resolver = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Resolver(wanted.name), remote_addr=at)
    await _probe(lambda now, late_s: [ask_by_name(resolver, port, now, late_s)], wanted.every, wanted.answers_only)
    line.close()


def main() -> None:
    """Ask until stdin is closed."""
    parser = argparse.ArgumentParser(prog="python -m bench.prober", description=__doc__.partition("\n")[0])
    parser.add_argument("port", type=int, help="the service's port")
    parser.add_argument("--every", type=float, default=0.01, help="seconds between two rounds")
    parser.add_argument("--name", default="", help="the FQDN to resolve each time")
    parser.add_argument("--at", nargs=2, default=["127.0.0.1", "53"], metavar=("ADDRESS", "PORT"), help="the name server")
    parser.add_argument("--address", action="append", default=[], help="ask there directly, all of them each time")
    parser.add_argument("--answers-only", action="store_true", help="leave out the questions that nobody answered")
    wanted = parser.parse_args()
    _take_precedence()
    asyncio.run(_run(wanted))


if __name__ == "__main__":
    main()
