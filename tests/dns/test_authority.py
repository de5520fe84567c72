"""What an authority does on the wire: the demo's name server must do as BIND 9 does."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Callable

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update
import pytest
from authorities import ADDRESS, ZONE, Authority
from dns.rcode import Rcode
from dns.update import UpdateMessage

KEY = dns.name.from_text("locum.")


@pytest.mark.parametrize("tcp", [True, False], ids=["tcp", "udp"])
def test_signed_update_is_served_over_udp_and_tcp(authority: Authority, name: str, tcp: bool) -> None:
    update = authority.change()
    update.add(name, 1, "A", "192.0.2.1")
    update.add(name, 1, "AAAA", "2001:db8::1")
    update.add(name, 1, "TXT", '"some text" "in two strings"')
    assert authority.send(update, tcp=tcp) == Rcode.NOERROR
    for rdtype, value in (("A", "192.0.2.1"), ("AAAA", "2001:db8::1"), ("TXT", '"some text" "in two strings"')):
        for over_tcp in (True, False):
            answer = authority.ask(name, rdtype, tcp=over_tcp)
            assert answer.flags & dns.flags.AA
            assert [rdata.to_text() for rdata in answer.answer[0]] == [value]
            assert answer.answer[0].ttl == 1


def test_unsigned_update_is_refused(authority: Authority, name: str) -> None:
    update = UpdateMessage(ZONE)
    update.add(name, 1, "A", "192.0.2.1")
    assert authority.send(update) == Rcode.REFUSED
    assert authority.ask(name, "A").rcode() == Rcode.NXDOMAIN


def _tsig_error(authority: Authority, wire: bytes) -> tuple[dns.message.Message, object]:
    answer = dns.message.from_wire(authority.exchange(wire), keyring=False)
    assert answer.tsig is not None
    return answer, answer.tsig[0]


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (dns.tsig.Key("locum.", b"x" * 32), Rcode.BADSIG),
        (dns.tsig.Key("stranger.", b"x" * 32), Rcode.BADKEY),
        (dns.tsig.Key("locum.", b"x" * 32, "hmac-sha512"), Rcode.BADKEY),
    ],
    ids=["other-secret", "unknown-key", "other-algorithm"],
)
def test_wrongly_signed_update_is_refused(authority: Authority, name: str, key: dns.tsig.Key, error: Rcode) -> None:
    update = UpdateMessage(ZONE, keyring=key)
    update.add(name, 1, "A", "192.0.2.1")
    answer, tsig = _tsig_error(authority, update.to_wire())
    assert (answer.rcode(), tsig.error, tsig.mac) == (Rcode.NOTAUTH, error, b"")
    assert authority.ask(name, "A").rcode() == Rcode.NXDOMAIN


def test_wrong_clock_is_told_the_right_time_under_a_signature(authority: Authority, name: str) -> None:
    update = UpdateMessage(ZONE)
    update.add(name, 1, "A", "192.0.2.1")
    update.use_tsig(authority.key)
    signature = update.tsig[0]
    update.tsig, update.want_tsig_sign = None, False
    long_ago = int(time.time()) - 3600
    signature, _ = dns.tsig.sign(update.to_wire(), authority.key, signature, long_ago)
    update.tsig = dns.rrset.from_rdata(KEY, 0, signature)
    wire = authority.exchange(update.to_wire())
    answer = dns.message.from_wire(wire, keyring=False)
    told = answer.tsig[0]
    assert (answer.rcode(), told.error, told.time_signed) == (Rcode.NOTAUTH, Rcode.BADTIME, long_ago)
    assert abs(int.from_bytes(told.other, "big") - time.time()) < 60
    # RFC 8945, 5.2.3: this answer alone among the errors is signed
    start = _tsig_start(wire)
    unsigned = wire[:10] + (int.from_bytes(wire[10:12], "big") - 1).to_bytes(2, "big") + wire[12:start]
    again, _ = dns.tsig.sign(unsigned, authority.key, told, long_ago, signature.mac)
    assert again.mac == told.mac
    assert authority.ask(name, "A").rcode() == Rcode.NXDOMAIN


def _tsig_start(wire: bytes) -> int:
    """Where the last record begins, in an answer with nothing but a question and that."""
    end = 12
    for _ in range(int.from_bytes(wire[4:6], "big")):
        while wire[end]:
            end += wire[end] + 1
        end += 5
    return end


Builder = Callable[[UpdateMessage, str], None]

PREREQUISITES: list[tuple[str, Builder, Rcode]] = [
    ("rrset-exists", lambda u, n: u.present(n, "A"), Rcode.NOERROR),
    ("rrset-exists-not", lambda u, n: u.present(n, "TXT"), Rcode.NXRRSET),
    ("rrset-exists-with-value", lambda u, n: u.present(n, "A", "192.0.2.1", "192.0.2.2"), Rcode.NOERROR),
    ("rrset-exists-with-fewer-values", lambda u, n: u.present(n, "A", "192.0.2.1"), Rcode.NXRRSET),
    ("rrset-exists-with-more-values", lambda u, n: u.present(n, "A", "192.0.2.1", "192.0.2.2", "192.0.2.3"), Rcode.NXRRSET),
    ("rrset-exists-with-value-not", lambda u, n: u.present(n, "TXT", "x"), Rcode.NXRRSET),
    ("rrset-absent", lambda u, n: u.absent(n, "TXT"), Rcode.NOERROR),
    ("rrset-absent-not", lambda u, n: u.absent(n, "A"), Rcode.YXRRSET),
    ("name-in-use", lambda u, n: u.present(n), Rcode.NOERROR),
    ("name-in-use-not", lambda u, n: u.present("un" + n), Rcode.NXDOMAIN),
    ("name-free", lambda u, n: u.absent("un" + n), Rcode.NOERROR),
    ("name-free-not", lambda u, n: u.absent(n), Rcode.YXDOMAIN),
    ("name-in-another-case", lambda u, n: u.present(n.upper(), "A"), Rcode.NOERROR),
    ("outside-the-zone", lambda u, n: u.present("www.elsewhere.test."), Rcode.NOTZONE),
    ("one-of-two-fails", lambda u, n: (u.present(n, "A"), u.present(n, "TXT"))[0], Rcode.NXRRSET),
]


@pytest.mark.parametrize(("build", "expected"), [p[1:] for p in PREREQUISITES], ids=[p[0] for p in PREREQUISITES])
def test_prerequisite(authority: Authority, name: str, build: Builder, expected: Rcode) -> None:
    first = authority.change()
    first.add(name, 1, "A", "192.0.2.1")
    first.add(name, 1, "A", "192.0.2.2")
    assert authority.send(first) == Rcode.NOERROR
    serial = authority.serial()
    update = authority.change()
    build(update, name)
    update.add(name, 1, "AAAA", "2001:db8::1")
    assert authority.send(update) == expected
    done = expected == Rcode.NOERROR
    assert authority.values(name, "AAAA") == (["2001:db8::1"] if done else [])
    assert (authority.serial() > serial) == done


def _line(name: str, rdtype: int, rdclass: int, ttl: int, data: bytes = b"") -> bytes:
    return dns.name.from_text(name).to_wire() + struct.pack("!HHIH", rdtype, rdclass, ttl, len(data)) + data


IN, NONE, ANY_CLASS, A, ANY = 1, 254, 255, 1, 255


@pytest.mark.parametrize(
    ("prerequisite", "line"),
    [
        (True, (A, ANY_CLASS, 5, b"")),
        (True, (A, ANY_CLASS, 0, b"\1\2\3\4")),
        (True, (A, NONE, 0, b"\1\2\3\4")),
        (True, (A, 3, 0, b"\1\2\3\4")),
        (False, (ANY, IN, 0, b"")),
        (False, (ANY, ANY_CLASS, 5, b"")),
        (False, (ANY, NONE, 0, b"")),
        (False, (A, NONE, 5, b"\1\2\3\4")),
        (False, (A, IN, 5, b"\1\2\3")),
        (False, (A, 3, 5, b"\1\2\3\4")),
    ],
)
def test_malformed_line_of_an_update(authority: Authority, name: str, prerequisite: bool, line: tuple[int, int, int, bytes]) -> None:
    """RFC 2136, 3.2 and 3.4.1."""
    zone = dns.name.from_text(ZONE).to_wire() + struct.pack("!HH", dns.rdatatype.SOA, IN)
    good = _line(name, A, IN, 1, b"\1\2\3\4")
    bad = _line(name, *line)
    header = struct.pack("!6H", 7, dns.opcode.to_flags(dns.opcode.UPDATE), 1, int(prerequisite), 1 if prerequisite else 2, 0)
    wire = header + zone + (bad + good if prerequisite else good + bad)
    assert dns.message.from_wire(authority.exchange(_signed(wire, authority.key)), keyring=False).rcode() == Rcode.FORMERR
    assert authority.values(name, "A") == []


def _signed(wire: bytes, key: dns.tsig.Key) -> bytes:
    blank = dns.update.UpdateMessage(ZONE, keyring=key, id=7).tsig[0]
    signature, _ = dns.tsig.sign(wire, key, blank, int(time.time()))
    data = signature.to_wire()
    record = key.name.to_wire() + struct.pack("!HHIH", dns.rdatatype.TSIG, ANY_CLASS, 0, len(data)) + data
    return wire[:10] + struct.pack("!H", 1) + wire[12:] + record


def test_update_is_all_or_nothing(authority: Authority, name: str) -> None:
    update = authority.change()
    update.add(name, 1, "A", "192.0.2.1")
    update.add("www.elsewhere.test.", 1, "A", "192.0.2.1")
    assert authority.send(update) == Rcode.NOTZONE
    assert authority.ask(name, "A").rcode() == Rcode.NXDOMAIN


def test_zone_of_another(authority: Authority, name: str) -> None:
    update = authority.change("elsewhere.test")
    update.add("www.elsewhere.test.", 1, "A", "192.0.2.1")
    assert authority.send(update) == Rcode.NOTAUTH
    assert authority.ask("www.elsewhere.test.", "A").rcode() == Rcode.REFUSED


def test_deletions(authority: Authority, name: str) -> None:
    first = authority.change()
    for value in ("192.0.2.1", "192.0.2.2"):
        first.add(name, 1, "A", value)
    first.add(name, 1, "TXT", "x")
    assert authority.send(first) == Rcode.NOERROR
    one = authority.change()
    one.delete(name, "A", "192.0.2.1")
    assert authority.send(one) == Rcode.NOERROR
    assert authority.values(name, "A") == ["192.0.2.2"]
    rrset = authority.change()
    rrset.delete(name, "A")
    assert authority.send(rrset) == Rcode.NOERROR
    answer = authority.ask(name, "A")
    assert (answer.rcode(), answer.answer) == (Rcode.NOERROR, [])
    everything = authority.change()
    everything.delete(name)
    assert authority.send(everything) == Rcode.NOERROR
    assert authority.ask(name, "A").rcode() == Rcode.NXDOMAIN


def test_apex_keeps_soa_and_last_ns(authority: Authority) -> None:
    update = authority.change()
    update.delete(f"{ZONE}.")
    update.delete(f"{ZONE}.", "NS")
    update.delete(f"{ZONE}.", "NS", f"ns.{ZONE}.")
    update.delete(f"{ZONE}.", "SOA")
    assert authority.send(update) == Rcode.NOERROR
    assert authority.values(f"{ZONE}.", "NS") == [f"ns.{ZONE}."]
    assert len(authority.values(f"{ZONE}.", "SOA")) == 1


def test_update_that_changes_nothing_keeps_the_serial(authority: Authority, name: str) -> None:
    for changes in (True, False):
        serial = authority.serial()
        update = authority.change()
        update.add(name, 1, "A", "192.0.2.1")
        assert authority.send(update) == Rcode.NOERROR
        assert (authority.serial() != serial) == changes


@pytest.mark.parametrize(("asked", "rcode"), [("deep.er.{}", Rcode.NXDOMAIN), ("{}", Rcode.NOERROR), ("er.{}", Rcode.NOERROR)])
def test_absence_comes_with_the_soa(authority: Authority, name: str, asked: str, rcode: Rcode) -> None:
    """No such name, no such type, and a name that only has names below it (RFC 2308, RFC 8020)."""
    update = authority.change()
    update.add(name, 1, "A", "192.0.2.1")
    update.add(f"x.er.{name}", 1, "A", "192.0.2.1")
    assert authority.send(update) == Rcode.NOERROR
    answer = authority.ask(asked.format(name), "TXT")
    assert (answer.rcode(), answer.answer) == (rcode, [])
    assert [(rrset.name.to_text(), rrset.rdtype) for rrset in answer.authority] == [(f"{ZONE}.", dns.rdatatype.SOA)]
    assert answer.flags & dns.flags.AA


def test_names_have_no_case(authority: Authority, name: str) -> None:
    update = authority.change()
    update.add(name.upper(), 1, "A", "192.0.2.1")
    assert authority.send(update) == Rcode.NOERROR
    assert authority.values(name.title(), "A") == ["192.0.2.1"]
    assert authority.ask(name.title(), "A").question[0].name.to_text() == name.title()


def test_what_does_not_fit_in_udp_is_marked(authority: Authority, name: str) -> None:
    update = authority.change()
    for number in range(10):
        update.add(name, 1, "TXT", f'"{number}{"x" * 200}"')
    assert authority.send(update) == Rcode.NOERROR
    for payload in (None, 512, 1232):
        more = {} if payload is None else {"use_edns": 0, "payload": payload}
        answer = authority.ask(name, "TXT", **more)
        assert answer.flags & dns.flags.TC
        assert len(answer.wire or b"") <= (payload or 512)
    assert len(authority.values(name, "TXT")) == 10


def test_several_queries_on_one_connection(authority: Authority) -> None:
    with socket.create_connection((ADDRESS, authority.port), timeout=5) as connection, connection.makefile("rb") as stream:
        queries = [dns.message.make_query(f"{ZONE}.", rdtype) for rdtype in ("SOA", "NS", "A")]
        connection.sendall(b"".join(query.to_wire(prepend_length=True) for query in queries))
        answers = [dns.message.from_wire(stream.read(int.from_bytes(stream.read(2), "big"))) for _ in queries]
    assert {answer.id for answer in answers} == {query.id for query in queries}


def test_signed_query_gets_a_signed_answer(authority: Authority) -> None:
    query = dns.message.make_query(f"{ZONE}.", "SOA")
    query.use_tsig(authority.key)
    answer = dns.query.udp(query, ADDRESS, timeout=5, port=authority.port)
    assert answer.had_tsig and answer.answer


def test_opcode_and_edns_that_nobody_knows(authority: Authority) -> None:
    status = dns.message.make_query(f"{ZONE}.", "SOA")
    status.set_opcode(dns.opcode.STATUS)
    assert authority.send(status) == Rcode.NOTIMP
    assert authority.ask(f"{ZONE}.", "SOA", use_edns=1).rcode() == Rcode.BADVERS
    assert authority.ask(f"{ZONE}.", "AXFR", tcp=True).rcode() == Rcode.REFUSED


def test_garbage_changes_nothing(authority: Authority) -> None:
    serial = authority.serial()
    chance = random.Random(1)
    update = authority.change()
    update.add(f"garbage.{ZONE}.", 1, "A", "192.0.2.1")
    good = update.to_wire()
    pieces = [chance.randbytes(chance.randrange(1, 600)) for _ in range(100)]
    pieces += [good[:length] for length in range(0, len(good), 3)]
    signature_at = good.rindex(KEY.to_wire())  # in it, case and TTL are not signed
    for _ in range(100):
        spoilt = bytearray(good)
        spoilt[chance.randrange(2, signature_at)] ^= 1 << chance.randrange(8)
        pieces.append(bytes(spoilt))
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        for piece in pieces:
            udp.sendto(piece, (ADDRESS, authority.port))
    for piece in pieces[::20]:
        with socket.create_connection((ADDRESS, authority.port), timeout=5) as tcp:
            tcp.sendall(piece)
    assert authority.serial() == serial
    assert authority.values(f"garbage.{ZONE}.", "A") == []
