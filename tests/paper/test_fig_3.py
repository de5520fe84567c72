"""P26 to P29: Fig. 3.  The claim with its margin, and choosers that fail it, are in tests/figure3."""

from __future__ import annotations

import pytest

from simulation.figure3.machines import outages
from simulation.figure3.setting import SERVERS, Setting
from simulation.figure3.standins import MODELS
from simulation.figure3.studies import STUDIES, Point, band, curve, points, rises


@pytest.fixture(scope="module")
def found() -> list[Point]:
    """The paper's study, with fewer loads and seeds than `locum simulate` takes."""
    ready = points(STUDIES["paper"], Setting(), (0.05, 0.5, 0.95), 3, MODELS, outages(4))
    return [point for both in ready for point in both]


def test_p26_one_primary_two_backups_and_a_day(found: list[Point]) -> None:
    """P26: it dies and recovers, and clients' response time is measured."""
    assert len(SERVERS) == 3 and Setting().hours == 24.0
    assert all(0.05 < point.away < 0.5 and point.outage_s > 0 and point.mean.mean > 0 for point in found)


def test_p27_p29_static_rises_with_the_load(found: list[Point]) -> None:
    """P27, P29."""
    static = curve(found, "", "static")
    assert rises(static) and band(static) > 1.0


def test_p28_p29_dynamic_does_not(found: list[Point]) -> None:
    """P28, P29: within a tenth of its least."""
    assert band(curve(found, "", "dynamic")) < 0.1
