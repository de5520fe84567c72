"""Bugs of the tether: what outlives the guard, and what is said too early."""

from __future__ import annotations

from typing import Any

from agent.channel import Activate
from agent.leash import Action, Leash
from bus.step import NEVER
from simulation.bugs.planting import Put, bug


@bug("R6", "the tether does not kill when the guard is stopped")
def no_until(put: Put) -> None:
    honest = Leash._due_at

    def due_at(self: Leash, service: Any) -> float:
        return honest(self, service) if service.state == "killing" else NEVER

    put(Leash, "_due_at", due_at)


@bug("R6", "the tether counts a whole S of its own after the lease")
def whole_stop_for_tether(put: Put) -> None:
    honest = Leash.__init__
    put(Leash, "__init__", lambda leash, lease_s, guard_kill_s: honest(leash, lease_s, 2 * guard_kill_s))


@bug("R6", "services outlive the guard")
def guard_outlived(put: Put) -> None:
    def guard_gone(self: Leash, now: float) -> list[Action]:
        self._guard = False
        return []

    put(Leash, "_guard_gone", guard_gone)
    put(Leash, "clear", property(lambda leash: True))


@bug("R6", "the tether says Gone before a scan found nothing")
def gone_unverified(put: Put) -> None:
    honest = Leash._kill

    def kill(self: Leash, names: tuple[str, ...], now: float) -> list[Action]:
        actions = honest(self, names, now)
        for name in names:
            actions += self._none_left(name)
        return actions

    put(Leash, "_kill", kill)


@bug("R6", "a standby that was activated is not on the leash")
def activated_off_leash(put: Put) -> None:
    honest_activate, honest_due = Leash._activate, Leash._due_at

    def activate(self: Leash, line: Activate, now: float) -> list[Action]:
        actions = honest_activate(self, line, now)
        self._service(line.service).shut = True
        return actions

    def due_at(self: Leash, service: Any) -> float:
        return NEVER if service.shut and service.state != "killing" else honest_due(self, service)

    put(Leash, "_activate", activate)
    put(Leash, "_due_at", due_at)
