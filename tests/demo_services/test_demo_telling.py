"""What the story reckons and says: outages as clients saw them, messages by their paper names."""

from __future__ import annotations

from typing import Any

from bus.messages import TableUpdate
from bus.values import ServerRow
from demo.telling import Answer, line, messages, outage


def answers(*told: tuple[float, str]) -> list[Answer]:
    """Questions that took a millisecond."""
    return [Answer("www", at, at + 0.001, server) for at, server in told]


def test_an_outage_lasts_from_the_last_good_answer_to_the_next() -> None:
    seen = answers((1.0, "http"), (1.02, "http"), (1.04, ""), (1.06, ""), (1.4, "email"), (1.42, "email"))
    found = outage(seen, "www", 0.0, 2.0)
    assert (round(found.seconds, 3), found.failed, found.asked, found.before, found.after) == (0.38, 2, 6, "http", "email")


def test_a_change_without_a_failed_question_is_no_outage() -> None:
    found = outage(answers((1.0, "http"), (1.5, "email")), "www", 0.0, 2.0)
    assert (found.seconds, found.failed, found.before, found.after) == (0.0, 0, "http", "email")


def test_the_longest_of_two_outages_and_only_of_that_time_and_service() -> None:
    seen = answers((0.0, "http"), (0.2, ""), (5.0, "http"), (5.1, ""), (5.2, "http"), (5.3, ""), (5.6, "http"))
    assert round(outage(seen, "www", 4.0, 9.0).seconds, 3) == 0.4
    assert outage(seen, "ftp", 0.0, 9.0) == ("ftp", 0.0, 0, 0, "", "")


def test_one_that_has_not_ended_counts_its_failures() -> None:
    found = outage(answers((1.0, "http"), (1.1, ""), (1.2, "")), "www", 0.0, 2.0)
    assert (found.failed, found.seconds, found.after) == (2, 0.0, "http")


def event(kind: str, server: str, service: str | None = None, **evidence: Any) -> dict[str, Any]:
    return {"kind": kind, "server": server, "service": service, "evidence": evidence}


def test_messages_go_by_their_paper_names() -> None:
    """P6, P10, P12, P15, P16, P17."""
    told = messages(
        [
            event("registered", "ftp"),
            event("registered", "http"),
            event("standing-in", "email", "www", holder="http", number=1),
            event("asking", "email", "www", holder="http", keep_alives=37, heard_nothing_s=0.314),
            event("granted", "email", "www"),
            event("release-asked", "email", "www", by="http"),
            event("dismissed", "ftp", "www", by="email"),
            event("dismissed", "ftp", "www"),
            event("released", "email", "www"),
        ],
        [],
    )
    assert told == [
        "registration: ftp to SDS, http to SDS",
        "assignment: http to email (www)",
        "keep-alive: http to email, 37 of them, then none for 0.31 s",
        "takeover: email to SDS (www)",
        "release service: http to email (www)",
        "remove assignment: email to ftp (www)",
        "acknowledgement: SDS to email (www)",
    ]


def test_table_updates_are_counted_and_loadlevels_read_from_them() -> None:
    """P7, P9."""
    row = ServerRow(name="http", address="a", peer_port=1, public_key="", incarnation=1, state="up", loadlevel=0.25)
    assert messages([], [TableUpdate(seq=1, servers=(row,)), TableUpdate(seq=2)]) == [
        "loadlevel: http 0.25",
        "table update: to all, 2 of them",
    ]


def test_a_line_has_both_times() -> None:
    assert line(12.345, 0.5, "P12", "x") == "  12.35   +0.50  P12      x"
    assert line(1.0, None, "P6", "x") == "   1.00          P6       x"
