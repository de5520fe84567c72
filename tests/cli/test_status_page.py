"""The plain table of `locum status`."""

from __future__ import annotations

from typing import Any

import pytest

from cli.table import page, span, table, warnings


def status(**changed: Any) -> dict[str, Any]:
    """A healthy cluster of two, one service, with something of the service changed."""
    servers = [
        {"name": "email", "address": "127.0.1.13", "state": "up", "loadlevel": None, "priority": None, "last_seen_s": 0.1, "guards": []},
        {"name": "http", "address": "127.0.1.11", "state": "up", "loadlevel": 0.5, "priority": 9, "last_seen_s": 0.2, "guards": ["fifo"]},
    ]
    www = {
        "name": "www",
        "fqdn": "www.test",
        "port": 8081,
        "home": "http",
        "holder": "http",
        "epoch": 4,
        "secondary": "email",
        "state": "serving",
        "reason": None,
        "since_s": 3.0,
        "dns_address": "127.0.1.11",
    }
    sds = [{"name": "sds", "role": "active", "address": "127.0.1.10"}]
    return {"cluster": "test", "seq": 1, "sds": sds, "servers": servers, "services": [www | changed]}


def test_a_healthy_cluster_has_no_warning() -> None:
    assert warnings(status()) == []
    assert "!" not in page(status())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"state": "unserved", "holder": None, "secondary": None, "reason": "nobody is up"}, "www is served by nobody: nobody is up"),
        ({"secondary": None}, "www has no secondary"),
        ({"holder": "email"}, "still points to 127.0.1.11, email is at 127.0.1.13"),
    ],
)
def test_what_is_wrong_with_a_service_is_a_line(changed: dict[str, Any], words: str) -> None:
    (line,) = warnings(status(**changed))
    assert words in line


def name(**changed: Any) -> dict[str, Any]:
    """What the status says of a name."""
    return {"fqdn": "www.test", "state": "pending", "for_s": 3.0, "why": "ns2: no answer", "answers": {}} | changed


def test_a_name_that_is_pending_or_wrong_is_shown_and_warned_of() -> None:
    """P5."""
    assert warnings(status(dns=name(state="converged", why=None))) == []
    pending = status(dns=name())
    assert warnings(pending) == ["the name www.test is pending for 3.0 s: ns2: no answer"]
    assert "127.0.1.11 (pending)" in page(pending)
    lost = status(dns=name(state="wrong", for_s=None, why="it leads to 127.0.1.9, where nobody serves it"), dns_address="127.0.1.9")
    assert warnings(lost) == ["the name www.test is wrong: it leads to 127.0.1.9, where nobody serves it"]
    own = status()
    own["servers"][0]["dns"] = name(fqdn="email.servers.test")
    assert warnings(own) == ["the name email.servers.test is pending for 3.0 s: ns2: no answer"]


def test_an_sds_on_a_servers_machine_is_warned_of() -> None:
    """Section 4: W must not share a machine with P or B."""
    shared = status()
    for address, at in (("127.0.1.13", "127.0.1.13"), ("127.0.1.13:5750", "127.0.1.13"), ("[fd00::13]:5750", "fd00::13")):
        shared["sds"][0]["address"], shared["servers"][0]["address"] = address, at
        (line,) = warnings(shared)
        assert "shares a machine with email" in line


def test_a_silent_server_is_warned_of() -> None:
    silent = status()
    silent["servers"][0] |= {"state": "silent", "last_seen_s": 75.0}
    assert warnings(silent) == ["email is silent: no word for 75 s"]


def test_a_server_that_this_sds_never_heard_has_no_age() -> None:
    """An SDS that was started anew knows its servers from the store, and when it last heard them from nobody."""
    unheard = status()
    unheard["servers"][0] |= {"state": "silent", "last_seen_s": None}
    (line,) = [line for line in page(unheard).splitlines() if line.startswith("email ")]
    assert line.split()[:6] == ["email", "127.0.1.13", "silent", "-", "-", "-"] and " ago" not in line
    assert warnings(unheard) == ["email is silent: no word since this SDS started"]


def test_columns_line_up() -> None:
    assert table(("A", "LONG"), [("first", "1"), ("x", "22")]) == "A      LONG\nfirst  1\nx      22"
    assert table(("A",), []) == "A\n(none)"


def test_spans_are_said_as_people_say_them() -> None:
    assert [span(s) for s in (0.04, 9.99, 71, 300, 7_200, 90_000, 200_000)] == [
        "0.0 s",
        "10.0 s",
        "71 s",
        "5 min",
        "2 h 0 min",
        "25 h 0 min",
        "2 d 7 h",
    ]
