"""The demo: the paper's cluster on one machine, from one command (DESIGN section 9).

claim the addresses -> furnish the state directory -> end leftovers -> dns, sds, agents
    -> tell what happens, obey orders -> SIGINT: stop all -> exit 0
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bus import keys
from bus.config import ConfigError, MonitorConfig, parse
from bus.demo_control import Reply
from bus.messages import History, HistoryRequest, Status, StatusRequest
from bus.question import Sds, Silence, ask_meanwhile
from demo import control, layout, ports, presence, processes
from demo.news import News, lacking, ready
from demo.parts import Household, Part, Refused, ServerPart, StorePart, clock, locum
from demo.state import State, StateError
from monitor.becoming import address, login_link

_PR_SET_CHILD_SUBREAPER = 36
_LOOK_S = 0.4  # between two questions to the SDS
_OTHERS_S = 6.0  # for the other servers to back each other, before HTTP is started all the same
_LOADED_S = 10.0  # for a load that was laid on a server to be reported
_PATIENCE_S = 30.0  # without being ready, after which it is said what is lacking


class CannotStart(Exception):
    """The demo cannot start, and nothing of it runs."""


def say(text: str) -> None:
    """One line to whoever watches; nobody may be watching any more."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Demo:
    """One run of the demo, from the claimed addresses to the last process gone."""

    def __init__(self, state: State, monitor_port: int = layout.MONITOR.port) -> None:
        self.state = state
        self.page = layout.MONITOR._replace(port=monitor_port)
        self.mark = str(state.directory)
        self.household = Household([*self._parts(), self._store()], say)
        self.parts = self.household.parts
        self.started_at = clock()
        self.news = News(datetime.now(UTC))
        self.ended = asyncio.Event()
        self.code = 0

    def _parts(self) -> list[Part]:
        nameserver = [sys.executable, "-P", "-m", "demo.nameserver", "--address", layout.DNS.address, "--port", str(layout.DNS.port)]
        nameserver += ["--zone", layout.ZONE, "--key-name", layout.TSIG_KEY, "--key-secret-file", str(self.state.tsig_secret)]
        nameserver += ["--state-file", str(self.state.zone)]
        for record in layout.records():
            nameserver += ["--record", record]
        return [
            Part("dns", nameserver, layout.DNS, self.state.log("dns"), self.mark),
            Part("sds", locum("sds", self.state.settings("sds")), layout.SDS, self.state.log("sds"), self.mark),
            *(self._server(server) for server in layout.SERVERS),
            self._monitor(),
        ]

    def _server(self, server: layout.Server) -> Part:
        argv, log = locum("agent", self.state.settings(server.name)), self.state.log(server.name)
        return ServerPart(server.name, argv, server.peers, log, self.mark, self.state.load(server.name))

    def _monitor(self) -> Part:
        argv = (*locum("monitor", self.state.settings("monitor")), "--port", str(self.page.port))
        return Part("monitor", argv, self.page, self.state.log("monitor"), self.mark)

    def _store(self) -> Part:
        return StorePart("store", (), layout.SDS, self.state.log("sds"), self.mark)

    async def run(self) -> int:
        """Start everything and stay until told to end; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.ended.set)
        reaper = asyncio.create_task(self.household.run())
        work = asyncio.create_task(self._live())
        over = asyncio.create_task(self.ended.wait())
        await asyncio.wait((work, over), return_when=asyncio.FIRST_COMPLETED)
        failure = work.exception() if work.done() and not work.cancelled() else None
        over.cancel()
        work.cancel()
        say("stopping ...")
        await self.household.end()
        reaper.cancel()
        if isinstance(failure, Refused):
            raise CannotStart(str(failure))
        if failure is not None:
            raise failure
        say("stopped")
        return self.code

    async def _live(self) -> None:
        async with await control.serve(presence.control_path(self.state.directory), self.obey):
            say(f"starting the cluster {layout.CLUSTER}, state in {self.mark}; Ctrl-C ends it")
            for name in ("dns", "sds"):
                await self._start(name)
            await self.go_on()

    async def go_on(self) -> None:
        """With name server and SDS up: start the servers, and tell what happens until the end."""
        await asyncio.gather(self._tell(), self._start_all())

    async def _start_all(self) -> None:
        await self.start_servers()
        await self._start_page()

    async def _start_page(self) -> None:
        """The page comes last, and is not needed: if it cannot be had, that is said, and the cluster goes on."""
        who = ports.holder(self.page) if ports.is_taken(self.page) else None
        if who is not None:
            by = f" by {who}" if who else ""
            say(f"no page: {self.page} is taken{by}: ./locum demo --monitor-port 8090 gives it another port")
            return
        try:
            await self._start("monitor")
            config = parse(self.state.settings("monitor").read_text(encoding="utf-8"), MonitorConfig, str(self.state.settings("monitor")))
            say(f"  page  {address(config, self.page.port)}    log in once: {login_link(config, self.page.port)}")
        except (Refused, ConfigError, OSError) as error:
            say(f"no page: {error}")

    async def start_servers(self) -> None:
        """HTTP comes last, when the others back each other: its two candidates are then equal, as in Fig. 2a (P23)."""
        first, *others = layout.SERVERS
        await asyncio.gather(*(self._start(server.name) for server in others))
        homes = {server.service: server.name for server in others}
        until = clock() + _OTHERS_S
        while clock() < until:
            with contextlib.suppress(Silence):
                answer = await ask_meanwhile(self.sds(), StatusRequest(), 1.0)
                if isinstance(answer, Status) and not lacking(answer.status, homes):
                    break
            await asyncio.sleep(_LOOK_S / 4)
        await self._start(first.name)

    def sds(self) -> Sds:
        """How an operator reaches this demo's SDS."""
        public_key, secret = keys.load_public(self.state.public_key("sds")), keys.load_secret(self.state.key(layout.OPERATOR))
        return Sds(layout.CLUSTER, layout.SDS.address, layout.SDS.port, public_key, secret, layout.OPERATOR)

    async def _start(self, name: str) -> None:
        part = self.parts[name]
        async with part.lock:
            await part.start()

    async def _tell(self) -> None:
        """Print what happens, and once that all is ready."""
        sds = self.sds()
        homes = {server.service: server.name for server in layout.SERVERS}
        is_ready = complained = False
        while True:
            try:
                history = await ask_meanwhile(sds, HistoryRequest(limit=200), 1.5)
                status = await ask_meanwhile(sds, StatusRequest(), 1.5)
            except Silence:
                await asyncio.sleep(_LOOK_S)
                continue
            if isinstance(history, History):
                for line in self.news.fresh(history.events):
                    say(line)
            if isinstance(status, Status) and not is_ready:
                reasons = lacking(status.status, homes)
                waited_s = clock() - self.started_at
                if not reasons:
                    is_ready = True
                    say(ready(status.status, waited_s))
                    say(_HINT)
                elif waited_s > _PATIENCE_S and not complained:
                    complained = True
                    say(f"not ready after {waited_s:.0f} s: {'; '.join(reasons)} (logs in {self.state.logs})")
            await asyncio.sleep(_LOOK_S)

    async def obey(self, verb: str, name: str | None, level: float | None = None) -> Reply:
        """Carry out one order of `locum demo VERB PART`."""
        if verb == "ps":
            return {"code": 0, "text": "", "processes": self._listed()}
        part = self.parts.get(name or "")
        if part is None:
            return {"code": 1, "text": f"this demo has no {name}"}
        verbs = {"kill": part.kill, "pause": part.pause, "continue": part.resume, "stop": part.stop, "start": part.start}
        verbs["load"] = partial(self._load, part, level)
        if verb not in verbs or self.ended.is_set():
            return {"code": 1, "text": "the demo is ending" if self.ended.is_set() else f"no such order as {verb}"}
        try:
            async with part.lock:
                await verbs[verb]()
        except Refused as refusal:
            return {"code": 1, "text": str(refusal)}
        what = "" if verb != "load" else f" {'off' if level is None else f'{level:g}'}"
        say(f"{datetime.now().strftime('%H:%M:%S.%f')[:-3]}  demo {verb} {part.name}{what}")
        return {"code": 0, "text": ""}

    def _listed(self) -> list[dict[str, object]]:
        """All processes but those that a runner starts: a check and the like are gone in a moment."""
        rows = [entry for entry in processes.of_state(self.mark) if entry.part in self.parts]
        runners = {entry.process.pid for entry in rows if entry.process.role == "runner"}
        order = list(layout.PARTS)
        rows.sort(key=lambda entry: (order.index(entry.part), entry.process.started, entry.process.pid))
        return [{"part": entry.part, "role": entry.role, "pid": entry.process.pid} for entry in rows if entry.process.parent not in runners]

    async def _load(self, part: Part, level: float | None) -> None:
        """Lay a load on a server, or take it off; done when the SDS shows it."""
        if not isinstance(part, ServerPart):
            raise Refused(f"{part.name} is no server: only {', '.join(server.name for server in layout.SERVERS)} report a load")
        if level is not None and not 0.0 <= level <= 1.0:
            raise Refused(f"a load of {level:g} cannot be: 0 to 1")
        before = part.load
        part.bear(level)
        until = clock() + _LOADED_S
        while not await self._shows(part.name, level, before or 0.0):
            if clock() > until:
                if level is None:
                    return  # what the server has to do by itself may be as much
                part.lay(before)
                raise Refused(f"{part.name} did not report it within {_LOADED_S:.0f} s, so it is taken back: do the SDS and its agent run?")
            await asyncio.sleep(_LOOK_S / 4)

    async def _shows(self, server: str, level: float | None, before: float) -> bool:
        """Whether the SDS knows the server's load to be this at least; without one, to be less than before."""
        try:
            answer = await ask_meanwhile(self.sds(), StatusRequest(), 1.0)
        except Silence:
            return False
        rows = answer.status["servers"] if isinstance(answer, Status) else []
        known = next((row["loadlevel"] for row in rows if row["name"] == server), None)
        if known is None:
            return False
        return bool(known < before or not before) if level is None else bool(known >= level - 0.001)


_HINT = f"""  www   http://{layout.SERVERS[0].address}:8081/    (www.{layout.ZONE}, by the name server {layout.DNS})
  try   ./locum status --watch    and, elsewhere,    ./locum demo kill http    then    ./locum demo start http"""


def _end_leftovers() -> None:
    """End what is left of a demo whose own process is gone: we hold its addresses, so it is not there any more."""
    left = processes.marked()
    if left:
        states = sorted({entry.state for entry in left})
        say(f"ending {len(left)} processes left by a demo that is gone (state {', '.join(states)})")
        asyncio.run(processes.gone(processes.kill(lambda: [entry.process for entry in processes.marked()]), 5.0))


def _end_stray_store(mark: str) -> None:
    asyncio.run(processes.gone(processes.kill(lambda: [entry.process for entry in processes.of_state(mark)]), 5.0))


def _check_ports() -> None:
    for endpoint in layout.endpoints():
        if ports.is_taken(endpoint):
            who = ports.holder(endpoint)
            raise CannotStart(f"{endpoint} is taken by another program{f' ({who})' if who else ''}: end it, the demo needs that port")


def main(directory: Path, kind: Callable[[State], Demo] = Demo) -> int:
    """Run a demo of this kind on this state directory until its end; raises `CannotStart` with one line."""
    try:
        state = State(directory)
        held = presence.Presence(state.directory)
        _end_leftovers()
        _end_stray_store(str(state.directory))
        _check_ports()
        replaced = state.furnish()
    except (StateError, presence.Occupied) as error:
        raise CannotStart(str(error)) from None
    for line in replaced:
        say(line)
    # What a killed part leaves behind becomes our child, so that it can be found and collected.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    async def present() -> int:
        async with await held.announce():
            return await kind(state).run()

    return asyncio.run(present())
