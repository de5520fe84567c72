"""P3: a web-based tool shows the status of the whole system.  What it serves over HTTP is in tests/monitor and tests/demo."""

from __future__ import annotations

from stage import Stage

from monitor.answers import Event
from monitor.sequence import sequence
from monitor.state import Snapshot
from monitor.view import View


def shown(cluster: Stage, view: View) -> Snapshot:
    """What a page has, once the view was told of everything so far."""
    now = cluster.world.now
    view.take_status(cluster.status(), now)
    view.take_history([Event(**event | {"at": float(event["at"])}) for event in cluster.events], now)  # type: ignore[arg-type]
    view.delta(now)
    return view.now_shown


def test_p3_it_shows_every_server_and_who_serves_what(cluster: Stage) -> None:
    """P3, P22, P23: three servers, each with its service, and in Fig. 2a EMAIL stands in for HTTP."""
    page = shown(cluster, View("test", cluster.world.now))
    assert {name: server.holds for name, server in page.servers.items()} == {"http": ("www",), "ftp": ("ftp",), "email": ("mail",)}
    assert page.services["www"].secondary == "email"
    assert [heir.to for heir in page.servers["http"].if_it_died] == ["email"]
    assert all(server.state == "up" and server.loadlevel is not None for server in page.servers.values())


def test_p3_it_shows_a_takeover_and_why_it_came(cluster: Stage) -> None:
    """P3, P24: HTTP is down, EMAIL serves HTTP; the page says so, and draws the messages under their names."""
    view = View("test", cluster.world.now)
    shown(cluster, view)
    cluster.hosts["http"].crash()
    cluster.until(lambda: cluster.answering("www") == {"email"})
    cluster.run(3.0)
    page = shown(cluster, view)
    assert page.services["www"].holder == "email" and page.servers["http"].state == "silent"
    assert page.head.verdict.level == "warn", "all is not well while a server is silent"
    (told,) = [event for event in page.events if event.kind == "serving" and event.epoch == 2 and event.service == "www"]
    assert told.text.startswith("www moved from http to email in ") and told.sequence
    drawn = sequence(view.timeline.events, told.id)
    assert drawn is not None
    assert [message.name for message in drawn.messages][:3] == ["keep-alive", "takeover", "table update"]
