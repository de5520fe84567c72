"""P7 to P14, P21, P24: from the table update to the next secondary, message by message."""

from __future__ import annotations

from stage import HOMES, Heard, Stage

from bus.messages import Assignment, Grant, KeepAlive, Loadlevel, Registration, TableUpdate, Takeover


def sequence(heard: list[Heard]) -> list[str]:
    """The kinds in the order of their first arrival."""
    return list(dict.fromkeys(type(one.message).__name__ for one in heard))


def test_p7_p10_p12_the_messages_come_in_the_papers_order(stage: Stage) -> None:
    """P6, P7, P10, P12, P13, P14: registration, table update, assignment, keep-alive, takeover, table update, assignment."""
    stage.all_up()
    stage.run(1.0)
    asked = stage.arrivals(Registration, Assignment, KeepAlive)
    of_http = [heard for heard in asked if heard.sender == "http"]
    assert sequence(of_http) == ["Registration", "Assignment", "KeepAlive"]
    registered_at, assigned_at = of_http[0].at, next(h.at for h in of_http if isinstance(h.message, Assignment))
    updates = [heard for heard in stage.arrivals(TableUpdate) if registered_at <= heard.at <= assigned_at]
    told = [heard for heard in updates if any(row.name == "http" for row in heard.message.servers)]  # type: ignore[attr-defined]
    assert {heard.receiver for heard in told} >= {"ftp", "email"}, "on each registration the SDS tells every server"
    died_at = stage.world.now
    stage.hosts["http"].crash()
    stage.until(lambda: stage.answering("www") == {"email"})
    stage.until(lambda: stage.service("www")["secondary"] == "ftp")
    after = stage.arrivals(Takeover, Grant, TableUpdate, Assignment, since=died_at)
    takeover = next(heard for heard in after if isinstance(heard.message, Takeover))
    granted = next(heard for heard in after if isinstance(heard.message, Grant))
    named = [heard for heard in after if isinstance(heard.message, TableUpdate) and _names(heard.message, "email")]
    assigned = next(heard for heard in after if isinstance(heard.message, Assignment) and heard.message.service == "www")
    assert (takeover.sender, takeover.receiver, takeover.message.service) == ("email", "sds", "www")  # type: ignore[attr-defined]
    assert {heard.receiver for heard in named} >= {"email", "ftp"}
    assert (assigned.sender, assigned.receiver) == ("email", "ftp")
    assert takeover.at < granted.at <= assigned.at and takeover.at < named[0].at <= assigned.at


def _names(update: TableUpdate, holder: str) -> bool:
    return any(row.definition.name == "www" and row.holder == holder for row in update.services)


def test_p9_every_server_says_how_busy_it_is_again_and_again(cluster: Stage) -> None:
    """P9: every server sends loadlevel periodically; the SDS derives the priority from it, lower is better (P8)."""
    began_at = cluster.world.now
    cluster.hosts["ftp"].load(0.5)
    cluster.run(10 * cluster.timing.loadlevel_s)
    said = cluster.arrivals(Loadlevel, since=began_at)
    for server in HOMES.values():
        assert len([heard for heard in said if heard.sender == server]) >= 9
    priority = {row["name"]: row["priority"] for row in cluster.status()["servers"]}
    assert priority["ftp"] > priority["email"]
    assert [entry["server"] for entry in cluster.service("www")["candidates"]] == ["email", "ftp"], "the best first"


def test_p11_every_server_is_primary_and_secondary_at_once(cluster: Stage) -> None:
    """P11: every server chooses for its own primary service; email and ftp are each other's secondary, and primary besides."""
    rows = {row["name"]: row for row in cluster.status()["services"]}
    assert {name: row["holder"] for name, row in rows.items()} == HOMES
    assert rows["ftp"]["secondary"] == "email" and rows["mail"]["secondary"] == "ftp"


def test_p12_a_secondary_that_no_longer_hears_keep_alives_takes_over(cluster: Stage) -> None:
    """P12: it sends takeover to the SDS and runs the service; not before the silence has lasted."""
    died_at = cluster.world.now
    cluster.hosts["http"].crash()
    cluster.run(cluster.timing.promise_s - cluster.timing.beat_s - 0.01)
    assert not cluster.arrivals(Takeover), "it promised to wait for so long"
    cluster.until(lambda: cluster.answering("www") == {"email"})
    asking = next(event for event in cluster.events if event["kind"] == "asking")
    assert (asking["server"], asking["evidence"]["holder"]) == ("email", "http")
    assert asking["evidence"]["keep_alives"] > 3
    assert asking["evidence"]["heard_nothing_s"] >= cluster.timing.promise_s
    assert cluster.judge.longest_outage_s("www", died_at) < cluster.timing.outage_bound_s(0.6)


def test_p13_the_sds_writes_the_new_holder_down_and_tells_everyone(cluster: Stage) -> None:
    """P13: the SDS updates its database and sends a table update to all."""
    before = cluster.service("www")["epoch"]
    died_at = cluster.world.now
    cluster.hosts["http"].crash()
    cluster.until(lambda: cluster.arrivals(Grant, since=died_at))
    record = cluster.central.record("www")
    assert record is not None and (record.holder, record.epoch) == ("email", before + 1)
    stored = cluster.central.disk.records["www"]
    assert b"email" in stored, "it was stored before the grant left (R8)"
    cluster.run(0.1)
    told = {h.receiver for h in cluster.arrivals(TableUpdate, since=died_at) if _names(h.message, "email")}  # type: ignore[arg-type]
    assert told >= {"ftp", "email"}


def test_p14_p24_the_new_holder_appoints_the_next_secondary(cluster: Stage) -> None:
    """P14, P24: Fig. 2b: http is down, email serves www, has assigned ftp and sends it keep-alives."""
    cluster.hosts["http"].crash()
    cluster.until(lambda: cluster.service("www")["secondary"] == "ftp")
    row = cluster.service("www")
    assert (row["holder"], row["secondary"], row["state"]) == ("email", "ftp", "starting"), "it appoints while it still starts"
    cluster.run(2.0)
    beats = cluster.arrivals(KeepAlive, service="www", since=cluster.world.now - 1.0)
    assert {(heard.sender, heard.receiver) for heard in beats} == {("email", "ftp")}
    assert cluster.answering("www") == {"email"}
    cluster.hosts["email"].crash()
    cluster.until(lambda: cluster.answering("www") == {"ftp"})
    assert cluster.answering("mail") <= {"ftp"}, "and so on, down to the last server"
    cluster.until(lambda: cluster.answering("mail") == {"ftp"})


def test_p21_the_choice_follows_the_state_of_the_candidates(cluster: Stage) -> None:
    """P21: the secondary's state changes during service, and the choice follows it while the service runs."""
    began_at = cluster.world.now
    assert cluster.service("www")["secondary"] == "email"
    cluster.hosts["email"].load(1.0)
    cluster.until(lambda: cluster.service("www")["secondary"] == "ftp")
    cluster.run(1.0)
    assert cluster.judge.longest_outage_s("www", began_at) == 0.0
    assert cluster.service("www")["holder"] == "http"
