"""The page's state, folded from what a real SDS said (monitor/view.py)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from recording import Played, as_sent, feed, patched, recorded

from bus.messages import Table, TableUpdate
from bus.values import ServerRow
from monitor.state import Snapshot
from monitor.view import LOST_S, View, calm_s

MONITOR = Path(__file__).resolve().parents[2] / "monitor"


@pytest.fixture(scope="module")
def played() -> Played:
    return Played()


def test_a_page_that_takes_every_delta_has_what_a_new_one_gets(played: Played) -> None:
    page = as_sent(played.first)
    for delta in played.deltas:
        page = patched(page, as_sent(delta))
    new = as_sent(played.last)
    page["head"]["served_at"] = new["head"]["served_at"]
    assert page == new
    assert len(new["events"]) > 100


def test_a_takeover_is_seen_as_a_passage_and_told_in_plain_words(played: Played) -> None:
    seen = [(p.service, p.from_, p.to, p.kind, p.state) for delta in played.deltas for p in delta.passages or ()]
    for state in ("under way", "done"):
        assert ("www", "http", "email", "takeover", state) in seen
        assert ("www", "email", "http", "failback", state) in seen
    texts = [event.text for delta in played.deltas for event in delta.events or ()]
    assert "www moved from http to email in 0.34 s: http silent 0.31 s, the SDS heard it 0.69 s ago" in texts
    assert "www moved from email to http in 0.14 s: http is its home and up for 4.2 s" in texts


def test_passages_that_are_over_are_forgotten(played: Played) -> None:
    assert played.last.passages
    later = played.ended_at + 61.0
    delta = played.view.delta(later)
    assert delta is not None and delta.passages == ()


def test_the_headline_is_never_good_while_a_server_is_silent(played: Played) -> None:
    page, silent = as_sent(played.first), 0
    for delta in played.deltas:
        page = patched(page, as_sent(delta))
        if any(server["state"] == "silent" for server in page["servers"].values()):
            silent += 1
            assert page["head"]["verdict"]["level"] != "ok", page["head"]["verdict"]
    assert silent > 3
    assert page["head"]["verdict"] == {"level": "ok", "text": "all 3 services are served, each with a stand-in"}


def test_a_planned_move_rings_no_alarm(played: Played) -> None:
    levels = {delta.head.verdict.level for delta in played.deltas if delta.head}
    assert levels == {"ok", "warn"}


def test_the_number_of_the_table_is_shown_in_its_parts(played: Played) -> None:
    assert (played.last.head.incarnation, played.last.head.seq) == (1, 97)


def test_an_update_changes_the_page_before_any_answer_comes() -> None:
    view: View | None = None
    for at, kind, message in recorded():
        view = view or View("demo", at)
        feed(view, at, kind, message)
        if kind == "TableUpdate" and any(
            row["holder"] == "email" for row in message.get("services", ()) if row["definition"]["name"] == "www"
        ):
            delta = view.delta(at)
            assert delta is not None and delta.services is not None
            www = delta.services["www"]
            assert www is not None and (www.holder, www.epoch, www.state) == ("email", 2, "starting")
            assert www.since_at == pytest.approx(at, abs=0.01)
            return
    raise AssertionError("the recording has no takeover of www by email")


def test_an_update_that_is_missing_is_noticed() -> None:
    messages = [entry for entry in recorded() if entry[1] in ("Table", "TableUpdate")]
    view = View("demo", messages[0][0])
    answers = [feed(view, *entry) for i, entry in enumerate(messages) if i != 20]
    assert "gap" in answers[20:]


def test_a_silent_sds_is_lost_and_the_page_says_so(played: Played) -> None:
    view, at = View("demo", 1_000.0), 1_000.0
    assert as_sent(view.snapshot(at))["head"]["verdict"]["level"] == "warn"
    view.delta(at + LOST_S + 1)
    head = view.now_shown.head
    assert head.lost_since == 1_000.0 and head.verdict.level == "alarm"
    for _, kind, message in recorded():
        feed(view, 1_010.0, kind, message)
    view.delta(1_010.0)
    assert view.now_shown.head.lost_since is None
    view.delta(1_020.0)
    assert view.now_shown.head.lost_since == 1_010.0
    assert view.now_shown.head.verdict.level == "alarm"


def test_a_step_of_the_wall_clock_moves_what_is_shown_and_nothing_else() -> None:
    ahead_s = 1_700_000_000.0
    view = View("demo", 1_000.0, ahead_s=ahead_s)
    for _, kind, message in recorded():
        feed(view, 1_010.0, kind, message)
    view.delta(1_010.0)
    before = view.now_shown
    assert before.head.heard_at == ahead_s + 1_010.0

    for seconds, step_s in ((0.1, 3_600.0), (0.2, -3_600.0)):
        view.show_by(ahead_s + step_s)
        delta = view.delta(1_010.0 + seconds)
        assert delta is not None and delta.head is not None
        head, www = view.now_shown.head, view.now_shown.services["www"]
        assert head.lost_since is None and head.heard_at == ahead_s + step_s + 1_010.0
        assert head.verdict == before.head.verdict
        assert www.since_at == pytest.approx(before.services["www"].since_at + step_s, abs=0.01)
        assert view.now_shown.passages[0].began_at == pytest.approx(before.passages[0].began_at + step_s, abs=0.01)
        loads = view.now_shown.servers["http"].loads, before.servers["http"].loads
        assert loads[0][0][0] == pytest.approx(loads[1][0][0] + step_s, abs=1.0)

    fresh = view.delta(1_011.3)
    assert fresh is not None and fresh.head is not None  # the page is told that the view is fresh, though its clock went back
    view.delta(1_020.0)
    assert view.lost_since(1_020.0) == 1_010.0 and view.now_shown.head.lost_since == ahead_s - 3_600.0 + 1_010.0
    view.show_by(ahead_s - 7_200.0)
    view.delta(1_020.1)
    assert view.now_shown.head.lost_since == ahead_s - 7_200.0 + 1_010.0 and view.now_shown.head.verdict.level == "alarm"


def test_a_wall_clock_that_is_slewed_changes_no_row() -> None:
    view = View("demo", 1_000.0, ahead_s=5_000.0)
    for _, kind, message in recorded():
        feed(view, 1_010.0, kind, message)
    view.delta(1_010.0)
    view.show_by(5_000.01)
    assert view.delta(1_010.1) is None


def test_the_wall_clock_is_read_only_for_what_is_shown() -> None:
    """And in links.py, against the times of a file."""
    readers = {path.name for path in MONITOR.glob("*.py") if re.search(r"time\.time\b|datetime\.now\(", path.read_text())}
    assert readers == {"links.py", "pushing.py", "serving.py"}
    assert "time.time" not in (MONITOR / "pushing.py").read_text().replace("show_by(time.time() - now)", "")
    assert "time.time" not in (MONITOR / "serving.py").read_text().replace("ahead_s=time.time() - clock()", "")


@pytest.fixture
def large() -> View:
    """A view of a hundred servers that was pushed once."""
    names = [f"server-{number}" for number in range(100)]
    rows = [_server(name, 0.1) for name in names]
    view = View("large", 0.0)
    view.take_table(Table(seq=1, incarnation=0, servers=tuple(rows)), 0.0)
    assert view.delta(0.0) is not None
    return view


def _server(name: str, level: float, state: str = "up") -> ServerRow:
    return ServerRow(name=name, address="192.0.2.1", peer_port=1, public_key="k" * 40, incarnation=1, state=state, loadlevel=level)  # type: ignore[arg-type]


def test_loads_of_a_large_cluster_are_passed_on_now_and_then_and_states_at_once(large: View) -> None:
    view = large
    assert calm_s(100) == 1.0
    view.follow(TableUpdate(seq=2, servers=(_server("server-3", 0.9),)), 0.1)
    delta = view.delta(0.1)
    assert delta is None or delta.servers is None
    view.follow(TableUpdate(seq=3, servers=(_server("server-4", 0.1, "silent"),)), 0.2)
    delta = view.delta(0.2)
    assert delta is not None and delta.servers is not None and {"server-3", "server-4"} <= delta.servers.keys()
    view.follow(TableUpdate(seq=4, servers=(_server("server-5", 0.8),)), 0.3)
    view.delta(0.3)
    delta = view.delta(1.3)
    assert delta is not None and delta.servers is not None and "server-5" in delta.servers


def test_a_server_that_left_is_gone_from_the_page(large: View) -> None:
    view = large
    view.follow(TableUpdate(seq=2, left=("server-7",)), 0.1)
    delta = view.delta(0.1)
    assert delta is not None and delta.servers is not None and delta.servers["server-7"] is None
    assert "server-7" not in view.now_shown.servers


def test_an_answer_of_another_release_is_understood_or_refused_in_one_line() -> None:
    view = View("demo", 0.0)
    view.take_status({"cluster": "demo", "seq": 1, "new": 1, "servers": [{"name": "http"}], "services": [{"name": "www"}], "sds": []}, 0.0)
    view.delta(0.0)
    shown: Snapshot = view.now_shown
    assert shown.servers["http"].state == "up" and shown.services["www"].holder is None
    with pytest.raises(ValueError, match="cannot be understood") as wrong:
        view.take_status({"servers": "none"}, 0.0)
    assert "\n" not in str(wrong.value)


def test_history_is_paged_backwards_to_its_beginning(played: Played) -> None:
    timeline = played.view.timeline
    seen, before = [], None
    for _ in range(100):
        events, before = timeline.page(17, before, None, None)
        seen[:0] = events
        if before is None:
            break
    assert [event.id for event in seen] == [event.id for event in timeline.events]
    www, _ = timeline.page(1_000, None, "www", None)
    assert {event.service for event in www} == {"www"}
    http, _ = timeline.page(1_000, None, None, "http")
    assert any(event.server == "email" and event.kind == "granted" for event in http), "http is named in the evidence"


def test_what_is_counted_is_what_happened_since_the_start(played: Played) -> None:
    tally = played.view.timeline.tally
    assert tally.takeovers == {"www": 1}
    assert tally.moves == {"www": 3, "mail": 2}
    assert dict(tally.failover_s.cumulated())["0.5"] == 1.0 and dict(tally.failover_s.cumulated())["0.3"] == 0.0
    assert tally.gap_s.total == pytest.approx(0.311)
