"""P5: users reach services by FQDN, each server registers its name, and a takeover repoints the service's FQDN to the
secondary's address by dynamic update (RFC 2136).

Real processes, and real name servers that are there, away, and back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import until

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "dns"))

from authorities import ADDRESS, KEY_NAME, NAMED, ZONE, Authority, BindSecondary
from processes.small_cluster import SOON_S, SmallCluster

WWW = f"www.{ZONE}."


class Named:
    """Servers one and two; www, at home on one, has a name at a primary and a secondary authority."""

    def __init__(self, directory: Path, primary: Authority, secondary: Authority) -> None:
        self.primary, self.secondary = primary, secondary
        self.cluster = SmallCluster(directory, ("one", "two"))
        self.cluster.dns = (
            f'[dns]\nserver = "{ADDRESS}"\nport = {primary.port}\nalso = ["{ADDRESS}:{secondary.port}"]\nzone = "{ZONE}"\n'
            f'key_name = "{KEY_NAME}"\nkey_secret_file = "{primary.secret_file}"\n'
        )
        self.parts = self.cluster.begin({"fqdn": WWW.rstrip("."), "failback": "manual"})

    @property
    def addresses(self) -> dict[str, str]:
        return self.cluster.servers

    def name(self, **wanted: Any) -> dict[str, Any]:
        """Wait until the status says so of www's name; all that it says."""

        def said() -> dict[str, Any] | None:
            row = self.cluster.service()
            found = (row.get("dns") or {}) | {"dns_address": row.get("dns_address"), "holder": row.get("holder")}
            return found if all(found.get(key) == value for key, value in wanted.items()) else None

        return self.wait(said)

    def wait(self, condition: Callable[[], Any]) -> Any:
        try:
            return until(condition, within_s=SOON_S, every_s=0.05)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.cluster.service()}\n{self.cluster.logs()}") from None

    def converged(self) -> list[dict[str, Any]]:
        return [event for event in self.cluster.history() if event["kind"] == "converged" and event["service"] == "www"]

    def lose(self, server: str) -> None:
        """Its tether is killed, and the kernel and the guard end all the rest."""
        self.parts[server].process.kill()
        self.parts[server].process.wait()


@pytest.fixture
def authorities(tmp_path: Path) -> Iterator[tuple[Authority, Authority]]:
    """BIND 9 as primary and secondary."""
    if NAMED is None:
        pytest.skip("no BIND 9 here: install the package bind9 to have these tests run against it")
    secondary = BindSecondary(tmp_path / "second")
    primary = Authority("bind", tmp_path / "first", notify=secondary.port)
    secondary.primary = primary.port
    primary.start()
    secondary.start()
    yield primary, secondary
    for server in (primary, secondary):
        if server.process is not None:
            server.end()


@pytest.fixture
def named(tmp_path: Path, authorities: tuple[Authority, Authority]) -> Iterator[Named]:
    directory = tmp_path / "cluster"
    directory.mkdir()
    found = Named(directory, *authorities)
    yield found
    found.cluster.end()


def test_p5_a_takeover_repoints_the_name_at_every_authority(named: Named) -> None:
    """P5, P12."""
    one, two = named.addresses["one"], named.addresses["two"]
    assert named.name(state="converged", dns_address=one, holder="one")["answers"] == {
        f"{ADDRESS}:{server.port}": one for server in (named.primary, named.secondary)
    }
    for server in ("one", "two"):
        named.wait(lambda server=server: named.secondary.values(f"{server}.servers.{ZONE}.", "A") == [named.addresses[server]])
    named.cluster.settled("one", "two")
    named.lose("one")
    named.name(state="converged", dns_address=two, holder="two")
    assert named.primary.values(WWW, "A") == named.secondary.values(WWW, "A") == [two]
    first, second = named.converged()
    assert second["epoch"] > first["epoch"] and second["evidence"]["took_s"] >= 0 and second["evidence"]["address"] == two
    assert named.primary.values(f"one.servers.{ZONE}.", "A") == [one], "who is gone keeps its name"


def test_p5_a_secondary_authority_that_is_away_holds_up_no_takeover(named: Named) -> None:
    named.name(state="converged", holder="one")
    named.cluster.settled("one", "two")
    named.secondary.end()
    named.lose("one")
    two = named.addresses["two"]
    away = f"{ADDRESS}:{named.secondary.port}"
    found = named.name(state="pending", dns_address=two, holder="two", answers={f"{ADDRESS}:{named.primary.port}": two, away: None})
    assert away in found["why"] and found["for_s"] >= 0
    assert named.cluster.served("two")["server"] == "two"
    shown = named.cluster.locum("status").stdout
    assert f"{two} (pending)" in shown and f"the name {WWW.rstrip('.')} is pending for" in shown
    named.secondary.state_file.unlink(missing_ok=True)  # with its old copy BIND would wait for the zone's refresh time
    named.secondary.start()
    named.name(state="converged", dns_address=two, holder="two")
    assert len(named.converged()) == 2


def test_p5_a_service_whose_name_cannot_be_written_serves_all_the_same(named: Named) -> None:
    """And the name is written when the authority is back; R19: an epoch higher than any before stands there."""
    named.name(state="converged", holder="one")
    epoch = named.cluster.settled("one", "two")["epoch"]
    named.primary.end()
    named.lose("one")
    found = named.cluster.served("two")
    assert found["epoch"] > epoch
    until(lambda: "refused" in named.name(state="pending", holder="two")["why"].lower(), within_s=30)
    assert named.secondary.values(WWW, "A") == [named.addresses["one"]], "the secondary still has what was"
    named.primary.start()
    named.name(state="converged", dns_address=named.addresses["two"], holder="two")
    assert named.primary.values(WWW, "TXT") == [f'"locum-epoch={found["epoch"]}"']
    kinds = [event["kind"] for event in named.cluster.history() if event["service"] == "www"]
    assert kinds.count("unnamed") == 1, "once, not at each attempt"


def test_p5_nobody_serves_and_the_status_says_where_clients_are_sent(named: Named) -> None:
    named.name(state="converged", holder="one")
    named.cluster.settled("one", "two")
    assert named.cluster.locum("drain", "two").returncode == 0
    until(lambda: named.cluster.service()["secondary"] is None, within_s=30)
    named.lose("one")
    found = named.name(dns_address=named.addresses["one"], state="wrong")
    assert "it leads to" in found["why"]
    assert named.primary.values(WWW, "A") == [named.addresses["one"]], "no name is deleted"
