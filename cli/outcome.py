"""The ways in which a command can fail, each with its exit code (DESIGN section 9)."""

from __future__ import annotations

from typing import IO, Any

import click


class Failure(click.ClickException):
    """One line on stderr, nothing on stdout."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line."""
        click.echo(f"locum: {self.message}", err=True)


class Refused(Failure):
    """The order is not carried out."""

    exit_code = 1


class Misconfigured(Failure):
    """A file or an option cannot be used; nothing was started."""

    exit_code = 2


class Unreachable(Failure):
    """Nobody answers for the cluster."""

    exit_code = 3
