"""P10, P11, P21 and section 5: whom a holder appoints, and when it changes."""

from __future__ import annotations

from typing import Any

from agent.choosing import CALM_DWELLS, SAME_ZONE, Choosing, ChoosingSettings
from bus.messages import ServerRow
from sds.priority import HELD, PROMISED, priority

SETTINGS = ChoosingSettings()


def server(name: str, rank: int | None, zone: str | None = None, state: Any = "up", able: tuple[str, ...] = ("www",)) -> ServerRow:
    return ServerRow(
        name=name, address=name, peer_port=5760, public_key="k", incarnation=1, state=state, zone=zone, priority=rank, able=able
    )


def table(*rows: ServerRow) -> dict[str, ServerRow]:
    return {row.name: row for row in rows}


def rank(*rows: ServerRow) -> tuple[str, ...]:
    return Choosing(SETTINGS).rank("www", "http", table(*rows))


def test_lowest_priority_wins() -> None:
    """Fig. 2a: EMAIL is HTTP's secondary since its priority beats FTP's (P23)."""
    assert rank(server("http", 0), server("ftp", 30), server("email", 10)) == ("email", "ftp")


def test_ties_go_by_name() -> None:
    """A total order: never two answers to one question."""
    assert rank(server("ftp", 10), server("email", 10), server("dns", None)) == ("email", "ftp", "dns")


def test_silent_draining_and_unable_servers_are_no_candidates() -> None:
    rows = (server("email", 0, state="silent"), server("ftp", 0, state="draining"), server("dns", 0, able=("mail",)), server("web", 90))
    assert rank(*rows) == ("web",)


def test_another_zone_is_preferred() -> None:
    rows = (server("http", 0, zone="east"), server("email", 0, zone="east"), server("ftp", 50, zone="west"))
    assert rank(*rows) == ("ftp", "email")


def test_better_candidate_must_be_better_by_a_margin_and_for_a_while() -> None:
    """The margin counts without what the duty itself costs the present one."""
    choosing = Choosing(SETTINGS)
    least = SETTINGS.margin + SETTINGS.own_promise + 1
    servers = table(server("email", least), server("ftp", 0))
    ranked = ("ftp", "email")
    assert choosing.better(ranked, "email", "http", servers, now=0.0) is None
    assert choosing.better(ranked, "email", "http", servers, now=SETTINGS.dwell_s - 0.1) is None
    assert choosing.better(ranked, "email", "http", servers, now=SETTINGS.dwell_s) == "ftp"
    nearly = table(server("email", least - 1), server("ftp", 0))
    assert choosing.better(ranked, "email", "http", nearly, now=100.0) is None
    assert choosing.better(ranked, "email", "http", servers, now=101.0) is None, "the dwell time begins anew"


def test_joining_moves_nothing() -> None:
    """An idle newcomer is a candidate, not a reason to leave a secondary that is as idle."""
    choosing = Choosing(SETTINGS)
    servers = table(server("email", PROMISED), server("dns", 0))
    assert all(choosing.better(("dns", "email"), "email", "http", servers, now) is None for now in (0.0, 60.0, 3600.0))


def test_priority_counts_load_in_tenths_and_duties() -> None:
    """P9: an integer, lower is better; one idle server is not everybody's secondary."""
    assert priority(0.0, 0, 0) == 0 and priority(0.09, 0, 0) == 0
    assert priority(0.35, 1, 2) == 30 + HELD + 2 * PROMISED
    assert priority(1.0, 0, 0) == 100


def test_the_duty_itself_is_taken_off_as_the_sds_counts_it() -> None:
    assert SETTINGS.own_promise == PROMISED


def test_half_a_load_outweighs_another_zone() -> None:
    """The choice follows the load (P21): the only server elsewhere is not kept whatever its state."""
    rows = (server("http", 0, zone="east"), server("email", 0, zone="east"), server("ftp", SAME_ZONE + 1, zone="west"))
    assert rank(*rows) == ("email", "ftp")
    assert rank(server("http", 0), server("email", 10, zone="east"), server("ftp", 20, zone="west")) == ("email", "ftp"), (
        "no zone, no matter"
    )


def test_a_secondary_in_the_own_zone_is_left_for_one_elsewhere() -> None:
    choosing = Choosing(SETTINGS)
    servers = table(server("http", 0, zone="east"), server("email", PROMISED, zone="east"), server("ftp", 20, zone="west"))
    ranked = choosing.rank("www", "http", servers)
    assert ranked == ("ftp", "email")
    assert [choosing.better(ranked, "email", "http", servers, now) for now in (0.0, SETTINGS.dwell_s)] == [None, "ftp"]
    assert all(choosing.better(ranked, "ftp", "http", servers, now) is None for now in (10.0, 60.0)), "and not the other way"


def test_candidates_that_overtake_each_other_do_not_keep_both_out() -> None:
    """P21: which of two good ones is the better may change all the time; the loaded one is left all the same."""
    choosing = Choosing(SETTINGS)
    found = None
    for turn in range(int(2 * SETTINGS.dwell_s)):
        servers = table(server("email", 100), server("ftp", 10 * (turn % 2)), server("dns", 10 * (1 - turn % 2)))
        found = found or choosing.better(choosing.rank("www", "http", servers), "email", "http", servers, float(turn))
    assert found in ("ftp", "dns")


def changed(choosing: Choosing, old: str, new: str, at: float) -> float:
    """How long the change from one to the other takes, from `at` on."""
    servers = table(server(old, 100), server(new, 0))
    now = at
    while choosing.better((new, old), old, "http", servers, now) is None:
        now += 0.5
    choosing.better((new, old), new, "http", table(server(old, 0), server(new, 0)), now)
    return now - at


def test_changes_that_follow_each_other_wait_longer_and_longer() -> None:
    choosing = Choosing(SETTINGS)
    at, waits = 0.0, []
    for old, new in (("email", "ftp"), ("ftp", "email")) * 2:
        waits.append(changed(choosing, old, new, at))
        at += waits[-1]
    assert waits == [SETTINGS.dwell_s * factor for factor in (1, 1, 2, 4)]
    # four calms later it is as at first
    assert changed(choosing, "email", "ftp", at + 15 * CALM_DWELLS * SETTINGS.dwell_s + 1) == SETTINGS.dwell_s, (
        "after four calms, as at first"
    )


def test_a_change_that_was_not_ours_is_no_reason_to_wait() -> None:
    """A secondary that fell silent is replaced by the guard: no back-off follows."""
    choosing = Choosing(SETTINGS)
    for now, recorded in enumerate(("email", "ftp", "email", "ftp", "email")):
        assert choosing.better(("ftp", "email"), recorded, "http", table(server("email", 0), server("ftp", 0)), float(now)) is None
    assert changed(choosing, "email", "ftp", 10.0) == SETTINGS.dwell_s


def test_a_secondary_whose_load_is_not_known_is_kept() -> None:
    choosing = Choosing(SETTINGS)
    servers = table(server("email", None), server("ftp", 0))
    assert all(choosing.better(("ftp", "email"), "email", "http", servers, now) is None for now in (0.0, 60.0))
