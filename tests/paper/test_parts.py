"""P1, P2, P6: the parts, and a server that comes up."""

from __future__ import annotations

from stage import HOMES, SERVERS, Stage

from bus.messages import Acknowledgement, KeepAlive, Loadlevel, Registration, Report, Table


def test_p1_the_sds_manages_what_each_machine_needs_to_configure_itself(stage: Stage) -> None:
    """P1: a central Service Description Server manages the information that each machine needs to configure itself.

    A server that comes last, and has nothing but the SDS's address, is told who
    else is here, where, with which key, and every service as its home describes it.
    """
    stage.boot("ftp", "email")
    stage.run(3.0)
    stage.boot("http")
    stage.run(1.0)
    tables = [heard.message for heard in stage.arrivals(Table) if heard.receiver == "http"]
    whole = tables[0]
    assert isinstance(whole, Table)
    assert {row.name for row in whole.servers} == set(SERVERS)
    assert all(row.address == row.name and row.public_key for row in whole.servers)
    assert {row.definition.name: row.definition.home for row in whole.services} == HOMES
    assert all(row.definition.start == ("run",) and row.definition.port for row in whole.services)


def test_p1_the_sds_remembers_it_when_it_starts_again(cluster: Stage) -> None:
    """P1: the information outlives the process that manages it."""
    before = {row["name"]: (row["holder"], row["epoch"], row["secondary"]) for row in cluster.status()["services"]}
    cluster.central.crash()
    cluster.run(1.0)
    cluster.central.start()
    cluster.run(3.0)
    assert {row["name"]: (row["holder"], row["epoch"], row["secondary"]) for row in cluster.status()["services"]} == before


def test_p2_an_agent_on_every_server_talks_to_other_servers_and_to_the_sds(cluster: Stage) -> None:
    """P2: a server agent on every server exchanges messages with other servers and the SDS."""
    to_sds = {heard.sender for heard in cluster.arrivals(Report, Loadlevel) if heard.receiver == "sds"}
    between = {(heard.sender, heard.receiver) for heard in cluster.arrivals(KeepAlive)}
    back = {(heard.receiver, heard.sender) for heard in cluster.arrivals(Acknowledgement)}
    assert to_sds == set(SERVERS)
    assert between and between == back, "who sends keep-alives is answered"
    assert {server for pair in between for server in pair} == set(SERVERS)


def test_p6_a_server_that_comes_up_registers_and_advertises_its_services(stage: Stage) -> None:
    """P6: a server that comes up sends a registration to the SDS, advertising its services."""
    stage.boot("http")
    stage.run(1.0)
    first = next(heard for heard in stage.arrivals(Registration) if heard.sender == "http")
    assert isinstance(first.message, Registration)
    assert (first.receiver, [definition.name for definition in first.message.services]) == ("sds", ["www"])
    assert set(first.message.able) == set(HOMES), "and what it could run besides (P19)"
    registered = [event for event in stage.events if event["kind"] == "registered"]
    assert [event["server"] for event in registered] == ["http"]
    before = len(stage.arrivals(Registration))
    stage.run(3.0)
    assert len(stage.arrivals(Registration)) == before, "an answered registration is not repeated"


def test_p19_nobody_writes_a_failover_plan(cluster: Stage) -> None:
    """P19: no pre-configuration by an administrator: no server was told whom to stand in for, and every service has a stand-in."""
    said = [heard.message for heard in cluster.arrivals(Registration)]
    for message in said:
        assert isinstance(message, Registration)
        own = {definition.name for definition in message.services}
        assert own == {name for name, home in HOMES.items() if home == message.address}, "it names its own services alone"
    assert all(row["secondary"] not in (None, row["home"]) for row in cluster.status()["services"])
    assert all(entry["ok"] for row in cluster.status()["services"] for entry in row["candidates"])
