"""P15 to P18, P22, P23, P25: a restarted server gets its service back, message by message."""

from __future__ import annotations

import pytest
from stage import HOMES, Stage

from bus.messages import (
    Assignment,
    Grant,
    Registration,
    ReleaseAcknowledged,
    Released,
    ReleaseService,
    RemoveAssignment,
    Table,
)


@pytest.fixture
def returned(cluster: Stage) -> Stage:
    """http died, email took www over, ftp is its secondary, and http is back since a moment."""
    cluster.hosts["http"].crash()
    cluster.until(lambda: cluster.answering("www") == {"email"})
    cluster.run(3.0)
    cluster.heard.clear()
    cluster.events.clear()
    cluster.boot("http")
    cluster.until(lambda: cluster.arrivals(Registration))
    return cluster


def at_home(stage: Stage) -> bool:
    row = stage.service("www")
    return row["holder"] == "http" and row["state"] == "serving" and row["secondary"] is not None


def test_p15_a_restarted_server_learns_who_runs_its_service_and_asks_for_it(returned: Stage) -> None:
    """P15: it registers; the table tells it who runs its primary service; it sends release service there."""
    returned.until(lambda: returned.arrivals(ReleaseService))
    table = next(heard.message for heard in returned.arrivals(Table) if heard.receiver == "http")
    assert isinstance(table, Table)
    assert {row.definition.name: row.holder for row in table.services}["www"] == "email"
    asked = returned.arrivals(ReleaseService)[0]
    assert (asked.sender, asked.part, asked.receiver) == ("http", "guard", "email")
    assert returned.answering("www") == {"email"}, "returning moves nothing by itself"


def test_p16_the_holder_stops_and_dismisses_its_own_secondary(returned: Stage) -> None:
    """P16: that server stops the service and sends remove assignment to its own secondary."""
    returned.until(lambda: returned.arrivals(Released))
    (removed,) = returned.arrivals(RemoveAssignment)
    assert (removed.sender, removed.receiver) == ("email", "ftp")
    (dismissed,) = [event for event in returned.events if event["kind"] == "dismissed"]
    assert (dismissed["server"], dismissed["evidence"]) == ("ftp", {"number": 1, "by": "email"})
    assert returned.answering("www") == set() == set(returned.judge.alive["www"]), "released means stopped"


def test_p17_p18_it_starts_on_the_acknowledgement_and_assigns_a_secondary(returned: Stage) -> None:
    """P17, P18: on the acknowledgement it starts the service; after the table update it assigns a secondary again."""
    epoch = returned.service("www")["epoch"]
    returned.until(lambda: at_home(returned))
    order = [Registration, ReleaseService, RemoveAssignment, Released, ReleaseAcknowledged]
    firsts = [returned.arrivals(kind)[0].at for kind in order]
    assert firsts == sorted(firsts)
    granted = next(heard for heard in returned.arrivals(Grant) if heard.receiver == "http")
    own = next(heard for heard in returned.arrivals(Assignment, service="www") if heard.sender == "http")
    assert returned.arrivals(Released)[0].at < granted.at < own.at
    assert own.receiver == returned.service("www")["secondary"]
    assert returned.service("www")["epoch"] == epoch + 1
    assert returned.answering("www") == {"http"}


def test_p16_the_target_is_the_recorded_secondary_before_the_stop(returned: Stage) -> None:
    """P16 otherwise than in the paper: a death on the way is an ordinary failover (docs/divergence.md)."""
    returned.until(lambda: any(event["kind"] == "stopping" for event in returned.events))
    assert returned.service("www")["secondary"] == "http"
    returned.hosts["email"].crash()
    returned.until(lambda: returned.answering("www") == {"http"})
    assert returned.judge.violation is None


def test_p22_p23_three_servers_and_the_secondary_of_fig_2a(cluster: Stage) -> None:
    """P22, P23: HTTP, FTP and EMAIL take part; all up, EMAIL is HTTP's secondary."""
    rows = {row["name"]: row for row in cluster.status()["services"]}
    assert {name: row["holder"] for name, row in rows.items()} == HOMES
    assert rows["www"]["secondary"] == "email"
    assert all(cluster.answering(service) == {home} for service, home in HOMES.items())


def test_p25_http_recovers_and_a_secondary_is_chosen_again(returned: Stage) -> None:
    """P25: HTTP recovers: EMAIL releases and revokes; a secondary is chosen again, by priority."""
    returned.until(lambda: at_home(returned))
    chosen = returned.service("www")["secondary"]
    assert chosen in ("email", "ftp")
    best = returned.service("www")["candidates"][0]["server"]
    rank = {entry["server"]: entry["priority"] for entry in returned.service("www")["candidates"]}
    assert rank[chosen] <= rank[best] + 5, "the promise for this very service counts 5"
    kinds = [(event["kind"], event["server"]) for event in returned.events if event["service"] == "www"]
    assert kinds.index(("released", "email")) > kinds.index(("stopping", "email"))
    assert ("dismissed", "ftp") in kinds
