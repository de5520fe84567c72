"""What the OCF driver finds out, and what it says when a service cannot run here: one line, with the remedy (P19, R17)."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from waiting import until

from agent import kept
from agent.drivers import pid_files
from agent.drivers.boot import unit_enabled
from agent.drivers.ocf import OcfDriver
from bus.values import ServiceDefinition


@contextmanager
def open_door() -> Iterator[int]:
    """The port of something that listens."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as door:
        yield door.getsockname()[1]


def service(tmp_path: Path, name: str = "www", agent: str = "ocf:test:stand-in", port: int = 1, **parameters: str) -> ServiceDefinition:
    parameters = {"pidfile": str(tmp_path / f"{name}.pid")} | parameters
    return ServiceDefinition(name=name, fqdn=f"{name}.test", port=port, home="one", driver="ocf", agent=agent, parameters=parameters)


@pytest.fixture
def driver(tmp_path: Path, stand_in_root: Path) -> OcfDriver:
    return OcfDriver("one", "127.0.0.1", f"test/one@{tmp_path}", tmp_path, stand_in_root)


def why_not(driver: OcfDriver, *definitions: ServiceDefinition) -> str | None:
    """Of the first."""
    asyncio.run(driver.look(definitions, frozenset()))
    return driver.why_not(definitions[0])


def test_a_service_that_can_run_is_known_after_a_look(driver: OcfDriver, tmp_path: Path) -> None:
    definition = service(tmp_path)
    assert not driver.knows(definition)
    assert "has not been asked yet" in str(driver.why_not(definition))
    assert why_not(driver, definition) is None
    assert driver.knows(definition) and not driver.knows(service(tmp_path, loud="yes"))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"pidfil": "x"}, 'the agent has no "pidfil": did you mean "pidfile"?'),
        ({"zzz": "x"}, 'the agent has no "zzz": it has binary, fail,'),
        ({"pidfile": ""}, '"pidfile" is missing, and the agent requires it: add it'),
        ({"status": "many"}, 'status = "many" is no whole number'),
        ({"loud": "perhaps"}, 'loud = "perhaps" is neither yes nor no'),
        ({"invalid": "no such directory"}, "status 6, its parameters or its configuration are wrong: no such directory"),
        ({"invalid": "where is it?", "status": "5"}, "stand-in is not installed here (where is it?): apt install stand-in"),
        ({"monitor": "0"}, "says that it runs here already, and it is not ours: stop it"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_remedy(driver: OcfDriver, tmp_path: Path, parameters: dict[str, str], words: str) -> None:
    reason = why_not(driver, service(tmp_path, **parameters))
    assert reason is not None and words in reason and "\n" not in reason


def test_an_agent_that_does_not_look_for_its_program_is_seen_through(driver: OcfDriver, tmp_path: Path) -> None:
    reason = why_not(driver, service(tmp_path, binary="/usr/sbin/none"))
    assert reason == "stand-in is not installed here (/usr/sbin/none is not there): apt install stand-in"


def test_an_agent_is_not_asked_about_files_that_a_secondary_is_given_later(tmp_path: Path, stand_in_root: Path) -> None:
    """P4: nobody is appointed who is no candidate, and nobody is given the files who is not appointed."""
    lacking = True
    driver = OcfDriver("one", "127.0.0.1", f"test/one@{tmp_path}", tmp_path, stand_in_root, lacks_files=lambda _: lacking)
    definition = msgspec.structs.replace(service(tmp_path, invalid="no configuration"), files=("/srv/www",))
    assert why_not(driver, definition) is None and driver.knows(definition)
    lacking = False
    assert not driver.knows(definition), "a start has it looked at first, and starts nothing that runs already (R17)"
    assert "no configuration" in str(why_not(driver, definition)), "it is asked as soon as they are here"


def test_an_agent_that_is_not_there_is_named(driver: OcfDriver, tmp_path: Path) -> None:
    reason = why_not(driver, service(tmp_path, agent="ocf:test:none"))
    assert reason == f"there is no resource agent {tmp_path}/ocf/resource.d/test/none: apt install resource-agents, or mend agent"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("echo no xml", "its meta-data are no XML"),
        ("echo '<a/>'", "its meta-data begin with <a>"),
        ("printf '<!DOCTYPE r [<!ENTITY a \"b\">]><resource-agent/>'", "its meta-data define entities"),
        ("head -c 600000 /dev/zero", "its meta-data are longer than"),
        ("echo broken >&2; exit 1", "its meta-data: status 1, it failed, for a reason that has no number: broken"),
    ],
)
def test_meta_data_that_cannot_be_used_are_told(driver: OcfDriver, tmp_path: Path, said: str, words: str) -> None:
    agent = tmp_path / "ocf" / "resource.d" / "test" / "odd"
    agent.write_text(f"#!/bin/sh\n{said}\n")
    agent.chmod(0o755)
    reason = why_not(driver, service(tmp_path, agent="ocf:test:odd"))
    assert reason is not None and words in reason and "\n" not in reason


def test_a_parameter_that_is_unique_is_not_shared(driver: OcfDriver, tmp_path: Path) -> None:
    one, two = service(tmp_path, pidfile="/run/x.pid"), service(tmp_path, "shop", pidfile="/run/x.pid")
    assert why_not(driver, one, two) == 'parameters: pidfile = "/run/x.pid" is that of shop too, and no two may share it: change one'
    assert why_not(driver, one) is None, "the other is no longer there"


def seen(tmp_path: Path, *programs: str) -> None:
    """As if a keeper had kept daemons that ran these."""
    place = tmp_path / "run" / "www"
    place.mkdir(parents=True)
    record = kept.Record()
    record.boot, record.programs = kept.boot(), set(programs)
    kept.write(str(place), kept.RECORD, record.lines())


def test_r17_a_stale_pid_file_is_no_foreign_service(driver: OcfDriver, tmp_path: Path) -> None:
    """It names this very test, which runs no program that a keeper saw."""
    seen(tmp_path, "/usr/sbin/stand-in-daemon")
    (tmp_path / "www.pid").write_text(f"{os.getpid()}\n")
    assert why_not(driver, service(tmp_path)) is None
    assert not (tmp_path / "www.pid").exists()


@pytest.mark.parametrize("program", [None, os.path.realpath("/proc/self/exe")])
def test_r17_the_pid_file_of_a_living_daemon_is_not_stale_whatever_the_parameters_call_its_program(
    driver: OcfDriver, tmp_path: Path, program: str | None
) -> None:
    """mysql's `binary` starts mariadbd: nothing but what a keeper saw tells what the daemon runs."""
    if program is not None:
        seen(tmp_path, program)
    (tmp_path / "www.pid").write_text(f"{os.getpid()}\n")
    assert "says that it runs here already" in str(why_not(driver, service(tmp_path)))
    assert (tmp_path / "www.pid").exists()


def test_r17_a_process_of_which_nobody_knows_what_it_runs_makes_no_pid_file_stale(tmp_path: Path) -> None:
    pid_file = tmp_path / "kernel.pid"
    threads = [int(name) for name in os.listdir("/proc") if name.isdecimal() and kept.stat(int(name)) and not kept.program_of(int(name))]
    if not threads:
        pytest.skip("there is no process here whose program cannot be read, such as a thread of the kernel")
    pid_file.write_text("".join(f"{pid}\n" for pid in threads))
    assert not pid_files.stale(str(pid_file), {"/usr/sbin/stand-in-daemon"})


def test_what_was_found_is_kept_while_it_runs_here(driver: OcfDriver, tmp_path: Path) -> None:
    definition = service(tmp_path)
    assert why_not(driver, definition) is None
    (tmp_path / "ocf" / "resource.d" / "test" / "stand-in").unlink()
    asyncio.run(driver.look([definition], frozenset({"www"})))
    assert driver.why_not(definition, ours=True) is None


def check(driver: OcfDriver, definition: ServiceDefinition, times: int) -> list[tuple[bool | None, str]]:
    async def checks() -> list[tuple[bool | None, str]]:
        return [await driver.check(definition, 3) for _ in range(times)]

    return asyncio.run(checks())


def test_a_service_answers_when_its_port_does_and_its_monitor_is_asked_later(stand_in_root: Path, tmp_path: Path) -> None:
    driver = OcfDriver("one", "127.0.0.1", f"test/one@{tmp_path}", tmp_path, stand_in_root, monitor_every_s=3.0)
    with open_door() as port:
        definition = service(tmp_path, port=port, monitor="1")
        assert why_not(driver, definition) is not None, "the port is somebody else's"
        assert check(driver, definition, 1) == [(True, "")], "its monitor is not asked yet"
        failed = [(False, "ocf:test:stand-in monitor: status 1, it failed, for a reason that has no number")]
        until(lambda: check(driver, definition, 1) == failed, within_s=30.0, every_s=0.2)
        assert check(driver, definition, 1) == failed, "at once, though the next monitor is not due"
        assert check(driver, service(tmp_path, port=port, monitor="0"), 1)[0][0], "a monitor that failed is repeated with every check"


def test_a_monitor_that_takes_too_long_says_nothing(stand_in_root: Path, tmp_path: Path) -> None:
    """The stand-in advises 1 s."""
    driver = OcfDriver("one", "127.0.0.1", f"test/one@{tmp_path}", tmp_path, stand_in_root, monitor_every_s=0.0)
    with open_door() as port:
        definition = service(tmp_path, port=port)
        why_not(driver, definition)
        definition = service(tmp_path, port=port, monitor="hangs")
        asyncio.run(driver.look([definition], frozenset({"www"})))
        assert check(driver, definition, 2)[1] == (None, "ocf:test:stand-in monitor took longer than 1 s")


def test_a_closed_port_does_not_answer(driver: OcfDriver, tmp_path: Path) -> None:
    with open_door() as port:
        pass
    [(answers, text)] = check(driver, service(tmp_path, port=port), 1)
    assert answers is False and f"port {port}" in text


@pytest.mark.parametrize("unit", ["nginx.service", "nginx@main.service", "nginx.socket"])
def test_r17_a_unit_of_the_agents_name_that_is_enabled_is_named(tmp_path: Path, unit: str) -> None:
    """Postfix's unit starts nothing by itself: its name must do."""
    wants = tmp_path / "multi-user.target.wants"
    wants.mkdir()
    (wants / "ngin.service").touch()
    assert unit_enabled("nginx", [tmp_path]) is None
    (wants / unit).touch()
    assert unit_enabled("nginx", [tmp_path]) == unit
