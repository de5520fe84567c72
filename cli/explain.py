"""`locum explain`: why a service is where it is, and what would change that."""

from __future__ import annotations

import json

import click
import msgspec

from bus import explaining
from bus.explaining import Explanation
from bus.messages import History, HistoryRequest, Status, StatusRequest
from bus.question import Sds
from cli.cluster import answer, finds_cluster
from cli.events import clock_of, written
from cli.outcome import Refused

_EVENTS = 500
"""Of the service, the newest: its last change of holder is among them, unless much has been refused since."""


@click.command()
@click.argument("service")
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object, with the events it rests on.")
@finds_cluster
def explain(sds: Sds, service: str, as_json: bool) -> None:
    """Why SERVICE is where it is, who would be next, and why not the others.

    \b
    Examples:
      ./locum explain www
      ./locum explain www --json | jq .change.evidence
    """
    status = answer(sds, StatusRequest(), Status).status
    known = [row["name"] for row in status["services"]]
    if service not in known:
        raise Refused(f"there is no service {service!r}: the services are {', '.join(known) or 'none'}")
    try:
        events = answer(sds, HistoryRequest(limit=_EVENTS, service=service), History).events
    except Refused as refusal:  # the store is away: what is known without it is told all the same
        click.echo(f"locum: {refusal.message}", err=True)
        events = ()
    explanation = explaining.explain(status, events, service)
    assert explanation is not None
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(explanation), indent=2, ensure_ascii=False))
    else:
        click.echo(page(explanation))


def page(explanation: Explanation) -> str:
    """The explanation as people read it."""
    when = f", since {clock_of(explanation.change)}" if explanation.change else ""
    holder = explanation.holder
    blocks = [
        explanation.now,
        _block(f"Why it is there{when}:" if holder else f"Why it was last granted{when}:", explanation.why),
        _block("Since then:", [written(event) for event in explanation.since]),
        _block("Who would be next:", explanation.next),
        _block("Why not the others:", explanation.others),
        _block("What would make it move:" if holder else "What would have it served:", explanation.moves),
        _block("What is wrong:", explanation.wrong),
    ]
    return "\n\n".join(block for block in blocks if block)


def _block(head: str, sentences: tuple[str, ...] | list[str]) -> str:
    return "\n".join([head, *(f"  {sentence}" for sentence in sentences)]) if sentences else ""
