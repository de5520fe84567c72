"""The twin of `agent/dns.py`: the same names without a network, for tests and the simulator.

Every writer has a `NamesTwin` of its own; they share a `ZoneTwin`.  Between
reading and writing another may come first, as with the real ones.
"""

from __future__ import annotations

import asyncio

import msgspec

from agent.dns import RACES, Named, NoAnswerError, Outcome, RefusalError, Refused, Registered, Stale, Unreachable, valid_address
from agent.nameplate import Answer


class NodeTwin(msgspec.Struct, frozen=True):
    """What stands at a name."""

    address: str
    epoch: int | None = None


class ZoneTwin:
    """The authority: what it holds, and whether it answers."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeTwin] = {}
        self.reachable = True


class NamesTwin:
    """A `NameWriter` on a `ZoneTwin`."""

    def __init__(self, zone: ZoneTwin) -> None:
        self._zone = zone

    async def point(self, fqdn: str, address: str, epoch: int) -> Outcome:
        """As `Names.point`."""
        return await self._write(fqdn, address, epoch)

    async def register(self, fqdn: str, address: str) -> Registered:
        """As `Names.register`."""
        outcome = await self._write(fqdn, address, None)
        assert not isinstance(outcome, Stale), "only a service's name is stale"
        return outcome

    async def look_up(self, fqdn: str) -> list[str]:
        """As `Names.look_up`."""
        if not self._zone.reachable:
            raise NoAnswerError("name server twin: no answer")
        node = self._zone.nodes.get(fqdn.lower())
        return [node.address] if node else []

    async def answers(self, fqdn: str) -> tuple[Answer, ...]:
        """As `Names.answers`; the twin's zone has one authority."""
        try:
            return (Answer("twin", tuple(await self.look_up(fqdn))),)
        except NoAnswerError as error:
            return (Answer("twin", None, str(error)),)

    async def _write(self, fqdn: str, address: str, epoch: int | None) -> Outcome:
        try:
            spelt = valid_address(address)
        except RefusalError as error:
            return Refused(reason=str(error))
        for _ in range(RACES):
            if not self._zone.reachable:
                return Unreachable(reason="name server twin: no answer")
            read = self._zone.nodes.get(fqdn.lower())
            if read is not None and read.epoch is not None:
                if epoch is None:
                    return Refused(reason=f"{fqdn}: is a service's name, it bears an epoch: give the server another name")
                if read.epoch > epoch:
                    return Stale(fqdn=fqdn, epoch=read.epoch)
            wanted = NodeTwin(spelt, epoch)
            if read == wanted:
                return Named(fqdn=fqdn, address=address, epoch=epoch, changed=False)
            await asyncio.sleep(0)  # here another may come first
            if self._zone.reachable and self._zone.nodes.get(fqdn.lower()) == read:
                self._zone.nodes[fqdn.lower()] = wanted
                return Named(fqdn=fqdn, address=address, epoch=epoch)
        return Refused(reason=f"{fqdn}: others changed the name {RACES} times in the middle of our change")
