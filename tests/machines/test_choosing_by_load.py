"""P21: the choice follows the load, and does not flutter: traces of load, and how many changes come of them."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from load_traces import Course, Herd, Trace, ramp, square, steady, step

from agent.choosing import ChoosingSettings

HOUR_S = 3600.0


def noise(usual: float, spread: float, seed: int) -> Trace:
    """Around a level, drawn anew at each look."""
    dice = random.Random(seed)
    return lambda _: min(1.0, max(0.0, usual + dice.uniform(-spread, spread)))


@pytest.mark.parametrize("usual", [0.05, 0.1, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_noise_changes_nothing(usual: float, seed: int) -> None:
    """Also on the edge of a tenth, where the priority jumps by ten."""
    traces = {"email": noise(usual, 0.3, seed), "ftp": noise(usual, 0.3, seed + 100), "dns": noise(usual, 0.3, seed + 200)}
    assert Course(traces, "email").run(HOUR_S) == []


def test_short_peaks_change_nothing() -> None:
    """Two seconds at full load out of every twenty."""
    peaks: Trace = lambda now: 1.0 if now % 20.0 >= 18.0 else 0.1  # noqa: E731
    assert Course({"email": peaks, "ftp": steady(0.1)}, "email").run(HOUR_S) == []


def test_a_step_is_followed_once_and_soon() -> None:
    """Smoothing and dwell time together: within half a minute, to the better of the others."""
    traces = {"email": step(0.1, 0.9, 60.0), "ftp": steady(0.3), "dns": steady(0.1)}
    ((at, to),) = Course(traces, "email").run(HOUR_S)
    assert to == "dns" and 60.0 < at < 90.0


def test_a_step_back_moves_nothing_back() -> None:
    """The former secondary recovers, and both are as good: nobody is called back for it."""
    burden: Trace = lambda now: 0.9 if 60.0 <= now < 200.0 else 0.1  # noqa: E731
    course = Course({"email": burden, "ftp": steady(0.1)}, "email")
    assert [to for _, to in course.run(HOUR_S)] == ["ftp"]


def test_a_ramp_is_followed_once() -> None:
    ((at, to),) = Course({"email": ramp(0.0, 1.0, HOUR_S), "ftp": steady(0.2)}, "email").run(HOUR_S)
    assert to == "ftp" and 0.4 * HOUR_S < at < 0.7 * HOUR_S


def test_a_ramp_of_all_alike_moves_nothing() -> None:
    traces = {name: ramp(0.0, 1.0, HOUR_S) for name in ("email", "ftp", "dns")}
    assert Course(traces, "email").run(2 * HOUR_S) == []


def test_two_equal_servers_that_swap_quickly_move_nothing() -> None:
    """Each is idle while the other is busy, by turns of three seconds: on the whole they are equal."""
    traces = {"email": square(0.1, 0.9, 3.0, True), "ftp": square(0.1, 0.9, 3.0, False)}
    assert Course(traces, "email").run(HOUR_S) == []


@pytest.mark.parametrize("half_period_s", [15.0, 20.0, 30.0, 45.0])
def test_two_equal_servers_that_swap_slowly_are_followed_less_and_less(half_period_s: float) -> None:
    """Without a back-off each turn would be a change: 240 an hour at a quarter of a minute."""
    traces = {"email": square(0.1, 0.9, half_period_s, True), "ftp": square(0.1, 0.9, half_period_s, False)}
    turns = HOUR_S / half_period_s
    assert 1 <= len(Course(traces, "email").run(HOUR_S)) <= turns / 5


def test_hours_apart_every_change_is_followed() -> None:
    """What lasts is worth following each time: the back-off is forgotten in a calm."""
    traces = {"email": square(0.1, 0.9, HOUR_S, True), "ftp": square(0.1, 0.9, HOUR_S, False)}
    changes = Course(traces, "email").run(6 * HOUR_S)
    assert len(changes) == 6 and all(at % HOUR_S < 40.0 for at, _ in changes)


def test_margin_and_dwell_time_are_the_owners() -> None:
    traces = {"email": step(0.1, 0.45, 60.0), "ftp": steady(0.1)}
    wide, slow = ChoosingSettings(margin=50), ChoosingSettings(dwell_s=120.0)
    assert Course(traces, "email", wide).run(HOUR_S) == []
    ((at, _),) = Course(traces, "email", slow).run(HOUR_S)
    assert 180.0 < at < 240.0


def test_joining_and_returning_move_nothing() -> None:
    """Section 5: an idle newcomer is a candidate, not a reason."""
    course = Course({"email": steady(0.1)}, "email")
    course.run(60.0)
    course.traces = {"email": steady(0.1), "aaa": steady(0.0)}  # by name the first of all equals
    course.run(600.0)
    course.traces = {"email": steady(0.1)}
    course.run(660.0)
    course.traces = {"email": steady(0.1), "aaa": steady(0.0)}
    assert course.run(HOUR_S) == []


def test_holders_that_leave_the_same_secondary_spread() -> None:
    """Twelve services whose secondary is one server; its load rises: each changes once, and no other gets more than two."""
    herd = Herd(12)
    herd.run(30.0)
    assert len(herd.changes) == 6, "of twelve promises alone: as long as zz is worse by more than the margin"
    herd.loads["zz"] = 0.9
    herd.run(HOUR_S)
    assert sorted(service for _, service, _ in herd.changes) == sorted(herd.secondary)
    promised = Counter(herd.secondary.values())
    assert "zz" not in promised and max(promised.values()) <= 2, promised
    assert herd.changes[-1][0] < 30.0 + ChoosingSettings().dwell_s + 2 * 12
