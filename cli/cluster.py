"""Finding the cluster that a command is about, and asking its SDS.

--sds, $LOCUM_SDS     an address, with the keys by --key and --sds-key
--config              the settings of one of its parts
neither               the demo that runs on this machine
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bus import keys
from bus.config import AgentConfig, ConfigError, SdsConfig, parse
from bus.messages import Message, Rejection
from cli.outcome import Misconfigured, Refused, Unreachable
from cli.question import Sds, Silence, ask

Command = TypeVar("Command", bound=Callable[..., Any])
Answer = TypeVar("Answer", bound=Message)

_HOST = re.compile(r"[A-Za-z0-9.:%_-]{1,253}")

_OPTIONS = (
    click.option("--sds", metavar="ADDRESS[:PORT]", envvar="LOCUM_SDS", show_envvar=True, help="Where the SDS listens."),
    click.option("--key", metavar="FILE", envvar="LOCUM_KEY", show_envvar=True, help="Your own secret key."),
    click.option("--sds-key", metavar="FILE", envvar="LOCUM_SDS_KEY", show_envvar=True, help="The public key of the SDS."),
    click.option("--as", "name", metavar="NAME", help='Your name in the trust file of the SDS.  [default: "operator"]'),
    click.option("--cluster", metavar="NAME", help='The name of the cluster.  [default: of the config, else "locum"]'),
    click.option("--config", metavar="FILE", help="Find the cluster by the settings of its SDS or of an agent."),
)


def finds_cluster(command: Command) -> Command:
    """Give a command the options that name a cluster, as one argument `sds`."""

    def found(sds: str | None, key: str | None, sds_key: str | None, name: str | None, **rest: Any) -> Any:
        cluster, config = rest.pop("cluster"), rest.pop("config")
        return command(sds=find(sds, key, sds_key, name, cluster, config), **rest)

    found.__doc__, found.__name__ = command.__doc__, command.__name__
    found.__click_params__ = list(getattr(command, "__click_params__", ()))  # type: ignore[attr-defined]
    wrapped: Any = found
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    result: Command = wrapped
    return result


def find(sds: str | None, key: str | None, sds_key: str | None, name: str | None, cluster: str | None, config: str | None) -> Sds:
    """The SDS that is meant; raises `Misconfigured` or `Unreachable` with the remedy."""
    try:
        if config is not None:
            return _by_config(Path(config), key, name)
        if sds is not None:
            return _by_address(sds, key, sds_key, name, cluster)
        return _by_demo(key, name)
    except ConfigError as error:
        raise Misconfigured(str(error)) from None


def _by_address(sds: str, key: str | None, sds_key: str | None, name: str | None, cluster: str | None) -> Sds:
    address, port = split(sds)
    if key is None or sds_key is None:
        lacking = "--key" if key is None else "--sds-key"
        raise click.UsageError(
            f"--sds needs {lacking} FILE too: nobody is spoken to without keys (--key: yours, --sds-key: the SDS's .pub)"
        )
    public = keys.load_public(Path(sds_key))
    return Sds(cluster or "locum", address, port, public, keys.load_secret(Path(key)), name or "operator")


def _by_config(path: Path, key: str | None, name: str | None) -> Sds:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"{path}: cannot be read: {getattr(error, 'strerror', error)}: name the settings of the SDS or of an agent"
        ) from None
    if key is None:
        raise click.UsageError("--config says where the cluster is; who you are says --key FILE, an operator's or a viewer's secret key")
    secret = keys.load_secret(Path(key))
    if "trust_file" in text:
        settings = parse(text, SdsConfig, str(path))
        public = keys.load_secret(Path(settings.key_file)).public
        return Sds(settings.cluster, settings.address, settings.port, public, secret, name or "operator")
    agent = parse(text, AgentConfig, str(path))
    public = keys.load_public(Path(agent.sds.public_key_file))
    return Sds(agent.cluster, agent.sds.address, agent.sds.port, public, secret, name or "operator")


def _by_demo(key: str | None, name: str | None) -> Sds:
    from demo import layout, presence
    from demo.state import key_file

    demo = presence.running()
    if demo is None:
        raise Unreachable("no cluster: start one with ./locum demo, or name one with --sds ADDRESS or --config FILE")
    if not demo.state or not os.access(key_file(Path(demo.state), layout.OPERATOR), os.R_OK):
        raise Unreachable(f"the running demo ({demo}) does not answer, or is another user's")
    state = Path(demo.state)
    secret = keys.load_secret(Path(key) if key else key_file(state, layout.OPERATOR))
    address, port, _ = layout.SDS
    return Sds(layout.CLUSTER, address, port, keys.load_public(key_file(state, "sds", public=True)), secret, name or layout.OPERATOR)


def split(sds: str) -> tuple[str, int]:
    """ADDRESS[:PORT] as the two; an IPv6 address with a port is in brackets."""
    address, colon, port = sds, "", ""
    if sds.startswith("["):
        address, _, rest = sds[1:].partition("]")
        colon, port = rest[:1], rest[1:]
    elif sds.count(":") == 1:
        address, colon, port = sds.partition(":")
    if not _HOST.fullmatch(address) or (colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536)):
        raise click.UsageError(f"--sds {sds}: write ADDRESS or ADDRESS:PORT, as 192.0.2.10:5750 or [2001:db8::1]:5750")
    return address, int(port or 5750)


def answer(sds: Sds, message: Message, expected: type[Answer]) -> Answer:
    """The SDS's answer; raises `Refused` if it says no, `Unreachable` if it says nothing."""
    try:
        reply = ask(sds, message)
    except Silence as silence:
        raise Unreachable(str(silence)) from None
    if isinstance(reply, Rejection):
        raise Refused(reply.text)
    assert isinstance(reply, expected), f"the SDS answered {message} with {reply}"
    return reply
