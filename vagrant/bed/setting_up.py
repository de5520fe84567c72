"""From five bare hosts to the cluster of Fig. 2a, by the same scripts whatever the hosts are made of."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from vagrant.bed.backend import Backend, BedError
from vagrant.bed.home import EVERYTHING, lacking, strays, words
from vagrant.bed.plan import SECONDARIES, Host

SCRIPTS = "/vagrant/provision"

SETTLE_S = 60.0
"""Until the cluster is in Fig. 2a's state, on a workstation."""

Say = Callable[[str], None]


def provision(bed: Backend, timing: str, say: Say) -> None:
    """Everything configured and started, in the order in which one needs another.  Raises `BedError`."""
    limit_s = 120 * bed.patience
    addresses = bed.plan.addresses()

    def named(host: Host) -> None:
        bed.run(host.name, [f"{SCRIPTS}/host.sh", host.name, *addresses], limit_s=limit_s)

    with ThreadPoolExecutor() as several:
        list(several.map(named, (*bed.plan.hosts, *([bed.plan.client] if bed.has_client else []))))
    say("db: Redis and BIND")
    secrets = bed.run("db", [f"{SCRIPTS}/db.sh", *addresses], limit_s=limit_s)
    say("sds: the Service Description Server")
    bed.run("sds", ["env", f"LOCUM_TIMING={timing}", f"{SCRIPTS}/sds.sh", *addresses], secrets, limit_s)
    _await(lambda: state(bed) is not None, 30 * bed.patience, lambda: "the SDS to answer: vagrant/testbed on sds locum status")

    def joined(host: Host) -> None:
        token = bed.run("sds", ["locum", "token", "--name", host.name], limit_s=limit_s)
        command = ["env", f"LOCUM_TIMING={timing}", f"{SCRIPTS}/agent.sh", host.name, host.address]
        bed.run(host.name, command, token, limit_s)

    for hosts in bed.plan.joining:
        say(f"{' '.join(host.name for host in hosts)}: join by token")
        with ThreadPoolExecutor() as several:
            list(several.map(joined, hosts))
        _await_fig_2a(bed, {host.service.name for host in hosts if host.service})


def settle(bed: Backend, say: Say) -> None:
    """Wait until everything is as in Fig. 2a, and say so.  Raises `BedError` with what is not."""
    _await_fig_2a(bed, EVERYTHING)
    found = state(bed)
    if found:
        say(words(found))


def _await_fig_2a(bed: Backend, names: Collection[str]) -> None:
    def missing() -> list[str]:
        return lacking(state(bed), bed.plan, names, SECONDARIES)

    _await(lambda: not missing(), SETTLE_S * bed.patience, lambda: "; ".join(missing()) or "Fig. 2a")


def bring_home(bed: Backend) -> None:
    """Order home what is served elsewhere: failback by itself waits ever longer for a service that keeps leaving."""
    for service, home in strays(state(bed), bed.plan):
        with suppress(BedError):  # not yet
            bed.run("sds", ["locum", "move", service, home], limit_s=20 * bed.patience)


def mend(bed: Backend) -> None:
    """Every host on and awake, at its own address, its units running, its disk and processors free.  Raises `BedError`."""

    def one(host: Host) -> None:
        if bed.is_up(host.name):
            bed.thaw(host.name)
        else:
            bed.boot(host.name)
        bed.run(host.name, ["/usr/bin/python3", "-I", "-S", "/vagrant/bed/inside.py", "mend", host.address], limit_s=120 * bed.patience)

    with ThreadPoolExecutor() as several:
        list(several.map(one, bed.plan.hosts))


def state(bed: Backend) -> dict[str, Any] | None:
    """What `locum status --json` says at the SDS; None if it does not answer."""
    try:
        found: dict[str, Any] = json.loads(bed.run("sds", ["locum", "status", "--json"], limit_s=20 * bed.patience))
    except (BedError, ValueError):
        return None
    return found


def _await(condition: Callable[[], bool], within_s: float, what: Callable[[], str]) -> None:
    give_up_at = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > give_up_at:
            raise BedError(f"waited {within_s:g} s for {what()}")
        time.sleep(0.2)
