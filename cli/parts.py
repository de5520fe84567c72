"""`locum sds` and `locum agent`: one part of a cluster, in the foreground."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import click

from bus import keys
from bus.config import AgentConfig, ConfigError, DnsSettings, SdsConfig, parse
from bus.sockets import BindError
from cli.outcome import Misconfigured, Refused

Settings = TypeVar("Settings", AgentConfig, SdsConfig)

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
        if settings.files is not None:
            _password(config, settings.files.password_file)
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
        if settings.files is not None and settings.files.password_file is not None:
            _password(config, settings.files.password_file)
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


def _password(config: str, path: str) -> None:
    """That the password of the database of files is there, and nobody else's to read."""
    _readable(config, "files.password_file", path)
    keys.load_password(Path(path))


def _directory(config: str, key: str, path: str) -> None:
    """That the directory can be written, or made."""
    nearest = Path(path)
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"{config}: {key}: {path}: cannot be written here: give a directory that can")
