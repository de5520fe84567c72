"""An SDS that DNS names: found, tried, left for the next when it says nothing (P19).

    asking --places--> trying the first --silent for PATIENCE_S--> trying the next ... --none left--> asking
       ^                     |
       +--no place, RETRY_S--+

It goes on for ever: an SDS that falls silent may have moved.  Guard and runner
always speak to the same place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from agent.finding import NameServer, NotFoundError, Place, find
from bus.config import AgentConfig

PATIENCE_S = 5.0
"""A place where nobody speaks for so long is left for the next one."""

RETRY_S = 2.0
"""Between two questions to the name server that led to nothing."""

REPEAT_S = 60.0
"""At most so often it is said that nothing is found, unless for another reason."""


def search(config: AgentConfig) -> tuple[list[str], NameServer | None]:
    """In which domains an agent of these settings looks for its SDS, and whom it asks; none: what this host has.

    In a zone whose authority the settings name, that one is asked.
    """
    dns = config.dns
    domain = config.sds.domain or (dns.zone if dns else None)
    if domain is None:
        return [], None
    plain = domain.rstrip(".").lower()
    own = dns is not None and f".{plain}".endswith(f".{dns.zone.rstrip('.').lower()}")
    return [plain], NameServer(dns.server, dns.port) if dns is not None and own else None


class Seeking:
    """Where to speak to the SDS."""

    def __init__(self, config: AgentConfig, log: Callable[[str], None]) -> None:
        self._domains, self._server = search(config)
        self._log = log
        self._said: tuple[str, float] = ("", float("-inf"))
        self.place: Place | None = None

    async def run(self, heard_at: Callable[[], float], go: Callable[[Place], None]) -> None:
        """For ever.  `heard_at`: when an SDS last spoke; `go`: speak to it there from now on."""
        left: list[Place] = []
        tried_at = float("-inf")
        while True:
            due = max(tried_at, heard_at()) + PATIENCE_S
            if _now() < due:
                await asyncio.sleep(due - _now())
                continue
            left = left or await self._places()
            if not left:
                await asyncio.sleep(RETRY_S)
                continue
            place, tried_at = left.pop(0), _now()
            if place != self.place:
                self.place = place
                self._log(f"DNS says that the SDS is at {place}" + (f", or at {len(left)} other places" if left else ""))
                go(place)

    async def _places(self) -> list[Place]:
        try:
            return await find(self._domains, self._server)
        except NotFoundError as error:
            text, at = self._said
            if str(error) != text or _now() - at >= REPEAT_S:
                self._log(f"{error}; asking again every {RETRY_S:g} s")
                self._said = (str(error), _now())
            return []


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
