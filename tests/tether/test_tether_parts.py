"""Who dies, and what becomes of the others (R4, R6)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from agent import adoption
from agent.channel import HandOver, Serving, Welcome
from tests.tether.conftest import Agent, alive
from tests.tether.test_tether_services import DAEMON, HIDDEN, STUBBORN, WORKER
from tests.waiting import until


def test_guard_and_runner_have_a_line(agent: Agent) -> None:
    agent.runner.say(Serving(service="www", epoch=1))
    assert agent.guard.hear(Serving, sign="R").epoch == 1
    agent.guard.say(Welcome(incarnation=9), to="R")
    assert agent.runner.hear(Welcome).incarnation == 9


def test_a_killed_guard_takes_all_services_along_and_both_parts_return(agent: Agent) -> None:
    services = [agent.spawn(STUBBORN, "www"), agent.spawn(DAEMON + HIDDEN + "exec sleep 1000", "mail")]
    services += [agent.pid_in("daemon"), agent.pid_in("hidden")]
    guard, runner = agent.guard.pid, agent.runner.pid
    os.kill(guard, signal.SIGKILL)
    agent.meet_parts()
    assert not any(map(alive, [*services, guard, runner]))  # the new guard begins with nothing running
    assert agent.guard.pid != guard and agent.runner.pid != runner
    assert alive(agent.spawn("exec sleep 1000", epoch=2))


def test_a_stopped_guard_loses_its_services(agent: Agent) -> None:
    pid = agent.spawn(DAEMON + STUBBORN, until_s=0.5)
    daemon = agent.pid_in("daemon")
    os.kill(agent.guard.pid, signal.SIGSTOP)
    until(lambda: not alive(pid) and not alive(daemon))
    assert alive(agent.guard.pid) and alive(agent.runner.pid)
    os.kill(agent.guard.pid, signal.SIGCONT)


def test_a_killed_runner_returns_and_the_service_lives(agent: Agent) -> None:
    pid, guard, runner = agent.spawn("exec sleep 1000"), agent.guard, agent.runner
    os.kill(runner.pid, signal.SIGKILL)
    agent.runner = agent.accept()
    assert agent.runner.name == "runner" and agent.runner.pid != runner.pid
    agent.runner.say(Serving(service="www", epoch=1))
    guard.hear(Serving, sign="R")
    assert alive(pid) and alive(guard.pid)


def test_a_guard_that_talks_nonsense_is_replaced(agent: Agent) -> None:
    pid, guard = agent.spawn("exec sleep 1000"), agent.guard.pid
    agent.guard.order(b"Yl\xc1nonsense")
    agent.meet_parts()
    assert not alive(pid) and not alive(guard)
    assert "malformed line" in agent.log


@pytest.mark.parametrize("by", ["C", "D"], ids=["the kernel's signal", "the line's end"])
def test_a_killed_tether_leaves_nothing(agent: Agent, by: str) -> None:
    agent.guard.order(by.encode())
    agent.guard.hear_sign(by)
    pids = [agent.guard.pid, agent.runner.pid, agent.spawn(DAEMON + WORKER + "wait")]
    pids += [agent.pid_in("daemon"), agent.pid_in("worker")]
    agent.end_with(signal.SIGKILL)
    until(lambda: not any(map(alive, pids)))


def test_a_killed_tether_takes_a_plain_guard_along(agent: Agent) -> None:
    """Even one that never looks at its line: by the kernel's signal."""
    pids = [agent.guard.pid, agent.runner.pid, agent.spawn("exec sleep 1000")]
    agent.end_with(signal.SIGKILL)
    until(lambda: not any(map(alive, pids)))


def test_leftovers_are_ended_at_the_start(agent: Agent) -> None:
    agent.spawn(DAEMON + "exec sleep 1000")
    daemon = agent.pid_in("daemon")
    agent.end_with(signal.SIGKILL)
    until(lambda: len(adoption.find(agent.id)) == 1)
    assert alive(daemon)
    agent.start()
    assert not alive(daemon)
    assert "ended 1 processes left from an earlier run" in agent.log


def test_a_second_agent_of_the_same_state_is_refused_and_harms_nothing(agent: Agent) -> None:
    pid = agent.spawn("exec sleep 1000")
    first = agent.process
    second = agent.launch()
    assert second.wait(10) == 1
    agent.process = first
    assert "another agent runs with state_dir" in agent.log
    assert alive(pid) and alive(agent.guard.pid)


def test_sigterm_hands_over_and_ends(agent: Agent) -> None:
    pid, guard = agent.spawn(DAEMON + STUBBORN), agent.guard.pid
    daemon = agent.pid_in("daemon")
    assert agent.process
    agent.process.send_signal(signal.SIGTERM)
    agent.runner.hear_sign("T")
    agent.runner.say(HandOver())
    agent.guard.hear(HandOver, sign="R")
    assert alive(pid) and alive(guard)  # until the runner says by its end that it is done
    agent.kill()
    agent.runner.order(b"X0")
    assert agent.process.wait(10) == 0
    assert not any(map(alive, [pid, daemon, guard])) and not adoption.find(agent.id)
    assert "everything was handed over" in agent.log


def test_a_sigterm_while_the_runner_is_away_waits_for_the_next(agent: Agent) -> None:
    pid, runner = agent.spawn("exec sleep 1000"), agent.runner.pid
    assert agent.process
    with agent.stopped():
        os.kill(runner, signal.SIGKILL)
        agent.process.send_signal(signal.SIGTERM)
    agent.runner = agent.accept()
    agent.runner.hear_sign("T")
    assert alive(pid) and agent.runner.pid != runner
    agent.runner.order(b"X0")
    assert agent.process.wait(10) == 0
    assert "everything was handed over" in agent.log


def test_a_second_sigterm_hastens(agent: Agent) -> None:
    pids = [agent.spawn(HIDDEN + STUBBORN), agent.pid_in("hidden"), agent.guard.pid, agent.runner.pid]
    assert agent.process
    agent.process.send_signal(signal.SIGTERM)
    agent.runner.hear_sign("T")
    assert agent.end_with(signal.SIGINT) == 0
    assert not any(map(alive, pids))


def test_a_runner_that_dies_while_handing_over_is_followed_by_one_that_goes_on(agent: Agent) -> None:
    pid = agent.spawn("exec sleep 1000")
    assert agent.process
    agent.process.send_signal(signal.SIGTERM)
    agent.runner.hear_sign("T")
    os.kill(agent.runner.pid, signal.SIGKILL)
    agent.runner = agent.accept()
    agent.runner.hear_sign("T")
    assert alive(pid)
    agent.runner.order(b"X0")
    assert agent.process.wait(10) == 0
    assert not alive(pid)


def test_a_config_that_a_part_refuses_ends_the_agent(agent: Agent) -> None:
    pid = agent.spawn("exec sleep 1000")
    agent.runner.order(b"X2")
    assert agent.process and agent.process.wait(10) == 2
    assert not alive(pid) and not alive(agent.guard.pid)


def test_a_part_that_refuses_to_start_ends_the_agent(make_agent: Callable[..., Agent]) -> None:
    agent = make_agent()
    agent.commands[0] = [sys.executable, "-c", "import sys; sys.exit(77)"]
    assert agent.launch().wait(10) == 1
    assert not adoption.find(agent.id)


def test_a_part_that_keeps_dying_is_started_more_slowly(make_agent: Callable[..., Agent]) -> None:
    agent = make_agent()
    starts = agent.directory / "starts"
    agent.commands[1] = ["/bin/sh", "-c", f"cut -d' ' -f1 /proc/uptime >> {starts}; exit 7"]
    agent.launch()
    until(lambda: starts.exists() and len(starts.read_text().splitlines()) >= 8, within_s=20)
    at = [float(line) for line in starts.read_text().splitlines()[:8]]
    assert at[7] - at[6] > 0.9 and at[4] - at[0] < 5
    assert agent.end_with(signal.SIGTERM) == 0 or "ending at once" in agent.log


def test_a_missing_part_is_named(make_agent: Callable[..., Agent]) -> None:
    agent = make_agent()
    agent.commands[0] = ["/no/such/guard"]
    agent.launch()
    until(lambda: "guard: cannot run /no/such/guard: No such file or directory" in agent.log)
    assert agent.end_with(signal.SIGTERM) == 0


def test_an_unusable_state_dir_is_one_line(make_agent: Callable[..., Agent]) -> None:
    agent = make_agent()
    (agent.directory / "state").write_text("a file")
    assert agent.launch().wait(10) == 2
    assert "agent.toml: state_dir:" in agent.log and len(agent.log.splitlines()) == 1


def test_the_command_line_names_a_bad_config() -> None:
    done = subprocess.run([sys.executable, "-m", "agent.tether", "/no/such.toml"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "/no/such.toml: cannot be read" in done.stderr and len(done.stderr.splitlines()) == 1
