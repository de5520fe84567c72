"""`locum files`: what is in the database of files, and how to change it (P4)."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.database import FilesAway, NotStored
from agent.disk import Disk, DiskError
from agent.files import Files
from agent.manifest import Entry, Manifest, ManifestError
from agent.shelf_events import Head
from agent.staging import Record, plan
from bus.config import ConfigError
from cli.files_where import Where, where
from cli.filing import Filed, changed
from cli.orders import NAME
from cli.outcome import Misconfigured, Refused, Unreachable
from cli.table import table

_config = click.option("--config", metavar="FILE", help="The settings of an agent or of the SDS.  [default: the demo that runs here]")
_json = click.option("--json", "as_json", is_flag=True, help="For programs: a line for each.")


@click.group()
def files() -> None:
    """The files of services: what is stored, and how to change it.

    A service's files, as `files` in its section names them, are stored by its
    holder and brought to its secondary.  A file that is put here reaches both.

    \b
    Examples:
      ./locum files list                             which services have files
      ./locum files list www                         each of them
      ./locum files show www                         its versions
      ./locum files put www /srv/www/index.html      store that file as it is here
      ./locum files get www --to /tmp/www            a copy
    """


def _asking(command: Callable[[Files, Where], None], config: str | None, service: str | None = None) -> None:
    """Speak to the database that is meant; whatever goes wrong is one line and an exit code."""
    place = where(config, service)
    try:
        database = Files(place.settings, place.cluster)
    except ConfigError as error:
        raise Misconfigured(str(error)) from None
    try:
        command(database, place)
    except FilesAway as away:
        raise Unreachable(str(away)) from None
    except (ManifestError, NotStored, DiskError) as error:
        raise Refused(str(error)) from None
    finally:
        database.close()


def _newest(database: Files, service: str) -> tuple[Head, Manifest]:
    heads = database.heads()
    if service not in heads:
        known = f"those of {', '.join(sorted(heads))} are" if heads else "none are"
        raise Refused(f"the files of {service} are not in the database ({known}): its holder stores the first version")
    return heads[service], database.manifest(service, heads[service].version)


@files.command(name="list")
@click.argument("service", type=NAME, required=False)
@_config
@_json
def list_(service: str | None, config: str | None, as_json: bool) -> None:
    """The services that have files, or the files of SERVICE."""

    def command(database: Files, _: Where) -> None:
        if service is None:
            _print(
                ("SERVICE", "VERSION", "NO.", "FILES", "BYTES", "STORED", "BY"),
                [_summary(database, n) for n in sorted(database.heads())],
                as_json,
            )
        else:
            _print(("PATH", "MODE", "OWNER", "BYTES"), [_line(entry) for entry in _newest(database, service)[1].entries], as_json)

    _asking(command, config)


def _summary(database: Files, service: str) -> tuple[Any, ...]:
    head, manifest = _newest(database, service)
    return service, head.version[:12], head.number, manifest.files, manifest.size, head.at, head.by


def _line(entry: Entry) -> tuple[Any, ...]:
    owner = f"{entry.owner}:{entry.group}" if entry.owner or entry.group else "-"
    return entry.path + ("/" if entry.kind == "directory" else ""), f"{entry.mode:04o}", owner, entry.size


def _print(head: tuple[str, ...], rows: list[tuple[Any, ...]], as_json: bool) -> None:
    if as_json:
        for row in rows:
            click.echo(json.dumps({name.lower().rstrip("."): value for name, value in zip(head, row, strict=True)}, ensure_ascii=False))
    else:
        click.echo(table(head, [[str(cell) for cell in row] for row in rows]))


@files.command()
@click.argument("service", type=NAME)
@_config
@_json
def show(service: str, config: str | None, as_json: bool) -> None:
    """The versions of SERVICE's files that are kept, newest first, and where they lie."""

    def command(database: Files, _: Where) -> None:
        head, manifest = _newest(database, service)
        versions = database.versions(service)
        if as_json:
            told = {"service": service, "version": head.version, "paths": manifest.paths, "files": manifest.files, "bytes": manifest.size}
            click.echo(json.dumps(told | {"versions": msgspec.to_builtins(versions)}, ensure_ascii=False))
            return
        click.echo(f"{service}: {manifest.files} files, {manifest.size} bytes, at {', '.join(manifest.paths) or 'no path'}\n")
        _print(
            ("VERSION", "NO.", "STORED", "BY", "EPOCH"), [(v.version[:12], v.number, v.at, v.by, v.epoch or "-") for v in versions], False
        )

    _asking(command, config)


@files.command()
@click.argument("service", type=NAME)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--into", metavar="DIR", help="The service's directory into which they go.  [default: where they lie, else its only one]")
@_config
def put(service: str, paths: tuple[str, ...], into: str | None, config: str | None) -> None:
    """Store each PATH of this machine as a file of SERVICE: a new version.

    A path of the service's own is read below `root` of [files].  A directory
    takes the place of what was below it.  Mode and owner of a file that was
    there already stay.

    \b
    Examples:
      ./locum files put www /srv/www/index.html
      ./locum files put www ./draft.html --into /srv/www
    """

    def command(database: Files, place: Where) -> None:
        head, before = _newest(database, service)
        after, sources = changed(before, [Filed.of(path, into, before, place) for path in paths])
        if after == before:
            raise Refused(f"{service} has them just so already: nothing was stored")
        lacking = set(database.lacking(after.chunks))
        disk = Disk("/")
        for entry in after.entries:
            if not lacking.isdisjoint(entry.chunks):
                source = sources[entry.path]
                if tuple(database.put(piece) for piece in disk.pieces(source, (source,))) != entry.chunks:
                    raise DiskError(f"{source}: changes while it is stored: nothing was")
        stored = database.commit(after, head.version, 0, _who())
        click.echo(f"{service}: version {stored.version[:12]}, number {stored.number}")

    _asking(command, config, service)


def _who() -> str:
    try:
        return getpass.getuser()[:100]
    except (KeyError, OSError):
        return f"user {os.getuid()}"


@files.command()
@click.argument("service", type=NAME)
@click.option("--to", "directory", metavar="DIR", help="Where to.  [default: a directory SERVICE here]")
@_config
def get(service: str, directory: str | None, config: str | None) -> None:
    """Write a copy of SERVICE's files below DIR; what is there and different is not overwritten."""

    def command(database: Files, _: Where) -> None:
        target = Path(directory or service).absolute()
        head, manifest = _newest(database, service)
        disk = Disk(str(target))
        tree = disk.look(manifest.paths)
        steps = plan(manifest, head.version, tree, Record(service=service))
        if steps.foreign:
            raise Refused(f"{target}{steps.foreign[0].path}: is there already, and differs: name another --to, or move it away")
        disk.stage(manifest.paths, steps, tree, database.chunk, lambda: None)
        click.echo(f"{service}: version {head.version[:12]}, {manifest.files} files below {target}")

    _asking(command, config)
