"""`locum token`: the right to join, as one line."""

from __future__ import annotations

import ipaddress
import re
import time
from typing import Any

import click

from bus import token as tokens
from bus.keys import Secret
from bus.messages import Issued, TokenRequest
from bus.question import Sds
from cli.cluster import answer, finds_cluster
from cli.outcome import Refused

ROLES = ("server", "operator", "viewer")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST_S = 30 * 86_400
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Duration(click.ParamType[Any]):
    """A whole number and its unit."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """In seconds."""
        if isinstance(value, int):
            return value
        form = re.fullmatch(r"(\d{1,9})([smhd])", str(value))
        seconds = int(form[1]) * _UNITS_S[form[2]] if form else 0
        if not 1 <= seconds <= _LONGEST_S:
            self.fail(f"{value!r}: write a number and its unit, as 90s, 10m, 2h or 1d; 30d at most", param, ctx)
        return seconds


class ServerName(click.ParamType[Any]):
    """A name as the cluster has them."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The same."""
        if not NAME.fullmatch(str(value)):
            self.fail(f"{value!r} is no name: use small letters, digits and hyphens, 63 at most", param, ctx)
        return str(value)


@click.command()
@click.option("--role", type=click.Choice(ROLES), default="server", show_default=True, help="What the newcomer will be.")
@click.option("--name", "for_name", metavar="NAME", type=ServerName(), help="Only under this name.  [default: any that is free]")
@click.option("--valid", metavar="DURATION", type=Duration(), default="1h", show_default=True, help="For so long: 90s, 10m, 2h, 1d.")
@click.option("--reach", metavar="ADDRESS", help="Where newcomers reach the SDS, if it is not where it listens.")
@finds_cluster
def token(sds: Sds, role: str, for_name: str | None, valid: int, reach: str | None) -> None:
    """Print a join token: one line, with which one newcomer may join, once.

    Whoever has the line may join with it, so send it as you would a password.
    It ends when it is used, when its time is over, or when your own key is
    revoked.

    \b
    Examples:
      ./locum token                            for a new server; then there: locum join TOKEN
      ./locum token --name http --valid 10m    only for the name http, for ten minutes
      ./locum token --role operator            for a colleague
    """
    secret = Secret.new()
    request = TokenRequest(public_key=secret.public, role=role, name=for_name, valid_s=float(valid))  # type: ignore[arg-type]
    issued = answer(sds, request, Issued)
    line = tokens.JoinToken(
        cluster=sds.cluster,
        number=issued.number,
        address=_reached(reach or issued.address, sds.address),
        port=issued.port,
        updates_port=issued.updates_port,
        sds_key=sds.public_key,
        secret=secret.z85,
        role=role,  # type: ignore[arg-type]
        name=for_name,
        expires_at=time.time() + valid,
    )
    click.echo(tokens.write(line))


def _reached(address: str, asked: str) -> str:
    """An SDS that listens everywhere is reached where the operator reached it."""
    try:
        everywhere = ipaddress.ip_address(address).is_unspecified
    except ValueError:
        everywhere = False
    if everywhere and address == asked:
        raise Refused(f"the SDS listens on {address}: say with --reach under which address newcomers reach it")
    return asked if everywhere else address
