"""R1, R2, R3: the arithmetic of leases and promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.lease import Leases
from bus.config import Timing
from bus.promise import Promise

PRESETS = (Timing.fast(), Timing.lan(), Timing.calm(), Timing.wan())
errors = st.floats(-1.0, 1.0)  # of rho
delays = st.floats(0.0, 10.0)


@given(holder=st.sampled_from(PRESETS), voter=st.sampled_from(PRESETS), fast=errors, slow=errors, there=delays, back=delays)
def test_r1_holder_has_stopped_before_the_promise_ends(
    holder: Timing, voter: Timing, fast: float, slow: float, there: float, back: float
) -> None:
    """Whatever the delays, and whichever clock is the faster; the voter's own preset does not matter."""
    rho = holder.clock_error
    holders_rate, voters_rate = 1 + rho * fast, 1 + rho * slow
    leases, promise = Leases(holder.lease_s), Promise(voter)
    leases.sent(1, "email", 0.0)
    promise.give(holder.lease_s, holder.stop_s, there * voters_rate)
    leases.acknowledged(1, "email", (there + back) * holders_rate, earns=True)
    stopped_at = (leases.until("email") + holder.stop_s) / holders_rate
    assert stopped_at < promise.until / voters_rate


def test_r1_running_promise_is_never_shortened() -> None:
    promise = Promise(Timing.calm())
    promise.give(Timing.wan().lease_s, Timing.wan().stop_s, now=10.0)
    long = promise.until
    promise.give(Timing.fast().lease_s, Timing.fast().stop_s, now=10.5)
    assert promise.until == long and promise.runs(long) and not promise.runs(long + 0.001)


def test_r3_bounds_are_those_of_the_table() -> None:
    """The promise of each preset, as section 4 prints it."""
    for timing, promise_s in zip(PRESETS, (0.086, 0.31, 1.02, 3.05), strict=True):
        assert timing.promise_s == pytest.approx(promise_s, abs=0.01)
        assert timing.outage_bound_s(0.5) == pytest.approx(timing.promise_s + timing.stop_s + 0.5)


def test_r21_queued_acknowledgement_renews_nothing() -> None:
    """A lease counts from the sending, and only an answer to what was asked of that voter counts."""
    leases = Leases(1.0)
    leases.sent(1, "email", 0.0)
    leases.sent(2, "ftp", 0.0)
    assert leases.acknowledged(1, "email", 5.0, earns=True) and leases.until("email") == 1.0
    assert not leases.acknowledged(2, "email", 5.0, earns=True) and leases.until("email") == 1.0
    assert not leases.acknowledged(77, "email", 5.0, earns=True)
