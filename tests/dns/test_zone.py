"""The zone of the demo's name server as a value: the corners of RFC 2136 that BIND need not show."""

from __future__ import annotations

import dns.name
import dns.rdata
import pytest
from dns.rcode import Rcode
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from demo.zone import Clause, Zone, ZoneError

ORIGIN = dns.name.from_text("demo.locum.test")
NS = dns.name.from_text("ns", ORIGIN)
WWW = dns.name.from_text("www", ORIGIN)


def clause(name: dns.name.Name, rdtype: RdataType, value: str | None, rdclass: RdataClass = RdataClass.IN, ttl: int = 1) -> Clause:
    return Clause(name, rdtype, rdclass, ttl, None if value is None else dns.rdata.from_text(RdataClass.IN, rdtype, value))


def zone(*lines: str) -> Zone:
    return Zone.first(ORIGIN, "127.0.0.1", lines)


def values(of: Zone, name: dns.name.Name, rdtype: RdataType) -> list[str]:
    return [rdata.to_text() for rrset in of.query(name, rdtype).answer for rdata in rrset]


def test_text_is_the_zone_again() -> None:
    first = zone("www A 127.0.1.11", "www AAAA ::1", 'x.y TXT "a \\"b\\" \\255" "c"', "UPPER A 127.0.0.9")
    again = Zone.from_text(first.text(), ORIGIN)
    assert again.text() == first.text()
    assert values(again, dns.name.from_text("x.y", ORIGIN), RdataType.TXT) == ['"a \\"b\\" \\255" "c"']


def test_an_update_leaves_the_old_zone_as_it_was() -> None:
    before = zone("www A 127.0.1.11")
    text = before.text()
    rcode, after = before.update([], [clause(WWW, RdataType.A, "127.0.1.12")])
    assert (rcode, before.text()) == (Rcode.NOERROR, text)
    assert after.serial == before.serial + 1
    assert values(after, WWW, RdataType.A) == ["127.0.1.11", "127.0.1.12"]


def test_an_update_that_fails_or_changes_nothing_gives_the_same_zone() -> None:
    before = zone("www A 127.0.1.11")
    assert before.update([], [clause(WWW, RdataType.A, "127.0.1.11")]) == (Rcode.NOERROR, before)
    assert before.update([], []) == (Rcode.NOERROR, before)
    away = clause(WWW, RdataType.A, None, RdataClass.ANY, 0)
    back = clause(WWW, RdataType.A, "127.0.1.11")
    assert before.update([], [away, back]) == (Rcode.NOERROR, before)
    missing = clause(WWW, RdataType.TXT, None, RdataClass.ANY, 0)
    assert before.update([missing], [away]) == (Rcode.NXRRSET, before)


def test_lines_of_an_update_are_carried_out_in_order() -> None:
    away = clause(WWW, RdataType.A, None, RdataClass.ANY, 0)
    rcode, after = zone().update([], [clause(WWW, RdataType.A, "127.0.1.11"), away, clause(WWW, RdataType.A, "127.0.1.12")])
    assert (rcode, values(after, WWW, RdataType.A)) == (Rcode.NOERROR, ["127.0.1.12"])


def test_a_new_ttl_holds_for_the_whole_set() -> None:
    """RFC 2181, 5.2."""
    _, after = zone("www A 127.0.1.11").update([], [clause(WWW, RdataType.A, "127.0.1.12", ttl=60)])
    assert after.query(WWW, RdataType.A).answer[0].ttl == 60


@pytest.mark.parametrize(("offered", "expected"), [(0, 2), (1, 2), (7, 7), (2**31, 2**31), (2**31 + 2, 2)])
def test_soa_is_replaced_by_no_lower_serial(offered: int, expected: int) -> None:
    """RFC 2136, 3.4.2.2, by the arithmetic of RFC 1982; another change in the same update raises it at least by one."""
    soa = clause(ORIGIN, RdataType.SOA, f"{NS} {NS} {offered} 1 1 1 1")
    _, after = zone().update([], [soa, clause(WWW, RdataType.A, "127.0.1.11")])
    assert after.serial == expected


def test_serial_goes_round_past_zero() -> None:
    last = Zone.from_text(zone().text().replace(f"hostmaster.{ORIGIN} 1 ", f"hostmaster.{ORIGIN} {2**32 - 1} "), ORIGIN)
    assert last.serial == 2**32 - 1
    _, after = last.update([], [clause(WWW, RdataType.A, "127.0.1.11")])
    assert after.serial == 1


def test_soa_elsewhere_is_ignored() -> None:
    before = zone()
    assert before.update([], [clause(WWW, RdataType.SOA, f"{NS} {NS} 9 1 1 1 1")]) == (Rcode.NOERROR, before)


def test_last_ns_stays() -> None:
    other = dns.name.from_text("ns2", ORIGIN)
    _, two = zone().update([], [clause(ORIGIN, RdataType.NS, str(other))])
    rcode, one = two.update([], [clause(ORIGIN, RdataType.NS, str(name), RdataClass.NONE, 0) for name in (NS, other)])
    assert (rcode, values(one, ORIGIN, RdataType.NS)) == (Rcode.NOERROR, [str(other)])


@pytest.mark.parametrize(
    "line",
    [
        clause(WWW, RdataType.NS, str(NS)),
        clause(WWW, RdataType.CNAME, str(NS)),
        clause(WWW, RdataType.MX, f"10 {NS}"),
    ],
)
def test_what_the_zone_does_not_hold_is_refused(line: Clause) -> None:
    before = zone()
    assert before.update([], [line]) == (Rcode.REFUSED, before)


def test_any_gives_all_there_is() -> None:
    answer = zone("www A 127.0.1.11", "www TXT x").query(WWW, RdataType.ANY).answer
    assert {rrset.rdtype for rrset in answer} == {RdataType.A, RdataType.TXT}


@pytest.mark.parametrize("text", ["", "@ A 1.2.3.4", "@ SOA a b 1 1 1 1 1", "@ SOA a b 1 1 1 1 1\n@ NS ns\nwww CNAME ns", "@ SOA x"])
def test_text_that_is_no_zone(text: str) -> None:
    with pytest.raises(ZoneError):
        Zone.from_text("$TTL 1\n" + text, ORIGIN)
