"""What a day is made of: loads, failures, who serves when; and how far a mean may be trusted."""

from __future__ import annotations

from math import inf
from random import Random

import msgspec
import pytest

from simulation.figure3.day import live, stretches, weather
from simulation.figure3.estimates import estimate, student
from simulation.figure3.failures import Absence, absences
from simulation.figure3.loads import Course, courses, steady
from simulation.figure3.machines import Outages
from simulation.figure3.requests import Requests
from simulation.figure3.setting import FIRST, FULLEST, MOST_FACTOR, PRIMARY, FailureLaw, Setting, failures_per_s
from simulation.figure3.standins import Static
from simulation.figure3.studies import STUDIES

OUTAGES = Outages((1.0,), (0.5,))


@pytest.mark.parametrize("mean", [0.0, 0.05, 0.4, 0.9, FULLEST])
def test_a_load_stays_about_its_mean(mean: float) -> None:
    setting = Setting(means=(mean, mean, mean), hours=2_000.0)
    for course in courses(setting, Random(1)):
        assert all(0.0 <= level <= FULLEST and abs(level - mean) <= setting.spread + 1e-9 for level in course.levels)
        assert abs(course.mean(setting.duration_s) - mean) < 0.02


@pytest.mark.parametrize("common", [0.0, 0.5, 1.0])
def test_loads_change_as_often_whatever_they_have_in_common(common: float) -> None:
    drawn = courses(Setting(common=common, hours=2_000.0, means=(0.5, 0.5, 0.5)), Random(2))
    assert all(3_600 < len(course.times) < 4_400 for course in drawn)
    assert (drawn[0] == drawn[1] == drawn[2]) is (common == 1.0)


def test_a_course_is_cut_into_its_pieces() -> None:
    course = Course((0.0, 10.0, 20.0), (0.1, 0.2, 0.3))
    assert course.pieces(5.0, 25.0) == [(5.0, 10.0, 0.1), (10.0, 20.0, 0.2), (20.0, 25.0, 0.3)]
    assert course.pieces(12.0, 13.0) == [(12.0, 13.0, 0.2)]
    assert (course.next_change(10.0), course.next_change(20.0)) == (20.0, inf)


@pytest.mark.parametrize("law", ["constant", "linear", "steep"])
def test_a_primary_fails_the_more_often_the_busier_it_is(law: FailureLaw) -> None:
    """P26; the rate is what the law says, and never above what chance draws from."""
    setting = Setting(failure_law=law, hours=5_000.0, recovery_s=1.0)
    counts = []
    for load in (0.1, 0.3, 0.9):
        found = len(absences(setting, steady(load), (1.0,), (1.0,), Random(3)))
        expected = failures_per_s(setting, load) * setting.duration_s
        assert abs(found - expected) < 4 * expected**0.5
        assert failures_per_s(setting, load) <= setting.failures_per_h / 3600 * MOST_FACTOR
        counts.append(found)
    assert law == "constant" or counts[0] < counts[1] < counts[2]


def test_who_serves_when() -> None:
    """Dies twice; the second time again before it has its service back."""
    setting = Setting(hours=1.0)
    gone = [Absence(100.0, 200.0, 1.0, 0.5), Absence(1000.0, 1100.0, 1.0, 0.5), Absence(1120.0, 1200.0, 1.0, 0.5)]
    drawn = msgspec.structs.replace(weather(setting, OUTAGES, 1), absences=gone)
    found = [(s.server, s.begin, s.end) for s in stretches(drawn, Static())]
    assert found == [
        (PRIMARY, 0.0, 100.0),
        (FIRST, 101.0, 230.0),
        (PRIMARY, 230.5, 1000.0),
        (FIRST, 1001.0, 1230.0),
        (PRIMARY, 1230.5, 3600.0),
    ]


def test_an_outage_is_in_the_response() -> None:
    """One request while nobody serves, on idle servers: it waits for the takeover."""
    setting = Setting(hours=1.0, means=(0.0, 0.0, 0.0))
    drawn = weather(setting, Outages((5.0,), (0.5,)), 1)
    drawn = msgspec.structs.replace(drawn, absences=[Absence(100.0, 200.0, 5.0, 0.5)], requests=Requests([101.0], [0.25]))
    day = live(drawn, "static")
    assert day.mean_s == pytest.approx(4.25)
    assert day.outage_s == pytest.approx(5.5)


def test_nobody_waits_for_ever() -> None:
    """A primary that is dead at the end: everyone is answered all the same."""
    setting = Setting(hours=0.5)
    drawn = weather(setting, OUTAGES, 1)
    for died_at, returned_at in ((1799.5, 5000.0), (100.0, 5000.0)):
        late = msgspec.structs.replace(drawn, absences=[Absence(died_at, returned_at, 1.0, 0.5)])
        day = live(late, "dynamic")
        assert day.mean_s > 0 and len(day.percentiles_s) == 3


def test_both_models_have_the_same_day() -> None:
    drawn = weather(Setting(hours=2.0), OUTAGES, 4)
    assert drawn == weather(Setting(hours=2.0), OUTAGES, 4)
    assert live(drawn, "static").away == pytest.approx(live(drawn, "dynamic").away)


def test_confidence_is_students() -> None:
    found = estimate([1.0, 2.0, 3.0])
    assert (found.mean, found.half_width) == (2.0, pytest.approx(2.484, abs=0.001))
    assert estimate([1.0]).half_width == inf
    assert student(9) == 2.262 and student(100) == pytest.approx(1.984, abs=0.001)


def test_every_study_sweeps_something() -> None:
    for study in STUDIES.values():
        for sweep in study.sweeps:
            assert sweep.at(Setting(), 0.2).means != sweep.at(Setting(), 0.8).means
