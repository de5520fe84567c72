"""What a browser is told by a monitor that runs: a real process, a real port, real Socket.IO clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from site_running import SOON_S, Page, Site
from told_sds import ToldSds
from waiting import until


def settled(site: Site) -> None:
    """www is at home, as every test expects it."""
    epoch = next(row.epoch for row in site.sds.table.services if row.definition.name == "www")
    site.sds.change(holder="http", epoch=epoch + 1, state="serving", secondary="email")


@pytest.fixture(autouse=True)
def _at_home(site: Site) -> None:
    settled(site)


def www(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.state()["services"]["www"]
    return found


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_page_gets_the_whole_and_then_what_changes(site: Site, transport: str) -> None:
    with site.page(transport) as page:
        until(lambda: www(page)["holder"] == "http", within_s=SOON_S)
        assert set(page.state()["servers"]) == {"http", "ftp", "email"}
        site.sds.change(holder="email", epoch=www(page)["epoch"] + 1, state="starting", secondary="-nobody")
        until(lambda: www(page)["holder"] == "email", within_s=SOON_S)
        passage = until(lambda: [p for p in page.state()["passages"] if p["service"] == "www"], within_s=SOON_S)[0]
        assert (passage["from"], passage["to"], passage["kind"]) == ("http", "email", "takeover")
        assert until(lambda: page.state()["head"]["verdict"]["level"] == "warn", within_s=SOON_S)
        assert [name for name, _ in page.told].count("snapshot") == 1


def test_two_pages_see_the_same_and_versions_have_no_gap(site: Site) -> None:
    with site.page() as first, site.page() as second:
        for number in range(5):
            site.sds.change(reason=f"reason {number}")
        until(lambda: www(first)["reason"] == www(second)["reason"] == "reason 4", within_s=SOON_S)
        versions = [data["version"] for _, data in first.told]
        assert versions == list(range(versions[0], versions[0] + len(versions)))
        site.sds.change(reason=None)


def test_a_page_that_asks_again_gets_another_snapshot(site: Site) -> None:
    with site.page() as page:
        until(lambda: page.told, within_s=SOON_S)
        page.io.emit("again")
        until(lambda: [name for name, _ in page.told].count("snapshot") == 2, within_s=SOON_S)
        page.state()


def test_a_page_that_says_nonsense_harms_nobody(site: Site) -> None:
    with site.page() as page, site.page() as other:
        page.io.emit("again", {"deep": [[[[]]]]})
        page.io.emit("nothing of ours", "x" * 1_000)
        until(lambda: other.told, within_s=SOON_S)
        until(lambda: page.told, within_s=SOON_S)
    assert site.get("/healthz").json["ok"] is True


def test_a_silent_sds_is_shown_and_found_again(site: Site) -> None:
    with site.page() as page:
        site.sds.mute = True
        try:
            until(lambda: page.state()["head"]["lost_since"] is not None, within_s=SOON_S)
            assert page.state()["head"]["verdict"]["level"] == "alarm"
            assert site.get("/healthz").json == {"ok": True, "sds": "lost"}
            assert "locum_up 0.0" in site.get("/metrics").text
            assert site.get("/api/status").json["heard_s"] > 3.0
        finally:
            site.sds.mute = False
        until(lambda: page.state()["head"]["lost_since"] is None, within_s=SOON_S)


def test_one_page_too_many_is_told_so(sds: ToldSds, tmp_path: Path) -> None:
    site = Site(sds.public_key_file.parent, sds, state_dir=str(tmp_path), browsers=2)
    try:
        site.ready()
        with site.page(), site.page("polling"):
            refused = site.get("/socket.io/?EIO=4&transport=polling")
            assert refused.code == 503 and "2 browsers watch already" in refused.json["error"]
            assert site.get("/").code == 200
        until(lambda: "locum_monitor_browsers 0.0" in site.get("/metrics").text, within_s=SOON_S)
        with site.page() as page:
            until(lambda: page.told, within_s=SOON_S)
    finally:
        site.end()


def test_the_status_is_the_sdss_and_how_old_it_is(site: Site) -> None:
    told = until(lambda: (s := site.get("/api/status").json)["seq"] == site.sds.seq() and s, within_s=SOON_S)
    assert told.pop("heard_s") < SOON_S
    assert told == site.sds.status


def test_the_history_is_paged(site: Site) -> None:
    until(lambda: site.get("/api/history").json["events"], within_s=SOON_S)
    first = site.get("/api/history?limit=7").json
    assert len(first["events"]) == 7 and first["before"] == first["events"][0]["id"]
    second = site.get(f"/api/history?limit=7&before={first['before']}").json
    told = [event["id"] for event in second["events"] + first["events"]]
    assert told == [event["id"] for event in site.sds.events[-14:]]
    assert [event["text"] for event in first["events"]] == [event["text"] for event in site.sds.events[-7:]]
    only = site.get("/api/history?service=mail&server=ftp&limit=1000").json["events"]
    assert only and {event["service"] for event in only} == {"mail"}


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=00000000019999", "limit=-1", "limit=many", "before=x", "before=1-2-%0a"])
def test_a_bad_question_about_the_history_is_one_line(site: Site, query: str) -> None:
    answer = site.get(f"/api/history?{query}")
    assert answer.code == 400 and "\n" not in answer.json["error"]


def test_the_messages_of_a_takeover_are_drawn(site: Site) -> None:
    takeover = next(event for event in site.sds.events if event["kind"] == "serving" and event["epoch"] == 2)
    drawn = until(lambda: (a := site.get(f"/api/sequence/{takeover['id']}")).code == 200 and a, within_s=SOON_S).json
    assert [message["name"] for message in drawn["messages"]][:2] == ["keep-alive", "takeover"]
    assert drawn["participants"][0] == {"name": "http", "dead": True}
    assert site.get("/api/sequence/1-1").code == 404


def test_metrics_are_what_prometheus_reads(site: Site) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    from monitor.metrics import METRICS

    families = {family.name: family for family in text_string_to_metric_families(site.get("/metrics").text)}
    assert set(families) == {name.removesuffix("_total") for name in METRICS}
    holders = {(s.labels["service"], s.labels["server"]) for s in families["locum_service_holder"].samples}
    assert ("ftp", "ftp") in holders


def test_a_page_is_there_though_none_was_built(site: Site) -> None:
    answer = site.get("/")
    assert answer.code == 200 and answer.headers["Content-Type"].startswith("text/html")


def test_sigterm_is_a_clean_end_though_pages_are_open(sds: ToldSds, tmp_path: Path) -> None:
    site = Site(sds.public_key_file.parent, sds, state_dir=str(tmp_path))
    try:
        site.ready()
        with site.page() as page:
            until(lambda: page.told, within_s=SOON_S)
            assert site.end() == 0
    finally:
        site.end()
    assert "Traceback" not in site.log.read_text()
