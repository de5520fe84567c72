"""Two hundred browsers watch one monitor while twenty updates a second arrive: delay, CPU, memory.

    python -m bench.monitor [--browsers 200] [--updates 20] [--rounds 5] [--seconds 10]

In each round all browsers come, watch and go.  The delay is from the moment at
which an update is published until a browser is told of it, or of a later one:
updates that come within a tenth of a second go out together.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.asking import monotonic
from bench.browsers import Browser
from bench.talking_sds import CLUSTER, TalkingSds

CHECKOUT = Path(__file__).resolve().parent.parent
START_S = 30.0


class Round(NamedTuple):
    """What one round showed."""

    delays_s: list[float]
    pushes: int
    cpu: float  # of one core
    memory_mb: float  # when all browsers had gone

    def line(self, number: int) -> str:
        """As a row of the table."""
        delays = sorted(self.delays_s)
        middle, high = statistics.median(delays), delays[int(len(delays) * 0.99)]
        row = f"{number:5d} {len(delays):9d} {self.pushes:8d} {middle * 1000:9.0f} {high * 1000:7.0f}"
        return f"{row} {self.cpu * 100:6.0f} {self.memory_mb:10.1f}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _start(directory: Path, sds: TalkingSds, port: int, browsers: int) -> subprocess.Popen[bytes]:
    settings = directory / "monitor.toml"
    settings.write_text(
        f'cluster = "{CLUSTER}"\nport = {port}\nstate_dir = "{directory}/monitor"\nkey_file = "{directory}/monitor.key"\n'
        f'browsers = {browsers + 10}\n[sds]\naddress = "127.0.0.1"\nport = {sds.ports[0]}\nupdates_port = {sds.ports[1]}\n'
        f'public_key_file = "{directory}/sds.key.pub"\n'
    )
    command = [sys.executable, "-P", "-m", "cli.main", "monitor", "--config", str(settings)]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, stderr=subprocess.DEVNULL)


async def _until_open(port: int) -> None:
    until = monotonic() + START_S
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if monotonic() > until:
                raise
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return


async def _round(process: psutil.Process, port: int, sds: TalkingSds, browsers: int, seconds: float) -> Round:
    pages = [Browser("127.0.0.1", port, sds.sent_at) for _ in range(browsers)]
    for begin in range(0, browsers, 20):
        await asyncio.gather(*(page.open() for page in pages[begin : begin + 20]))
    watching = [asyncio.create_task(page.watch()) for page in pages]
    began_at, before = monotonic(), process.cpu_times()
    await asyncio.sleep(seconds)
    after, took_s = process.cpu_times(), monotonic() - began_at
    for page in pages:
        page.close()
    await asyncio.gather(*watching)
    await asyncio.sleep(2.0)  # for the monitor to notice
    used_s = after.user + after.system - before.user - before.system
    delays = [delay for page in pages for delay in page.delays_s]
    return Round(delays, sum(page.pushes for page in pages), used_s / took_s, process.memory_info().rss / 2**20)


async def _rounds(port: int, process: psutil.Process, sds: TalkingSds, told: argparse.Namespace) -> None:
    await _until_open(port)
    print(f"{told.browsers} browsers, {told.updates:g} updates a second")
    print("round    delays   pushes  median ms  99% ms  CPU %  memory MB", flush=True)
    for number in range(1, told.rounds + 1):
        print((await _round(process, port, sds, told.browsers, told.seconds)).line(number), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.monitor", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--browsers", type=int, default=200)
    parser.add_argument("--updates", type=float, default=20.0, help="a second")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each round")
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="locum-bench-") as directory:
        sds, port = TalkingSds(Path(directory), 1 / told.updates), _free_port()
        monitor = _start(Path(directory), sds, port, told.browsers)
        try:
            asyncio.run(_rounds(port, psutil.Process(monitor.pid), sds, told))
        finally:
            monitor.terminate()
            monitor.wait()
            sds.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
