"""The parts of the demo and what can be done to them: start, stop, kill, pause, continue.

                start            pause
    down <-----------------> up <-----> paused
         stop, kill, by itself  continue

A part that was killed or stopped stays down until it is started: that is a
power cut, and nobody plugs it in again.  One that ended by itself is started
again after a moment, as an init system would.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from agent import adoption, gate
from bus.config import AgentConfig, ConfigError, parse
from demo import layout, ports, processes
from demo.ports import Endpoint
from demo.processes import Process
from demo.state import CHECKOUT

START_S = 15.0
"""A part that does not listen after this long has not started."""

STOP_S = 40.0
"""A clean stop takes longer than this only if it hangs."""

RESTART_DELAY_S = 1.0
"""Before a part that ended by itself is started again."""

GIVE_UP_AFTER = 5
"""Ends by itself in a row, each within `START_S` of its start, after which a part is left alone."""


class Refused(Exception):
    """The part is not in a state in which this can be done; nothing was done."""


def clock() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Part:
    """One part with a process of its own at the top, and all that descends from it."""

    def __init__(self, name: str, argv: Sequence[str], endpoint: Endpoint, log: Path, mark: str) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.endpoint = endpoint  # it is up when it listens here
        self.log = log
        self.mark = mark
        self.lock = asyncio.Lock()  # one order at a time
        self.down = "not started"  # why it is down, while it is
        self.pid = 0  # of the top process, 0 if it is to be down
        self.started_at = 0.0
        self.early_ends = 0

    def processes(self) -> list[Process]:
        """All that lives of this part."""
        return [entry.process for entry in processes.of_state(self.mark) if entry.part == self.name]

    async def start(self) -> None:
        """Start it and wait until it listens."""
        present = self.processes()
        if present:
            raise Refused(f"{self.name} is paused: continue it" if any(p.stopped for p in present) else f"{self.name} is already running")
        self.early_ends = 0
        self.spawn()
        await self._listening()

    def spawn(self) -> None:
        """Start its top process, in a session of its own: a Ctrl-C at the terminal is for the demo alone."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LOCUM_")} | {
            processes.MARK: self.mark,
            processes.PART: self.name,
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONSAFEPATH": "1",
        }
        said = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            self.pid = os.posix_spawn(
                self.argv[0],
                self.argv,
                environment,
                file_actions=[(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2)],
                setsid=True,
                setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
            )
        finally:
            os.close(said)
            os.close(nothing)
        self.started_at = clock()

    async def _listening(self) -> None:
        pid, deadline = self.pid, clock() + START_S
        while not ports.is_open(self.endpoint):
            if self.pid != pid or processes.look(pid) is None:
                self.pid, self.down = 0, "not started"
                raise Refused(f"{self.name} did not start: {self.last_words()}")
            if clock() > deadline:
                raise Refused(f"{self.name} does not listen at {self.endpoint} after {START_S:.0f} s: {self.last_words()}")
            await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """A power cut: SIGKILL to all of it at once."""
        if not self.processes():
            raise Refused(f"{self.name} is already {self.down}")
        self.pid, self.down = 0, "killed"
        await processes.gone(processes.kill(self.processes), START_S)

    async def pause(self) -> None:
        """SIGSTOP to all of it, so that it is there and says nothing."""
        present = self.processes()
        if not present:
            raise Refused(f"{self.name} is not running: it is {self.down}")
        if all(process.stopped for process in present):
            raise Refused(f"{self.name} is already paused")
        processes.seize(self.processes)

    async def resume(self) -> None:
        """SIGCONT to all of it."""
        present = self.processes()
        if not any(process.stopped for process in present):
            raise Refused(f"{self.name} is not paused" + ("" if present else f": it is {self.down}"))
        for process in present:
            processes.send(process, signal.SIGCONT)

    async def stop(self, within_s: float = STOP_S) -> None:
        """SIGTERM, and wait for the clean end."""
        present = self.processes()
        if not present:
            raise Refused(f"{self.name} is already {self.down}")
        if any(process.stopped for process in present):
            raise Refused(f"{self.name} is paused: continue it first, or kill it")
        self.tell_to_end(present)
        if not await processes.gone(present, within_s):
            raise Refused(f"{self.name} has not ended after {within_s:.0f} s: {self.last_words()}")

    def tell_to_end(self, present: Sequence[Process]) -> None:
        """SIGTERM to its top process, woken if it is paused."""
        top = self.pid
        self.pid, self.down = 0, "stopped"
        for process in present:
            if process.pid == top:
                processes.send(process, signal.SIGTERM)
            processes.send(process, signal.SIGCONT)

    def ended(self, status: int) -> str:
        """Its top process ended without an order: what to tell people about it."""
        self.pid, self.down = 0, "ended by itself"
        self.early_ends = self.early_ends + 1 if clock() - self.started_at < START_S else 1
        code = os.waitstatus_to_exitcode(status)
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"{self.name} ended by itself {how}: {self.last_words()}"

    @property
    def hopeless(self) -> bool:
        """Whether it ended by itself so often that starting it again is no use."""
        return self.early_ends >= GIVE_UP_AFTER

    async def restart(self) -> None:
        """End what an ended top process left behind, and start anew."""
        left = processes.kill(self.processes)
        await processes.gone(left, START_S)
        self.spawn()

    def last_words(self) -> str:
        """The last line of its log, and where the rest is."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 4096))
                lines = file.read().decode(errors="replace").split("\n")
        except OSError:
            lines = []
        said = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return f"{said[:300]} ({self.log})"


class ServerPart(Part):
    """A server's agent.  It reports at least the load that is laid on it, which ends with its processes.

    Its `load_command` prints the file; so what a stranger cannot write, no
    stranger can order.
    """

    def __init__(self, name: str, argv: Sequence[str], endpoint: Endpoint, log: Path, mark: str, load_file: Path) -> None:
        super().__init__(name, argv, endpoint, log, mark)
        self.load_file = load_file
        self.load: float | None = None
        """What is laid on it, 0..1; None: nothing."""

    def spawn(self) -> None:
        """Start it without a load: that was lost with the power."""
        self.lay(None)
        super().spawn()

    async def kill(self) -> None:
        """A power cut takes what the kernel knew along: its gate before the services."""
        await super().kill()
        drop_gate(Path(self.argv[-1]))

    def bear(self, load: float | None) -> None:
        """Have it report this load, or no longer any; one that is there already is refused."""
        present = self.processes()
        if not present:
            raise Refused(f"{self.name} is not running: it is {self.down}")
        if any(process.stopped for process in present):
            raise Refused(f"{self.name} is paused: continue it first")
        if load == self.load:
            raise Refused(f"{self.name} bears no load" if load is None else f"{self.name} bears a load of {load:g} already")
        self.lay(load)

    def lay(self, load: float | None) -> None:
        """Write it down, whole or not at all."""
        fresh = self.load_file.with_name(self.load_file.name + ".new")
        fresh.write_text(f"{load or 0.0}\n")
        fresh.replace(self.load_file)
        self.load = load


def drop_gate(settings: Path) -> None:
    """Leave no nftables of the agent with these settings, of which nothing runs any more."""
    try:
        config = parse(settings.read_text(), AgentConfig, str(settings))
    except (OSError, ConfigError):
        return  # then it never ran either
    gate.remove_left(config, adoption.identity(config))


class StorePart(Part):
    """The embedded store: a child of the SDS, which starts it again by itself."""

    async def start(self) -> None:
        """Wait for the SDS to start it again."""
        present = self.processes()
        if present:
            raise Refused("store is paused: continue it" if any(p.stopped for p in present) else "store is already running")
        deadline = clock() + START_S
        while not self.processes():
            if clock() > deadline:
                raise Refused("store is run by the SDS, which has not started it: start or continue sds")
            await asyncio.sleep(0.02)

    def tell_to_end(self, present: Sequence[Process]) -> None:
        """SIGTERM to the server; the SDS starts it again."""
        self.down = "stopped"
        for process in present:
            processes.send(process, signal.SIGTERM)


def locum(command: str, settings: Path) -> tuple[str, ...]:
    """The command line of a part that is one of ours."""
    return (sys.executable, "-P", "-m", "cli.main", command, "--config", str(settings))


class Household:
    """All parts, and the ends of those that were not told to end."""

    def __init__(self, parts: Sequence[Part], notice: Callable[[str], None]) -> None:
        self.parts = {part.name: part for part in parts}
        self.notice = notice
        self.reviving: set[asyncio.Task[None]] = set()

    def reap(self) -> None:
        """Collect children that ended.  As subreaper the demo inherits what its parts leave behind, too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for part in self.parts.values():
                if part.pid == pid:
                    self._ended(part, status)

    def _ended(self, part: Part, status: int) -> None:
        self.notice(part.ended(status))
        if part.hopeless:
            self.notice(f"{part.name} is left alone after {GIVE_UP_AFTER} such ends: locum demo start {part.name}")
            return
        task = asyncio.create_task(self._revive(part))
        self.reviving.add(task)
        task.add_done_callback(self.reviving.discard)

    async def _revive(self, part: Part) -> None:
        await asyncio.sleep(RESTART_DELAY_S)
        async with part.lock:
            if part.down == "ended by itself" and not part.pid:
                await part.restart()
                self.notice(f"{part.name} is started again")

    async def run(self) -> None:
        """Look after them for ever."""
        while True:
            self.reap()
            await asyncio.sleep(0.05)

    async def end(self) -> None:
        """Stop all parts within 9 s: the agents first, so that they find an SDS to hand back to."""
        for task in self.reviving:
            task.cancel()
        servers = {server.name for server in layout.SERVERS}
        await self._end([part for name, part in self.parts.items() if name in servers], 5.5)
        await self._end([part for name, part in self.parts.items() if name not in servers and name != "store"], 2.5)
        mark = next(iter(self.parts.values())).mark
        await processes.gone(processes.kill(lambda: [entry.process for entry in processes.of_state(mark)]), 1.0)
        for part in self.parts.values():
            if isinstance(part, ServerPart):
                drop_gate(Path(part.argv[-1]))
        self.reap()

    async def _end(self, parts: Sequence[Part], within_s: float) -> None:
        present = [process for part in parts for process in part.processes()]
        for part in parts:
            part.tell_to_end(present)
        if not await processes.gone(present, within_s):
            left = processes.kill(lambda: [process for part in parts for process in part.processes()])
            self.notice(f"had to kill {', '.join(part.name for part in parts)} ({len(left)} processes): no clean end in {within_s:.0f} s")
            await processes.gone(left, 1.0)
