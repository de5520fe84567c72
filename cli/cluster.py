"""Finding the cluster that a command is about, and asking its SDS.

--config               the settings of one of its parts
--sds, $LOCUM_SDS      an address, with the keys by --key and --sds-key
--domain               the same keys; DNS says where (RFC 2782)
none of them           the demo that runs on this machine; if none does, and there
                       are keys, DNS, in this host's own domain
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bus import keys
from bus.config import AgentConfig, ConfigError, SdsConfig, is_domain, parse
from bus.messages import Message, Rejection
from bus.question import Sds, Silence, ask
from cli.outcome import Misconfigured, Refused, Unreachable

Command = TypeVar("Command", bound=Callable[..., Any])
Answer = TypeVar("Answer", bound=Message)

_HOST = re.compile(r"[A-Za-z0-9.:%_-]{1,253}")

_OPTIONS = (
    click.option("--sds", metavar="ADDRESS[:PORT]", envvar="LOCUM_SDS", show_envvar=True, help="Where the SDS listens."),
    click.option("--domain", metavar="DOMAIN", envvar="LOCUM_DOMAIN", show_envvar=True, help="Find the SDS by DNS SRV in this domain."),
    click.option(
        "--name-server",
        metavar="ADDRESS[:PORT]",
        envvar="LOCUM_NAME_SERVER",
        show_envvar=True,
        help="Ask this one for it.  [default: this host's]",
    ),
    click.option("--key", metavar="FILE", envvar="LOCUM_KEY", show_envvar=True, help="Your own secret key."),
    click.option("--sds-key", metavar="FILE", envvar="LOCUM_SDS_KEY", show_envvar=True, help="The public key of the SDS."),
    click.option(
        "--as", "name", metavar="NAME", envvar="LOCUM_AS", show_envvar=True, help='Your name, as the SDS knows it.  [default: "operator"]'
    ),
    click.option(
        "--cluster",
        metavar="NAME",
        envvar="LOCUM_CLUSTER",
        show_envvar=True,
        help='The name of the cluster.  [default: of the config, else "locum"]',
    ),
    click.option("--config", metavar="FILE", help="Find the cluster by the settings of its SDS or of an agent."),
)


def finds_cluster(command: Command) -> Command:
    """Give a command the options that name a cluster, as one argument `sds`."""

    def found(sds: str | None, key: str | None, sds_key: str | None, name: str | None, **rest: Any) -> Any:
        cluster, config, domain, server = (rest.pop(option) for option in ("cluster", "config", "domain", "name_server"))
        return command(sds=find(sds, key, sds_key, name, cluster, config, domain, server), **rest)

    found.__doc__, found.__name__ = command.__doc__, command.__name__
    found.__click_params__ = list(getattr(command, "__click_params__", ()))  # type: ignore[attr-defined]
    result: Command = options(found)  # type: ignore[assignment]
    return result


def options(command: Command) -> Command:
    """Give a command the options that name a cluster, each as an argument of its own."""
    wrapped: Any = command
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    result: Command = wrapped
    return result


def find(
    sds: str | None,
    key: str | None,
    sds_key: str | None,
    name: str | None,
    cluster: str | None,
    config: str | None,
    domain: str | None = None,
    name_server: str | None = None,
) -> Sds:
    """The SDS that is meant; raises `Misconfigured` or `Unreachable` with the remedy."""
    try:
        if config is not None:
            return _by_config(Path(config), key, name)
        if sds is not None and domain is not None:
            raise click.UsageError("--sds says where the SDS is, --domain where to ask for it: give one of the two")
        if sds is not None:
            return _by_address(sds, key, sds_key, name, cluster)
        if domain is not None or (key and sds_key and not _demo_runs()):
            return _by_domain(domain, name_server, key, sds_key, name, cluster)
        return _by_demo(key, name)
    except ConfigError as error:
        raise Misconfigured(str(error)) from None


def _by_address(sds: str, key: str | None, sds_key: str | None, name: str | None, cluster: str | None) -> Sds:
    address, port = split(sds)
    return _spoken_to("--sds", key, sds_key, name, cluster)._replace(address=address, port=port)


def _spoken_to(option: str, key: str | None, sds_key: str | None, name: str | None, cluster: str | None) -> Sds:
    """An SDS of which everything is known but where it is."""
    if key is None or sds_key is None:
        lacking = "--key" if key is None else "--sds-key"
        raise click.UsageError(
            f"{option} needs {lacking} FILE too: nobody is spoken to without keys (--key: yours, --sds-key: the SDS's .pub)"
        )
    public = keys.load_public(Path(sds_key))
    return Sds(cluster or "locum", "", 0, public, keys.load_secret(Path(key)), name or "operator")


def _by_domain(domain: str | None, server: str | None, key: str | None, sds_key: str | None, name: str | None, cluster: str | None) -> Sds:
    from cli import by_dns

    if domain is not None and not is_domain(domain):
        raise click.UsageError(f"--domain {domain}: is no domain: write it as shop.example")
    sds = _spoken_to("--domain", key, sds_key, name, cluster)
    return by_dns.located(sds, [domain] if domain else [], by_dns.name_server(server))


def _demo_runs() -> bool:
    from demo import presence

    return presence.running() is not None


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
    return of_agent(parse(text, AgentConfig, str(path)), secret, name or "operator")


def of_agent(agent: AgentConfig, secret: keys.Secret, name: str) -> Sds:
    """The SDS of this agent, wherever its settings say or DNS does, spoken to under this name."""
    public = keys.load_public(Path(agent.sds.public_key_file))
    sds = Sds(agent.cluster, agent.sds.address or "", agent.sds.port, public, secret, name)
    if sds.address:
        return sds
    from agent.seeking import search
    from cli import by_dns

    return by_dns.located(sds, *search(agent))


def _by_demo(key: str | None, name: str | None) -> Sds:
    from demo import layout, presence
    from demo.state import key_file

    demo = presence.running()
    if demo is None:
        raise Unreachable("no cluster: start one with ./locum demo, or name one with --sds ADDRESS, --domain DOMAIN or --config FILE")
    if not demo.state or not os.access(key_file(Path(demo.state), layout.OPERATOR), os.R_OK):
        raise Unreachable(f"the running demo ({demo}) does not answer, or is another user's")
    state = Path(demo.state)
    secret = keys.load_secret(Path(key) if key else key_file(state, layout.OPERATOR))
    address, port, _ = layout.SDS
    return Sds(layout.CLUSTER, address, port, keys.load_public(key_file(state, "sds", public=True)), secret, name or layout.OPERATOR)


def split(sds: str, option: str = "--sds", default: int = 5750) -> tuple[str, int]:
    """ADDRESS[:PORT] as the two; an IPv6 address with a port is in brackets."""
    address, colon, port = sds, "", ""
    if sds.startswith("["):
        address, _, rest = sds[1:].partition("]")
        colon, port = rest[:1], rest[1:]
    elif sds.count(":") == 1:
        address, colon, port = sds.partition(":")
    if not _HOST.fullmatch(address) or (colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536)):
        raise click.UsageError(f"{option} {sds}: write ADDRESS or ADDRESS:PORT, as 192.0.2.10:{default} or [2001:db8::1]:{default}")
    return address, int(port or default)


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
