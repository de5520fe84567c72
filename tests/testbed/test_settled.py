"""What counts as being at home (`vagrant/testbed settled`), by what the SDS says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from standing_bed import HOMES, SOON_S, StandingBed
from waiting import until

from vagrant.bed.home import lacking, strays, words
from vagrant.bed.plan import SECONDARIES, plan

PLAN = plan({})
SECOND = {"www": "email", "ftp": "email", "mail": "http"}


def status(service: str = "", **changed: Any) -> dict[str, Any]:
    """Fig. 2a, but for this of one service."""
    rows = [
        {
            "name": name,
            "state": "serving",
            "holder": home,
            "reason": None,
            "secondary": SECOND[name],
            "dns_address": PLAN.host(home).address,
        }
        for name, home in HOMES.items()
    ]
    for row in rows:
        row.update(changed if row["name"] == service else {})
    return {"services": rows, "servers": [{"name": home, "state": "up"} for home in HOMES.values()]}


def test_fig_2a_lacks_nothing() -> None:
    assert lacking(status(), PLAN, secondaries=SECONDARIES) == [] and strays(status(), PLAN) == []
    assert words(status()).startswith("www at http (secondary email), ftp at ftp")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "the SDS does not answer"),
        (status("ftp", name="other"), "ftp: not there"),
        (status("www", holder="email"), "www: serving at email"),
        (status("www", state="unserved", holder=None, reason="nobody can run it"), "www: unserved at None, nobody can run it"),
        (status("mail", secondary=None), "mail: its secondary is nobody"),
        (status("mail", dns_address="10.77.0.11"), "mail: its name leads to 10.77.0.11"),
        (status() | {"servers": [{"name": "http", "state": "silent"}]}, "http: silent"),
    ],
)
def test_what_is_not_at_home_is_said(found: dict[str, Any] | None, said: str) -> None:
    assert lacking(found, PLAN) == [said]


def test_which_secondary_matters_only_where_it_is_asked() -> None:
    found = status("www", secondary="ftp")
    assert lacking(found, PLAN) == []
    assert lacking(found, PLAN, secondaries=SECONDARIES) == ["www: its secondary is ftp and not email"]


def test_only_the_services_that_are_asked_for_are_looked_at() -> None:
    assert lacking(status("ftp", name="other"), PLAN, ("www", "mail")) == []


def test_only_what_another_serves_is_a_stray() -> None:
    assert strays(status("www", holder="email"), PLAN) == [("www", "http")]
    assert strays(status("www", holder="email", state="starting"), PLAN) == []
    assert strays(status("www", holder=None, state="unserved"), PLAN) == [] == strays(None, PLAN)


@pytest.mark.parametrize("command", ["settled", "home"])
def test_without_a_bed_it_is_said_how_to_get_one(tmp_path: Path, command: str) -> None:
    done = StandingBed(tmp_path / "none").testbed(command)
    assert done.returncode == 1 and "vagrant/testbed up" in done.stderr and done.stderr.count("\n") == 1


def test_a_bed_tells_what_is_lacking_and_what_is_elsewhere_is_ordered_home(healed: StandingBed) -> None:
    done = healed.testbed("settled")
    assert done.returncode == 0 and done.stdout.startswith("all at home: ") and done.stdout.count("\n") == 1
    healed.on("sds", "locum", "move", "www", healed.service("www")["secondary"])
    until(lambda: healed.service("www")["state"] == "serving" and healed.service("www")["holder"] != "http", SOON_S, every_s=0.2)
    done = healed.testbed("settled")
    assert done.returncode == 1 and "www: " in done.stdout
    until(lambda: healed.testbed("home").returncode == 0, SOON_S, every_s=0.3)
    assert healed.service("www")["holder"] == "http"


def test_a_bed_without_its_sds_is_not_settled(healed: StandingBed) -> None:
    healed.broken("kill-sds.sh")
    done = healed.testbed("settled")
    assert (done.returncode, done.stdout) == (1, "the SDS does not answer\n")
