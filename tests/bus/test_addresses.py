"""Addresses as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.addresses import OwnAddress, literal, own_address, place, written


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("192.0.2.1", OwnAddress(literal="192.0.2.1")),
        ("2001:DB8:0::1", OwnAddress(literal="2001:db8::1")),
        ("auto", OwnAddress()),
        ("interface:eth0", OwnAddress(interface="eth0")),
        ("interface:enp3s0.20/ipv6", OwnAddress(interface="enp3s0.20", family="ipv6")),
    ],
)
def test_a_servers_own_address(text: str, meant: OwnAddress) -> None:
    assert own_address(text) == meant


@pytest.mark.parametrize("text", ["192.0.2.1/24", "fe80::1%eth0", "eth0", "interface:a/b", "auto/ipv6", "224.0.0.1", "0.0.0.0", "\n::1"])
def test_what_is_no_address_is_said_with_a_remedy(text: str) -> None:
    with pytest.raises(ValueError, match="write an address, as"):
        own_address(text)


@given(st.ip_addresses(), st.integers(1, 65_535))
def test_a_place_is_read_as_it_is_written(address: object, port: int) -> None:
    text = str(address)
    assert literal(text) == text
    assert place(written(text, port), 1) == (text, port)
    assert place(text, port) == (text, port)


@given(st.text(max_size=30))
def test_any_text_is_a_place_or_is_refused(text: str) -> None:
    try:
        address, port = place(text, 53)
    except ValueError:
        return
    assert literal(address) == address and 0 < port < 65_536
