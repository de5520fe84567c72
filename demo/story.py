"""`locum demo --story`: section 2 of the paper played on a real cluster, and checked from outside at each step.

    start -> Fig. 2a -> power cut of http -> Fig. 2b -> http returns -> Fig. 2a again -> the same for ftp and email

What is told is what was seen: clients that know the names alone, the published
table, the history.  The first thing that is not seen in time ends the story.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.table import table
from demo import cluster, layout
from demo.client import Seen, Unserved
from demo.cluster import Demo, say
from demo.errands import ERRANDS
from demo.news import lacking
from demo.parts import Refused
from demo.state import State
from demo.telling import Outage, line, messages, outage
from demo.watching import ASK_EVERY_S, Watcher

HOMES = {server.service: server.name for server in layout.SERVERS}

START_S = 20.0
"""For the servers to come up and back each other, on a busy machine."""

FAILOVER_S = 10.0
"""For a stand-in to be granted the service and to serve it."""

FAILBACK_S = 20.0
"""For the home to be stable for long enough, twice as long if it came and went, and to have its service back."""

_LOOK_S = 0.02


class Unseen(Exception):
    """A step was not seen."""

    def __init__(self, facts: str, expected: str, seen: str) -> None:
        super().__init__(f"{facts}: expected {expected}; seen: {seen}")


class StoryDemo(Demo):
    """A demo that plays the story instead of waiting for orders."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.code = 1
        self.failed = False  # by something that was not seen
        self.watcher = Watcher(self.sds(), datetime.now(UTC))

    async def go_on(self) -> None:
        """Play, then end; the exit code is 0 only if all was seen."""
        looking_on = asyncio.create_task(self.watcher.watch())
        played = asyncio.create_task(Play(self, self.watcher).play())
        try:
            await asyncio.wait((looking_on, played), return_when=asyncio.FIRST_COMPLETED)
            if looking_on.done():
                looking_on.result()
            played.result()
            self.code = 0
        except (Unseen, Refused) as failure:
            self.failed = True
            say(f"FAILED  {failure}")
        except asyncio.CancelledError:
            say("interrupted: not all was seen")
            raise
        finally:
            played.cancel()
            looking_on.cancel()
            await asyncio.gather(played, looking_on, return_exceptions=True)
        self.ended.set()


class Play:
    """The scenes, in order."""

    def __init__(self, demo: StoryDemo, watcher: Watcher) -> None:
        self._demo = demo
        self._watcher = watcher
        self._began_at = time.monotonic()
        self._fault_at: float | None = None
        self._told = (0, 0)  # events and updates that belong to earlier steps
        self._errands = 0
        self._outages: list[tuple[str, Outage]] = []

    async def play(self) -> None:
        """All of it; raises `Unseen`."""
        await self._comes_up()
        await self._figure("P22 P23", "Fig. 2a")
        await self._falls_silent("http", "P24", "Fig. 2b")
        await self._returns("http", "P25", "Fig. 2a again")
        for server in ("ftp", "email"):
            await self._falls_silent(server, "P14", f"without {server}")
            await self._returns(server, "P18", "Fig. 2a again")
        say("")
        say(self._table())
        say(f"all was seen, in {time.monotonic() - self._began_at:.1f} s")

    # -- scenes

    async def _comes_up(self) -> None:
        """P6 to P11: registration, table update, loadlevel, assignment."""
        watcher = self._watcher
        starting = asyncio.create_task(self._demo.start_servers())
        servers = [server.name for server in layout.SERVERS]
        try:
            await self._see(
                "P6",
                START_S,
                "a registration of http, ftp and email",
                lambda: all(watcher.happened("registered", server=name) or watcher.happened("returned", server=name) for name in servers),
                lambda: f"events {[(e['kind'], e['server']) for e in watcher.events]}",
            )
            self._tell("P6", "http, ftp and email have registered")
            await self._see("P7 P8", START_S, "a table update with the priority of every server", self._table_is_whole, self._table_seen)
            self._tell("P7-P9", f"the table lists who can back up what: {self._candidates()}")
            await self._see("P10 P11", START_S, "every service at home, with a secondary", lambda: not self._lacking(), self._lacking)
        except BaseException:
            starting.cancel()
            raise
        await starting
        twice = sorted({row["secondary"] for row in watcher.status["services"]} & {row["holder"] for row in watcher.status["services"]})
        if not twice:
            raise Unseen("P11", "a server that is primary and secondary at once", str(watcher.status["services"]))
        self._tell("P10 P11", f"{self._secondaries()}; {' and '.join(twice)}: primary and secondary at once")

    async def _figure(self, facts: str, name: str) -> None:
        """All at home, as the figure shows, and as users find it."""
        await self._see(facts, START_S, "every service at home, with a secondary", lambda: not self._lacking(), self._lacking)
        www = self._watcher.service("www")
        priority = {entry["server"]: entry["priority"] for entry in www["candidates"]}
        if www["secondary"] != "email":
            raise Unseen(facts, "email as http's secondary (Fig. 2a)", f"{www['secondary']}; {self._candidates()}")
        standing = ", ".join(f"{server} {value}" for server, value in sorted(priority.items()))
        self._tell(facts, f"{name}: email is http's secondary (priorities now, its duties counted: {standing})")
        for service, home in HOMES.items():
            await self._used(facts, service, home)

    async def _falls_silent(self, server: str, facts: str, name: str) -> None:
        """P12 to P14: its secondary asks, is granted, serves, and appoints a secondary of its own."""
        watcher, service = self._watcher, next(s.service for s in layout.SERVERS if s.name == server)
        row, asked_at = watcher.service(service), time.monotonic()
        mark, updates = len(watcher.events), len(watcher.updates)
        heir, epoch = row["secondary"], row["epoch"]
        self._fault_at = asked_at
        await self._order("kill", server)
        self._say("", f"the power of {server} is cut")
        where = {"service": service, "server": heir}
        await self._event("P12", mark, "asking", f"{heir} to miss the keep-alives of {server}, and to ask", **where)
        self._tell("P12", f"{heir} hears no keep-alive of {server} any more, and sends takeover")
        granted = await self._event("P13", mark, "granted", f"the SDS to grant {service} to {heir}", epoch=epoch + 1, **where)
        await self._published("P13", updates, service, heir)
        self._tell("P13", f"the SDS grants it: {granted['text']}")
        await self._used("P5 P13", service, heir)
        recorded = await self._event("P14", mark, "recorded", f"{heir} to appoint a secondary of its own", epoch=epoch + 1, **where)
        third = recorded["evidence"]["secondary"]
        expected = next(s.name for s in layout.SERVERS if s.name not in (server, heir))
        if third != expected:
            raise Unseen(facts, f"{expected} as the next secondary", str(third))
        self._tell(f"P14 {facts}" if facts != "P14" else facts, f"{name}: {heir} serves {service}, {third} is its secondary for it")
        for other in HOMES:
            if other != service:
                await self._used(facts, other, watcher.service(other)["holder"])
        self._keep(f"power cut of {server}", service, asked_at)

    async def _returns(self, server: str, facts: str, name: str) -> None:
        """P15 to P18: it registers, asks for its service, gets it, and appoints a secondary."""
        watcher, service = self._watcher, next(s.service for s in layout.SERVERS if s.name == server)
        # The table may be shown a moment later than the history tells.
        await self._see("P14", FAILBACK_S, f"{service} with a secondary", lambda: watcher.service(service)["secondary"], self._lacking)
        row, asked_at = watcher.service(service), time.monotonic()
        mark, updates = len(watcher.events), len(watcher.updates)
        former, secondary, epoch = row["holder"], row["secondary"], row["epoch"]
        self._fault_at = None
        await self._order("start", server)
        await self._event("P15", mark, "returned", f"a registration of {server}", server=server)
        self._tell("P15", f"{server} is back, and the table tells it that {former} runs {service}")
        await self._event("P15", mark, "release-asked", f"{server} to send release service to {former}", service=service, by=server)
        self._fault_at = time.monotonic()
        self._tell("P15", f"{server} has been up for long enough, and asks {former} for {service}")
        await self._event("P16", mark, "dismissed", f"{former} to dismiss {secondary}", service=service, server=secondary, by=former)
        await self._event("P16", mark, "released", f"{former} to stop {service} and give it up", service=service, server=former)
        self._tell("P16", f"{former} has appointed {server}, dismissed {secondary}, and stopped {service}")
        await self._event("P17", mark, "granted", f"{server} to be granted {service}", service=service, server=server, epoch=epoch + 1)
        await self._event("P17", mark, "serving", f"{server} to start {service}", service=service, server=server, epoch=epoch + 1)
        self._tell("P17", f"on the acknowledgement {server} is granted {service}, and starts it")
        await self._used("P5 P17", service, server)
        recorded = await self._event("P18", mark, "recorded", f"{server} to appoint a secondary", service=service, epoch=epoch + 1)
        await self._published("P18", updates, service, server)
        self._tell(
            f"P18 {facts}" if facts != "P18" else facts, f"{name}: {recorded['evidence']['secondary']} is {server}'s secondary again"
        )
        self._keep(f"{server} returns", service, asked_at)
        await self._see(facts, FAILBACK_S, "every service at home, with a secondary", lambda: not self._lacking(), self._lacking)

    # -- seeing

    async def _see(self, facts: str, within_s: float, expected: str, seen: Callable[[], Any], instead: Callable[[], Any]) -> Any:
        until = time.monotonic() + within_s
        while not (found := seen()):
            if time.monotonic() > until:
                raise Unseen(facts, f"{expected} within {within_s:.0f} s", str(instead()))
            await asyncio.sleep(_LOOK_S)
        return found

    async def _event(self, facts: str, mark: int, kind: str, expected: str, **where: Any) -> dict[str, Any]:
        found: dict[str, Any] = await self._see(
            facts,
            FAILBACK_S if kind == "release-asked" else FAILOVER_S,
            expected,
            lambda: self._watcher.happened(kind, mark, **where),
            lambda: (
                "; ".join(f"{e['kind']} {e['server'] or ''} {e['service'] or ''}" for e in self._watcher.events[mark:]) or "nothing new"
            ),
        )
        return found

    async def _published(self, facts: str, mark: int, service: str, holder: str) -> None:
        """A table update from the `mark`th on names this holder."""

        def named() -> bool:
            rows = [row for update in self._watcher.updates[mark:] for row in update.services]
            return any(row.definition.name == service and row.holder == holder for row in rows)

        expected = f"a table update that names {holder} as the holder of {service}"
        await self._see(facts, FAILOVER_S, expected, named, lambda: f"{len(self._watcher.updates) - mark} others")

    async def _used(self, facts: str, service: str, server: str) -> None:
        """A user gets there by the name, does an errand, and finds this server."""
        errand, words = ERRANDS[service]
        until, trouble = time.monotonic() + FAILOVER_S, ""
        while time.monotonic() < until:
            self._errands += 1
            try:
                seen: Seen = await asyncio.to_thread(errand, f"{self._errands}-{time.time_ns()}", self._demo.state.directory)
            except Unserved as unserved:
                trouble = str(unserved)
            else:
                if seen.server == server:
                    self._say(facts, f"{service}.{layout.ZONE} is {seen.address}: {words}, by {server}, epoch {seen.epoch}")
                    return
                trouble = f"an answer of {seen.server}"
            await asyncio.sleep(_LOOK_S)
        raise Unseen(facts, f"{service}.{layout.ZONE} to be used ({words}) and served by {server} within {FAILOVER_S:.0f} s", trouble)

    async def _order(self, verb: str, part: str) -> None:
        reply = await self._demo.obey(verb, part)
        if reply["code"]:
            raise Refused(str(reply["text"]))

    def _lacking(self) -> list[str]:
        return lacking(self._watcher.status, HOMES)

    def _table_is_whole(self) -> bool:
        rows = [row for update in self._watcher.updates for row in update.servers if row.priority is not None]
        services = [row for row in self._watcher.status["services"] if any(entry["ok"] for entry in row["candidates"])]
        return {row.name for row in rows} == set(HOMES.values()) and len(services) == len(HOMES)

    def _table_seen(self) -> str:
        return f"{len(self._watcher.updates)} table updates; {self._candidates()}"

    def _candidates(self) -> str:
        return "; ".join(
            f"{row['name']} " + ", ".join(f"{entry['server']} {entry['priority']}" for entry in row["candidates"] if entry["ok"])
            for row in self._watcher.status["services"]
        )

    def _secondaries(self) -> str:
        return ", ".join(f"{row['holder']} has chosen {row['secondary']}" for row in self._watcher.status["services"])

    # -- telling

    def _say(self, facts: str, text: str) -> None:
        now = time.monotonic()
        say(line(now - self._began_at, None if self._fault_at is None else now - self._fault_at, facts, text))

    def _tell(self, facts: str, text: str) -> None:
        """A step, and below it the messages that were seen to go since the last."""
        events, updates = self._told
        self._say(facts, text)
        for said in messages(self._watcher.events[events:], self._watcher.updates[updates:]):
            say(f"{'':26}{said}")
        self._told = len(self._watcher.events), len(self._watcher.updates)

    def _keep(self, what: str, service: str, since: float) -> None:
        now = time.monotonic()
        self._outages += [
            (what, outage(self._watcher.answers, name, since, now)) for name in (service, *(n for n in HOMES if n != service))
        ]

    def _table(self) -> str:
        """A row for each service that a scene was about, and for any other of which a question failed."""
        rows, others = [], [0, 0]
        for what, row in self._outages:
            if not row.failed and row.before == row.after:
                others = [others[0] + row.failed, others[1] + row.asked]
                continue
            served = f"{row.before} -> {row.after}" if row.before != row.after else row.after
            rows.append((what, row.service, f"{1000 * row.seconds:.0f} ms", f"{row.failed} of {row.asked}", served))
        rows.append(("meanwhile", "the others", "0 ms", f"{others[0]} of {others[1]}", ""))
        head = f"As the clients saw it, each asking every {1000 * ASK_EVERY_S:.0f} ms by name:\n"
        return head + table(("WHAT", "SERVICE", "ABSENT", "FAILED", "SERVED BY"), rows)


def main(directory: Path | None) -> int:
    """Play it on this state directory; on a fresh one that is removed, unless there is something to look into.  Raises `CannotStart`."""
    if directory is not None:
        return cluster.main(directory, StoryDemo)
    fresh = Path(tempfile.mkdtemp(prefix="locum-story-"))
    demos: list[StoryDemo] = []

    def make(state: State) -> StoryDemo:
        demos.append(StoryDemo(state))
        return demos[-1]

    try:
        code = cluster.main(fresh, make)
    finally:
        if not any(demo.failed for demo in demos):
            shutil.rmtree(fresh, ignore_errors=True)
    if fresh.exists():
        say(f"its state and logs are kept in {fresh}")
    return code
