"""`locum leave` and `locum revoke`: a server that goes, a key that is trusted no more."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from bus import keys
from bus.config import AgentConfig, ConfigError, parse
from bus.messages import Accepted, Leave, Leaving, Revoke
from bus.question import Sds
from cli.cluster import answer, find, finds_cluster, of_agent
from cli.cluster import options as cluster_options
from cli.join import SETTINGS
from cli.outcome import Misconfigured, Refused
from cli.unit import UNIT

_AGAIN_S = 0.5


@click.command()
@click.argument("server", required=False)
@click.option("--force", is_flag=True, help="Though it holds something: others take that over when its leases are over.")
@click.option("--within", metavar="SECONDS", type=click.IntRange(1, 86_400), default=120, show_default=True, help="Hand over in so long.")
@cluster_options
def leave(server: str | None, force: bool, within: int, **where: Any) -> None:
    """Let SERVER leave the cluster; on a server, without SERVER, this one.

    It hands over what it holds first.  Then it is no candidate any more, its
    key is revoked, and its name is free for a newcomer.  Its agent is heard by
    nobody then: stop it, and keep it from starting.

    \b
    Examples:
      ./locum leave                            on the server itself, as root
      ./locum leave http                       by an operator; also when http is long dead
      ./locum leave http --force               without waiting: see locum revoke
    """
    if server is None:
        sds, server = _as_this_server(where.get("config"))
    else:
        sds = find(where["sds"], where["key"], where["sds_key"], where["name"], where["cluster"], where["config"])
    until_at = time.monotonic() + within
    told = ""
    while True:
        said = answer(sds, Leave(server=server, force=force), Leaving)
        if said.text != told:
            told = said.text
            click.echo(told)
        if said.left:
            if sds.part == "member":
                click.echo(f"stop the agent here (systemctl disable --now {UNIT.stem}); its settings and its key are of no more use")
            return
        if time.monotonic() > until_at:
            raise Refused(
                f"{server} still holds something after {within} s, and is drained: give the command again, or locum resume {server}"
            )
        time.sleep(_AGAIN_S)


@click.command()
@click.argument("server", required=False)
@click.option("--operator", metavar="NAME", help="The key of this operator.")
@click.option("--viewer", metavar="NAME", help="The key of this viewer.")
@finds_cluster
def revoke(sds: Sds, server: str | None, operator: str | None, viewer: str | None) -> None:
    """Trust the key of SERVER no more, at once; or that of a person.

    For a key that may be in wrong hands.  A server is heard no more, by the
    SDS and, as the table reaches them, by the others: what it held is taken
    over as if it had died.  Tokens that a revoked operator made and nobody
    used are void.

    \b
    Examples:
      ./locum revoke http
      ./locum revoke --operator anna
    """
    meant = [(role, name) for role, name in (("server", server), ("operator", operator), ("viewer", viewer)) if name is not None]
    if len(meant) != 1:
        raise click.UsageError("name one: a SERVER, or --operator NAME, or --viewer NAME")
    role, name = meant[0]
    click.echo(answer(sds, Revoke(role=role, name=name), Accepted).text)  # type: ignore[arg-type]


def _as_this_server(config: str | None) -> tuple[Sds, str]:
    """Speaking with this server's own key."""
    path = Path(config or SETTINGS)
    try:
        settings = parse(path.read_text(encoding="utf-8"), AgentConfig, str(path))
        sds = of_agent(settings, keys.load_secret(Path(settings.key_file)), settings.name)
    except ConfigError as error:
        raise Misconfigured(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise Misconfigured(
            f"{path}: cannot be read: {why}: on a server name its settings with --config; elsewhere name the SERVER"
        ) from None
    return sds._replace(part="member"), settings.name
