"""Names follow holders, and a writer that comes late loses (P5, P20, R19): real authorities and the twin."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import dns.message
import dns.opcode
import dns.update
import pytest
from authorities import ADDRESS, ZONE, Authority, free_port

from agent.dns import Named, Names, NameServerError, NameWriter, NoAnswerError, Refused, Stale, Unreachable, read_secret
from agent.dns_twin import NamesTwin, ZoneTwin
from bus.config import ConfigError

Writer = Callable[[], NameWriter]


def run(awaitable: Awaitable[object]) -> object:
    async def whole() -> object:
        return await awaitable

    return asyncio.run(whole())


def test_point_and_look_up(writer: Writer, name: str) -> None:
    """P5."""
    names = writer()
    assert run(names.look_up(name)) == []
    assert run(names.point(name, "127.0.1.11", 1)) == Named(fqdn=name, address="127.0.1.11", epoch=1)
    assert run(names.look_up(name)) == ["127.0.1.11"]
    assert [answer.addresses for answer in run(names.answers(name))] == [("127.0.1.11",)]
    assert run(names.point(name, "127.0.1.13", 2)) == Named(fqdn=name, address="127.0.1.13", epoch=2)
    assert run(names.look_up(name)) == ["127.0.1.13"]


def test_stale_writer_changes_nothing(writer: Writer, name: str) -> None:
    """R19."""
    run(writer().point(name, "127.0.1.13", 8))
    assert run(writer().point(name, "127.0.1.11", 7)) == Stale(fqdn=name, epoch=8)
    assert run(writer().look_up(name)) == ["127.0.1.13"]


def test_same_epoch_and_address_changes_nothing(writer: Writer, name: str) -> None:
    run(writer().point(name, "127.0.1.13", 8))
    assert run(writer().point(name, "127.0.1.13", 8)) == Named(fqdn=name, address="127.0.1.13", epoch=8, changed=False)


def test_holder_that_moved_is_followed(writer: Writer, name: str) -> None:
    """P20: same epoch, another address, also of the other family."""
    for address in ("127.0.1.13", "127.0.1.14", "2001:db8::13", "2001:db8::14", "127.0.1.13"):
        assert run(writer().point(name, address, 8)) == Named(fqdn=name, address=address, epoch=8)
        assert run(writer().look_up(name)) == [address]


def test_takeover_by_a_server_of_the_other_family(writer: Writer, name: str) -> None:
    """P20."""
    run(writer().point(name, "127.0.1.13", 1))
    run(writer().point(name, "2001:db8::1", 2))
    assert run(writer().look_up(name)) == ["2001:db8::1"]


@pytest.mark.parametrize("late_first", [False, True])
def test_first_writers_of_a_name_do_not_overwrite_each_other(writer: Writer, name: str, late_first: bool) -> None:
    """Create only if absent: the later epoch stands in the end, whoever comes first."""

    async def both() -> tuple[object, object]:
        calls = [writer().point(name, "127.0.1.11", 1), writer().point(name, "127.0.1.12", 2)]
        outcomes = await asyncio.gather(*(reversed(calls) if late_first else calls))
        return (outcomes[1], outcomes[0]) if late_first else (outcomes[0], outcomes[1])

    early, late = run(both())
    assert late == Named(fqdn=name, address="127.0.1.12", epoch=2)
    assert early in (Stale(fqdn=name, epoch=2), Named(fqdn=name, address="127.0.1.11", epoch=1))
    assert run(writer().look_up(name)) == ["127.0.1.12"]


def test_higher_epoch_wins_in_the_end(writer: Writer, name: str) -> None:
    """Two writers, each trying until it is named or stale: the higher stands, and is never replaced by the lower."""

    async def insist(address: str, epoch: int) -> object:
        names = writer()
        while True:
            outcome = await names.point(name, address, epoch)
            if isinstance(outcome, Named | Stale):
                return outcome

    async def battle(first: int) -> None:
        low, high = await asyncio.gather(insist("127.0.1.11", first), insist("127.0.1.12", first + 1))
        assert high == Named(fqdn=name, address="127.0.1.12", epoch=first + 1)
        assert isinstance(low, Named | Stale)
        assert await writer().look_up(name) == ["127.0.1.12"]
        assert await writer().point(name, "127.0.1.11", first) == Stale(fqdn=name, epoch=first + 1)

    async def battles() -> None:
        for first in range(1, 21, 2):
            await battle(first)

    run(battles())


def test_server_registers_its_name(writer: Writer, name: str) -> None:
    """P5, P20."""
    assert run(writer().register(name, "127.0.1.11")) == Named(fqdn=name, address="127.0.1.11")
    assert run(writer().register(name, "127.0.1.11")) == Named(fqdn=name, address="127.0.1.11", changed=False)
    assert run(writer().register(name, "2001:db8::11")) == Named(fqdn=name, address="2001:db8::11")
    assert run(writer().look_up(name)) == ["2001:db8::11"]


def test_server_does_not_register_over_a_service(writer: Writer, name: str) -> None:
    run(writer().point(name, "127.0.1.13", 1))
    outcome = run(writer().register(name, "127.0.1.11"))
    assert isinstance(outcome, Refused) and "service" in outcome.reason
    assert run(writer().look_up(name)) == ["127.0.1.13"]


@pytest.mark.parametrize("address", ["", "127.0.1", "fe80::1%lo", "localhost"])
def test_address_that_is_none(writer: Writer, name: str, address: str) -> None:
    outcome = run(writer().point(name, address, 1))
    assert isinstance(outcome, Refused) and f'"{address}"' in outcome.reason


def test_twin_has_the_same_shape() -> None:
    for method in ("point", "register", "look_up", "answers"):
        assert inspect.signature(getattr(NamesTwin, method)) == inspect.signature(getattr(Names, method))


def test_silent_twin() -> None:
    zone = ZoneTwin()
    zone.reachable = False
    assert isinstance(run(NamesTwin(zone).point("www.x.", "127.0.1.1", 1)), Unreachable)
    with pytest.raises(NoAnswerError):
        run(NamesTwin(zone).look_up("www.x."))
    (answer,) = run(NamesTwin(zone).answers("www.x."))
    assert answer.addresses is None and answer.trouble


# -- what only the wire can show -----------------------------------------------------------


def test_epoch_stands_in_one_text_record(authority: Authority, name: str) -> None:
    names = authority.names()
    for epoch in (1, 2, 9_007_199_254_740_993):
        run(names.point(name, "127.0.1.11", epoch))
        assert authority.values(name, "TXT") == [f'"locum-epoch={epoch}"']
    assert authority.ask(name, "A").answer[0].ttl == 1


def test_text_of_others_stays(authority: Authority, name: str) -> None:
    update = authority.change()
    update.add(name, 1, "TXT", '"v=spf1 -all"')
    authority.send(update)
    for epoch in (1, 2):
        assert isinstance(run(authority.names().point(name, "127.0.1.11", epoch)), Named)
    assert authority.values(name, "TXT") == ['"locum-epoch=2"', '"v=spf1 -all"']


def test_no_op_leaves_the_zone_alone(authority: Authority, name: str) -> None:
    run(authority.names().point(name, "127.0.1.11", 1))
    serial = authority.serial()
    run(authority.names().point(name, "127.0.1.11", 1))
    assert isinstance(run(authority.names().point(name, "127.0.1.12", 0)), Stale)
    assert authority.serial() == serial


def test_record_that_is_no_epoch_is_not_overwritten(authority: Authority, name: str) -> None:
    update = authority.change()
    update.add(name, 1, "TXT", '"locum-epoch=many"')
    authority.send(update)
    outcome = run(authority.names().point(name, "127.0.1.11", 1))
    assert isinstance(outcome, Refused) and "locum-epoch=many" in outcome.reason
    assert authority.values(name, "A") == []


def test_alias_is_refused(servers: Callable[[str], Authority], name: str) -> None:
    """BIND answers NOERROR to an address beside an alias, and ignores it (RFC 2136, 3.4.2.2)."""
    bind = servers("bind")
    update = bind.change()
    update.add(name, 1, "CNAME", f"ns.{ZONE}.")
    bind.send(update)
    outcome = run(bind.names().point(name, "127.0.1.11", 1))
    assert isinstance(outcome, Refused) and "CNAME" in outcome.reason


def test_name_that_is_delegated_is_refused(servers: Callable[[str], Authority], name: str) -> None:
    """BIND would take the address as glue, and serve it to nobody."""
    bind = servers("bind")
    update = bind.change()
    update.add(name, 1, "NS", "ns.elsewhere.test.")
    bind.send(update)
    outcome = run(bind.names().point(f"www.{name}", "127.0.1.11", 1))
    assert isinstance(outcome, Refused) and "not the authority" in outcome.reason


class Interloper:
    """Stands between a writer and its authority, and lets another act just before an update arrives."""

    def __init__(self, authority: Authority, act: Callable[[int], Awaitable[object]]) -> None:
        self.authority = authority
        self.act = act
        self.updates = 0

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection(ADDRESS, self.authority.port)
        try:
            while True:
                length = await reader.readexactly(2)
                request = await reader.readexactly(int.from_bytes(length, "big"))
                if dns.opcode.from_flags(int.from_bytes(request[2:4], "big")) == dns.opcode.UPDATE:
                    self.updates += 1
                    await self.act(self.updates)
                there.write(length + request)
                answer = await there_reader.readexactly(2)
                writer.write(answer + await there_reader.readexactly(int.from_bytes(answer, "big")))
        except asyncio.IncompleteReadError:
            there.close()
            writer.close()

    async def point(self, name: str, address: str, epoch: int) -> object:
        async with await asyncio.start_server(self.forward, ADDRESS, 0) as server:
            return await self.authority.names(port=server.sockets[0].getsockname()[1]).point(name, address, epoch)


@pytest.mark.parametrize("before", [None, 1])
def test_race_lost_to_a_later_holder_is_noticed(authority: Authority, name: str, before: int | None) -> None:
    """R19: the update was on its way when a later holder wrote; with and without a name before."""

    async def rival(number: int) -> object:
        return await authority.names().point(name, "127.0.1.13", 9)

    async def story() -> None:
        if before is not None:
            await authority.names().point(name, "127.0.1.10", before)
        interloper = Interloper(authority, rival)
        assert await interloper.point(name, "127.0.1.11", 8) == Stale(fqdn=name, epoch=9)
        assert interloper.updates == 1
        assert await authority.names().look_up(name) == ["127.0.1.13"]

    run(story())


def test_race_lost_to_an_earlier_holder_is_run_again(authority: Authority, name: str) -> None:
    async def rival(number: int) -> object:
        return await authority.names().point(name, "127.0.1.13", number) if number < 3 else None

    async def story() -> None:
        interloper = Interloper(authority, rival)
        assert await interloper.point(name, "127.0.1.11", 8) == Named(fqdn=name, address="127.0.1.11", epoch=8)
        assert interloper.updates == 3
        assert await authority.names().look_up(name) == ["127.0.1.11"]

    run(story())


def test_races_end(authority: Authority, name: str) -> None:
    async def rival(number: int) -> object:
        return await authority.names().point(name, "127.0.1.13", number)

    outcome = run(Interloper(authority, rival).point(name, "127.0.1.11", 100))
    assert isinstance(outcome, Refused) and "in the middle" in outcome.reason
    assert authority.values(name, "TXT") == ['"locum-epoch=5"']


def test_delayed_update_of_the_same_epoch_does_not_undo_a_move(authority: Authority, name: str) -> None:
    """P20: the condition covers the address too."""

    async def rival(number: int) -> object:
        return await authority.names().point(name, "127.0.1.14", 8) if number == 1 else None

    async def story() -> None:
        await authority.names().point(name, "127.0.1.13", 8)
        interloper = Interloper(authority, rival)
        assert isinstance(await interloper.point(name, "127.0.1.15", 8), Named)
        assert interloper.updates == 2

    run(story())


@pytest.mark.parametrize(
    ("changed", "secret", "words"),
    [
        ({}, b"another", ("locum.", "another secret", "key_secret_file")),
        ({"key_name": "stranger."}, None, ("stranger.", "does not know", "dns.key_name")),
        ({"key_algorithm": "hmac-sha512"}, None, ("hmac-sha512", "does not know", "dns.key_algorithm")),
        ({"zone": "elsewhere.test"}, None, ("NOTAUTH", "elsewhere.test", "dns.zone")),
    ],
)
def test_refusals_say_how_to_mend(
    authority: Authority, name: str, changed: dict[str, object], secret: bytes | None, words: tuple[str, ...]
) -> None:
    settings = authority.settings(**changed)
    outcome = run(Names(settings, secret or authority.secret).point(name, "127.0.1.11", 1))
    assert isinstance(outcome, Refused)
    for word in words:
        assert (str(authority.secret_file) if word == "key_secret_file" else word) in outcome.reason
    assert "\n" not in outcome.reason
    assert authority.values(name, "A") == []


@pytest.mark.parametrize("fqdn", ["www.elsewhere.test", "www..demo.locum.test", "x" * 64 + ".demo.locum.test"])
def test_name_that_cannot_be(authority: Authority, fqdn: str) -> None:
    outcome = run(authority.names().point(fqdn, "127.0.1.11", 1))
    assert isinstance(outcome, Refused) and fqdn.split(".")[0] in outcome.reason
    with pytest.raises(NameServerError):
        run(authority.names().look_up(fqdn))


def test_nobody_there(authority: Authority, name: str) -> None:
    names = authority.names(port=free_port())
    for outcome in (run(names.point(name, "127.0.1.11", 1)), run(names.register(name, "127.0.1.11"))):
        assert isinstance(outcome, Unreachable) and "refused" in outcome.reason
    with pytest.raises(NoAnswerError):
        run(names.look_up(name))


def test_server_that_says_nothing(authority: Authority, name: str) -> None:
    with socket.create_server((ADDRESS, 0)) as mute:
        outcome = run(authority.names(port=mute.getsockname()[1], timeout_s=0.2).point(name, "127.0.1.11", 1))
    assert isinstance(outcome, Unreachable) and "0.2 s" in outcome.reason


@pytest.mark.parametrize("answer", [b"", b"\0\3abc", b"\0\x0c" + bytes(12), b"\xff\xff" + bytes(70_000), bytes(range(256)) * 4])
def test_server_that_speaks_something_else(authority: Authority, name: str, answer: bytes) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        writer.write(answer)
        writer.close()

    async def story() -> object:
        async with await asyncio.start_server(nonsense, ADDRESS, 0) as server:
            return await authority.names(port=server.sockets[0].getsockname()[1]).point(name, "127.0.1.11", 1)

    outcome = run(story())
    assert isinstance(outcome, Unreachable | Refused)
    assert outcome.reason.startswith("name server 127.0.0.1:") and "\n" not in outcome.reason


def test_secret_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with pytest.raises(ConfigError, match="No such file"):
        read_secret(str(file))
    file.touch(mode=0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_secret(str(file))
    file.chmod(0o600)
    for text in ("", "not base64!", "abc"):
        file.write_text(text)
        with pytest.raises(ConfigError, match="base64"):
            read_secret(str(file))
    file.write_text("c2Vj\ncmV0\n")
    assert read_secret(str(file)) == b"secret"
