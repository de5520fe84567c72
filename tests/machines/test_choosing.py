"""P10, P11, P21 and section 5: whom a holder appoints, and when it changes."""

from __future__ import annotations

from typing import Any

from agent.choosing import Choosing, ChoosingSettings
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
    assert choosing.better(ranked, "email", servers, now=0.0) is None
    assert choosing.better(ranked, "email", servers, now=SETTINGS.dwell_s - 0.1) is None
    assert choosing.better(ranked, "email", servers, now=SETTINGS.dwell_s) == "ftp"
    nearly = table(server("email", least - 1), server("ftp", 0))
    assert choosing.better(ranked, "email", nearly, now=100.0) is None
    assert choosing.better(ranked, "email", servers, now=101.0) is None, "the dwell time begins anew"


def test_joining_moves_nothing() -> None:
    """An idle newcomer is a candidate, not a reason to leave a secondary that is as idle."""
    choosing = Choosing(SETTINGS)
    servers = table(server("email", PROMISED), server("dns", 0))
    assert all(choosing.better(("dns", "email"), "email", servers, now) is None for now in (0.0, 60.0, 3600.0))


def test_priority_counts_load_in_tenths_and_duties() -> None:
    """P9: an integer, lower is better; one idle server is not everybody's secondary."""
    assert priority(0.0, 0, 0) == 0 and priority(0.09, 0, 0) == 0
    assert priority(0.35, 1, 2) == 30 + HELD + 2 * PROMISED
    assert priority(1.0, 0, 0) == 100
