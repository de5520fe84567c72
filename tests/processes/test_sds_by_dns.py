"""An SDS that no file names is found by DNS SRV, by agents and by commands, and followed when it moves (P19)."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_cluster import SOON_S, SmallCluster, command, environment
from waiting import until

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "dns"))

from authorities import ADDRESS, KEY_NAME, ZONE, Authority

from agent.finding import SERVICE, UPDATES

MakeCluster = Callable[..., SmallCluster]


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    """A running name server for the zone, which names no SDS yet."""
    server = Authority("demo", tmp_path)
    server.start()
    yield server
    server.end()


def publish(authority: Authority, name: str, *values: str, rdtype: str = "SRV") -> None:
    """This, and nothing else, is what the name leads to."""
    update = authority.change()
    update.delete(f"{name}.{ZONE}.", rdtype)
    for value in values:
        update.add(f"{name}.{ZONE}.", 1, rdtype, value)
    assert authority.send(update) == 0


def ask(cluster: SmallCluster, authority: Authority, *more: str) -> subprocess.CompletedProcess[str]:
    """`locum status`, which is told the domain only."""
    options = ["--domain", ZONE, "--name-server", f"{ADDRESS}:{authority.port}", "--cluster", "small"]
    options += ["--key", str(cluster.key("operator")), "--sds-key", str(cluster.directory / "sds.key.pub"), *more]
    return locum("status", *options)


def locum(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), env=environment() | variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def unreachable(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert (done.returncode, done.stdout) == (3, "") and words in done.stderr and len(done.stderr.splitlines()) == 1, done


def begin(cluster: SmallCluster, authority: Authority) -> dict[str, Any]:
    """Agents one and two; the first looks in the zone of its [dns], the second is told the domain too."""
    cluster.dns = f'[dns]\nserver = "{ADDRESS}"\nport = {authority.port}\nzone = "{ZONE}"\nkey_name = "{KEY_NAME}"\n'
    cluster.dns += f'key_secret_file = "{authority.secret_file}"\n'
    www = {"fqdn": f"www.{ZONE}"}
    return {
        "one": cluster.start("agent", cluster.agent_settings("one", www, where="")),
        "two": cluster.start("agent", cluster.agent_settings("two", where=f'domain = "{ZONE}."')),
    }


def test_agents_find_it_follow_it_and_serve_meanwhile(make_cluster: MakeCluster, authority: Authority) -> None:
    cluster = make_cluster("one", "two")
    sds = cluster.start("sds", cluster.sds_settings())
    agents = begin(cluster, authority)
    for agent in agents.values():
        until(lambda agent=agent: f"{SERVICE}.{ZONE} has no SRV record" in agent.said(), within_s=SOON_S)  # type: ignore[misc]
    unreachable(ask(cluster, authority), "has no SRV record")

    # the first place is one where nobody is
    publish(authority, "nobody", f"{cluster.net}.200", rdtype="A")
    publish(authority, "sds", cluster.sds_address, rdtype="A")
    publish(authority, SERVICE, f"0 0 5750 nobody.{ZONE}.", f"1 0 5750 sds.{ZONE}.")
    before = cluster.settled("one", "two")
    for agent in agents.values():
        assert agent.said().count("no SDS found by DNS") == 1 and "or at 1 other places" in agent.said()
    shown = ask(cluster, authority)
    assert shown.returncode == 0 and "www" in shown.stdout, shown.stderr
    by_config = locum("status", "--config", str(cluster.directory / "one-1.toml"), "--key", str(cluster.key("operator")))
    assert by_config.returncode == 0 and "www" in by_config.stdout, by_config.stderr

    # it moves to another address, and other ports
    sds.process.send_signal(signal.SIGTERM)
    assert sds.ended() == 0
    unreachable(ask(cluster, authority), "none of the places that DNS names has answered")
    cluster.sds_address = f"{cluster.net}.110"
    settings = cluster.sds_settings()
    settings.write_text(settings.read_text() + "port = 6750\nupdates_port = 6760\n")
    cluster.start("sds", settings)
    publish(authority, "sds", cluster.sds_address, rdtype="A")
    publish(authority, UPDATES, f"0 0 6760 sds.{ZONE}.")
    publish(authority, SERVICE, f"0 0 6750 sds.{ZONE}.")
    cluster.sds_address += ":6750"
    after = cluster.settled("one", "two")
    assert after["epoch"] == before["epoch"], "who was served by one was served by one all the time"
    assert cluster.whoami("one") is not None


def test_commands_say_what_is_missing(make_cluster: MakeCluster, authority: Authority) -> None:
    cluster = make_cluster("one")
    keys = ["--key", str(cluster.key("operator")), "--sds-key", str(cluster.directory / "sds.key.pub")]
    for words, lack in (
        (["--domain", ZONE], "--domain needs --key"),
        (["--domain", "a..b", *keys], "is no domain"),
        (["--domain", ZONE, "--sds", "192.0.2.1", *keys], "give one of the two"),
        (["--domain", ZONE, "--name-server", "ns.example", *keys], "write its address"),
        (["--domain", ZONE, "--name-server", "192.0.2.1:what", *keys], "write ADDRESS or ADDRESS:PORT"),
    ):
        done = locum("status", *words)
        assert (done.returncode, done.stdout) == (2, "") and lack in done.stderr, done
    publish(authority, SERVICE, f"0 0 5750 nobody.{ZONE}.")
    unreachable(ask(cluster, authority), "which has no address")
    publish(authority, "nobody", f"{cluster.net}.200", rdtype="A")
    unreachable(ask(cluster, authority), f"the SDS at {cluster.net}.200:5750 has not answered")
    variables = {"LOCUM_DOMAIN": ZONE, "LOCUM_NAME_SERVER": f"{ADDRESS}:{authority.port}"}
    unreachable(locum("status", *keys, **variables), f"{cluster.net}.200:5750")
    authority.end()
    unreachable(ask(cluster, authority), "no answer from name server")
    authority.start()
