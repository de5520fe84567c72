"""Bugs of the holder: leases, whom it counts on, how it stops."""

from __future__ import annotations

from typing import Any

from agent.channel import Gone
from agent.duty import Duty
from agent.holding import Holding
from agent.lease import WITNESS, Leases
from agent.surroundings import Run, ToTether
from bus.config import Timing
from bus.messages import Grant
from bus.step import LONG_AGO, NEVER
from bus.values import ALONE, NOBODY, is_server
from simulation.bugs.planting import Put, bug


@bug("R1", "G leaves out S, the time that a stop takes")
def no_stop_in_promise(put: Put) -> None:
    honest = Timing.promise_for
    put(Timing, "promise_for", lambda timing, lease_s, stop_s: honest(timing, lease_s, 0.0))


@bug("R1", "the lease is counted from the receipt of the acknowledgement")
def lease_from_receipt(put: Put) -> None:
    honest = Leases.acknowledged

    def acknowledged(self: Leases, beat: int, voter: str, now: float, earns: bool) -> bool:
        known = honest(self, beat, voter, now, earns=False)
        if known and earns:
            self.grant(voter, now + self._lease_s)
        return known

    put(Leases, "acknowledged", acknowledged)


@bug("R5", "a lease that is over ends nothing")
def leases_ignored(put: Put) -> None:
    put(Holding, "serve_until", lambda holding: NEVER)


@bug("R5", "the service counts as stopped before the tether said so")
def off_before_gone(put: Put) -> None:
    honest = Duty._kill

    def kill(self: Duty, now: float) -> None:
        honest(self, now)
        self._gone(Gone(service=self.service, number=self._kill_number), LONG_AGO)

    put(Duty, "_kill", kill)


@bug("R4", "the guard lets every spawn pass, lease or not")
def spawn_without_lease(put: Put) -> None:
    put(Duty, "_spawn", lambda duty, line, now: duty._around.emit(ToTether(line)))


@bug("R14", "a standby that is being activated counts as shut: it is released, and not killed")
def activation_counts_as_shut(put: Put) -> None:
    put(Duty, "shut", property(lambda duty: duty.run in (Run.OFF, Run.STANDBY) or (duty.run is Run.STARTING and duty._hot.activated)))


@bug("R4", "a runner that comes back is not told what runs")
def no_adoption(put: Put) -> None:
    put(Duty, "welcome_runner", lambda duty, now: None)


@bug("R8", "a released epoch is not burned")
def unburned(put: Put) -> None:
    honest = Duty.drop

    def drop(self: Duty, why: str, now: float, **how: Any) -> None:
        held, burned = self.holding, self._burned
        honest(self, why, now, **how)
        if held and self.epoch == held.epoch:
            self._burned, self.epoch, self._grant_id = burned, held.epoch - 1, 0

    put(Duty, "drop", drop)


@bug("R8", "a grant that answers no question is taken for a lease")
def unasked_lease(put: Put) -> None:
    honest = Duty._grant

    def granted(self: Duty, grant: Grant, now: float) -> None:
        before = self.holding
        honest(self, grant, now)
        if self.holding and self.holding is not before and not grant.question:
            self.holding.leases.grant(WITNESS, now + self._timing.lease_s)

    put(Duty, "_grant", granted)


@bug("R10", "the holder needs no lease while nobody is recorded")
def no_lease_from_witness(put: Put) -> None:
    honest = Holding.voters
    put(Holding, "voters", lambda holding: tuple(ALONE if voter == NOBODY else voter for voter in honest(holding)))


@bug("R11", "while a change is undecided only the new secondary counts")
def only_new_counts(put: Put) -> None:
    honest = Holding.voters
    put(Holding, "voters", lambda holding: honest(holding)[-1:])


@bug("R11", "while a change is undecided only the old secondary counts")
def only_old_counts(put: Put) -> None:
    honest = Holding.voters
    put(Holding, "voters", lambda holding: honest(holding)[:1])


@bug("R11", "the candidate's word suffices while W may have recorded nobody")
def candidate_suffices(put: Put) -> None:
    honest = Holding.voters

    def voters(self: Holding) -> tuple[str, ...]:
        everyone = honest(self)
        return tuple(voter for voter in everyone if voter != NOBODY) or everyone

    put(Holding, "voters", voters)


@bug("R11", "W is asked to record a candidate that has not acknowledged")
def recorded_unasked(put: Put) -> None:
    put(Holding, "_may_ask", lambda holding, change, now: True)


@bug("R11", "a change that W refused is not superseded")
def refused_change_stays(put: Put) -> None:
    honest = Holding._wanted

    def wanted(self: Holding, serving: bool, now: float) -> str | None:
        chosen = honest(self, serving, now)
        renewed = chosen == self.recorded and self.undecided and not self.target and is_server(chosen or "-")
        return None if renewed and not self._silent(now) else chosen

    put(Holding, "_wanted", wanted)


@bug("R11", "W is not asked when a keep-alive goes unanswered")
def late_unnoticed(put: Put) -> None:
    put(Holding, "_late", lambda holding, now: False)


@bug("R12", '"no secondary" is believed before W agreed')
def alone_too_early(put: Put) -> None:
    honest = Holding.serve_until

    def serve_until(self: Holding) -> float:
        return NEVER if ALONE in self.voters() and not self.lapsed else honest(self)

    put(Holding, "serve_until", serve_until)


@bug("R12", '"no secondary" is believed although an appointment was sent since')
def alone_too_long(put: Put) -> None:
    honest = Holding.voters
    put(Holding, "voters", lambda holding: (ALONE,) if holding.recorded == ALONE else honest(holding))


@bug("R14", "Released leaves before the stop is verified")
def released_too_early(put: Put) -> None:
    honest = Duty.drop

    def drop(self: Duty, why: str, now: float, **how: Any) -> None:
        honest(self, why, now, **how)
        for release in self.releases.values():
            release.verified = True

    put(Duty, "drop", drop)


@bug("R14", "a planned stop begins before the target is on record as secondary")
def moved_before_appointed(put: Put) -> None:
    put(Holding, "ready_to_move", lambda holding, now: holding.target is not None)
