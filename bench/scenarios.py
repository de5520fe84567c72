"""What is done to the demo, and what a client sees of it.  Each function leaves all at home again."""

from __future__ import annotations

import time
from typing import NamedTuple

from bench.asking import Answer, monotonic
from bench.subject import Subject
from bench.watch import Watch, failed, refusal_s
from sds.moves import FLAP_WINDOW

Figures = dict[str, list[float]]
"""What was measured, by name: one value a run."""

_QUIET_S = 1.0  # observed after all is well again
_STABLE_S = FLAP_WINDOW * 2.0 + 0.5  # at home for so long, a service that leaves is not thought to flap (failback: 2 s)


class Stage(NamedTuple):
    """The demo and those who watch it."""

    subject: Subject
    client: Watch
    direct: Watch

    def serving(self) -> Answer:
        """Who serves www to the client now."""
        return self.client.first(lambda _: True, monotonic())

    def at_home(self, for_s: float = 0.0) -> Answer:
        """Wait until all is at home, for so long already; seen by the client too."""
        self.subject.settle(for_s)
        return self.client.first(lambda answer: answer.server == "http", monotonic())

    def failures_since(self, began_at: float) -> int:
        """How many of the client's requests failed up to a quiet while from now."""
        time.sleep(_QUIET_S)
        return len(failed(self.client.between(began_at, monotonic() - _QUIET_S / 2)))


def host_killed(stage: Stage) -> Figures:
    """A power cut of http, and its return: failover and failback (P12 to P18)."""
    before = stage.at_home(_STABLE_S)
    killed_at = monotonic()
    stage.subject.order("kill", "http")
    after = stage.client.first(lambda answer: answer.epoch > before.epoch, killed_at)
    time.sleep(_QUIET_S)
    failover = refusal_s(stage.client.between(killed_at - _QUIET_S, monotonic()))
    started_at = monotonic()
    stage.subject.order("start", "http")
    stage.client.first(lambda answer: answer.server == "http" and answer.epoch > after.epoch, started_at)
    stage.at_home()
    failback = refusal_s(stage.client.between(started_at, monotonic()))
    return {"killed": [after.ended_at - killed_at], "failover refused": [failover], "failback refused": [failback]}


def service_killed(stage: Stage) -> Figures:
    """The www process alone: started again in place."""
    stage.at_home()
    victim, killed_at = stage.subject.kill("http", "service")
    # Asked once it was surely dead, so that no last words of its own are taken for the next one's.
    after = stage.client.first(lambda _: True, stage.subject.dead(victim))
    stage.at_home()
    return {"service": [after.ended_at - killed_at]}


def guard_killed(stage: Stage) -> Figures:
    """The guard alone: its services end with it, and it comes back by itself."""
    stage.at_home(_STABLE_S)
    victim, killed_at = stage.subject.kill("http", "guard")
    stage.subject.back("http", "guard", victim)
    stage.at_home()
    back_at = monotonic()
    return {"guard": [refusal_s(stage.client.between(killed_at - _QUIET_S, back_at))], "guard home": [back_at - killed_at]}


def runner_killed(stage: Stage) -> Figures:
    """The runner alone: the guard keeps what runs (R4)."""
    stage.at_home()
    victim, killed_at = stage.subject.kill("http", "runner")
    stage.subject.back("http", "runner", victim)
    stage.at_home()
    return {"runner": [stage.failures_since(killed_at)]}


def sds_killed(stage: Stage) -> Figures:
    """The SDS and its store, for two seconds: the secondary's word suffices."""
    stage.at_home()
    killed_at = monotonic()
    stage.subject.order("kill", "sds")
    time.sleep(2 * _QUIET_S)
    stage.subject.order("start", "sds")
    stage.at_home()
    return {"sds": [stage.failures_since(killed_at)]}


def store_killed(stage: Stage) -> Figures:
    """The store alone: renewals need no disk (R18)."""
    stage.at_home()
    victim, killed_at = stage.subject.kill("store", "store")
    stage.subject.back("store", "store", victim)
    stage.at_home()
    return {"store": [stage.failures_since(killed_at)]}


def blackout(subject: Subject) -> Figures:
    """Everything is killed at once and the demo started again on the same state (R15, R18)."""
    before = subject.epochs()
    subject.blackout()
    seconds = subject.start()
    after = subject.epochs()
    lower = [name for name, epoch in before.items() if after.get(name, 0) <= epoch]
    return {"blackout": [seconds], "blackout lost": [float(len(lower))]}
