"""All commands; each is imported only when it is meant."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click

from cli import VERSION

_COMMANDS = {
    "demo": "cli.demo",
    "status": "cli.status",
    "history": "cli.history",
    "explain": "cli.explain",
    "drain": "cli.orders",
    "resume": "cli.orders",
    "move": "cli.orders",
    "confirm-dead": "cli.orders",
    "token": "cli.token",
    "join": "cli.join",
    "leave": "cli.leave",
    "revoke": "cli.leave",
    "sds": "cli.parts",
    "agent": "cli.parts",
    "monitor": "cli.parts",
    "test": "cli.suite",
}


class Commands(click.Group):
    """The commands in the order in which one meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; its function's name is its own with underscores."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(_COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="locum", message="%(prog)s %(version)s")
def locum() -> None:
    """A high-availability cluster that configures itself.

    Servers register, choose their own stand-ins, watch each other, take over
    and hand back.  Nobody writes a failover plan.

    \b
    See it work, on this machine and without root:
      ./locum demo                  start the paper's cluster; Ctrl-C ends it
      ./locum status --watch        elsewhere: who serves what
      ./locum demo kill http        a power cut: another server takes over www
      ./locum demo start http       and hands it back

    \b
    Exit codes:
      0  done
      1  refused, the reason on stderr
      2  wrong usage, or a config that cannot be used
      3  the cluster cannot be reached
    """


def run(words: Sequence[str]) -> int:
    """Run one command line; returns its exit code.  A closed pipe is the caller's, as `BrokenPipeError`."""
    try:
        with locum.make_context("locum", list(words)) as context:
            result = locum.invoke(context)
            return result if isinstance(result, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as failure:
        failure.show()
        return failure.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
