"""P20: where this host is, by the kernel's own word.  On the loopback interface, which every host has."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from typing import Any

import pytest

from agent.whereabouts import Changes, Whereabouts
from bus.config import AgentConfig, SdsAddress
from tests.paper.network import Network, why_not


def config(address: str, sds: str = "127.0.0.1") -> AgentConfig:
    where = SdsAddress(address=sds, public_key_file="k")
    return AgentConfig(cluster="c", name="n", address=address, state_dir="d", key_file="k", sds=where)


@pytest.mark.parametrize(
    ("address", "sds", "here"),
    [
        ("192.0.2.7", "127.0.0.1", "192.0.2.7"),
        ("2001:DB8::7", "127.0.0.1", "2001:db8::7"),
        ("interface:lo", "127.0.0.1", "127.0.0.1"),
        ("interface:lo/ipv6", "127.0.0.1", "::1"),
        ("interface:nowhere0", "127.0.0.1", ""),
        ("auto", "127.0.0.9", "127.0.0.1"),
        ("auto", "::1", "::1"),
    ],
)
def test_the_address_that_is_meant(address: str, sds: str, here: str) -> None:
    found = Whereabouts(config(address, sds))
    assert found.address == here
    assert not found.moved(), "it is where it was"


def test_other_settings_are_another_address() -> None:
    found = Whereabouts(config("192.0.2.7"))
    found.follow(config("interface:lo"))
    assert found.moved() and found.address == "127.0.0.1"
    found.follow(config("interface:nowhere0"))
    assert not found.moved() and found.address == "127.0.0.1", "what is lost is still the last that is known"


@pytest.fixture
def network() -> Any:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    network = Network()
    try:
        network.begin()
        network.add("host", "fd77::1/64", "10.77.0.1/24", "fe80::77/64", "169.254.7.7/16")
        yield network
    finally:
        network.end()


def test_the_address_in_use_stays_while_it_is_there(network: Network) -> None:
    with network.inside("host") as do:
        found = do(lambda: Whereabouts(config("interface:eth0")))
        assert found.address == "10.77.0.1", "IPv4 comes first, and link-local addresses do not count"
        network.readdress("host", (), ("10.78.0.2/24",))
        assert not do(found.moved)
        network.readdress("host", ("10.77.0.1/24", "10.78.0.2/24"), ())
        assert do(found.moved) and found.address == "fd77::1"
        network.readdress("host", (), ("10.77.0.1/24",))
        assert not do(found.moved)
        network.readdress("host", ("fd77::1/64", "10.77.0.1/24"), ())
        assert not do(found.moved) and found.address == "fd77::1"


def test_the_kernel_tells_of_a_change(network: Network) -> None:
    async def woken() -> bool:
        changes = Changes()
        add = [str(shutil.which("ip")), "address", "add", "10.77.0.5/24", "dev", "eth0"]
        try:
            await changes.wait(0.05)  # whatever the beginning brought
            changing = asyncio.get_running_loop().run_in_executor(None, lambda: subprocess.run([*network.words("host"), *add], check=True))
            async with asyncio.timeout(30):
                await changes.wait(60)
            await changing
        finally:
            changes.close()
        return True

    with network.inside("host") as do:
        assert do(lambda: asyncio.run(woken()))
