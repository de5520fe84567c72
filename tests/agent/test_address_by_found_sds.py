"""address = "auto" where DNS says where the SDS is: unknown until then, and followed when the SDS moves (P19, P20)."""

from __future__ import annotations

from agent.whereabouts import Whereabouts
from bus.config import AgentConfig, parse

SETTINGS = 'cluster = "c"\nname = "one"\naddress = "auto"\nstate_dir = "s"\nkey_file = "k"\n[sds]\npublic_key_file = "p"\n'


def test_the_address_is_known_once_the_sds_is_found() -> None:
    here = Whereabouts(parse(SETTINGS, AgentConfig, "agent.toml"))
    assert here.address == "" and not here.moved()
    here.sds_is_at("127.0.0.1", 5750)
    assert here.moved() and here.address == "127.0.0.1"
    assert not here.moved()
