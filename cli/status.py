"""`locum status`: who is here, and who serves what."""

from __future__ import annotations

import json
import sys
import time

import click

from bus.messages import Status, StatusRequest
from bus.question import Sds
from cli.cluster import answer, finds_cluster
from cli.outcome import Unreachable
from cli.table import page

_WATCH_S = 1.0
_HOME_AND_CLEAR = "\x1b[H\x1b[J"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The whole status as JSON.")
@click.option("--watch", is_flag=True, help="Again every second, until Ctrl-C.")
@finds_cluster
def status(sds: Sds, as_json: bool, watch: bool) -> None:
    """Who is here, who serves what, and what is wrong.

    \b
    Examples:
      ./locum status                      of the demo on this machine
      ./locum status --watch              again every second
      ./locum status --json | jq -r '.services[] | .name + " " + .holder'
      ./locum status --sds 192.0.2.10 --key me.key --sds-key sds.key.pub
    """
    if not watch:
        found = answer(sds, StatusRequest(), Status).status
        click.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else page(found))
        return
    try:
        while True:
            _show_again(sds, as_json)
            time.sleep(_WATCH_S)
    except KeyboardInterrupt:
        return


def _show_again(sds: Sds, as_json: bool) -> None:
    """One look of a watch: an SDS that is away for a moment ends it not."""
    try:
        found = answer(sds, StatusRequest(), Status).status
    except Unreachable as silence:
        click.echo(f"locum: {silence.message}", err=True)
        return
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        click.echo((_HOME_AND_CLEAR if sys.stdout.isatty() else "") + page(found) + ("" if sys.stdout.isatty() else "\n"))
