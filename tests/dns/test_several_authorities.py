"""P5: with more than one authority the primary is written, each is asked, and one that is away holds up nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from authorities import ADDRESS, NAMED, ZONE, Authority, BindSecondary, free_port

from agent.dns import Named, Names
from agent.nameplate import Answer

WWW = f"www.{ZONE}."


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Authority, Authority]]:
    """The demo's name server twice; the second's zone is kept by the test."""
    found = tuple(Authority("demo", folder) for folder in (tmp_path / "first", tmp_path / "second"))
    for server in found:
        server.start()
    yield found  # type: ignore[misc]
    for server in found:
        if server.process is not None:
            server.end()


@pytest.fixture
def bind_pair(tmp_path: Path) -> Iterator[tuple[Authority, BindSecondary]]:
    """BIND 9 as primary and secondary, which learns of changes by NOTIFY and fetches them (RFC 1996, RFC 5936)."""
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


def names(primary: Authority, *also: int) -> Names:
    return primary.names(also=tuple(f"{ADDRESS}:{port}" for port in also), timeout_s=2.0)


def place(port: int) -> str:
    return f"{ADDRESS}:{port}"


def test_every_authority_is_asked_and_the_first_alone_is_written(pair: tuple[Authority, Authority]) -> None:
    first, second = pair
    both = names(first, second.port)
    assert isinstance(asyncio.run(both.point(WWW, "127.0.1.13", 3)), Named)
    assert asyncio.run(both.answers(WWW)) == (Answer(place(first.port), ("127.0.1.13",)), Answer(place(second.port), ()))
    asyncio.run(names(second).point(WWW, "2001:db8::1", 3))
    assert asyncio.run(both.answers(WWW))[1] == Answer(place(second.port), ("2001:db8::1",))


def test_an_authority_that_is_down_is_named_and_holds_up_no_other(pair: tuple[Authority, Authority]) -> None:
    first, second = pair
    second.end()
    both = names(first, second.port)
    assert isinstance(asyncio.run(both.point(WWW, "127.0.1.13", 3)), Named)
    found, lost = asyncio.run(both.answers(WWW))
    assert found.addresses == ("127.0.1.13",)
    assert lost.addresses is None and place(second.port) in lost.trouble and "refused" in lost.trouble
    first.end()
    second.start()
    lost, found = asyncio.run(both.answers(WWW))
    assert lost.addresses is None and found.addresses == ()


def test_a_server_that_has_not_the_zone_is_no_authority(pair: tuple[Authority, Authority]) -> None:
    first, second = pair
    wrong = first.names(zone="other.test", also=(f"{ADDRESS}:{second.port}",))
    for answer in asyncio.run(wrong.answers("www.other.test.")):
        assert answer.addresses is None and "other.test" in answer.trouble


def test_names_that_never_answer_take_the_time_limit_once(pair: tuple[Authority, Authority]) -> None:
    first, _ = pair
    silent = [free_port() for _ in range(5)]
    answers = asyncio.run(names(first, *silent).answers(WWW))
    assert [answer.addresses for answer in answers] == [()] + [None] * 5


def test_binds_secondary_comes_to_answer_the_same(bind_pair: tuple[Authority, BindSecondary]) -> None:
    """It does not know our key: it is asked as a client would."""
    primary, secondary = bind_pair
    both = names(primary, secondary.port)

    async def follow(address: str, epoch: int) -> None:
        assert isinstance(await both.point(WWW, address, epoch), Named)
        async with asyncio.timeout(30):
            while [answer.addresses for answer in await both.answers(WWW)] != [(address,)] * 2:
                await asyncio.sleep(0.02)

    for number, address in enumerate(("127.0.1.11", "127.0.1.13", "2001:db8::13"), 1):
        asyncio.run(follow(address, number))
