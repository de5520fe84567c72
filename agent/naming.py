"""All names that a server writes or looks at: its own, those of what it serves, those that nobody serves (P5).

For a service that nobody serves, or whose holder is silent, the first of the
servers that are up looks what the name server answers, so that the status can
show where its clients are sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.nameplate import NameAnswered, Nameplate, NameWritten
from bus.step import NEVER, Tick
from bus.values import NameState, ServerRow, ServiceDefinition, ServiceRow

OWN = None
"""In the place of a service: the server's own name."""


class Naming:
    """The names of one server."""

    def __init__(self, authorities: int, own_name: str | None) -> None:
        """`authorities`: how many there are to ask; `own_name`: the server's FQDN, None if it is to have none."""
        self._looks = authorities > 0
        self._own_name = own_name
        self._plates: dict[str | None, Nameplate] = {}
        self._served: set[str] = set()

    @property
    def wake_at(self) -> float:
        """When to step with a `Tick`."""
        return min((plate.wake_at for plate in self._plates.values()), default=NEVER)

    def step(self, event: Any, now: float) -> list[Any]:
        """One event; what to do about it."""
        actions: list[Any] = []
        match event:
            case NameWritten():
                if event.service in self._plates:
                    actions += self._plates[event.service].written(event, now)
            case NameAnswered():
                if event.service in self._plates:
                    actions += self._plates[event.service].answered(event, now)
            case Tick():
                pass
            case _:
                raise AssertionError(f"names know no {event!r}")
        for plate in self._plates.values():
            actions += plate.due(now)
        return actions

    # -- what is wanted

    def be_at(self, address: str, now: float) -> None:
        """The server is there: its own name shall say so (P20)."""
        if self._own_name is not None and address:
            self._plate(OWN, self._own_name, now).want(address, None, now)

    def serve(self, definition: ServiceDefinition, address: str, epoch: int, now: float) -> None:
        """The service answers here, under this epoch: its name shall say so."""
        self._served.add(definition.name)
        self._plate(definition.name, definition.fqdn, now).want(address, epoch, now)

    def withdraw(self, service: str) -> None:
        """The service is no longer ours to name.  What stands there stays, for the next holder to replace."""
        self._served.discard(service)
        self._plates.pop(service, None)

    def watch(self, name: str, services: Iterable[ServiceRow], servers: Mapping[str, ServerRow], now: float) -> None:
        """Look at the names of what nobody serves, if this server is the first that is up."""
        up = sorted(row.name for row in servers.values() if row.state != "silent")
        first = self._looks and up[:1] == [name]
        wanted = {row.definition.name: row.definition.fqdn for row in services if first and _unserved(row, servers)}
        for service in [s for s in self._plates if s is not OWN and s not in self._served and s not in wanted]:
            del self._plates[service]
        for service, fqdn in wanted.items():
            if service not in self._served:
                self._plate(service, fqdn, now)

    def _plate(self, service: str | None, fqdn: str, now: float) -> Nameplate:
        plate = self._plates.get(service)
        if plate is None or plate.fqdn != fqdn:
            plate = self._plates[service] = Nameplate(service, fqdn, self._looks, now)
        return plate

    # -- what is so

    def addresses(self) -> dict[str, str]:
        """What the primary authority answers now, for each service that is served or looked at here."""
        found = {}
        for service, plate in self._plates.items():
            answers = plate.answers[0].addresses if plate.answers else None
            if service is not None and answers:
                found[service] = answers[0]
        return found

    def states(self, now: float) -> dict[str, NameState]:
        """How far each name of a service is."""
        states = {service: plate.state(now) for service, plate in self._plates.items() if service is not None}
        return {service: state for service, state in states.items() if state is not None}

    def own_state(self, now: float) -> NameState | None:
        """How far the server's own name is."""
        plate = self._plates.get(OWN)
        return plate.state(now) if plate else None


def _unserved(row: ServiceRow, servers: Mapping[str, ServerRow]) -> bool:
    holder = servers.get(row.holder or "")
    return row.state == "unserved" or holder is None or holder.state == "silent"
