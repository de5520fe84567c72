"""docs/monitor.md names every request and every metric of the monitor, and no other."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from documents import DOCS, blocks, plain, rows, sections

from cli.parts import monitor as command
from monitor import app, timeline
from monitor.metrics import METRICS

PAGE = (DOCS / "monitor.md").read_text()


def test_every_metric_is_documented() -> None:
    assert [(plain(name), text) for name, text in rows(sections(PAGE, 2)["Metrics"])] == list(METRICS.items())
    assert set(re.findall(r"locum_\w+", PAGE)) <= set(METRICS)


def test_every_route_is_documented() -> None:
    site: Any = SimpleNamespace()
    rules = app.create(site).url_map.iter_rules()
    there = {(method, re.sub(r"<\w+:", "<", rule.rule)) for rule in rules for method in (rule.methods or set()) & {"GET", "POST"}}
    named = {tuple(plain(request).split()) for request, *_ in rows(sections(PAGE, 2)["HTTP"])}
    assert {(method, path.replace("<filename>", "<path>")) for method, path in there} == named


def test_the_limits_of_the_history_are_the_codes() -> None:
    (line,) = [text for request, _, text in rows(sections(PAGE, 2)["HTTP"]) if "/api/history" in request]
    assert str(app.HISTORY_LIMIT) in line and str(timeline.KEPT) in line


def test_every_option_is_documented() -> None:
    documented = set(re.findall(r"--[a-z-]+", "\n".join(call for call, _ in rows(sections(PAGE, 2)["Set it up"])) + " --log"))
    assert documented == {option for parameter in command.params for option in parameter.opts}


def test_the_proxy_passes_the_host_on() -> None:
    (proxy,) = blocks(PAGE, "nginx")
    assert "proxy_set_header Host" in proxy and "Upgrade" in proxy, "or monitor/guard.py refuses what comes through it"
