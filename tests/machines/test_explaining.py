"""What goes into the history, and what `explain` makes of it: a real SDS, its real status and its real events."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from parts import TIMING, WWW, G, Sds, guard, said
from test_rules_of_granting import appoint, ask, held, keep, release, renew

from bus.explaining import Explanation, explain
from bus.messages import Grant, Order, Refusal, Rejection, Report
from bus.step import Note, Peer
from bus.timeline import Transition, concerns, paper_name
from sds.complaints import PER_MINUTE, REPEAT_S, Complaints
from sds.description import Turned

OPERATOR = Peer("anna", "operator")


def noted(actions: list[Any]) -> list[dict[str, Any]]:
    """The events among these actions, as the history keeps them."""
    return [msgspec.to_builtins(action.transition) for action in actions if isinstance(action, Note)]


def explained(sds: Sds, events: list[dict[str, Any]]) -> Explanation:
    found = explain(sds.machine.status([], sds.now), events, "www")
    assert found is not None
    return found


def failed_over() -> tuple[Sds, Grant, list[dict[str, Any]]]:
    """http held www, fell silent, and email was granted it."""
    sds, grant = held("email", "ftp")
    events = noted(appoint(sds, grant, 1, "email"))
    events += noted(sds.wait(G + TIMING.tick_s, "email", "ftp"))
    actions = ask(sds, grant, 1)
    events += noted(actions)
    return sds, said(actions, Grant)[0], events


def test_a_takeover_says_who_heard_what_when_and_who_else_could() -> None:
    """P12, P13."""
    _, grant, events = failed_over()
    granted = next(event for event in events if event["kind"] == "granted")
    evidence = granted["evidence"]
    assert (granted["server"], granted["epoch"], evidence["ground"]) == ("email", grant.epoch, "asked")
    assert (evidence["from"], evidence["from_epoch"], evidence["secondary"], evidence["number"]) == ("http", 1, "email", 1)
    assert evidence["sds_heard_nothing_s"] > TIMING.promise_s
    assert {row["server"]: row["ok"] for row in evidence["candidates"]} == {"email": True, "ftp": True, "http": False}
    assert {row["why_not"] for row in evidence["candidates"] if not row["ok"]} == {"it is silent"}
    assert all(isinstance(row["priority"], int) for row in evidence["candidates"])


def test_explain_after_a_failover() -> None:
    sds, grant, events = failed_over()
    renew(sds, grant, "email")
    events += noted(appoint(sds, grant, 1, "ftp", "email"))
    found = explained(sds, events)
    assert found.now.startswith("www is being started by email, away from its home http, under epoch 2")
    assert "http fell silent: email, its recorded secondary (appointment 1), heard nothing of it" in found.why[0]
    assert "ftp (priority" in found.why[1] and "could have taken it as well" in found.why[1]
    assert found.change is not None and found.change["kind"] == "granted"
    assert found.next[0] == "if email dies, ftp takes over: it is the recorded secondary"
    assert found.others == ("http: it is silent",)
    assert any("no failback by itself: http cannot take it now" in sentence for sentence in found.moves)
    assert found.wrong == ()


def test_explain_says_when_it_goes_home() -> None:
    sds, grant, events = failed_over()
    renew(sds, grant, "email")
    appoint(sds, grant, 1, "ftp", "email")
    events += noted(sds.hear(guard("http", 2), Report(knows=1)))
    events += noted(sds.wait(2 * G, "email", "ftp"))
    events += noted(sds.join("http", 2))
    sds.machine.membership.presence["email"].serving = {"www": grant.epoch}
    keep(sds, grant, 1.0, "email", "ftp", "http")
    service = sds.machine.status([], sds.now)["services"][0]
    assert 0 < service["failback_in_s"] <= 4 * WWW.failback_delay_s
    assert service["back_off"] == 2, "it stayed at home too short"
    found = explained(sds, events)
    assert any("goes home to http by itself in" in sentence and "(2 times the usual delay" in sentence for sentence in found.moves)
    sds.hear(OPERATOR, Order(verb="move", service="www", server="ftp"))
    sds.wait(0.1, "email", "ftp", "http")
    under_way = sds.machine.status([], sds.now)["services"][0]
    assert under_way["move"]["to"] == "ftp" and 0 < under_way["move"]["within_s"] <= 10
    assert 500 < under_way["pinned_s"] <= 600
    assert "it is being moved to ftp: an operator asked for it" in explained(sds, events).moves[0]


def test_explain_says_what_is_wrong_when_nobody_serves() -> None:
    sds = Sds()
    events = noted(sds.join("http", able=()))
    events += noted(sds.wait(G + 1.0, "http"))
    found = explained(sds, events)
    assert found.now.startswith("www is served by nobody")
    assert found.why == ("it has never been granted to anybody: a service begins at its home",)
    assert found.next == ("nobody, as things stand",)
    assert found.wrong == ("www is served by nobody: its home http cannot run it: it has not said yet whether it can run it",)


def test_explain_a_release_and_one_that_it_does_not_know() -> None:
    sds, grant = held("email")
    events = noted(appoint(sds, grant, 1, "email")) + noted(release(sds, grant))
    found = explained(sds, events)
    assert "http stopped it and gave it up" in found.why[0] and "granted it to email, its recorded secondary" in found.why[0]
    assert explain(sds.machine.status([], sds.now), events, "toaster") is None
    assert explained(sds, []).why == ("the history does not reach back to when epoch 2 was granted",)


def test_explain_reads_the_status_of_an_older_sds() -> None:
    """One without the optional fields, whose events have no evidence."""
    sds, _, events = failed_over()
    status = sds.machine.status([], sds.now)
    optional = {"appointment", "alone", "failback", "move", "failback_in_s", "failback_why_not", "pinned_s", "back_off", "retry_s"}
    status["services"] = [{key: value for key, value in row.items() if key not in optional} for row in status["services"]]
    bare = [event | {"evidence": {}} for event in events]
    found = explain(status, bare, "www")
    assert found is not None and found.why == (next(e["text"] for e in events if e["kind"] == "granted"),)


def test_refusals_of_a_secondary_are_told_once_with_what_the_sds_knew() -> None:
    """R9: a question is repeated every beat, the history is not."""
    sds, grant = held("email")
    appoint(sds, grant, 1, "email")
    renew(sds, grant)
    actions = [action for question in range(1, 30) for action in ask(sds, grant, question)]
    assert len(said(actions, Refusal)) == 29
    (refused,) = [event for event in noted(actions) if event["kind"] == "refused"]
    evidence = refused["evidence"]
    assert (evidence["code"], evidence["by"], evidence["number"], evidence["recorded"]) == ("holder-heard", "email", 1, "email")
    assert evidence["promised_s"] > 0 and evidence["holder_heard_s"] >= 0
    assert "still hears http" in refused["text"]
    (other,) = [
        event for event in noted(ask(sds, grant, 1, number=9, asker="ftp") or ask(sds, grant, 40, number=9)) if event["kind"] == "refused"
    ]
    assert other["evidence"]["code"] == "not-secondary"


def test_refused_orders_strangers_and_second_servers_are_in_the_history() -> None:
    sds, _ = held("email")
    actions = sds.hear(OPERATOR, Order(verb="drain", server="toaster"))
    assert said(actions, Rejection)[0].code == "bad-request"
    assert noted(actions)[0]["evidence"] == {"message": "Order", "code": "bad-request", "by": "anna"}
    turned = [event for number in range(50) for event in noted(sds.step(Turned("foreign-key", f"a client with key {number}")))]
    assert [event["text"] for event in turned] == ["a client with key 0"]
    sds.now += REPEAT_S
    (again,) = noted(sds.step(Turned("foreign-key", "a client with key 51")))
    assert again["evidence"] == {"code": "foreign-key", "untold": 49}
    stale = noted(sds.hear(guard("http", 0), Report(knows=1)))
    assert stale[0]["evidence"] == {"code": "stale-incarnation", "by": "http"}


def test_all_refusals_together_are_bounded() -> None:
    complaints = Complaints()
    refusals = [Transition(kind="refused", server=f"s{number}", evidence={"code": "x", "by": str(number)}) for number in range(5_000)]
    assert len([r for r in refusals if complaints.told(r, 10.0)]) == PER_MINUTE
    later = [r for second in range(600) for r in refusals[second * 8 : second * 8 + 8] if complaints.told(r, 100.0 + second)]
    assert len(later) <= 11 * PER_MINUTE


@pytest.mark.parametrize(
    ("event", "server", "concerned"),
    [
        ({"kind": "granted", "service": "www", "server": "email", "evidence": {"from": "http"}}, "http", True),
        ({"kind": "granted", "service": "www", "server": "email", "evidence": {"from": "http"}}, "email", True),
        ({"kind": "granted", "service": "www", "server": "email", "evidence": {"from": "http"}}, "ftp", False),
        ({"kind": "sds-started", "service": None, "server": "sds", "evidence": {}}, "http", False),
        ({"kind": "sds-started", "service": None, "server": "sds", "evidence": {}}, None, True),
    ],
)
def test_whom_an_event_concerns(event: dict[str, Any], server: str | None, concerned: bool) -> None:
    assert concerns(event, None, server) is concerned
    assert not concerns(event, "mail", server)


def test_a_dismissal_is_a_message_only_if_somebody_said_it() -> None:
    """P16."""
    assert paper_name({"kind": "dismissed", "evidence": {"by": "email"}}) == "remove assignment"
    assert paper_name({"kind": "dismissed", "evidence": {}}) is None
    assert paper_name({"kind": "recorded", "evidence": {}}) is None
