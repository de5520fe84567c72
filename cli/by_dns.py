"""The SDS that DNS names, for a command: the first of its places that answers (RFC 2782)."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence

import click

from agent.finding import NameServer, NotFoundError, Place, find
from bus.messages import StatusRequest
from bus.question import Sds, Silence, ask
from cli.outcome import Unreachable

TRY_S = 1.5
"""Where several places are named, one that says nothing for so long is passed over."""


def located(sds: Sds, domains: Sequence[str], server: NameServer | None) -> Sds:
    """The SDS at the place that DNS names; raises `Unreachable`.

    Of several the one that answers a question is taken, so that an order is
    given once, and to somebody who hears it.
    """
    try:
        places = asyncio.run(find(domains, server))
    except NotFoundError as error:
        raise Unreachable(str(error)) from None
    if len(places) == 1:
        return _at(sds, places[0])
    for place in places:
        try:
            ask(_at(sds, place), StatusRequest(), TRY_S)
        except Silence:
            continue
        return _at(sds, place)
    tried = ", ".join(str(place) for place in places)
    raise Unreachable(f"none of the places that DNS names has answered ({tried}): does an SDS run there, and does it trust your key?")


def _at(sds: Sds, place: Place) -> Sds:
    return sds._replace(address=place.address, port=place.port)


def name_server(text: str | None) -> NameServer | None:
    """ADDRESS[:PORT] as a name server."""
    if text is None:
        return None
    from cli.cluster import split

    address, port = split(text, "--name-server", 53)
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise click.UsageError(f"--name-server {text}: write its address, not its name, as 192.0.2.53 or [2001:db8::53]:53") from None
    return NameServer(address, port)
