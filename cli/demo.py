"""`locum demo` and the verbs for a demo that runs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from cli.outcome import Refused, Unreachable
from cli.table import table
from demo.layout import PARTS

_part = click.argument("part", type=click.Choice(PARTS), metavar="PART")


@click.group(invoke_without_command=True)
@click.option("--state", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Keep keys, settings, data and logs there.")
@click.option("--story", is_flag=True, help="Play section 2 of the paper, check each step from outside, and end.")
@click.option("--monitor-port", type=click.IntRange(1, 65_535), metavar="PORT", help="Of the page in the browser.  [default: 8080]")
@click.pass_context
def demo(context: click.Context, state: Path | None, story: bool, monitor_port: int | None) -> int | None:
    """Start the paper's cluster on this machine; Ctrl-C ends it.

    Three servers, http, ftp and email, run www, ftp and mail for one another,
    with an SDS, a name server and a page in the browser.  No root is needed.  Its state is kept, by
    default below $XDG_STATE_HOME: a second start remembers the cluster.

    \b
    PART is one of: sds store dns monitor http ftp email

    \b
    Examples:
      ./locum demo                        start it, and leave it running
      ./locum demo --story                see servers fail and return; 0 if all was seen
      ./locum demo kill http              elsewhere: cut that server's power
      ./locum status                      another server serves www now
      ./locum demo start http             it comes back, and gets www back
      ./locum demo ps                     its processes
      dig @127.0.1.14 -p 10053 www.demo.locum.test
    """
    if context.invoked_subcommand is not None:
        if state is not None or story or monitor_port is not None:
            raise click.UsageError("--state, --story and --monitor-port are for starting a demo; the running one is found by itself")
        return None
    from demo import cluster
    from demo import story as play
    from demo.state import StateError, default_directory

    if story and monitor_port is not None:
        raise click.UsageError("--monitor-port: a story has no page")
    try:
        if story:
            return play.main(state)
        kind = cluster.Demo if monitor_port is None else partial(cluster.Demo, monitor_port=monitor_port)
        return cluster.main(state or default_directory(), kind)
    except (cluster.CannotStart, StateError) as error:
        raise Refused(str(error)) from None


def _order(verb: str, part: str | None = None, level: float | None = None) -> dict[str, object]:
    from bus.demo_control import NoAnswer
    from demo.control import order
    from demo.presence import running

    found = running()
    if found is None:
        raise Unreachable("no demo is running: start one with ./locum demo")
    try:
        reply = order(found, verb, part, level)
    except NoAnswer as silence:
        raise Unreachable(str(silence)) from None
    if reply["code"]:
        raise Refused(str(reply["text"]))
    return reply


@demo.command()
@_part
def kill(part: str) -> None:
    """A power cut: SIGKILL to all processes of PART at once.

    It stays dead until it is started again.  (The SDS starts its store again
    by itself.)

    \b
    Example:
      ./locum demo kill http              and see ./locum status --watch
    """
    _order("kill", part)


@demo.command()
@_part
def pause(part: str) -> None:
    """SIGSTOP to all processes of PART: it is there, and says nothing.

    \b
    Example:
      ./locum demo pause email            then: ./locum demo continue email
    """
    _order("pause", part)


@demo.command(name="continue")
@_part
def continue_(part: str) -> None:
    """SIGCONT to all processes of a paused PART.

    \b
    Example:
      ./locum demo continue email
    """
    _order("continue", part)


@demo.command()
@_part
def stop(part: str) -> None:
    """Stop PART cleanly, by SIGTERM: a server hands over first.

    \b
    Example:
      ./locum demo stop ftp               then: ./locum demo start ftp
    """
    _order("stop", part)


@demo.command()
@_part
def start(part: str) -> None:
    """Start a PART that was killed or stopped.

    \b
    Example:
      ./locum demo start http             it gets www back after two seconds
    """
    _order("start", part)


class _Level(click.ParamType[float | str]):
    """A load from 0 to 1, or the word off."""

    name = "level"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        if value == "off":
            return value
        try:
            level = float(value)
        except ValueError:
            level = -1.0
        if not 0.0 <= level <= 1.0:
            self.fail(f"{value!r} is neither a number from 0 to 1 nor off", param, ctx)
        return level


@demo.command()
@_part
@click.argument("level", type=_Level(), metavar="LEVEL|off")
def load(part: str, level: float | str) -> None:
    """Have a server report at least this loadlevel, 0 to 1, until off.

    PART is http, ftp or email.  Its services feel nothing of it; those that
    chose it as their secondary soon prefer another.  It lasts while the server
    runs: killed, stopped or ended, it comes back without.

    \b
    Examples:
      ./locum demo load email 0.9         www's secondary is another after some seconds
      ./locum demo load email off         and stays: both are as good now
    """
    _order("load", part, level if isinstance(level, float) else None)


@demo.command()
@click.option("--json", "as_json", is_flag=True, help="As a list of objects: part, role, pid.")
def ps(as_json: bool) -> None:
    """The processes of the running demo.

    \b
    Examples:
      ./locum demo ps
      ./locum demo ps --json | jq '.[] | select(.role == "guard")'
    """
    listed = _order("ps")["processes"]
    assert isinstance(listed, list)
    if as_json:
        click.echo(json.dumps(listed, indent=2))
    else:
        click.echo(table(("PART", "ROLE", "PID"), [(row["part"], row["role"], str(row["pid"])) for row in listed]))
