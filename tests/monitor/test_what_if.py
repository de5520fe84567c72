"""What would move where (monitor/whatif.py)."""

from __future__ import annotations

import msgspec
import pytest
from recording import Played

from monitor.state import CandidateShown, Preview, ServerShown, ServiceShown, Wish
from monitor.whatif import if_it_died, preview

UP = {"http": "up", "ftp": "up", "email": "up"}


@pytest.fixture(scope="module")
def servers() -> dict[str, ServerShown]:
    return dict(Played().last.servers)


def service(**changed: object) -> ServiceShown:
    candidates = (
        CandidateShown(server="email", priority=15, ok=True, why_not=None),
        CandidateShown(server="ftp", priority=20, ok=False, why_not="its port 8081 is taken"),
    )
    www = ServiceShown(
        name="www",
        fqdn="www.test",
        port=8081,
        home="http",
        holder="http",
        epoch=1,
        secondary="email",
        standby="hot",
        state="serving",
        reason=None,
        since_at=0.0,
        exclusive=True,
        dns_address=None,
        dns=None,
        candidates=candidates,
        beating=True,
    )
    return msgspec.structs.replace(www, **changed)


def test_the_stand_in_gets_it() -> None:
    (heir,) = if_it_died("http", [service()], UP)
    assert (heir.service, heir.to) == ("www", "email")
    assert "hot" in heir.text
    assert if_it_died("ftp", [service()], UP) == ()


def test_without_a_stand_in_the_best_that_can() -> None:
    (heir,) = if_it_died("http", [service(secondary=None)], UP)
    assert heir.to == "email" and "the SDS would choose email (priority 15)" in heir.text


def test_nobody_with_every_reason() -> None:
    bad = (CandidateShown(server="ftp", priority=20, ok=False, why_not="its port 8081 is taken"),)
    (heir,) = if_it_died("http", [service(secondary=None, candidates=bad)], UP)
    assert heir.to is None and "ftp: its port 8081 is taken" in heir.text
    (heir,) = if_it_died("http", [service(secondary=None, candidates=())], UP)
    assert heir.to is None and "no other server can run it" in heir.text


def test_a_silent_stand_in_takes_nothing_over() -> None:
    (heir,) = if_it_died("http", [service()], UP | {"email": "silent"})
    assert heir.to is None and "silent too" in heir.text


def ask(servers: dict[str, ServerShown], *services: ServiceShown, **wish: str) -> Preview:
    return preview(msgspec.convert(wish, Wish), servers, {one.name: one for one in services})


def test_a_drain_says_what_moves_and_what_is_chosen_anew(servers: dict[str, ServerShown]) -> None:
    found = ask(servers, service(), service(name="mail", holder="email", secondary="http"), action="drain", server="http")
    assert found.ok
    assert found.sentences[0].startswith("www moves to email (priority 15)") and "short absence" in found.sentences[0]
    assert found.sentences[1] == "mail: another stand-in is chosen"


def test_a_service_that_is_not_exclusive_is_never_away(servers: dict[str, ServerShown]) -> None:
    found = ask(servers, service(exclusive=False), action="move", service="www")
    assert found.ok and "no absence" in found.sentences[0]


def test_a_drain_of_what_nobody_else_can_run(servers: dict[str, ServerShown]) -> None:
    found = ask(servers, service(candidates=()), action="drain", server="http")
    assert found.ok and "www stays at http" in found.sentences[0]


def test_a_move_away_from_home_stays_for_a_while(servers: dict[str, ServerShown]) -> None:
    found = ask(servers, service(), action="move", service="www", to="email")
    assert found.ok and any("its home is http" in sentence for sentence in found.sentences)


@pytest.mark.parametrize(
    ("wish", "why_not"),
    [
        ({"action": "move", "service": "www", "to": "ftp"}, "ftp cannot take www: its port 8081 is taken"),
        ({"action": "move", "service": "www", "to": "http"}, "http has www already"),
        ({"action": "move", "service": "www", "to": "elsewhere"}, "there is no server elsewhere"),
        ({"action": "move", "service": "nothing"}, "there is no service nothing"),
        ({"action": "move"}, "`service` is missing"),
        ({"action": "drain", "server": "nobody"}, "there is no server nobody"),
        ({"action": "drain"}, "`server` is missing"),
        ({"action": "resume", "server": "http"}, "http is not draining"),
    ],
)
def test_what_cannot_be_done_says_why(servers: dict[str, ServerShown], wish: dict[str, str], why_not: str) -> None:
    found = ask(servers, service(), **wish)
    assert not found.ok and found.why_not is not None and why_not in found.why_not


def test_resume_says_what_comes_home(servers: dict[str, ServerShown]) -> None:
    drained = servers | {"http": msgspec.structs.replace(servers["http"], state="draining")}
    assert ask(drained, service(holder="email"), action="drain", server="http").why_not == "http is draining already"
    found = ask(drained, service(holder="email"), action="resume", server="http")
    assert found.ok and any("www is at home there" in sentence for sentence in found.sentences)
