"""What an operator may order: drain, resume, move, confirm-dead."""

from __future__ import annotations

import sys

import click
import msgspec

from bus.messages import Accepted, Order
from bus.question import Sds
from bus.values import Name
from cli.cluster import answer, finds_cluster
from cli.outcome import Refused


class NameType(click.ParamType[str]):
    """The name of a server or service, looked at before anyone is asked about it."""

    name = "name"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name; a usage error says what a name is made of."""
        try:
            return msgspec.convert(value, Name)
        except msgspec.ValidationError:
            self.fail(f"{value!r} is no name: names are of small letters, digits and hyphens, 63 at most", param, ctx)


NAME = NameType()


def _give(sds: Sds, order: Order) -> None:
    click.echo(answer(sds, order, Accepted).text)


@click.command()
@click.argument("server", type=NAME)
@finds_cluster
def drain(sds: Sds, server: str) -> None:
    """Let SERVER hold nothing: hand over what it runs.

    Each of its services moves to the best candidate by a planned move.  The server
    stays in the cluster, and holds nothing until it is resumed.

    \b
    Examples:
      ./locum drain http              before work on that machine
      ./locum status --watch          see when it holds nothing
      ./locum resume http             afterwards
    """
    _give(sds, Order(verb="drain", server=server))


@click.command()
@click.argument("server", type=NAME)
@finds_cluster
def resume(sds: Sds, server: str) -> None:
    """Let SERVER hold services again, after a drain.

    \b
    Example:
      ./locum resume http             its own services come home by failback
    """
    _give(sds, Order(verb="resume", server=server))


@click.command()
@click.argument("service", type=NAME)
@click.argument("server", type=NAME, required=False)
@finds_cluster
def move(sds: Sds, service: str, server: str | None) -> None:
    """Move SERVICE to SERVER in an orderly way, or to the best candidate.

    The target is made the secondary first, so that a failure on the way is an
    ordinary failover.

    \b
    Examples:
      ./locum move www email          to that server
      ./locum move www                to the best candidate
    """
    _give(sds, Order(verb="move", service=service, server=server))


@click.command(name="confirm-dead")
@click.argument("server", type=NAME)
@click.option("--yes", is_flag=True, help="Do not ask at the terminal.")
@finds_cluster
def confirm_dead(sds: Sds, server: str, yes: bool) -> None:
    """Vouch that SERVER is dead: powered off, or cut off for good.

    Needed only when a holder and its secondary fell silent together, for then
    nobody can tell whether they still serve.  If you are wrong, two servers may
    run one service: look at the machine first.  At a terminal it is asked again;
    a script is warned on standard error.

    \b
    Examples:
      ./locum confirm-dead http       after its power was cut by hand
      ./locum confirm-dead http --yes without the question
    """
    if not yes:
        _warn_of(server)
    _give(sds, Order(verb="confirm-dead", server=server))


def _warn_of(server: str) -> None:
    """Whoever sits at a terminal must say yes; raises `Refused` if not."""
    click.echo(f"locum: if {server} still runs somewhere, two servers may run one service from now on", err=True)
    if not sys.stdin.isatty():
        return
    try:
        sure = click.confirm(f"Is {server} powered off, or cut off for good?", err=True)
    except click.Abort:
        sure = False
    if not sure:
        raise Refused(f"nothing was ordered: {server} counts as it did before")
