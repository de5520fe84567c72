"""P19: no pre-configuration by an administrator: what a server can back up is found (section 5)."""

from __future__ import annotations

import socket
from pathlib import Path

from agent import channel
from agent.choosing import ChoosingSettings
from agent.drivers.command import CommandDriver
from agent.running import Ability, FromGuard, Offer, Running
from bus.config import AgentConfig, Timing, parse
from bus.messages import Registration
from bus.step import Send, Tick
from bus.values import ServiceDefinition

ADDRESS = "127.0.0.1"


def service(name: str, port: int, *start: str) -> ServiceDefinition:
    return ServiceDefinition(name=name, fqdn=f"{name}.test", port=port, home="elsewhere", start=start)


def free_port() -> int:
    with socket.socket() as door:
        door.bind((ADDRESS, 0))
        return int(door.getsockname()[1])


def test_p19_nothing_of_a_failover_stands_in_the_settings() -> None:
    """P19: an agent's file names no secondary, no order of succession, nobody else's service."""
    text = 'cluster = "c"\nname = "http"\naddress = "::1"\nstate_dir = "s"\nkey_file = "k"\n[sds]\npublic_key_file = "p"\n'
    config = parse(text, AgentConfig, "agent.toml")
    assert config.backs_up is None and config.service == () and config.sds.address is None


def test_p19_what_a_server_can_run_is_found_with_the_reason_for_the_rest(tmp_path: Path) -> None:
    """P19: a program that is here and a port that is free make a candidate; what is lacking is said with its remedy."""
    driver = CommandDriver("http", ADDRESS, "an-agent", tmp_path)
    with socket.socket() as door:
        door.bind((ADDRESS, 0))
        door.listen()
        services = [
            service("ftp", free_port(), "/bin/sh"),
            service("mail", free_port(), "/nonexistent/smtpd"),
            service("web", door.getsockname()[1], "/bin/sh"),
        ]
        reasons = {definition.name: driver.why_not(definition) for definition in services}
    assert reasons["ftp"] is None
    assert "/nonexistent/smtpd" in str(reasons["mail"]) and "install" in str(reasons["mail"])
    assert "a program that is not ours listens" in str(reasons["web"])


def test_p19_what_was_found_is_advertised_and_again_when_it_changes() -> None:
    """P19, P6: the registration tells what this server could run, and a new one tells when that is no longer so."""
    machine = Running(Offer(name="http", address=ADDRESS, peer_port=5760, services=()), Timing.calm(), ChoosingSettings(), 0.0)

    def registered(event: object, now: float) -> list[Registration]:
        return [a.message for a in machine.step(event, now) if isinstance(a, Send) and isinstance(a.message, Registration)]

    machine.step(FromGuard(channel.Welcome(incarnation=1)), 0.0)
    (first,) = registered(Ability(("ftp",), {"mail": "it is not here"}), 1.0)
    assert (first.able, first.unable) == (("ftp",), {"mail": "it is not here"})
    (second,) = registered(Ability(("ftp", "mail"), {}), 1.1)
    assert second.able == ("ftp", "mail")
    assert registered(Tick(), 1.2) == []
