"""`locum history`: what happened, a line an event."""

from __future__ import annotations

import json

import click

from bus.messages import History, HistoryRequest
from cli.cluster import answer, finds_cluster
from cli.events import written
from cli.question import Sds


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each event.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="At most this many, the newest.")
@finds_cluster
def history(sds: Sds, as_json: bool, limit: int) -> None:
    """What happened in the cluster, oldest first, in local time.

    \b
    Examples:
      ./locum history                     the last thousand events
      ./locum history --limit 20          the last twenty
      ./locum history --json | jq -c 'select(.service == "www")'
    """
    for event in answer(sds, HistoryRequest(limit=limit), History).events:
        click.echo(json.dumps(event, ensure_ascii=False) if as_json else written(event))
