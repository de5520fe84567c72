"""Bugs of former holders that finish (R22)."""

from __future__ import annotations

from agent.duty import Duty
from agent.finishing import Finishing
from agent.holding import Holding
from agent.surroundings import Run
from bus.step import NEVER
from sds.case import Case
from simulation.bugs.planting import Put, bug


@bug("R22", "finishing never ends")
def finishing_never_ends(put: Put) -> None:
    def begin(self: Finishing, finish_s: float, now: float) -> None:
        self.stop_at = self.kill_at = NEVER

    put(Finishing, "begin", begin)


@bug("R22", "a former holder finishes for twice as long as it may")
def finishing_twice_as_long(put: Put) -> None:
    honest = Finishing.begin
    put(Finishing, "begin", lambda finishing, finish_s, now: honest(finishing, 2 * finish_s, now))


@bug("R22", "an exclusive service overlaps as well")
def overlap_of_the_exclusive(put: Put) -> None:
    def move(self: Duty, held: Holding, now: float) -> bool:
        self._finish(held, now)
        return True

    put(Duty, "_move", move)


@bug("R22", "a holder whose lease is over finishes, instead of being cut off")
def overlap_on_a_lapse(put: Put) -> None:
    honest = Duty._tick_holding

    def tick_holding(self: Duty, held: Holding, now: float) -> None:
        if self.run is Run.ON and held.serve_until() <= now and not held.definition.exclusive:
            self._finish(held, now)
        else:
            honest(self, held, now)

    put(Duty, "_tick_holding", tick_holding)


@bug("R22", "a holder leaves its process behind though another still finishes")
def three_at_once(put: Put) -> None:
    put(Finishing, "granted", lambda finishing, overlap_s, now: None)
    put(Case, "may_finish", lambda case, stop_s, clock_error, now: None)
