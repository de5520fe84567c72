"""The price of each failure on the test-bed: five hosts, nginx, vsftpd and Postfix, seen from `client`.

A client of each service asks for its name, at a TTL of 1 s, of BIND each time,
and then the service, nginx every 10 ms; a second prober asks all hosts, nginx every 5 ms.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from bench.asking import Answer, Speech, monotonic
from bench.goals import Goal, met, table
from bench.subject import wait_for
from bench.verdict import two_at_once
from bench.watch import CHECKOUT, CLIENT_EVERY_S, DIRECT_EVERY_S, NotSeen, Watch, failed

Figures = dict[str, list[float]]

ZONE = "testbed.locum.test"
_AWAY_S = 3.0  # so long a part of the centre stays dead
_QUIET_S = 1.0


class Service(NamedTuple):
    """A service of the bed, its home, how it is asked, and how often: by its name, and at all hosts."""

    name: str
    home: str
    port: int
    speech: Speech
    ask_every_s: float
    knock_every_s: float


# vsftpd and Postfix fork for every guest: asked as often as nginx they would keep the machine busy.
SERVICES = (
    Service("www", "http", 80, "page", CLIENT_EVERY_S, DIRECT_EVERY_S),
    Service("ftp", "ftp", 21, "greeting", 0.03, 0.02),
    Service("mail", "email", 25, "greeting", 0.03, 0.02),
)
SERVERS = tuple(service.home for service in SERVICES)

# What is asked of nginx (the test-bed's issue); the others are measured beside it.
_MOST = {("crash-host", "www"): 0.45, ("isolate-host", "www"): 0.45, ("kill-service", "www"): 0.1}
_WORDS = {"crash-host": "its host crashes", "isolate-host": "its host is isolated", "kill-service": "its processes are killed"}
_CENTRE = {"kill-sds": "SDS killed", "kill-redis": "Redis killed", "kill-dns": "name server killed"}

GOALS = (
    *(
        goal
        for harm, words in _WORDS.items()
        for service in SERVICES
        for goal in (
            Goal(f"{harm} {service.name}", f"{service.name}: {words}, to answered again", "s", _MOST.get((harm, service.name))),
            Goal(f"{harm} {service.name} start", "  of it, the start as the new holder saw it"),
            Goal(f"{harm} {service.name} rest", "  of it, the rest: noticing, asking, name"),
        )
    ),
    Goal("kill-runner", "runner of http killed, failed requests", "", 0),
    *(Goal(harm, f"{words}, failed requests", "", 0) for harm, words in _CENTRE.items()),
    Goal("at once", "proofs that two hosts served at one instant", "", 0),
    Goal("late", "the client probers' own longest stall"),
)


class Bed:
    """The bed that is up, by its own commands."""

    def __init__(self) -> None:
        self.command = str(CHECKOUT / "vagrant" / "testbed")

    def said(self, *words: str) -> str:
        """What a command of the bed prints; raises `NotSeen`."""
        return _said([self.command, *words])

    def harm(self, name: str, *words: str) -> float:
        """A failure script; the instant of the harm."""
        return float(_said([str(CHECKOUT / "vagrant" / "failures" / f"{name}.sh"), *words]).split()[0])

    def heal(self) -> None:
        """Undo all harm."""
        _said([str(CHECKOUT / "vagrant" / "failures" / "heal-all.sh")])

    def status(self) -> dict[str, Any]:
        """The cluster as its SDS sees it; raises `NotSeen`."""
        return json.loads(self.said("on", "sds", "locum", "status", "--json"))  # type: ignore[no-any-return]

    def brought_home(self) -> bool:
        """Order home what is served elsewhere; whether all is at home, with secondaries, by servers that are heard."""
        try:
            self.said("home")
        except NotSeen:
            return False
        return True

    def start_s(self, service: Service) -> float:
        """From the grant of its last failover to its answering, by the SDS's own clock; raises `NotSeen`."""
        lines = self.said("on", "sds", "locum", "history", "--json", "--service", service.name).splitlines()
        at: dict[str, float] = {}
        for line in lines:
            event = json.loads(line)
            if event["kind"] in ("granted", "serving") and event["server"] != service.home:
                at[event["kind"]] = datetime.fromisoformat(event["at"]).timestamp()
        if set(at) != {"granted", "serving"} or at["serving"] < at["granted"]:
            raise NotSeen(f"the history tells of no start of {service.name} elsewhere")
        return at["serving"] - at["granted"]


def _said(command: list[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise NotSeen(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


class Stage(NamedTuple):
    """The bed, and a client of each service."""

    bed: Bed
    clients: dict[str, Watch]
    addresses: dict[str, str]

    def settle(self) -> None:
        """Heal, and wait until all is at home and seen to be so by each client."""
        self.bed.heal()
        wait_for("all served at home, with secondaries", self.bed.brought_home, 120)
        for service in SERVICES:
            home = self.addresses[service.home]
            self.clients[service.name].first(partial(_from, home), monotonic())


def _from(address: str, answer: Answer) -> bool:
    return answer.server == address


def _lost_with_its_host(harm: str, service: Service, stage: Stage) -> Figures:
    stage.settle()
    at = stage.bed.harm(harm, service.home)
    home = stage.addresses[service.home]
    after = stage.clients[service.name].first(lambda answer: answer.server != home, at)
    took = after.ended_at - at
    start = wait_for("the history of it", lambda: _start_known(stage.bed, service))
    name = f"{harm} {service.name}"
    return {name: [took], f"{name} start": [start], f"{name} rest": [max(0.0, took - start)]}


def _start_known(bed: Bed, service: Service) -> float | None:
    try:
        return bed.start_s(service)
    except NotSeen:
        return None


def _killed(service: Service, stage: Stage) -> Figures:
    """Its processes alone: its hot secondary serves, or it is started again in place."""
    stage.settle()
    at = stage.bed.harm("kill-service", service.home, service.name)
    after = stage.clients[service.name].first(lambda _: True, at)
    return {f"kill-service {service.name}": [after.ended_at - at]}


def _unnoticed(harm: str, words: tuple[str, ...], stage: Stage) -> Figures:
    """What no client may notice."""
    stage.settle()
    at = stage.bed.harm(harm, *words)
    time.sleep(_AWAY_S)
    stage.settle()
    time.sleep(_QUIET_S)
    until = monotonic() - _QUIET_S / 2
    return {harm: [float(sum(len(failed(client.between(at - _QUIET_S, until))) for client in stage.clients.values()))]}


def _plan(runs: int) -> list[tuple[str, Callable[[Stage], Figures]]]:
    """What is done, in its order: www, for which most is asked, in every round, the others in every second.

    In rounds, since a service that dies again soon is started after ever longer pauses: that is not what is measured here.
    """
    plan: list[tuple[str, Callable[[Stage], Figures]]] = []
    for number in range(runs):
        for service in SERVICES if number % 2 == 0 else SERVICES[:1]:
            plan += [(f"{harm} {service.home}", partial(_lost_with_its_host, harm, service)) for harm in ("crash-host", "isolate-host")]
            plan.append((f"kill-service {service.name}", partial(_killed, service)))
    for _ in range(max(1, min(3, runs))):
        plan.append(("kill-runner http", partial(_unnoticed, "kill-runner", ("http",))))
        plan += [(harm, partial(_unnoticed, harm, ())) for harm in _CENTRE]
    return plan


def measure(bed: Bed, runs: int, say: Callable[[str], None]) -> Figures:
    """Every failure; the figures."""
    figures: Figures = {}
    addresses = {name: bed.said("host", "address", name) for name in (*SERVERS, "db")}
    with ExitStack() as probers:
        clients, direct = {}, {}
        for service in SERVICES:
            watches = _watches(bed, service, addresses)
            clients[service.name], direct[service.name] = [probers.enter_context(watch) for watch in watches]
        stage = Stage(bed, clients, addresses)
        plan = _plan(runs)
        for number, (words, scenario) in enumerate(plan, 1):
            found = scenario(stage)
            say(f"{number} of {len(plan)}: {words}: " + ", ".join(f"{name} {values[0]:.3g}" for name, values in found.items()))
            for figure, values in found.items():
                figures.setdefault(figure, []).extend(values)
        stage.settle()
        seen: dict[str, list[Answer]] = {name: [*clients[name].answers, *direct[name].answers] for name in clients}
    figures["at once"] = [float(sum(len(two_at_once(answers)) for answers in seen.values()))]
    figures["late"] = [max(answer.late_s for client in clients.values() for answer in client.answers)]
    return figures


def _watches(bed: Bed, service: Service, addresses: dict[str, str]) -> tuple[Watch, Watch]:
    """A client of the service, and a prober of all servers."""
    through = [bed.command, "client", "env", f"PYTHONPATH={CHECKOUT}"]
    ask = [str(service.port), "--speech", service.speech]
    name = ["--every", str(service.ask_every_s), "--name", f"{service.name}.{ZONE}.", "--at", addresses["db"], "53"]
    doors = [word for server in SERVERS for word in ("--knock", addresses[server])]
    return Watch([*ask, *name], through), Watch([*ask, "--every", str(service.knock_every_s), *doors], through)


def main(runs: int, as_json: bool) -> int:
    """Measure and print; 0 if every goal is met, 1 if not, 2 if it could not be measured."""
    bed = Bed()

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    try:
        guards = sorted({guard for server in bed.status()["servers"] for guard in server["guards"]})
        before = os.getloadavg()
        figures = measure(bed, runs, say)
    except NotSeen as error:
        say(f"{error}\nIs the bed up? vagrant/testbed up")
        return 2
    around = {
        "kernel": platform.release(),
        "cores": len(os.sched_getaffinity(0)),
        "load before": [round(value, 2) for value in before],
        "load after": [round(value, 2) for value in os.getloadavg()],
        "guards": guards,
    }
    if as_json:
        print(json.dumps({"around": around, "figures": figures}, indent=2))
    else:
        print(", ".join(f"{name} {value}" for name, value in around.items()))
        print("\n".join(table(GOALS, figures)))
    return 0 if all(met(goal, figures[goal.name]) for goal in GOALS if goal.name in figures) else 1
