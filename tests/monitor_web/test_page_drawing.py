"""The page in a browser, with a monitor that tells it what a test wants: drawing, catching up, escaping, acting."""

from __future__ import annotations

import re
import time

import recorded
from browsing import Look
from fake_monitor import PASSWORD, FakeMonitor
from playwright.sync_api import Page, expect
from waiting import until

from monitor.state import Remark

SOON_MS = 45_000
expect.set_options(timeout=SOON_MS)

HOSTILE = "<img src=x onerror=\"document.title='broken into'\">"


def holds(server: str, service: str) -> str:
    """Where the card of that server shows that it holds that service."""
    return f"[data-server='{server}'] [data-holds='{service}']"


def drawn(page: Page) -> Page:
    """The page, once the cluster is in it."""
    expect(page.locator(holds("http", "www"))).to_be_visible()
    return page


def test_a_takeover_moves_the_card_is_told_and_is_drawn(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(monitor.url))
    expect(page.locator(".verdict")).to_contain_text("3 services are served")
    expect(page.locator(".arrow.beating")).to_have_count(3)

    monitor.change(recorded.taken_over(time.time()))
    expect(page.locator(holds("email", "www"))).to_be_visible()
    expect(page.locator(holds("http", "www"))).to_have_count(0)
    expect(page.locator("[data-passage=www]")).to_contain_text("www: takeover done")
    expect(page.locator("[data-server=http] .state")).to_have_text("silent")
    expect(page.locator(".banner.is-warn")).to_contain_text("http is silent")
    expect(page.locator("[data-service=www]")).to_contain_text("away from home, http")
    expect(page.locator("[data-if=http]")).to_contain_text("nothing would move")
    expect(page.locator("[role=status].unseen")).to_contain_text("www: takeover from http to email is done")

    told = page.locator("[data-kind=granted]")
    expect(told).to_contain_text("www moved from http to email in 0.38 s: http silent 0.31 s")
    told.get_by_role("button", name="Messages").click()
    diagram = page.get_by_role("dialog")
    expect(diagram.get_by_role("heading")).to_have_text("www: takeover from http by email")
    expect(diagram.locator(".message")).to_have_count(8)
    expect(diagram.locator(".lifeline.dead")).to_have_text("http (dead)")
    page.keyboard.press("Escape")
    expect(diagram).to_have_count(0)


def test_the_timeline_is_filtered_by_server_service_and_kind(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(monitor.url, timezone_id="Asia/Tokyo"))
    monitor.change(recorded.taken_over(time.time()))
    expect(page.locator("[data-kind=granted]")).to_be_visible()
    page.get_by_role("combobox", name="Service").select_option("www")
    expect(page.locator(".event")).to_have_count(2)
    page.get_by_role("combobox", name="Server").select_option("http")
    expect(page.locator(".event")).to_have_count(2)  # served by http, and granted to email, which concerns http
    page.get_by_role("combobox", name="Service").select_option("")
    page.get_by_role("combobox", name="Show").select_option("troubles")
    expect(page.locator(".event p").first).to_have_text("http is silent")
    shown = page.locator(".event time").get_attribute("title") or ""
    assert "GMT+9" in shown or "JST" in shown, shown
    page.get_by_role("combobox", name="Times in").select_option("UTC")
    expect(page.locator(".event time")).to_have_attribute("title", re.compile("UTC$"))


def test_older_events_are_asked_for(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(monitor.url))
    events = page.locator(".event")
    known = len(monitor.state["events"])
    expect(events).to_have_count(known)
    page.get_by_role("button", name="Older events").click()
    expect(events.last.locator("p").first).to_have_text("once, 2")
    page.get_by_role("button", name="Older events").click()
    expect(events.last.locator("p").first).to_have_text("once, 1")
    expect(events.last).to_contain_text("1 January")
    expect(events).to_have_count(known + 2)
    expect(page.get_by_role("button", name="Older events")).to_have_count(0)


def test_older_events_stay_complete_while_news_come_in(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(monitor.url))
    known = len(monitor.state["events"])
    page.get_by_role("button", name="Older events").click()
    expect(page.locator(".event").last.locator("p").first).to_have_text("once, 2")
    now = time.time()
    news = [recorded.plain(recorded.event(1_000 + number, now, "heard", f"news {number}", server="http")) for number in range(298)]
    monitor.change({"version": 2, "events": news})
    expect(page.locator(".event").first.locator("p").first).to_have_text("news 297")
    expect(page.locator(".event")).to_have_count(known + 298 + 1)
    page.get_by_role("button", name="Older events").click()
    expect(page.locator(".event").last.locator("p").first).to_have_text("once, 1")
    expect(page.locator(".event")).to_have_count(known + 298 + 2)
    names = page.locator(".event").evaluate_all("lines => lines.map(line => line.dataset.event)")
    assert len(set(names)) == len(names)


def test_a_page_that_missed_something_asks_again(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(monitor.url))
    monitor.change(recorded.taken_over(time.time()), lost=True)
    monitor.change({"version": 3, "events": []})
    expect(page.locator(holds("email", "www"))).to_be_visible()
    assert monitor.asked_again >= 1


def test_a_lost_monitor_is_said_and_found_again(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(monitor.url, expect_errors=True))
    port = int(monitor.url.rstrip("/").rpartition(":")[2])
    monitor.close()
    expect(page.locator("#lost-monitor")).to_contain_text("connects again by itself")
    expect(page.locator("main.stale")).to_be_visible()
    expect(page.locator(".verdict")).to_contain_text("Not known")

    now = time.time()
    state = recorded.calm(now)
    back = FakeMonitor(state, port)
    try:
        back.change(recorded.taken_over(now))
        expect(page.locator(holds("email", "www"))).to_be_visible()
        expect(page.locator("#lost-monitor")).to_have_count(0)
        expect(page.locator("main.stale")).to_have_count(0)
    finally:
        page.close()
        back.close()


def test_a_lost_sds_greys_the_page_and_says_how_old_it_is(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(monitor.url))
    now = time.time()
    lost = recorded.head(now, "alarm", "The SDS is silent", heard_at=now - 75, lost_since=now - 60)
    monitor.change({"version": 2, "head": recorded.plain(lost)})
    expect(page.locator("main.stale")).to_be_visible()
    expect(page.locator("#lost-sds")).to_contain_text("hears nothing of the SDS")
    said = page.locator("#lost-sds").inner_text()
    assert any(f"{seconds} s old" in said for seconds in range(74, 120)), said


def test_names_and_reasons_are_text_and_nothing_else(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(monitor.url))
    now = time.time()
    changes = {
        "version": 2,
        "head": recorded.head(now, "alarm", HOSTILE, cluster=HOSTILE, alarms=(Remark(level="alarm", text=HOSTILE),)),
        "servers": {HOSTILE: recorded.server(HOSTILE, now, state=HOSTILE, zone=HOSTILE, holds=("www",))},
        "services": {"www": recorded.service("www", now, reason=HOSTILE, holder=HOSTILE, state="starting", dns_address=HOSTILE)},
        "events": (recorded.event(50, now, "refused", HOSTILE, server=HOSTILE, evidence={HOSTILE: HOSTILE}, sequence=True),),
    }
    monitor.change(recorded.plain(changes))
    expect(page.locator("article h3", has_text="<img")).to_have_text(HOSTILE)
    expect(page.locator("[data-kind=refused] p").first).to_have_text(HOSTILE)
    assert page.locator("img").count() == 0
    assert page.title() != "broken into"


def test_without_servers_and_services_it_says_what_to_do(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(monitor.url))
    gone = {"servers": dict.fromkeys(recorded.ADDRESSES), "services": dict.fromkeys(recorded.HOMES)}
    monitor.change({"version": 2, **gone})
    expect(page.locator("#picture")).to_contain_text("No server has registered yet")
    expect(page.locator("#services")).to_contain_text("No service is defined yet")


def test_of_many_servers_the_telling_ones_come_first(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(monitor.url))
    now = time.time()
    idle = {f"a{number:02d}": recorded.server(f"a{number:02d}", now, holds=(), stands_in_for=(), loads=()) for number in range(60)}
    idle["a59"] = recorded.server("a59", now, state="silent", loads=())
    monitor.change({"version": 2, "servers": recorded.plain(idle)})
    expect(page.locator("[data-server]")).to_have_count(48)
    expect(page.locator("[data-server]").first).to_have_attribute("data-server", "a59")
    expect(page.locator("[data-server=http]")).to_be_visible()
    page.get_by_role("button", name="Show all 63 servers").click()
    expect(page.locator("[data-server]")).to_have_count(63)


def test_a_service_that_nobody_holds_cannot_be_overlooked(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(monitor.url))
    now = time.time()
    nobody = recorded.service("www", now, holder=None, secondary=None, state="unserved", reason="both voters are silent", beating=False)
    monitor.change({"version": 2, "services": {"www": recorded.plain(nobody)}})
    expect(page.locator(".card.is-nobody")).to_contain_text("both voters are silent")
    expect(page.locator("[data-service=www] .state").first).to_have_text("unserved")
    expect(page.locator(".arrow")).to_have_count(2)


def test_an_operator_logs_in_sees_what_it_will_do_and_does_it(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(monitor.url, expect_errors=True))  # the refused password is logged by the browser itself
    expect(page.get_by_role("button", name="drain http")).to_have_count(0)
    page.get_by_role("banner").get_by_role("button", name="Log in").click()
    page.get_by_label("Password").fill("a guess")
    page.get_by_role("dialog").get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("that is not the password")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Log out")).to_be_visible()

    page.get_by_role("button", name="Move www").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("www moves from http to email")
    dialog.get_by_role("combobox", name="To").select_option("ftp")
    expect(dialog.get_by_role("button", name="Yes, move")).to_be_enabled()
    dialog.get_by_role("button", name="Yes, move").click()
    expect(dialog).to_contain_text("it is under way")
    assert monitor.wishes == [{"action": "move", "service": "www", "to": "ftp"}]
    dialog.get_by_role("button", name="Done").click()

    page.get_by_role("button", name="kill http").click()
    expect(page.locator("#demo [role=status]")).to_have_text("kill http: done")
    assert monitor.wishes[-1] == {"verb": "kill", "part": "http"}
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="kill http")).to_have_count(0)


def test_a_link_that_was_used_asks_for_the_password(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(f"{monitor.url}?link=used"))
    expect(page.get_by_role("dialog")).to_contain_text("That link was used before")
    assert page.url == monitor.url


def test_it_fits_a_phone_a_desk_and_a_wall(monitor: FakeMonitor, look: Look) -> None:
    monitor.operator = True
    for width in (360, 768, 1280, 1920):
        page = drawn(look(monitor.url, width=width, height=740))
        expect(page.locator(".arrow .way")).to_have_count(3)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"it is wider than {width} pixels"
        page.close()


def test_who_wants_no_motion_gets_none(monitor: FakeMonitor, look: Look) -> None:
    page = drawn(look(monitor.url, reduced_motion="reduce"))
    expect(page.locator(".arrow .pulse").first).to_be_hidden()
    monitor.change(recorded.taken_over(time.time()))
    expect(page.locator("[data-passage=www]")).to_contain_text("takeover")
    assert page.evaluate("document.getAnimations().length") == 0


def test_the_keyboard_reaches_everything(monitor: FakeMonitor, look: Look) -> None:
    monitor.operator = True
    page = drawn(look(monitor.url))
    expect(page.get_by_role("button", name="drain http")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    button = page.get_by_role("button", name="drain http")

    def reached() -> bool:
        page.keyboard.press("Tab")
        return bool(button.evaluate("element => element === document.activeElement"))

    until(reached, within_s=60)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()
