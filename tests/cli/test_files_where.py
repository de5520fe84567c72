"""Whose settings `locum files --config` was given (cli/files_where.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.files_where import Where, where
from cli.outcome import Misconfigured

AGENT = (
    'cluster = "demo"\nname = "http"\naddress = "127.0.0.1"\nstate_dir = "s"\nkey_file = "k"\n'
    '[sds]\npublic_key_file = "p"\n[files]\nurl = "redis://files@127.0.0.1:7000/0"\npassword_file = "w"\nroot = "/r"\n'
)
SDS = (
    'cluster = "demo"\nstate_dir = "s"\nkey_file = "k"\ntrust_file = "t"\n'
    '[files]\naddress = "127.0.0.1"\nport = 7001\npassword_file = "w"\n'
)
MONITOR = 'cluster = "demo"\nstate_dir = "s"\nkey_file = "k"\n[sds]\naddress = "127.0.0.1"\npublic_key_file = "p"\n'


def read(directory: Path, text: str) -> Where:
    file = directory / "some.toml"
    file.write_text(text)
    return where(str(file), None)


def complaint(directory: Path, text: str) -> str:
    with pytest.raises(Misconfigured) as wrong:
        read(directory, text)
    said = str(wrong.value)
    assert said.startswith(f"{directory}/some.toml: ") and "\n" not in said
    return said


@pytest.mark.parametrize("aside", ["# trust_file is the SDS's\n", 'zone = "trust_file"\n'])
def test_an_agent_that_mentions_the_trust_file_is_no_sds(aside: str, tmp_path: Path) -> None:
    found = read(tmp_path, aside + AGENT)
    assert found.settings.url.endswith(":7000/0") and found.root == "/r"


def test_the_sdss_own_settings_lead_to_its_door(tmp_path: Path) -> None:
    found = read(tmp_path, '# [sds] is an agent\'s\n"trust\\u005ffile" = "t"\n' + SDS.replace('trust_file = "t"\n', ""))
    assert found.settings.url.endswith(":7001/0") and found.root == ""


@pytest.mark.parametrize(
    "text", ["", 'cluster = "demo"\n', MONITOR, "[servers]\nhttp = 'x'\n"], ids=["nothing", "little", "monitor", "trust"]
)
def test_what_is_neither_is_said_to_be_neither(text: str, tmp_path: Path) -> None:
    assert "is neither an agent's settings (they have [sds]) nor the SDS's (trust_file)" in complaint(tmp_path, text)


def test_a_mistake_in_either_is_named_as_everywhere(tmp_path: Path) -> None:
    assert "peer_portt" in complaint(tmp_path, "peer_portt = 1\n" + AGENT)
    assert "updates_portt" in complaint(tmp_path, "updates_portt = 1\n" + SDS)
    assert "not TOML" in complaint(tmp_path, "trust_file = \n")
    assert "nested too deeply" in complaint(tmp_path, "a = " + "[" * 5_000)
