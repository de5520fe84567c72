"""Each script in vagrant/failures does what its name says, and heal-all.sh undoes it."""

from __future__ import annotations

import subprocess
import time

import pytest
from standing_bed import FAILURES, SOON_S, TESTBED, StandingBed
from waiting import until

SCRIPTS = sorted(path.name for path in FAILURES.glob("*.sh") if path.name != "breaking.sh")


def test_the_scripts_are_those_of_the_issue() -> None:
    named = """kill-service kill-agent kill-guard freeze-agent freeze-host crash-host boot-host cut-link isolate-host lose-packets
        load-host fill-disk move-host kill-sds kill-redis kill-dns step-clock heal-all kill-runner"""
    assert sorted(f"{name}.sh" for name in named.split()) == SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_wrong_call_is_told_the_usage(script: str, tmp_path: object) -> None:
    done = StandingBed(FAILURES).fail(script, "one", "two", "three", "four")
    assert done.returncode == 2 and f"usage: {script}" in done.stderr and not done.stdout


BAD = {
    "kill-service.sh": ("http", "nginx", "is no service"),
    "kill-agent.sh": ("db", "has no agent"),
    "freeze-agent.sh": ("http", "soon", "is no number of seconds"),
    "cut-link.sh": ("http", "http", "no link to itself"),
    "lose-packets.sh": ("http", "101", "from 0 to 100"),
    "load-host.sh": ("http", "7", "from 0 to 1"),
    "crash-host.sh": ("mars", "is no host"),
}


@pytest.mark.parametrize("script", BAD)
def test_what_is_wrong_is_said(script: str) -> None:
    *words, why = BAD[script]
    done = StandingBed(FAILURES).fail(script, *words)
    assert done.returncode == 2 and why in done.stderr


def test_without_a_bed_it_is_refused(tmp_path: object) -> None:
    done = StandingBed(FAILURES / "none").fail("kill-service.sh", "http", "www")
    assert done.returncode == 1 and "vagrant/testbed up" in done.stderr


@pytest.mark.parametrize(("host", "service", "program"), [("http", "www", "nginx"), ("ftp", "ftp", "vsftpd"), ("email", "mail", "master")])
def test_a_killed_service_is_started_again(healed: StandingBed, host: str, service: str, program: str) -> None:
    before = set(healed.on(host, "pidof", program).split())
    said = healed.broken("kill-service.sh", host, service)
    assert float(said.split()[0]) <= time.monotonic() and before & set(said.split())
    until(lambda: set(healed.testbed("on", host, "pidof", program).stdout.split()) - before, SOON_S, every_s=0.1)
    until(lambda: not healed.away(), SOON_S, every_s=0.3)


@pytest.mark.parametrize(("script", "part"), [("kill-guard.sh", "guard"), ("kill-runner.sh", "runner"), ("kill-agent.sh", "tether")])
def test_a_killed_part_of_an_agent_comes_back(healed: StandingBed, script: str, part: str) -> None:
    before = set(healed.pids("http", f"agent.{part}"))
    healed.broken(script, "http")
    until(lambda: set(healed.pids("http", f"agent.{part}")) - before, SOON_S, every_s=0.1)
    until(lambda: not healed.away(), SOON_S, every_s=0.3)


def states(bed: StandingBed, pids: list[int]) -> set[str]:
    return {bed.testbed("on", "ftp", "ps", "-o", "state=", "-p", str(pid)).stdout.strip()[:1] for pid in pids}


def test_a_frozen_agent_loses_its_service_and_goes_on(healed: StandingBed) -> None:
    epoch = healed.service("ftp")["epoch"]
    said = healed.broken("freeze-agent.sh", "ftp", "3").splitlines()
    assert "SIGSTOP" in said[0] and "SIGCONT" in said[1]
    until(lambda: "T" not in states(healed, healed.pids("ftp", "agent.guard")), SOON_S, every_s=0.1)
    until(lambda: healed.service("ftp")["epoch"] > epoch, SOON_S, every_s=0.3)


def test_a_frozen_host_is_replaced_and_goes_on(healed: StandingBed) -> None:
    epoch = healed.service("www")["epoch"]
    said = healed.broken("freeze-host.sh", "http", "3").splitlines()
    assert float(said[1].split()[0]) - float(said[0].split()[0]) >= 3
    until(lambda: healed.service("www")["epoch"] > epoch, SOON_S, every_s=0.3)
    until(lambda: not healed.away(), SOON_S, every_s=0.3)


def test_a_crashed_host_is_replaced_and_boots_with_its_disk(healed: StandingBed) -> None:
    healed.on("http", "sh", "-c", "echo kept >/root/mark; echo gone >/tmp/mark")
    healed.broken("crash-host.sh", "http")
    assert "http" not in healed.inits()
    until(lambda: healed.served_by() not in ("", "http"), SOON_S, every_s=0.1)
    again = healed.fail("crash-host.sh", "http")
    assert again.returncode == 1 and "is down" in again.stderr
    healed.broken("boot-host.sh", "http")
    assert healed.on("http", "cat", "/root/mark").strip() == "kept"
    assert healed.testbed("on", "http", "cat", "/tmp/mark").returncode != 0
    until(lambda: healed.served_by() == "http", SOON_S, every_s=0.3)
    again = healed.fail("boot-host.sh", "http")
    assert again.returncode == 1 and "is up already" in again.stderr


def reaches(bed: StandingBed, one: str, other: str) -> bool:
    """Whether a connection can be made to where another host's guard listens, or the name server."""
    port = {"db": 53, "sds": 5750}.get(other, 5760)
    return bed.testbed("on", one, "timeout", "1", "bash", "-c", f"exec 3<>/dev/tcp/{other}/{port}").returncode == 0


def test_a_cut_link_lets_nothing_through(healed: StandingBed) -> None:
    assert reaches(healed, "http", "email")
    healed.broken("cut-link.sh", "http", "email")
    assert not reaches(healed, "http", "email") and not reaches(healed, "email", "http")
    until(lambda: reaches(healed, "http", "ftp") and reaches(healed, "email", "db"), SOON_S)
    healed.broken("heal-all.sh")
    until(lambda: reaches(healed, "http", "email"), SOON_S)


LISTEN = (
    "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 9999)); print('here', flush=True); s.settimeout(%g); s.recv(9)"
)
SPEAK = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); [s.sendto(b'x', ('%s', 9999)) for _ in range(20)]"


def hears(bed: StandingBed, listener: str, address: str, speaker: str, wait_s: float) -> bool:
    """Whether datagrams of one arrive at the other."""
    command = [TESTBED, "on", listener, "/usr/bin/python3", "-c", LISTEN % wait_s]
    with subprocess.Popen(command, env=bed.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as listening:
        assert listening.stdout and listening.stdout.readline() == b"here\n"
        bed.on(speaker, "/usr/bin/python3", "-c", SPEAK % address)
        return listening.wait(timeout=60) == 0


def test_a_link_is_cut_one_way(healed: StandingBed) -> None:
    healed.broken("cut-link.sh", "sds", "db", "--one-way")
    assert hears(healed, "sds", "10.77.0.10", "db", wait_s=20)
    assert not hears(healed, "db", "10.77.0.53", "sds", wait_s=2)


def test_an_isolated_host_is_replaced(healed: StandingBed) -> None:
    healed.broken("isolate-host.sh", "http")
    until(lambda: healed.served_by() not in ("", "http"), SOON_S, every_s=0.1)
    assert not reaches(healed, "http", "db") and not reaches(healed, "ftp", "http")
    healed.heal()
    assert healed.served_by() == "http"


def test_lost_packets_are_lost(healed: StandingBed) -> None:
    healed.broken("lose-packets.sh", "email", "100")
    assert not reaches(healed, "ftp", "email")
    healed.broken("lose-packets.sh", "email", "0")
    until(lambda: reaches(healed, "ftp", "email"), SOON_S)


def test_a_full_disk_is_full_and_is_emptied(healed: StandingBed) -> None:
    healed.broken("fill-disk.sh", "ftp")
    full = healed.testbed("on", "ftp", "sh", "-c", "head -c 100000 /dev/zero >/root/more")
    assert full.returncode != 0 and "No space" in full.stderr
    healed.heal()
    healed.on("ftp", "sh", "-c", "head -c 100000 /dev/zero >/root/more")


def test_a_moved_host_is_followed(healed: StandingBed) -> None:
    """P20; and back."""
    healed.broken("move-host.sh", "ftp", "10.77.0.99")
    assert "10.77.0.99/24" in healed.on("ftp", "ip", "-br", "address", "show", "eth0")

    def name() -> str:
        return healed.testbed("client", "dig", "+short", "ftp.servers.testbed.locum.test").stdout.strip()

    until(lambda: name() == "10.77.0.99", SOON_S, every_s=0.3)
    healed.heal()
    until(lambda: name() == "10.77.0.12", SOON_S, every_s=0.3)


@pytest.mark.parametrize(
    ("script", "host", "pattern"),
    [("kill-sds.sh", "sds", "locum sds"), ("kill-redis.sh", "db", "redis-server"), ("kill-dns.sh", "db", "named")],
)
def test_what_all_need_stays_dead_until_it_is_healed(healed: StandingBed, script: str, host: str, pattern: str) -> None:
    until(lambda: healed.pids(host, pattern), SOON_S)
    healed.broken(script)
    assert not healed.pids(host, pattern)
    again = healed.fail(script)
    assert again.returncode == 1 and "runs here" in again.stderr
    assert healed.testbed("client", "curl", "-fsS", "-m", "5", "http://10.77.0.11/whoami").returncode == 0, "www went with it"
    healed.heal()
    until(lambda: healed.pids(host, pattern), SOON_S)


def test_the_clock_cannot_be_stepped_here(bed: StandingBed) -> None:
    done = bed.fail("step-clock.sh", "http", "10")
    assert done.returncode == 1 and "share this machine's clock" in done.stderr
