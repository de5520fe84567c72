"""`locum history`: what happened, a line an event."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import click

from bus.messages import History, HistoryRequest
from bus.question import Sds
from bus.timeline import concerns
from cli.cluster import answer, finds_cluster
from cli.events import written

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


class Ago(click.ParamType[float]):
    """How long ago, in seconds: 90s, 10m, 2h, 7d, or an instant of RFC 3339."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """A number of seconds, counted back from now."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d{1,9})([smhd])", value)
        if found:
            return int(found[1]) * _UNITS[found[2]]
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r}: write how long ago, as 90s, 10m, 2h or 7d, or an instant, as 2026-01-02T03:04:05", param, ctx)
        return max(0.0, (datetime.now(UTC) - instant.astimezone(UTC)).total_seconds())


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each event.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="At most this many, the newest.")
@click.option("--service", metavar="NAME", help="Only what happened to this service.")
@click.option("--server", metavar="NAME", help="Only what concerns this server.")
@click.option("--since", type=Ago(), metavar="WHEN", help="Only what is newer: 90s, 10m, 2h, 7d, or 2026-01-02T03:04:05.")
@finds_cluster
def history(sds: Sds, as_json: bool, limit: int, service: str | None, server: str | None, since: float | None) -> None:
    """What happened in the cluster, oldest first, in local time.

    \b
    Examples:
      ./locum history                     the last thousand events
      ./locum history --since 10m --service www
      ./locum history --server http --limit 20
      ./locum history --json | jq -c 'select(.kind == "granted") | .evidence'
    """
    try:
        question = HistoryRequest(limit=limit, service=named("--service", service), server=named("--server", server), since_s=since)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    for event in answer(sds, question, History).events:
        if concerns(event, service, server):  # an SDS of an earlier version does not choose
            click.echo(json.dumps(event, ensure_ascii=False) if as_json else written(event))


def named(option: str, name: str | None) -> str | None:
    """The name, if it can be one of a server or a service; raises `ValueError`."""
    if name is not None and not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
        raise ValueError(f"{option} {name}: no name: write small letters, digits and hyphens, as in ./locum status")
    return name
