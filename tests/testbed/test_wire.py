"""The network's faults as values and as rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from vagrant.bed.plan import PlanError, plan
from vagrant.bed.wire import Wire, at_a_host, at_the_switch, read

PLAN = plan({})


def test_a_cut_is_both_ways_unless_it_is_one_way() -> None:
    assert Wire().with_cut("http", "ftp", one_way=False).cut == {("http", "ftp"), ("ftp", "http")}
    assert Wire().with_cut("http", "ftp", one_way=True).cut == {("http", "ftp")}


def test_no_loss_is_no_fault() -> None:
    assert Wire().with_lost("http", 30).with_lost("http", 0) == Wire()


def test_faults_come_back_from_a_file(tmp_path: Path) -> None:
    faults = Wire().with_cut("http", "ftp", one_way=True).with_apart("email").with_lost("sds", 5)
    (tmp_path / "wire").write_text(faults.text())
    assert read(tmp_path / "wire") == faults
    assert read(tmp_path / "none") == Wire()


def test_at_the_switch_ports_bear_the_names() -> None:
    rules = at_the_switch(Wire().with_cut("http", "ftp", one_way=True).with_lost("sds", 5))
    assert 'iifname "http" oifname "ftp" ether type != arp drop' in rules and 'iifname "ftp"' not in rules
    assert 'oifname "sds" numgen random mod 100 < 5 drop' in rules


def test_to_lose_everything_needs_no_chance() -> None:
    """The packet filter refuses a share of 100 in 100."""
    assert "numgen" not in at_the_switch(Wire().with_lost("sds", 100))
    assert "numgen" not in at_a_host(Wire().with_lost("sds", 100), PLAN.host("sds"), PLAN)


def test_at_a_host_only_the_receiving_end_drops() -> None:
    """What a host's own filter drops on its way out, its programs are told of; a cable tells nobody."""
    faults = Wire().with_cut("http", "ftp", one_way=True)
    assert "ip saddr 10.77.0.11 drop" in at_a_host(faults, PLAN.host("ftp"), PLAN)
    assert "drop" not in at_a_host(faults, PLAN.host("http"), PLAN)


def test_an_isolated_machine_keeps_the_way_by_which_it_is_administered() -> None:
    rules = at_a_host(Wire().with_apart("http"), PLAN.host("http"), PLAN)
    assert all("10.77.0" in line for line in rules.splitlines() if line.endswith("drop"))


def test_a_bed_may_lie_on_another_network() -> None:
    assert plan({"LOCUM_TESTBED_NETWORK": "192.168.7"}).host("db").address == "192.168.7.53"


@pytest.mark.parametrize("network", ["8.8.8", "10.77", "x", "10.77.0.0/24"])
def test_a_network_that_cannot_be_is_refused(network: str) -> None:
    with pytest.raises(PlanError, match="LOCUM_TESTBED_NETWORK"):
        plan({"LOCUM_TESTBED_NETWORK": network})


def test_an_unknown_host_is_named_with_the_known_ones() -> None:
    with pytest.raises(PlanError, match=r"mars.*sds db http ftp email"):
        PLAN.host("mars")
