"""The keeper: daemons in the background are found, heard of, stopped and killed as a program in the foreground is (R5, R6, R17)."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import until

from agent import adoption, kept
from agent.channel import Exited
from agent.drivers.keeper import words_in
from tests.drivers.conftest import Kept, MakeKept, gone

SOON_S = 30.0


def pids(service: Kept) -> tuple[int, int]:
    """The daemon and its worker, once they run and have been written down."""
    pid_file = Path(service.definition.parameters["pidfile"])
    worker_file = pid_file.with_name(pid_file.name + ".worker")

    def told() -> tuple[int, int] | None:
        place = Path(service.agent.config.state_dir) / "run" / "www"
        if not pid_file.exists() or not pid_file.read_text().strip():
            return None
        daemon, worker = int(pid_file.read_text()), int(worker_file.read_text())
        recorded = kept.read(str(place)).sessions
        return (daemon, worker) if {daemon, worker} <= recorded.keys() else None

    return until(told, within_s=SOON_S)


@pytest.fixture
def service(make_kept: MakeKept) -> Kept:
    return make_kept()


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process."""
    process = subprocess.Popen(["tail", "-f", "/dev/null"])
    yield process
    process.kill()
    process.wait()


def test_the_stand_in_hides_all_that_marks_it(service: Kept) -> None:
    """Else these tests would prove nothing."""
    service.begin()
    for pid in pids(service):
        assert b"LOCUM" not in Path(f"/proc/{pid}/environ").read_bytes()
        stat = adoption.stat_of(pid)
        assert stat is not None and stat.session == pid
    service.agent.kill()


def test_the_death_of_the_daemon_ends_all_and_is_told_in_words(service: Kept) -> None:
    service.begin()
    daemon, worker = pids(service)
    os.kill(daemon, signal.SIGKILL)
    exited = service.agent.guard.hear(Exited)
    assert (exited.pid, exited.status) == (service.keeper, 7)
    assert gone(worker), "the keeper ends only after whom it kept"
    assert service.words == f"{service.words.split()[0]} (pid {daemon}) was killed by signal 9"


def test_sigterm_is_the_agents_stop_and_leaves_nothing(service: Kept, tmp_path: Path) -> None:
    service.begin()
    daemon, worker = pids(service)
    os.kill(service.keeper, signal.SIGTERM)
    assert service.agent.guard.hear(Exited).status == 0
    assert gone(daemon) and gone(worker) and (tmp_path / "daemon.pid.stop").exists()


def test_kill_leaves_nothing_and_says_gone(service: Kept) -> None:
    service.begin()
    daemon, worker = pids(service)
    service.agent.kill()
    assert all(map(gone, (service.keeper, daemon, worker)))


def test_a_keeper_that_is_killed_leaves_nothing_behind_either(service: Kept) -> None:
    """The tether is the next adopter; its scan takes what hides its marks."""
    service.begin()
    daemon, worker = pids(service)
    os.kill(service.keeper, signal.SIGKILL)
    service.agent.guard.hear(Exited)
    service.agent.kill()
    assert gone(daemon) and gone(worker)


def test_r17_a_stale_pid_file_is_removed_and_whom_it_names_is_left_alone(
    service: Kept, tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    """The number is another program's by now: the agent would believe that its own runs, and its stop would kill that one."""
    service.begin()
    pids(service)
    service.agent.kill()
    (tmp_path / "daemon.pid").write_text(f"{bystander.pid}\n")
    service.begin()
    daemon, _ = pids(service)
    assert daemon != bystander.pid and bystander.poll() is None
    assert f"removed {tmp_path}/daemon.pid" in service.log
    service.agent.kill()


def test_r17_a_pid_file_of_a_living_daemon_is_believed_and_nothing_is_started(service: Kept, tmp_path: Path) -> None:
    foreign = subprocess.Popen(["/bin/sh", "-c", "sleep 1000; exit"], start_new_session=True)
    try:
        (tmp_path / "daemon.pid").write_text(f"{foreign.pid}\n")
        service.begin()
        assert service.agent.guard.hear(Exited).status == 1
        assert "left no process of ours" in service.words and foreign.poll() is None
    finally:
        os.killpg(foreign.pid, signal.SIGKILL)
        foreign.wait()


def test_a_start_that_fails_is_told_in_the_agents_words(make_kept: MakeKept) -> None:
    service = make_kept(fail="the licence is over", status="4")
    service.begin()
    assert service.agent.guard.hear(Exited).status == 4
    assert service.words == "its agent's start failed: the licence is over"


def test_words_of_another_epoch_are_not_told(make_kept: MakeKept) -> None:
    service = make_kept(fail="it is broken")
    service.begin()
    service.agent.guard.hear(Exited)
    assert service.driver.last_words(service.definition, service.epoch + 1) == ""


def test_an_agent_that_starts_nothing_is_found_out(make_kept: MakeKept) -> None:
    service = make_kept(keeps="nothing")
    service.begin()
    assert service.agent.guard.hear(Exited).status == 1
    assert "left no process of ours" in service.words


@pytest.mark.parametrize("victims", ["tether", "tether and keeper"])
def test_r6_daemons_do_not_outlive_the_tether(service: Kept, victims: str) -> None:
    """The guard ends them, by descent while the keeper lives, by its record when it does not."""
    service.begin()
    daemon, worker = pids(service)
    assert service.agent.process is not None
    if victims != "tether":
        service.agent.guard.order(b"C")  # be as a guard is when its tether dies
        service.agent.guard.hear_sign("C")
        os.kill(service.keeper, signal.SIGSTOP)
    service.agent.process.kill()
    if victims != "tether":
        os.kill(service.keeper, signal.SIGKILL)
    until(lambda: gone(daemon) and gone(worker) and gone(service.keeper), within_s=SOON_S)


def test_r6_what_survived_everything_of_ours_is_ended_by_the_next_start(service: Kept) -> None:
    service.begin()
    daemon, worker = pids(service)
    agent = service.agent
    assert agent.process is not None
    for pid in (agent.guard.pid, agent.runner.pid, service.keeper, agent.process.pid):
        os.kill(pid, signal.SIGSTOP)  # so that none of them sees the others die
    for pid in (service.keeper, agent.guard.pid, agent.runner.pid, agent.process.pid):
        os.kill(pid, signal.SIGKILL)
    agent.process.wait()
    assert not gone(daemon) and not gone(worker)
    agent.start()
    assert gone(daemon) and gone(worker)
    assert "left from an earlier run" in agent.log


def test_a_record_of_another_boot_or_of_a_number_given_anew_owns_nobody(
    bystander: subprocess.Popen[bytes],
) -> None:
    stat = adoption.stat_of(bystander.pid)
    assert stat is not None
    leader = adoption.stat_of(stat.session)
    record = kept.Record()
    record.boot, record.sessions = kept.boot(), {stat.session: leader.started if leader else 0}
    if leader is not None:
        assert bystander.pid in kept.owned(record, kept.boot())
        record.sessions = {stat.session: leader.started + 1}
    assert kept.owned(record, kept.boot()) == []
    assert kept.owned(record, "another boot") == []


def test_a_record_is_what_was_written(tmp_path: Path) -> None:
    record = kept.Record()
    record.boot, record.sessions, record.programs = "b", {7: 8}, {"/usr/sbin/a b"}
    record.pid_files, record.group, record.unit = {"/run/x y.pid"}, "system.slice/a.service", "a.service"
    kept.write(str(tmp_path), kept.RECORD, record.lines())
    assert vars(kept.read(str(tmp_path))) == vars(record)
    assert vars(kept.parse("session 1\nsession x 2\nnonsense\n\n")) == vars(kept.Record())


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", ""),
        ("one\ntwo\n", "two"),
        ("x ERROR: first\nplain\n", "first"),
        ("x ERROR: no\nocf-exit-reason:the reason\nx ERROR: the reason\nINFO: bye\n", "the reason"),
    ],
)
def test_the_reason_is_found_in_what_an_agent_said(said: str, words: str) -> None:
    assert words_in(said) == words
