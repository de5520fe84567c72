"""axe-core finds no serious fault in the page: light and dark, calm and not, with a dialog open."""

from __future__ import annotations

import time
from typing import Any

import pytest
import recorded
from browsing import Look
from fake_monitor import FakeMonitor
from playwright.sync_api import Page, expect

from cli.page import Page as Sources

SOON_MS = 45_000
GRAVE = ("serious", "critical")


def faults(page: Page, sources: Sources) -> list[str]:
    """What axe calls serious or worse, a line each."""
    page.add_script_tag(path=sources.packages / "axe-core" / "axe.min.js")
    found: list[dict[str, Any]] = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)")
    return [
        f"{fault['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for fault in found
        if fault["impact"] in GRAVE
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_fault(monitor: FakeMonitor, look: Look, built: Sources, scheme: str) -> None:
    monitor.operator = True
    # Axe is a script from elsewhere, which the page's own policy forbids; and it measures colours, which must not be fading in.
    page = look(monitor.url, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    expect(page.get_by_role("button", name="drain http")).to_be_visible(timeout=SOON_MS)
    assert faults(page, built) == []

    now = time.time()
    monitor.change(recorded.taken_over(now))
    expect(page.locator("[data-kind=granted]")).to_be_visible(timeout=SOON_MS)
    assert faults(page, built) == []

    page.get_by_role("button", name="Messages").click()
    expect(page.locator(".message").first).to_be_visible(timeout=SOON_MS)
    assert faults(page, built) == []
    page.keyboard.press("Escape")

    lost = recorded.head(now, "alarm", "The SDS is silent", lost_since=now - 60)
    monitor.change({"version": 3, "head": recorded.plain(lost)})
    expect(page.locator("main.stale")).to_be_visible(timeout=SOON_MS)
    assert faults(page, built) == []
