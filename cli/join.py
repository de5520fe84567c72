"""`locum join`: all that is to be set up on a new server (P19)."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from datetime import datetime
from pathlib import Path

import click

from bus import token as tokens
from bus.addresses import own_address
from bus.config import AgentConfig, ConfigError, parse
from bus.files_settings import NO_DATABASE
from bus.keys import Secret
from bus.messages import Join, Joined, Rejection
from bus.question import Sds, Silence, ask
from bus.token import JoinToken
from cli import unit as units
from cli.joining import Files, JoiningError, agent_settings, directory, person_settings, put
from cli.outcome import Misconfigured, Refused, Unreachable
from cli.token import NAME, ServerName

SETTINGS = "/etc/locum/agent.toml"
STATE = "/var/lib/locum"


@click.command()
@click.argument("token")
@click.option("--name", metavar="NAME", type=ServerName(), help="Your name in the cluster.  [default: the token's, else this host's]")
@click.option("--address", metavar="A", help="Its address, auto, or interface:NAME.  [default: from where it reaches the SDS]")
@click.option("--config", metavar="FILE", help=f"Where to write the settings.  [default: {SETTINGS}]")
@click.option("--state-dir", metavar="DIR", default=STATE, show_default=True, help="Where the agent keeps its state.")
@click.option("--unit", metavar="FILE", help=f"Where to write a systemd unit.  [default, where systemd runs: {units.UNIT}]")
def join(token: str, name: str | None, address: str | None, config: str | None, state_dir: str, unit: str | None) -> None:
    """Join the cluster with a TOKEN from `locum token`; - reads it from standard input.

    On a new server this is all the set-up: it makes the server's key, has the
    SDS trust it, writes the agent's settings and a systemd unit, and says what
    the server can back up.  Given again after a failure, it goes on where it
    was.  With a token for people it writes a file for your shell.

    \b
    Examples:
      ./locum join locum1-...                  then: systemctl enable --now locum-agent
      ./locum join locum1-... --name http --address 192.0.2.11
      ./locum join - --config ./agent.toml --state-dir ./state < token
    """
    try:
        read = tokens.read(sys.stdin.readline() if token == "-" else token)
    except tokens.TokenError as error:
        raise Misconfigured(str(error)) from None
    called = _name(read, name)
    try:
        if read.role == "server":
            _join_server(read, called, _address(read, address), Files(Path(config or SETTINGS)), Path(state_dir), unit)
        else:
            _join_person(read, called, Files(Path(config) if config else _home() / f"{read.cluster}.env"))
    except ConfigError as error:
        raise Misconfigured(str(error)) from None
    except JoiningError as error:
        raise Refused(str(error)) from None


def _join_server(token: JoinToken, name: str, address: str, files: Files, state_dir: Path, unit: str | None) -> None:
    secret = files.prepare()
    directory(state_dir, 0o700)
    joined = _ask(token, name, secret)
    try:
        text = agent_settings(token, joined, files, address, state_dir)
        put(files.sds_key, token.sds_key + "\n", 0o644)
        for setting, content in joined.secrets.items():
            put(files.secret(setting), content, 0o600)
        unit_line = _put_unit(Path(unit) if unit else None, files, joined, token)
        put(files.settings, text, 0o644, new=True)
    except (JoiningError, ConfigError) as error:
        raise Refused(f"{name} joined, but {error}; then give this command again") from None
    click.echo(f"{name} joined cluster {token.cluster}; its address is {address}")
    click.echo(f"settings: {files.settings}, key: {files.key}")
    for line in _abilities(files, joined):
        click.echo(line)
    if "dns" not in joined.settings:
        click.echo("names: no name server came with the answer: give [dns] in the settings, or clients must find services otherwise")
    click.echo(unit_line)


def _join_person(token: JoinToken, name: str, files: Files) -> None:
    secret = files.prepare()
    joined = _ask(token, name, secret)
    try:
        put(files.sds_key, token.sds_key + "\n", 0o644)
        put(files.settings, person_settings(token, joined, files), 0o644, new=True)
    except JoiningError as error:
        raise Refused(f"{name} joined, but {error}; then give this command again") from None
    click.echo(f"{name} is {token.role} of cluster {token.cluster} now; in your shell: . {files.settings}; locum status")


def _ask(token: JoinToken, name: str, secret: Secret) -> Joined:
    """The SDS's yes; raises `Refused` or `Unreachable`."""
    sds = Sds(token.cluster, token.address, token.port, token.sds_key, Secret(token.secret), f"token-{token.number}", "joiner")
    try:
        reply = ask(sds, Join(public_key=secret.public, name=name))
    except Silence as silence:
        if not _listens(token):
            raise Unreachable(f"{silence} Nothing was changed.".replace(", and does it trust your key?", "?")) from None
        over = time.time() > token.expires_at
        until = datetime.fromtimestamp(token.expires_at).strftime("%Y-%m-%d %H:%M")
        why = f"it expired on {until}" if over else "it was withdrawn, or made by another SDS (one with another key)"
        raise Refused(
            f"something listens at {token.address}:{token.port} and does not know this token: {why}: let an operator make another"
        ) from None
    if isinstance(reply, Rejection):
        raise Refused(reply.text)
    assert isinstance(reply, Joined)
    return reply


def _listens(token: JoinToken) -> bool:
    try:
        socket.create_connection((token.address, token.port), 2.0).close()
    except OSError:
        return False
    return True


def _name(token: JoinToken, name: str | None) -> str:
    if name and token.name and name != token.name:
        raise Misconfigured(f"this token is for the name {token.name}, not {name}: leave --name out")
    found = name or token.name or (socket.gethostname().partition(".")[0].lower() if token.role == "server" else os.environ.get("USER", ""))
    if not NAME.fullmatch(found):
        raise Misconfigured(f"{found!r} cannot be a name in the cluster: give one with --name (small letters, digits and hyphens)")
    return found


def _address(token: JoinToken, address: str | None) -> str:
    """What the settings are to say: as given, or the one from which the SDS is reached."""
    if token.role != "server":
        return ""
    try:
        if address is None:
            kind = socket.AF_INET6 if ":" in token.address else socket.AF_INET
            with socket.socket(kind, socket.SOCK_DGRAM) as line:
                line.connect((token.address, token.port))
                return str(line.getsockname()[0])
        own = own_address(address)
        if own.literal is not None:
            with socket.socket(socket.AF_INET6 if ":" in own.literal else socket.AF_INET, socket.SOCK_STREAM) as door:
                door.bind((own.literal, 0))
    except ValueError as error:
        raise Misconfigured(f"--address: {error}") from None
    except OSError as error:
        if address is None:
            where = f"{token.address}: {error.strerror}"
            raise Unreachable(f"there is no way from here to the SDS at {where}: give --address, or mend the network") from None
        raise Misconfigured(
            f"--address {address}: is no address of this host ({error.strerror}): give one that `ip address` shows"
        ) from None
    return address


def _abilities(files: Files, joined: Joined) -> list[str]:
    """What of the cluster's services could run here, by the driver's own judgement (P19)."""
    from agent import adoption
    from agent.drivers.choice import Drivers
    from agent.whereabouts import Whereabouts

    settings = parse(files.settings.read_text(encoding="utf-8"), AgentConfig, str(files.settings))
    here = Whereabouts(settings).address
    drivers = Drivers(
        settings.name,
        here,
        adoption.identity(settings),
        Path(settings.state_dir),
        settings.files_root,
        lambda service: bool(service.files),  # a newcomer has none yet
    )
    asyncio.run(drivers.look(joined.services, ()))
    reasons = {
        definition.name: NO_DATABASE if definition.files and settings.files is None else drivers.of(definition).why_not(definition)
        for definition in sorted(joined.services, key=lambda d: d.name)
    }
    able = [name for name, reason in reasons.items() if reason is None]
    lines = (
        [f"it can back up: {', '.join(able)}"]
        if able
        else ["it can back up: none of the services, so far" if reasons else "there are no services yet"]
    )
    return lines + [f"it cannot back up {name}: {reason}" for name, reason in reasons.items() if reason is not None]


def _put_unit(path: Path | None, files: Files, joined: Joined, token: JoinToken) -> str:
    """Write the unit if it is wanted; how to start the agent."""
    place = path or (units.UNIT if units.systemd_runs() else None)
    if place is None:
        return f"start it: {units.by_hand(files.settings)}"
    text = units.text(files.settings, joined.name, token.cluster)
    if place.exists() and place.read_text(encoding="utf-8", errors="replace") != text:
        return f"{place}: another unit is there, and was left as it is; start the agent: {units.by_hand(files.settings)}"
    put(place, text, 0o644)
    return f"start it: systemctl daemon-reload && systemctl enable --now {place.stem}"


def _home() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".config") / "locum"
