"""docs/operations.md: its commands exist with the options that it gives them, and its set-up of an SDS is a good one."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from documents import CHECKOUT, DOCS, blocks, sections

from bus.config import AgentConfig, SdsConfig, parse
from bus.files_settings import files_rules
from bus.keys import Trust, load_public
from cli.commands import locum

PAGE = (DOCS / "operations.md").read_text()
CONFIGURATION = (DOCS / "configuration.md").read_text()


def orders() -> Iterator[str]:
    """Every `locum ...` that is shown to be typed, the rest of a pipe apart."""
    for block in blocks(PAGE, "sh"):
        for line in block.splitlines():
            command = line.partition("#")[0].partition("|")[0].strip()
            if command.startswith("locum "):
                yield command


ORDERS = sorted(set(orders()))


@pytest.mark.parametrize("order", ORDERS)
def test_a_command_has_the_options_that_are_shown(order: str) -> None:
    _, name, *words = shlex.split(order.replace("...", ""))
    command = locum.get_command(click.Context(locum), name)
    assert command is not None, name
    known = {word for parameter in command.params for word in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_there_are_commands() -> None:
    assert {order.split()[1] for order in ORDERS} >= {"token", "join", "leave", "revoke", "drain", "resume", "status", "history"}


def test_the_set_up_of_an_sds_is_good(tmp_path: Path) -> None:
    """The shell block and the example settings, in another directory."""
    setup = blocks(sections(PAGE, 2)["The SDS"], "sh")[0]
    script = setup.replace("/etc/locum", str(tmp_path)).replace("/opt/locum/bin/python", sys.executable)
    subprocess.run(["sh", "-eu", "-c", script], env={"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"}, check=True)
    trust = Trust.load(tmp_path / "trust.toml")
    assert trust.keys("operator") == {"anna": load_public(tmp_path / "anna.key.pub")}
    settings = parse(blocks(sections(CONFIGURATION, 2)["The SDS's file"], "toml")[0], SdsConfig, "sds.toml")
    assert Path(settings.key_file).name == "sds.key" and (tmp_path / "sds.key").exists()
    assert Path(settings.trust_file).name == "trust.toml"


def test_the_user_for_the_files_is_allowed_what_is_needed_and_no_more() -> None:
    (line,) = [line for line in PAGE.splitlines() if line.startswith("user files")]
    assert line == f"user files on >PASSWORD {files_rules('shop')}"


def test_the_service_that_is_shown_is_a_good_one() -> None:
    (service,) = blocks(sections(PAGE, 2)["Protect a service"], "toml")
    head = 'cluster = "shop"\nname = "http"\naddress = "192.0.2.11"\nstate_dir = "s"\nkey_file = "k"\n[sds]\npublic_key_file = "p"\n'
    assert parse(head + service, AgentConfig, "agent.toml").definitions[0].name == tomllib.loads(service)["service"][0]["name"]
