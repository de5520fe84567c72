"""docs/configuration.md names every key that bus/config.py knows, and no other; its examples are good settings."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest
from documents import DOCS, blocks, fields, plain, rows, sections

from bus.config import AgentConfig, DnsSettings, JoinerSettings, MonitorConfig, SdsAddress, SdsConfig, ServiceSection, parse
from bus.keys import _SECTIONS, Trust
from cli.cluster import _OPTIONS

PAGE = (DOCS / "configuration.md").read_text()
AGENT, SDS, MONITOR = (sections(PAGE, 2)[title] for title in ("The agent's file", "The SDS's file", "The monitor's file"))
SECTIONS: dict[type[msgspec.Struct], str] = {
    AgentConfig: AGENT.split("\n### ")[0],
    SdsAddress: sections(AGENT, 3)["[sds] in an agent's file"],
    DnsSettings: sections(AGENT, 3)["[dns]"],
    ServiceSection: sections(AGENT, 3)["[[service]]"],
    SdsConfig: SDS.split("\n### ")[0],
    JoinerSettings: sections(SDS, 3)["[joiners]"],
    MonitorConfig: MONITOR,
}
NOT_KEYS = {(ServiceSection, "home")}


def known(struct: type[msgspec.Struct]) -> list[tuple[str, str, str]]:
    return [tuple(field) for field in fields(struct) if (struct, field.name) not in NOT_KEYS]


@pytest.mark.parametrize("struct", SECTIONS, ids=lambda struct: struct.__name__)
def test_every_key_is_documented_with_its_kind_and_default(struct: type[msgspec.Struct]) -> None:
    assert [(plain(key), plain(words), plain(default)) for key, words, default, _ in rows(SECTIONS[struct])] == known(struct)


@pytest.mark.parametrize("struct", SECTIONS, ids=lambda struct: struct.__name__)
def test_every_key_has_a_consequence(struct: type[msgspec.Struct]) -> None:
    assert all(len(meaning) > 10 for *_, meaning in rows(SECTIONS[struct]))


def test_the_agents_example_is_good_and_complete() -> None:
    (example,) = blocks(AGENT, "toml")
    config = parse(example, AgentConfig, "example")
    assert config.definitions[0].home == config.name
    written = tomllib.loads(example)
    assert list(written) == [key for key, *_ in known(AgentConfig) if key not in ("sds", "dns", "service")] + ["sds", "dns", "service"]
    assert list(written["sds"]) == [key for key, *_ in known(SdsAddress) if key != "domain"]
    assert config.sds.address in example.partition('domain = "')[0], "an address or a domain: the example tells of both"
    assert list(written["dns"]) == [key for key, *_ in known(DnsSettings)]
    assert list(written["service"][0]) == [key for key, *_ in known(ServiceSection)]


def test_the_sdss_example_is_good_and_complete() -> None:
    example = blocks(SDS, "toml")[0]
    parse(example, SdsConfig, "example")
    assert list(tomllib.loads(example)) == [key for key, *_ in known(SdsConfig)]


def test_the_monitors_example_is_good_and_complete() -> None:
    (example,) = blocks(MONITOR, "toml")
    parse(example, MonitorConfig, "example")
    assert list(tomllib.loads(example)) == [key for key, *_ in known(MonitorConfig) if key != "demo_control"]


def test_the_examples_are_of_one_cluster() -> None:
    agent, sds = parse(blocks(AGENT, "toml")[0], AgentConfig, "agent"), parse(blocks(SDS, "toml")[0], SdsConfig, "sds")
    assert agent.cluster == sds.cluster
    assert (agent.sds.address, agent.sds.port, agent.sds.updates_port) == (sds.address, sds.port, sds.updates_port)


def test_the_trust_example_is_good_and_has_every_section() -> None:
    example = blocks(SDS, "toml")[1]
    assert len(Trust.parse(example, "example")) == 3
    assert list(tomllib.loads(example)) == list(_SECTIONS)
    assert [plain(section).strip("[]") for section, _ in rows(sections(SDS, 3)["The trust file"])] == list(_SECTIONS)


def test_the_command_that_makes_a_key_makes_one(tmp_path: Path) -> None:
    (line,) = blocks(SDS, "sh")
    program = line.split("-c '")[1].split("'")[0]
    key = tmp_path / "http.key"
    exec(compile(program.replace("sys.argv[1]", repr(str(key))), "docs/configuration.md", "exec"), {})
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.with_name("http.key.pub").exists()


def test_the_options_that_find_a_cluster_are_documented() -> None:
    found = rows(sections(PAGE, 2)["Finding the cluster from the command line"])
    documented = {plain(option).split()[0]: plain(variable) for option, variable, _ in found}

    def command() -> None: ...

    for option in _OPTIONS:
        option(command)
    options = command.__click_params__  # type: ignore[attr-defined]
    assert documented == {option.opts[0]: option.envvar or "" for option in options}
