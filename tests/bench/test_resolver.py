"""The client's resolver: asks anew each time, and keeps what it knows while nobody can say (RFC 8767)."""

from __future__ import annotations

import asyncio
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import pytest

from bench.asking import Resolver


class NameServer(asyncio.DatagramProtocol):
    """Answers as it is told: an address, a status, or nothing."""

    says: str | dns.rcode.Rcode | None = "192.0.2.1"
    line: Any = None

    def connection_made(self, transport: Any) -> None:
        self.line = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self.says is None:
            return
        reply = dns.message.make_response(dns.message.from_wire(data))
        if isinstance(self.says, str):
            reply.answer.append(dns.rrset.from_text("www.test.", 1, "IN", "A", self.says))
        else:
            reply.set_rcode(self.says)
        self.line.sendto(reply.to_wire(), addr)


async def looked_up(*answers: str | dns.rcode.Rcode | None) -> str:
    """What a client has after the name server said this."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    line, resolver = await loop.create_datagram_endpoint(lambda: Resolver("www.test."), remote_addr=transport.get_extra_info("sockname"))
    try:
        for server.says in answers:
            found = await resolver.look_up()
        return found
    finally:
        line.close()
        transport.close()


@pytest.mark.parametrize("fault", [None, dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_what_is_known_is_kept_while_the_name_server_cannot_say(fault: dns.rcode.Rcode | None) -> None:
    assert asyncio.run(looked_up("192.0.2.1", fault)) == "192.0.2.1"
    assert asyncio.run(looked_up("192.0.2.1", fault, "192.0.2.2")) == "192.0.2.2"
    with pytest.raises(TimeoutError):
        asyncio.run(looked_up(fault))


def test_a_name_that_is_gone_is_gone() -> None:
    assert asyncio.run(looked_up("192.0.2.1", dns.rcode.NXDOMAIN)) == ""
