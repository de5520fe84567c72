"""R2: rates of clocks are compared, over minutes; past rho a server is no candidate, and it shows."""

import pytest

from sds.clocks import WINDOW_S, Clocks


def reports(rate: float, late_s: float = 0.0, incarnation: int = 1, length_s: float = 2 * WINDOW_S) -> Clocks:
    """A server whose clock runs at this rate; its last reports come late."""
    clocks = Clocks(clock_error=0.005)
    at = 0.0
    while at <= length_s:
        clocks.heard("http", incarnation, at * rate, at + (late_s if at > WINDOW_S / 2 else 0.0))
        at += 0.5
    return clocks


@pytest.mark.parametrize("rate", [0.995, 1.0, 1.005])
def test_rates_within_rho_are_trusted(rate: float) -> None:
    assert reports(rate).complaint("http") is None


@pytest.mark.parametrize(("rate", "word"), [(0.98, "slow"), (1.02, "fast")])
def test_a_rate_past_rho_is_said_with_its_remedy(rate: float, word: str) -> None:
    complaint = reports(rate).complaint("http")
    assert complaint is not None
    assert word in complaint
    assert "mend" in complaint


def test_late_reports_accuse_nobody() -> None:
    assert reports(1.0, late_s=0.4).complaint("http") is None


def test_nothing_is_judged_before_the_window_is_full() -> None:
    assert reports(1.5, length_s=WINDOW_S / 2).complaint("http") is None


def test_a_new_incarnation_is_judged_anew() -> None:
    clocks = reports(1.02)
    clocks.heard("http", 2, 0.0, 3 * WINDOW_S)
    assert clocks.complaint("http") is None
