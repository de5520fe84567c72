"""Units of a real systemd, which is the first process of this namespace and started these tests (R5, R6, R17).

Not collected by itself: test_units_of_systemd.py runs it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from waiting import until

from agent import control_groups, kept
from agent.channel import Exited
from agent.drivers.systemd import SystemdDriver
from bus.values import ServiceDefinition
from tests.drivers.conftest import Kept, gone
from tests.processes.small_cluster import SmallCluster
from tests.tether.conftest import Agent

SOON_S = 60.0
UNITS = Path("/etc/systemd/system")  # of this mount namespace
UNIT = "stand-in.service"
GROUP = f"/sys/fs/cgroup/system.slice/{UNIT}"

MAIN = "/bin/sh -c 'sleep 1001 & exec sleep 1000'"


def systemctl(*words: str) -> str:
    return subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=60, check=False).stdout.strip()


def define(*lines: str, unit: str = UNIT, **sections: str) -> None:
    """A unit of these lines, known to systemd."""
    more = "".join(f"[{name}]\n{text}\n" for name, text in sections.items())
    (UNITS / unit).write_text("\n".join(["[Unit]", "DefaultDependencies=no", "[Service]", *lines, more]))
    systemctl("daemon-reload")


@pytest.fixture(autouse=True)
def no_unit() -> Iterator[None]:
    yield
    for unit in (UNIT, "stand-in.socket"):
        systemctl("disable", "--now", unit)
        systemctl("reset-failed", unit)
        (UNITS / unit).unlink(missing_ok=True)
    systemctl("daemon-reload")


def driver_for(tether: Agent) -> SystemdDriver:
    return SystemdDriver("one", "127.0.0.1", tether.id, Path(tether.config.state_dir))


@pytest.fixture
def service(tether: Agent) -> Kept:
    """The unit that a test has defined, or the usual one."""
    if not (UNITS / UNIT).exists():
        define(f"ExecStart={MAIN}", "Restart=always", "RestartSec=0", "ExecStop=/bin/touch /run/stopped-in-order")
    definition = ServiceDefinition(name="www", fqdn="www.test", port=1, home="one", driver="systemd", unit=UNIT)
    return Kept(tether, driver_for(tether), definition)


def begun(service: Kept) -> int:
    """The main process, once the unit keeper has written it down."""
    assert service.driver.why_not(service.definition) is None
    service.begin()
    place = str(Path(service.agent.config.state_dir) / "run" / "www")
    until(lambda: kept.read(place).sessions, within_s=SOON_S)
    main = int(systemctl("show", "--value", "-p", "MainPID", UNIT))
    until(lambda: len(control_groups.members(GROUP)) == 2, within_s=SOON_S)
    return main


def is_over() -> bool:
    return systemctl("is-active", UNIT) in ("inactive", "failed") and not control_groups.members(GROUP)


def test_restart_is_overridden_at_run_time(service: Kept) -> None:
    assert service.driver.why_not(service.definition) is None
    assert systemctl("show", "--value", "-p", "Restart", UNIT) == "no"
    assert Path(f"/run/systemd/system/{UNIT}.d/50-locum.conf").exists()
    assert "Restart=always" in (UNITS / UNIT).read_text()


def test_the_death_of_the_main_process_ends_the_unit_and_is_told(service: Kept) -> None:
    main = begun(service)
    os.kill(main, signal.SIGKILL)
    assert service.agent.guard.hear(Exited).status == 7
    assert service.words == f"the main process of {UNIT} (pid {main}) was killed by signal 9"
    service.agent.kill()
    assert is_over(), "systemd does not start it again"


def test_sigterm_is_systemctl_stop(service: Kept) -> None:
    Path("/run/stopped-in-order").unlink(missing_ok=True)
    begun(service)
    os.kill(service.keeper, signal.SIGTERM)
    assert service.agent.guard.hear(Exited).status == 0
    assert is_over() and Path("/run/stopped-in-order").exists()


def test_kill_leaves_nothing_whatever_the_unit_keeper_does(service: Kept) -> None:
    main = begun(service)
    os.kill(service.keeper, signal.SIGSTOP)
    service.agent.kill()
    assert is_over() and gone(main) and gone(service.keeper)
    assert not (Path(service.agent.config.state_dir) / "run" / "www" / kept.RECORD).exists()
    begun(service)
    service.agent.kill()
    assert is_over()


def test_kill_ends_a_unit_that_systemd_forgets_with_its_last_process(service: Kept) -> None:
    """Its package was removed while it ran: `systemctl stop` ends with 5 once the group is dead."""
    begun(service)
    (UNITS / UNIT).unlink()
    systemctl("daemon-reload")
    main = int(systemctl("show", "--value", "-p", "MainPID", UNIT))
    os.kill(service.keeper, signal.SIGSTOP)
    os.kill(main, signal.SIGKILL)
    until(lambda: systemctl("is-active", UNIT) not in ("active", "deactivating"), within_s=SOON_S)
    systemctl("reset-failed", UNIT)
    service.agent.kill()
    assert not control_groups.members(GROUP) and gone(main) and gone(service.keeper)


def test_kill_calls_off_a_start_that_is_under_way(tether: Agent) -> None:
    define("Type=oneshot", "ExecStart=/bin/true", unit="other.service")
    define("ExecStartPre=/bin/sh -c 'touch /run/under-way; exec sleep 1000'", f"ExecStart={MAIN}")
    Path("/run/under-way").unlink(missing_ok=True)
    definition = ServiceDefinition(name="www", fqdn="www.test", port=1, home="one", driver="systemd", unit=UNIT)
    service = Kept(tether, driver_for(tether), definition)
    service.begin()
    until(Path("/run/under-way").exists, within_s=SOON_S)
    service.agent.kill()
    assert is_over()


def test_a_start_that_fails_is_told(tether: Agent) -> None:
    define("Type=forking", "ExecStart=/bin/false")
    definition = ServiceDefinition(name="www", fqdn="www.test", port=1, home="one", driver="systemd", unit=UNIT)
    service = Kept(tether, driver_for(tether), definition)
    service.begin()
    assert service.agent.guard.hear(Exited).status == 1
    assert service.words.startswith(f"systemctl start {UNIT} failed: Job for {UNIT} failed") and "(Result=exit-code)" in service.words


@pytest.mark.parametrize("victims", ["tether", "tether and keeper"])
def test_the_unit_does_not_outlive_the_tether(service: Kept, victims: str) -> None:
    main = begun(service)
    assert service.agent.process is not None
    if victims != "tether":
        service.agent.guard.order(b"C")
        service.agent.guard.hear_sign("C")
        os.kill(service.keeper, signal.SIGSTOP)
    service.agent.process.kill()
    if victims != "tether":
        with suppress(ProcessLookupError):  # the guard may have been quicker
            os.kill(service.keeper, signal.SIGKILL)
    until(lambda: gone(main) and is_over(), within_s=SOON_S)


def trouble(tether: Agent, unit: str = UNIT) -> str:
    definition = ServiceDefinition(name="www", fqdn="www.test", port=1, home="one", driver="systemd", unit=unit)
    return str(Kept(tether, driver_for(tether), definition).look())


def test_units_that_cannot_be_used_are_refused_with_the_remedy(tether: Agent) -> None:
    assert trouble(tether, "none.service") == "there is no unit none.service here: install what it belongs to"
    define(f"ExecStart={MAIN}", Install="WantedBy=multi-user.target")
    assert trouble(tether) == "None"
    systemctl("enable", UNIT)
    assert trouble(tether) == f"{UNIT} starts at boot, behind Locum's back: systemctl disable --now {UNIT}"
    systemctl("disable", UNIT)
    assert trouble(tether) == "None"
    systemctl("start", UNIT)
    assert trouble(tether) == f"{UNIT} runs here already (active), and not by our doing: systemctl stop {UNIT}"
    systemctl("stop", UNIT)
    define("Type=oneshot", "ExecStart=/bin/true")
    assert "has no main process (Type=oneshot)" in trouble(tether)
    (UNITS / UNIT).unlink()
    (UNITS / UNIT).symlink_to("/dev/null")
    systemctl("daemon-reload")
    assert trouble(tether) == f"{UNIT} is masked: systemctl unmask {UNIT}"


def test_a_unit_that_a_socket_starts_is_refused(tether: Agent) -> None:
    define(f"ExecStart={MAIN}")
    (UNITS / "stand-in.socket").write_text("[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/stand-in.socket\n")
    systemctl("daemon-reload")
    assert trouble(tether) == "None", "it is neither enabled nor active"
    systemctl("start", "stand-in.socket")
    assert trouble(tether) == f"stand-in.socket starts {UNIT} on demand, behind Locum's back: systemctl disable --now stand-in.socket"


def test_a_whole_agent_keeps_a_unit(tmp_path: Path) -> None:
    cluster = SmallCluster(tmp_path, ["one"])
    define(f"ExecStart={sys.executable} -m http.server 8081 --bind {cluster.servers['one']}", "Restart=always", "WorkingDirectory=/run")
    settings = cluster.agent_settings("one", {"start": [], "driver": "systemd", "unit": UNIT})
    try:
        cluster.start("sds", cluster.sds_settings())
        part = cluster.start("agent", settings)
        cluster.settled_without_secondary("one")
        main = int(systemctl("show", "--value", "-p", "MainPID", UNIT))
        os.kill(main, signal.SIGKILL)
        words = f"the main process of {UNIT} (pid {main}) was killed by signal 9"
        until(lambda: any(words in event["text"] for event in cluster.history()), within_s=SOON_S, every_s=0.2)
        cluster.settled_without_secondary("one")
        assert systemctl("is-active", UNIT) == "active"
        part.process.send_signal(signal.SIGTERM)
        part.process.send_signal(signal.SIGTERM)
        part.ended(SOON_S)
        until(is_over, within_s=SOON_S)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{cluster.logs()}") from None
    finally:
        cluster.end()
