"""`locum sds`, `locum agent` and `locum monitor`: one part of a cluster, in the foreground."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import click

from bus import keys
from bus.config import AgentConfig, ConfigError, DnsSettings, MonitorConfig, SdsConfig, parse
from bus.sockets import BindError
from cli.outcome import Misconfigured, Refused

Settings = TypeVar("Settings", AgentConfig, SdsConfig, MonitorConfig)

_config = click.option("--config", metavar="FILE", required=True, help="Its settings, in TOML (docs/configuration.md).")
_check = click.option("--check", is_flag=True, help="Only check the settings and the files that they name.")
_log = click.option("--log", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to log to stderr.")


@click.command()
@_config
@_check
@_log
def sds(config: str, check: bool, log: str) -> int:
    """Run the Service Description Server, until SIGTERM.

    It keeps the table of servers and services, and is the witness that grants
    a takeover.  Run it on a machine of its own.

    \b
    Examples:
      ./locum sds --config /etc/locum/sds.toml
      ./locum sds --config sds.toml --check      only look for mistakes
    """
    try:
        settings = _read(config, SdsConfig)
        _secret(config, "key_file", settings.key_file)
        keys.Trust.load(Path(settings.trust_file))
        _directory(config, "state_dir", settings.state_dir)
        if check:
            click.echo(f"{config}: good")
            return 0
        from sds.server import main

        return main(settings, log)
    except ConfigError as error:
        raise Misconfigured(str(error)) from None
    except BindError as error:
        raise Refused(str(error)) from None


@click.command()
@_config
@_check
@_log
def agent(config: str, check: bool, log: str) -> int:
    """Run the agent of a server, until SIGTERM.

    It registers the server, runs the services that are granted to it, and
    stands in for others.  SIGTERM is a clean stop: it hands over first.

    \b
    Examples:
      ./locum agent --config /etc/locum/agent.toml
      ./locum agent --config agent.toml --check  only look for mistakes
      ./locum agent --config agent.toml --log json
    """
    try:
        settings = _read(config, AgentConfig)
        _secret(config, "key_file", settings.key_file)
        keys.load_public(Path(settings.sds.public_key_file))
        if settings.dns is not None:
            _names(config, settings.dns)
        _directory(config, "state_dir", settings.state_dir)
        if check:
            click.echo(f"{config}: good")
            return 0
        from agent.tether import become

        become(config, log)
    except ConfigError as error:
        raise Misconfigured(str(error)) from None
    except BindError as error:
        raise Refused(str(error)) from None


@click.command()
@click.option("--config", metavar="FILE", help="Its settings, in TOML (docs/configuration.md).")
@_check
@_log
@click.option("--port", type=click.IntRange(1, 65_535), help="Listen there, whatever the settings say.")
@click.option("--link", is_flag=True, help="Print another link that logs in once, to the monitor that runs with these settings.")
@click.option("--hash-password", is_flag=True, help="Ask for a password, and print the line for the settings.")
def monitor(config: str | None, check: bool, log: str, port: int | None, link: bool, hash_password: bool) -> int:
    """Serve the page on which the cluster is seen, until SIGTERM.

    Everybody who reaches it may look.  Drain, resume and move are for those who
    log in, by a password or by a link that is good once.

    \b
    Examples:
      ./locum monitor --config /etc/locum/monitor.toml
      ./locum monitor --config monitor.toml --check      only look for mistakes
      ./locum monitor --config monitor.toml --link       another login link
      ./locum monitor --hash-password
    """
    if hash_password:
        return _print_hash()
    if config is None:
        raise click.UsageError("--config FILE is missing: the settings of the monitor")
    try:
        settings = _read(config, MonitorConfig)
        _secret(config, "key_file", settings.key_file)
        if settings.operator_key_file is not None:
            _secret(config, "operator_key_file", settings.operator_key_file)
        keys.load_public(Path(settings.sds.public_key_file))
        _directory(config, "state_dir", settings.state_dir)
        if check:
            click.echo(f"{config}: good")
            return 0
        if link:
            return _print_link(config, settings, port)
        from monitor.becoming import become

        become(config, log, port)
    except ConfigError as error:
        raise Misconfigured(str(error)) from None


def _print_hash() -> int:
    from monitor.passwords import hashed

    try:
        click.echo(f'password_hash = "{hashed(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))}"')
    except ValueError as error:
        raise Refused(str(error)) from None
    return 0


def _print_link(config: str, settings: MonitorConfig, port: int | None) -> int:
    from monitor.becoming import login_link

    if settings.operator_key_file is None:
        raise Misconfigured(f"{config}: operator_key_file: is missing: without it nobody can give orders from the page")
    try:
        click.echo(login_link(settings, port))
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}: a link is made by who may write to state_dir") from None
    return 0


def _read(config: str, kind: type[Settings]) -> Settings:
    try:
        text = Path(config).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{config}: is no text: name a TOML file") from None
    except OSError as error:
        raise ConfigError(f"{config}: cannot be read: {error.strerror}: name a TOML file (docs/configuration.md)") from None
    return parse(text, kind, config)


def _readable(config: str, key: str, path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{config}: {key}: {path}: cannot be read: {error.strerror}: make it, or mend the path") from None


def _names(config: str, settings: DnsSettings) -> None:
    """That names could be written: the secret is one, and the zone and the key have names."""
    from agent import dns

    _readable(config, "dns.key_secret_file", settings.key_secret_file)
    dns.Names(settings, dns.read_secret(settings.key_secret_file))


def _secret(config: str, key: str, path: str) -> None:
    """That the key is there, and nobody else's to read."""
    _readable(config, key, path)
    keys.load_secret(Path(path))


def _directory(config: str, key: str, path: str) -> None:
    """That the directory can be written, or made."""
    nearest = Path(path)
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"{config}: {key}: {path}: cannot be written here: give a directory that can")
