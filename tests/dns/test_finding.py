"""The SDS by DNS SRV (RFC 2782), asked of the demo's name server and of BIND 9."""

from __future__ import annotations

import asyncio
import io
from collections import Counter

import dns.asyncresolver
import pytest
from authorities import ADDRESS, ZONE, Authority, free_port
from dns.rcode import Rcode

from agent.finding import SERVICE, UPDATES, NameServer, NotFoundError, Place, _of_this_host, find


def publish(authority: Authority, *records: tuple[str, str, str]) -> None:
    update = authority.change()
    for name, rdtype, value in records:
        update.add(name, 1, rdtype, value)
    assert authority.send(update) == Rcode.NOERROR


def found(authority: Authority, *domains: str) -> list[Place]:
    return asyncio.run(find(domains, NameServer(ADDRESS, authority.port)))


def not_found(authority: Authority, *domains: str) -> str:
    with pytest.raises(NotFoundError) as raised:
        found(authority, *domains)
    text = str(raised.value)
    assert "\n" not in text and text.startswith("no SDS found by DNS: ")
    return text


def test_one_target_is_one_place_and_updates_are_at_the_next_port(authority: Authority, name: str) -> None:
    publish(authority, (f"{SERVICE}.{name}", "SRV", f"0 0 5750 sds.{name}"), (f"sds.{name}", "A", "192.0.2.10"))
    assert found(authority, name) == found(authority, name.rstrip(".")) == [Place("192.0.2.10", 5750, 5751)]


def test_a_second_record_tells_another_port_for_updates(authority: Authority, name: str) -> None:
    records = [(f"{SERVICE}.{name}", "SRV", f"0 0 6000 sds.{name}"), (f"{UPDATES}.{name}", "SRV", f"0 0 7000 sds.{name}")]
    publish(authority, *records, (f"sds.{name}", "AAAA", "2001:db8::10"))
    assert found(authority, name) == [Place("2001:db8::10", 6000, 7000)]


def test_priorities_come_in_order_and_weights_by_lot(authority: Authority, name: str) -> None:
    records = [(10, 1, "c"), (0, 9, "a"), (0, 1, "b"), (20, 0, "d")]
    publish(authority, *((f"{SERVICE}.{name}", "SRV", f"{priority} {weight} 5750 {host}.{name}") for priority, weight, host in records))
    publish(authority, *((f"{host}.{name}", "A", f"192.0.2.{number}") for number, host in enumerate("abcd", 1)))
    orders = Counter(tuple(place.address[-1] for place in found(authority, name)) for _ in range(40))
    assert set(orders) <= {("1", "2", "3", "4"), ("2", "1", "3", "4")}
    assert orders["1", "2", "3", "4"] > 20, orders


def test_a_host_with_several_addresses_is_several_places(authority: Authority, name: str) -> None:
    publish(authority, (f"{SERVICE}.{name}", "SRV", f"0 0 5750 sds.{name}"))
    publish(authority, (f"sds.{name}", "A", "192.0.2.10"), (f"sds.{name}", "A", "192.0.2.11"), (f"sds.{name}", "AAAA", "2001:db8::1"))
    assert {place.address for place in found(authority, name)} == {"192.0.2.10", "192.0.2.11", "2001:db8::1"}


def test_a_target_without_an_address_is_left_out(authority: Authority, name: str) -> None:
    publish(authority, (f"{SERVICE}.{name}", "SRV", f"0 0 5750 gone.{name}"), (f"{SERVICE}.{name}", "SRV", f"1 0 5750 sds.{name}"))
    assert f"leads to gone.{name}, sds.{name}, which has no address" in not_found(authority, name)
    publish(authority, (f"sds.{name}", "A", "192.0.2.10"))
    assert [place.address for place in found(authority, name)] == ["192.0.2.10"]


def test_a_target_of_elsewhere_is_looked_up_by_the_host(authority: Authority, name: str) -> None:
    publish(authority, (f"{SERVICE}.{name}", "SRV", "0 0 5750 localhost."))
    assert "127.0.0.1" in {place.address for place in found(authority, name)}


def test_ports_that_cannot_be_are_left_out(authority: Authority, name: str) -> None:
    publish(authority, (f"{SERVICE}.{name}", "SRV", f"0 0 0 sds.{name}"), (f"{SERVICE}.{name}", "SRV", f"0 0 65535 sds.{name}"))
    publish(authority, (f"sds.{name}", "A", "192.0.2.10"))
    assert "or to no port" in not_found(authority, name)


def test_the_first_domain_that_names_one_counts(authority: Authority, name: str) -> None:
    publish(authority, (f"{SERVICE}.{name}", "SRV", f"0 0 5750 sds.{name}"), (f"sds.{name}", "A", "192.0.2.10"))
    assert found(authority, f"empty.{name}", name, ZONE) == [Place("192.0.2.10", 5750, 5751)]


def test_no_record_is_said_with_the_record_that_would_mend_it(authority: Authority, name: str) -> None:
    text = not_found(authority, name)
    assert f"{SERVICE}.{name} has no SRV record" in text and f"{SERVICE}.{name} SRV 0 0 5750" in text


def test_a_root_target_says_that_there_is_none(authority: Authority, name: str) -> None:
    publish(authority, (f"{SERVICE}.{name}", "SRV", "0 0 0 ."))
    assert "says that there is none here" in not_found(authority, name)


@pytest.mark.parametrize("domain", ["a..b", "x" * 64, "é" * 80])
def test_what_is_no_domain_is_one_line(authority: Authority, domain: str) -> None:
    not_found(authority, domain)


def test_a_name_server_that_is_not_there_is_named() -> None:
    server = NameServer(ADDRESS, free_port())
    with pytest.raises(NotFoundError, match=f"name server {ADDRESS} port {server.port}") as raised:
        asyncio.run(find([ZONE], server))
    assert "\n" not in str(raised.value)


def test_a_name_server_that_is_no_address_is_one_line() -> None:
    with pytest.raises(NotFoundError) as raised:
        asyncio.run(find([ZONE], NameServer("ns.example")))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "domains"),
    [
        ("search shop.example example\nnameserver 192.0.2.53\n", ["shop.example", "example"]),
        ("domain shop.example\nnameserver 192.0.2.53\n", ["shop.example"]),
    ],
)
def test_the_hosts_own_domains_are_those_of_its_resolver(settings: str, domains: list[str]) -> None:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.domain = dns.name.root
    resolver.read_resolv_conf(io.StringIO(settings))
    assert _of_this_host(resolver) == domains


def test_a_host_without_a_domain_is_said_to_have_none() -> None:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.domain, resolver.search = dns.name.root, []
    with pytest.raises(NotFoundError, match="no search domain"):
        _of_this_host(resolver)
