"""The demo while it runs, seen from outside (DESIGN section 9).  One demo serves all tests of this file."""

from __future__ import annotations

import json
import socket
import stat
import subprocess

import pytest
from hosts import why_no_gate
from running_demo import HOMES, RunningDemo, command, environment, locum
from waiting import until

from demo.client import look_up, try_to_use
from demo.layout import CLUSTER, SERVERS, ZONE

NO_GATE = why_no_gate()


def test_it_says_ready_once_and_who_serves_what(demo: RunningDemo) -> None:
    """P23: all up, everyone at home, and everyone has a secondary."""
    lines = [line for line in demo.said().splitlines() if line.startswith("ready")]
    assert len(lines) == 1
    for service, home in HOMES.items():
        assert f"{service} by {home}, secondary " in lines[0]


def test_email_is_https_secondary(demo: RunningDemo) -> None:
    """P23, Fig. 2a: with nothing else to go by, EMAIL is HTTP's secondary at the first start."""
    assert demo.service("www")["secondary"] == "email"
    until(lambda: demo.service("www")["standby"] == "hot", within_s=20)
    assert {demo.service(name)["standby"] for name in ("ftp", "mail")} == {"warm"}


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.service)
def test_a_service_is_used_by_its_name(demo: RunningDemo, server: object) -> None:
    """P5: users reach services by FQDN."""
    home = next(one for one in SERVERS if one is server)
    seen = demo.served(home.service, lambda name: name == home.name)
    assert seen.address == home.address
    assert seen.epoch == demo.service(home.service)["epoch"]


def test_servers_register_their_names(demo: RunningDemo) -> None:
    """P5."""
    for server in SERVERS:
        until(lambda server=server: look_up(f"{server.name}.servers") == server.address, within_s=30)
    assert look_up("www", "TXT")
    registered = {event["server"] for event in demo.history() if event["kind"] == "converged" and event["service"] is None}
    assert registered == {server.name for server in SERVERS}


def test_the_sds_is_found_by_dns(demo: RunningDemo) -> None:
    """P19: nobody need name it."""
    keys = ["--key", str(demo.state / "keys" / "operator.key"), "--sds-key", str(demo.state / "keys" / "sds.key.pub")]
    found = locum("status", "--domain", ZONE, "--name-server", "127.0.1.14:10053", "--cluster", "demo", *keys)
    assert found.returncode == 0 and f"www.{ZONE}" in found.stdout, found.stderr


def test_status_json_has_the_promised_shape(demo: RunningDemo) -> None:
    status = demo.status()
    assert set(status) >= {"cluster", "seq", "sds", "servers", "services"}
    assert [row["name"] for row in status["servers"]] == sorted(HOMES.values())
    assert [row["name"] for row in status["services"]] == sorted(HOMES)
    servers = {"name", "address", "state", "loadlevel", "priority", "incarnation", "last_seen_s", "zone", "guards"}
    assert set(status["servers"][0]) >= servers
    services = {"name", "fqdn", "port", "home", "holder", "epoch", "secondary", "state", "reason", "since_s", "dns_address", "exclusive"}
    assert set(status["services"][0]) >= services | {"candidates"}
    assert {row["fqdn"] for row in status["services"]} == {f"{name}.{ZONE}" for name in HOMES}
    assert set(status["sds"][0]) >= {"name", "role", "address"}


def test_status_and_history_for_people(demo: RunningDemo) -> None:
    shown = locum("status")
    assert shown.returncode == 0, shown.stderr
    assert all(f"{name}.{ZONE}" in shown.stdout for name in HOMES)
    assert "!" not in shown.stdout, shown.stdout
    history = locum("history")
    assert history.returncode == 0, history.stderr
    assert "registered" in history.stdout and "granted" in history.stdout
    events = [json.loads(line) for line in locum("history", "--json", "--limit", "5").stdout.splitlines()]
    assert len(events) == 5
    assert all(set(event) >= {"at", "id", "kind", "service", "server", "epoch", "text", "evidence"} for event in events)


def test_ps_names_every_process(demo: RunningDemo) -> None:
    stand_in = until(lambda: (row := demo.service("www"))["standby"] == "hot" and row["secondary"], within_s=20)
    for service, home in HOMES.items():
        hot = ["standby"] if home == stand_in else []
        assert demo.roles(home) == ["guard", "runner", "service", *hot, "tether"], service
    assert {part: demo.roles(part) for part in ("sds", "store", "dns")} == {"sds": ["sds"], "store": ["store"], "dns": ["dns"]}
    until(lambda: demo.roles("monitor") == ["monitor"], within_s=20)
    assert locum("demo", "ps").stdout.startswith("PART")


def test_secrets_are_their_owners_alone(demo: RunningDemo) -> None:
    secrets = [*demo.state.glob("keys/*.key"), demo.state / "keys" / "tsig.secret", demo.state / "demo.lock"]
    assert len(secrets) == 8
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


@pytest.mark.skipif(NO_GATE is not None, reason=str(NO_GATE))
def test_a_power_cut_takes_the_kernel_gate_along(demo: RunningDemo) -> None:
    """R6: as it would the kernel; else nobody would be refused at that address, and clients would wait."""

    def gated() -> bool:
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
        return f"locum.{CLUSTER}.http." in tables

    until(gated, within_s=30)
    demo.done("kill", "http")
    assert not gated()
    demo.done("start", "http")
    until(gated, within_s=30)
    demo.settled()


def test_a_killed_server_is_replaced_and_gets_its_service_back(demo: RunningDemo) -> None:
    """P12 to P18, Fig. 2b and back: a power cut, another serves under a higher epoch, the home returns."""
    before = demo.served("www", lambda server: server == "http")
    demo.done("kill", "http")
    assert demo.roles("http") == []
    during = demo.served("www", lambda server: server != "http")
    assert during.epoch > before.epoch
    demo.refused("kill", "http", "already killed")
    demo.refused("stop", "http", "already killed")
    demo.refused("pause", "http", "not running")
    demo.refused("continue", "http", "not paused")
    demo.done("start", "http")
    demo.refused("start", "http", "already running")
    demo.settled()
    after = demo.served("www", lambda server: server == "http")
    assert after.epoch > during.epoch


def test_the_stand_in_appoints_one_of_its_own(demo: RunningDemo) -> None:
    """P24: with http down, the two that are left stand in for each other."""
    demo.done("kill", "http")
    holder = demo.served("www", lambda server: server != "http").server
    (other,) = set(HOMES.values()) - {"http", holder}
    until(lambda: demo.service("www")["secondary"] == other, within_s=30, every_s=0.1)
    demo.done("start", "http")
    demo.settled()


def test_a_paused_server_is_replaced_and_never_serves_beside_another(demo: RunningDemo) -> None:
    """R5, R7: a server that was stopped for long has no lease left when it goes on."""
    before = demo.served("ftp", lambda server: server == "ftp")
    demo.done("pause", "ftp")
    demo.refused("pause", "ftp", "already paused")
    demo.refused("start", "ftp", "paused")
    demo.refused("stop", "ftp", "paused")
    during = demo.served("ftp", lambda server: server != "ftp")
    assert during.epoch > before.epoch
    demo.done("continue", "ftp")
    demo.refused("continue", "ftp", "not paused")
    demo.settled()
    assert demo.served("ftp", lambda server: server == "ftp").epoch > during.epoch


def test_a_stopped_server_hands_over_and_comes_back(demo: RunningDemo) -> None:
    """R14: SIGTERM is a planned move."""
    demo.done("stop", "email")
    assert demo.roles("email") == []
    demo.served("mail", lambda server: server != "email")
    demo.refused("stop", "email", "already stopped")
    demo.done("start", "email")
    demo.settled()


@pytest.mark.parametrize("part", ["sds", "store", "dns"])
def test_no_request_fails_while_a_helper_is_away(demo: RunningDemo, part: str) -> None:
    """The loss of any one of the three voters stops nothing; dns is asked only before and after."""
    address = look_up("www")
    before = {service: demo.served(service, lambda _: True) for service in HOMES}
    demo.done("kill", part)
    for _ in range(20):
        with socket.create_connection((address, 8081), timeout=5) as line:
            line.sendall(b"GET /whoami HTTP/1.0\r\n\r\n")
            assert b'"http"' in line.makefile("rb").read()
    if part == "store":
        until(lambda: "store" in demo.roles("store"), within_s=30, every_s=0.1)
    else:
        demo.refused("kill", part, "already killed")
        demo.done("start", part)
    demo.settled()
    assert {service: try_to_use(service) for service in HOMES} == before


def test_the_store_is_started_again_by_the_sds(demo: RunningDemo) -> None:
    pid = next(row["pid"] for row in demo.ps() if row["part"] == "store")
    demo.done("kill", "store")
    until(lambda: [row for row in demo.ps() if row["part"] == "store" and row["pid"] != pid], within_s=30, every_s=0.1)
    demo.refused("start", "store", "already running")
    demo.settled()


def test_orders_move_and_drain(demo: RunningDemo) -> None:
    drained = locum("drain", "http")
    assert drained.returncode == 0, drained.stderr
    demo.served("www", lambda server: server != "http")
    until(lambda: "draining" in [row["state"] for row in demo.status()["servers"]], within_s=30, every_s=0.1)
    assert locum("resume", "http").returncode == 0
    demo.settled()
    moved = locum("move", "mail", "http")
    assert moved.returncode == 0, moved.stderr
    demo.served("mail", lambda server: server == "http")
    moved = locum("move", "mail", "email")
    assert moved.returncode == 0, moved.stderr
    demo.settled()


def test_impossible_orders_are_refused(demo: RunningDemo) -> None:
    for words in (["drain", "toaster"], ["move", "nonsense"], ["move", "www", "toaster"], ["confirm-dead", "http"]):
        refused = locum(*words)
        assert (refused.returncode, refused.stdout) == (1, ""), (words, refused)
        assert len(refused.stderr.splitlines()) == (2 if words[0] == "confirm-dead" else 1), "a warning comes before that order"


def test_a_second_demo_is_refused_and_names_the_first(demo: RunningDemo) -> None:
    for state in (str(demo.state), str(demo.state.parent / "other")):
        second = locum("demo", "--state", state)
        assert (second.returncode, second.stdout) == (1, "")
        assert f"pid {demo.process.pid}" in second.stderr and str(demo.state) in second.stderr, second.stderr
        assert len(second.stderr.splitlines()) == 1
    demo.settled()


def test_a_watch_goes_on_and_ends_quietly(demo: RunningDemo) -> None:
    with subprocess.Popen(command("status", "--watch", "--json"), env=environment(), stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        looks = [json.loads(watch.stdout.readline()) for _ in range(2)]
        watch.send_signal(2)
        assert watch.wait(timeout=30) == 0
    assert [look["cluster"] for look in looks] == ["demo", "demo"]
