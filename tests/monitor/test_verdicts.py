"""Whether all is well (monitor/verdict.py), and whether a service has two holders (monitor/holders.py)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from recording import Played

from monitor.answers import Event
from monitor.holders import Holders
from monitor.state import NameShown, Remark, SdsShown, ServerShown, ServiceShown, Snapshot, StoreShown
from monitor.verdict import remarks, verdict

GOOD = StoreShown(state="good", last_write_s=1.0)


@pytest.fixture(scope="module")
def shown() -> Snapshot:
    return Played().last


def judged(shown: Snapshot, server: dict[str, Any] | None = None, www: dict[str, Any] | None = None, **others: Any) -> tuple[Remark, ...]:
    servers: dict[str, ServerShown] = dict(shown.servers)
    services: dict[str, ServiceShown] = dict(shown.services)
    servers["http"] = msgspec.structs.replace(servers["http"], **(server or {}))
    services["www"] = msgspec.structs.replace(services["www"], **(www or {}))
    values: dict[str, Any] = {"sds": shown.head.sds, "store": GOOD, "lost_s": None, "trouble": None, "twice": (), "now": 2e9}
    return remarks(servers.values(), services.values(), **(values | others))


def test_all_is_well(shown: Snapshot) -> None:
    assert judged(shown) == ()
    assert verdict((), shown.servers, shown.services, True).level == "ok"


@pytest.mark.parametrize(
    ("server", "www", "others", "level", "words"),
    [
        ({"state": "silent"}, {}, {}, "warn", "http is silent"),
        ({}, {"secondary": None}, {}, "warn", "no stand-in"),
        ({}, {"state": "unserved", "holder": None, "reason": "nobody can"}, {}, "alarm", "served by nobody: nobody can"),
        ({}, {"state": "unserved", "holder": None, "since_at": 2e9 - 1}, {}, "warn", "on its way"),
        ({}, {"state": "starting"}, {}, "warn", "is starting at"),
        ({}, {"reason": "http is silent here"}, {}, "warn", "http is silent here"),
        ({}, {"dns": NameShown(state="wrong", text="it leads elsewhere")}, {}, "warn", "it leads elsewhere"),
        ({"dns": NameShown(state="pending", text="not yet")}, {}, {}, "warn", "not yet"),
        ({"address": "127.0.1.10"}, {}, {}, "warn", "shares a machine with http"),
        ({}, {}, {"store": StoreShown(state="it does not answer", last_write_s=None)}, "alarm", "it does not answer"),
        ({}, {}, {"lost_s": 4.0}, "alarm", "is not heard"),
        ({}, {}, {"trouble": "the SDS refuses the monitor"}, "alarm", "refuses"),
        ({}, {}, {"twice": ("www is served twice",)}, "alarm", "twice"),
    ],
)
def test_what_is_wrong_is_said(shown: Snapshot, server: Any, www: Any, others: Any, level: str, words: str) -> None:
    found = judged(shown, server, www, **others)
    assert [remark.level for remark in found] == [level] and words in found[0].text
    assert verdict(found, shown.servers, shown.services, True).level == level


def test_the_gravest_comes_first_and_the_others_are_counted(shown: Snapshot) -> None:
    found = judged(shown, {"state": "silent"}, {"state": "unserved", "holder": None, "reason": "nobody can"})
    assert [remark.level for remark in found] == ["alarm", "warn"]
    headline = verdict(found, shown.servers, shown.services, True)
    assert headline.level == "alarm" and headline.text.endswith("(and 1 more)")


def test_an_sds_by_ipv6_is_compared_without_its_port(shown: Snapshot) -> None:
    sds = (SdsShown(name="sds", role="active", address="[2001:db8::1]:5750", uptime_s=None),)
    assert "shares" in judged(shown, {"address": "2001:db8::1"}, sds=sds)[0].text


def event(kind: str, server: str, epoch: int, at: float = 1.0) -> Event:
    return Event(id=f"{at:.0f}-0", at=at, kind=kind, service="www", server=server, epoch=epoch)


def test_a_holder_that_goes_on_under_an_epoch_that_is_over_is_a_banner() -> None:
    holders = Holders()
    for told in (event("granted", "http", 7), event("serving", "http", 7), event("granted", "email", 8), event("serving", "email", 8)):
        holders.fold(told, True)
    assert holders.twice(1.0) == ()
    holders.fold(event("continued", "http", 7), True)
    (banner,) = holders.twice(1.0)
    assert "http under epoch 7" in banner and "email has 8" in banner
    holders.fold(event("lapsed", "http", 7), True)
    assert holders.twice(1.0) == ()


def test_one_epoch_granted_to_two_is_a_banner_and_ages() -> None:
    holders = Holders()
    holders.fold(event("granted", "http", 7), True)
    holders.fold(event("granted", "email", 7), True)
    assert len(holders.twice(2.0)) == 1
    assert holders.twice(10_000.0) == ()


def test_a_service_that_is_not_exclusive_may_overlap() -> None:
    holders = Holders()
    for told in (event("granted", "http", 7), event("granted", "email", 8), event("serving", "http", 7)):
        holders.fold(told, False)
    assert holders.twice(1.0) == ()
