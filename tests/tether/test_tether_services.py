"""Services under a real tether: begun, ended, and nothing of them left (R5, R6)."""

from __future__ import annotations

import os
import signal

from agent import adoption
from agent.channel import Activate, Activated, Exited, Gone, Kill, Prepare, Spawned, SpawnFailed, Until
from bus.values import ServiceDefinition
from tests.tether.conftest import Agent, alive, boottime
from tests.waiting import until

STUBBORN = "trap '' TERM HUP INT; echo $$ > $HERE/main; while :; do sleep 1000; done"
DAEMON = "(setsid sh -c 'echo $$ > $HERE/daemon; exec sleep 1000' &); "
# Its environment wiped, in a session of its own, its parent gone: nothing but its descent tells whose it is.
HIDDEN = "(setsid env -i HERE=$HERE sh -c 'echo $$ > $HERE/hidden; exec env -i sleep 1000' &); "
# An nginx of sorts: its worker stays in its session, and no environment tells what it is.
WORKER = "env -i HERE=$HERE sh -c 'echo $$ > $HERE/worker; exec env -i sleep 1000' & "
FORKING = "for i in 1 2 3 4 5; do (while :; do sleep 0.01; done) & done; "


def test_a_service_is_spawned_plain_and_marked(agent: Agent) -> None:
    pid = agent.spawn("env; echo cwd=$PWD; exec sleep 1000", epoch=7)
    text = until(lambda: "cwd=" in (out := (agent.directory / "www.out").read_text()) and out)
    words = dict(line.partition("=")[::2] for line in text.splitlines())
    assert {key: words[key] for key in words if key.startswith("LOCUM")} == adoption.marks(agent.id, "www", 7, 7000)
    assert words["HERE"] == str(agent.directory) and "VIRTUAL_ENV" not in words
    assert words["cwd"] == os.path.realpath(agent.config.state_dir)
    stat = adoption.stat_of(pid)
    assert stat is not None and stat.session == stat.group == pid
    assert os.sched_getscheduler(pid) == os.SCHED_OTHER and os.getpriority(os.PRIO_PROCESS, pid) == 0
    with open(f"/proc/{pid}/status") as status:
        signals = {line.split(":")[0]: int(line.split()[1], 16) for line in status if line.startswith(("SigBlk", "SigIgn"))}
    assert signals == {"SigBlk": 0, "SigIgn": 0}
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    with open(f"/proc/{pid}/oom_score_adj") as score:
        assert score.read().strip() == "0"


def test_an_exit_is_told_with_its_status(agent: Agent) -> None:
    pid = agent.spawn("exit 3", epoch=2)
    exited = agent.guard.hear(Exited)
    assert (exited.service, exited.epoch, exited.pid, exited.status) == ("www", 2, pid, 3)


def test_a_killed_main_process_is_told_with_its_signal(agent: Agent) -> None:
    pid = agent.spawn("exec sleep 1000")
    os.kill(pid, signal.SIGSEGV)
    assert agent.guard.hear(Exited).status == -signal.SIGSEGV


def test_kill_ends_everything_and_says_gone_once(agent: Agent) -> None:
    pid = agent.spawn(FORKING + DAEMON + HIDDEN + STUBBORN)
    others = [agent.pid_in("daemon"), agent.pid_in("hidden")]
    os.kill(pid, signal.SIGTERM)  # ignored
    assert alive(pid) and all(map(alive, others))
    agent.kill()
    assert not any(map(alive, [pid, *others]))
    assert not adoption.find(agent.id, "www")
    assert agent.guard.sent_nothing_else()


def test_kill_leaves_other_services_alone(agent: Agent) -> None:
    mail = agent.spawn(DAEMON + "exec sleep 1000", "mail")
    daemon = agent.pid_in("daemon")
    agent.spawn("exec sleep 1000", "www")
    agent.kill("www")
    assert alive(mail) and alive(daemon)
    agent.kill("mail")
    assert not alive(mail) and not alive(daemon)


def test_what_outlives_the_main_process_is_found(agent: Agent) -> None:
    agent.spawn(DAEMON + "while [ ! -s $HERE/daemon ]; do sleep 0.01; done")
    agent.guard.hear(Exited)
    daemon = agent.pid_in("daemon")
    assert alive(daemon)
    agent.guard.say(agent.spawn_line(("/bin/true",), epoch=1))
    assert "processes of it may be left" in agent.guard.hear(SpawnFailed).reason
    agent.kill()
    assert not alive(daemon)


def test_a_worker_is_known_by_its_session(agent: Agent) -> None:
    """It wiped its environment and lost its parent, as nginx's do: still it is www's and nobody else's."""
    main, worker = agent.spawn(WORKER + "wait", "www"), agent.pid_in("worker")
    os.kill(main, signal.SIGKILL)
    agent.guard.hear(Exited, "www")
    agent.spawn("exec sleep 1000", "mail")
    agent.kill("mail")
    assert alive(worker)
    agent.kill("www")
    assert not alive(worker)


def test_kill_of_what_never_ran_is_gone_too(agent: Agent) -> None:
    agent.kill("never-spawned")


def test_a_kill_right_behind_its_spawn_leaves_nothing(agent: Agent) -> None:
    for epoch in range(1, 21):
        agent.guard.say(agent.spawn_line(("/bin/sleep", "1000"), epoch=epoch))
        agent.guard.say(Kill(service="www", number=1))
        agent.guard.hear(Gone)
        assert not adoption.find(agent.id, "www")


def test_a_spawn_behind_a_kill_is_refused_until_gone(agent: Agent) -> None:
    pid = agent.spawn(FORKING + STUBBORN)
    with agent.stopped():  # so that it reads both at once
        agent.guard.say(Kill(service="www", number=1))
        agent.guard.say(agent.spawn_line(("/bin/sleep", "1000"), epoch=2))
        agent.guard.settle()
    assert "being killed" in agent.guard.hear(SpawnFailed).reason
    agent.guard.hear(Gone)
    assert not alive(pid)
    assert alive(agent.spawn("exec sleep 1000", epoch=2))


def test_a_lower_epoch_is_refused(agent: Agent) -> None:
    agent.spawn("exec sleep 1000", epoch=5)
    agent.kill()
    agent.guard.say(agent.spawn_line(("/bin/sleep", "1000"), epoch=4))
    failed = agent.guard.hear(SpawnFailed)
    assert failed.epoch == 4 and "epoch 5" in failed.reason


def test_a_missing_program_is_one_clear_line(agent: Agent) -> None:
    agent.guard.say(agent.spawn_line(("/no/such/program",)))
    assert agent.guard.hear(SpawnFailed).reason == "cannot run /no/such/program: No such file or directory"
    agent.guard.say(agent.spawn_line(("no-such-word",)))
    assert agent.guard.hear(SpawnFailed).reason == "cannot run no-such-word: No such file or directory"
    assert alive(agent.spawn("exec sleep 1000"))  # at once: nothing of the failed ones is left


def test_an_output_that_cannot_be_opened_is_one_clear_line(agent: Agent) -> None:
    line = agent.spawn_line(("/bin/sleep", "1000"))
    path = f"{agent.directory}/no/such/place"
    agent.guard.say(type(line)(**{field: getattr(line, field) for field in line.__struct_fields__} | {"output": path}))
    assert agent.guard.hear(SpawnFailed).reason == f"cannot open its output {path}: No such file or directory"


def test_unusable_words_are_one_clear_line(agent: Agent) -> None:
    agent.guard.say(agent.spawn_line(("/bin/echo", "a\0b")))
    assert "embedded null" in agent.guard.hear(SpawnFailed).reason
    agent.guard.say(agent.spawn_line(()))
    assert agent.guard.hear(SpawnFailed).reason.startswith("cannot run an empty command")


def test_a_service_that_is_not_prolonged_is_killed_by_the_tether(agent: Agent) -> None:
    pid = agent.spawn("exec sleep 1000", until_s=0.3)
    agent.guard.say(Until(service="www", until_at=boottime() + 0.4))
    exited = agent.guard.hear(Exited)
    agent.guard.hear(Gone)
    assert (exited.pid, exited.status) == (pid, -signal.SIGKILL)
    assert "www: killed by the tether" in agent.log


def test_a_service_that_is_prolonged_lives(agent: Agent) -> None:
    pid = agent.spawn("exec sleep 1000", until_s=1.0)
    begun = boottime()

    def prolong() -> bool:
        agent.guard.say(Until(service="www", until_at=boottime() + 1.0))
        return boottime() > begun + 2.0

    until(prolong, every_s=0.05)
    assert alive(pid) and agent.guard.sent_nothing_else()


def test_one_of_two_hundred_is_found(agent: Agent) -> None:
    """A service of many processes dies as one; another of as many does not suffer."""
    many = "for i in $(seq 60); do sleep 1000 & done; "
    mail = agent.spawn(many + "wait", "mail")
    www = agent.spawn(many + DAEMON + "wait", "www")
    daemon = agent.pid_in("daemon")
    until(lambda: len(adoption.find(agent.id)) >= 2 + 122 + 1)
    agent.kill("www")
    assert not alive(www) and not alive(daemon) and alive(mail)
    assert {one.service for one in adoption.find(agent.id)} == {None, "mail"}


def test_spawned_is_said_of_a_running_program(agent: Agent) -> None:
    agent.guard.say(agent.spawn_line(("/bin/sleep", "1000")))
    pid = agent.guard.hear(Spawned).pid
    with open(f"/proc/{pid}/cmdline", "rb") as words:
        assert words.read() == b"/bin/sleep\x001000\x00"


SHUT = "echo $$ > $HERE/main; exec sleep 1000"


def prepare(agent: Agent, script: str = SHUT) -> int:
    """A hot standby that is this shell script; its main pid."""
    line = agent.spawn_line(("/bin/sh", "-c", script))
    definition = ServiceDefinition(name="www", fqdn="www.test", port=80, home="http")
    agent.guard.say(Prepare(service="www", definition=definition, argv=line.argv, environment=line.environment, output=line.output))
    spawned = agent.guard.hear(Spawned)
    assert spawned.epoch == 0
    return spawned.pid


def activate(agent: Agent, script: str, epoch: int = 3) -> None:
    line = agent.spawn_line(("/bin/sh", "-c", script), epoch=epoch)
    agent.guard.say(Until(service="www", until_at=boottime() + 3600))
    agent.guard.say(
        Activate(service="www", epoch=epoch, grant_id=line.grant_id, argv=line.argv, environment=line.environment, output=line.output)
    )


def test_a_standby_lives_without_a_lease_and_ends_with_the_guard(agent: Agent) -> None:
    pid = prepare(agent)
    assert [one.service for one in adoption.find(agent.id, "www")] == ["www"], "it is ours for R17, and for leftovers"
    os.kill(agent.guard.pid, signal.SIGKILL)
    agent.meet_parts()
    assert not alive(pid)


def test_what_activates_a_standby_is_part_of_the_service(agent: Agent) -> None:
    prepare(agent)
    activate(agent, "env > $HERE/opener; exit 4")
    assert agent.guard.hear(Activated).status == 4
    words = dict(line.partition("=")[::2] for line in (agent.directory / "opener").read_text().splitlines())
    assert {key: words[key] for key in words if key.startswith("LOCUM")} == adoption.marks(agent.id, "www", 3, 3000)


def test_what_cannot_be_run_activates_nothing(agent: Agent) -> None:
    pid = prepare(agent)
    agent.guard.say(Activate(service="www", epoch=3, grant_id=5, argv=("/no/such",), environment={}, output=""))
    activated = agent.guard.hear(Activated)
    assert activated.status and "/no/such" in activated.reason and alive(pid)
    agent.kill()


def test_kill_ends_an_activation_under_way_too(agent: Agent) -> None:
    """Nothing opens a door after `Gone`."""
    main = prepare(agent)
    activate(agent, "(setsid sh -c 'echo $$ > $HERE/daemon; exec sleep 1000' &); trap '' TERM; echo $$ > $HERE/opener; sleep 1000; true")
    opener, daemon = agent.pid_in("opener"), agent.pid_in("daemon")
    agent.kill()
    assert not any(map(alive, (main, opener, daemon)))


def test_an_activated_standby_that_is_not_prolonged_is_killed(agent: Agent) -> None:
    main = prepare(agent)
    agent.guard.say(Until(service="www", until_at=boottime() + 0.2))
    agent.guard.say(Activate(service="www", epoch=3, grant_id=5, argv=("/bin/sleep", "1000"), environment={}, output=""))
    agent.guard.hear(Gone)
    assert not alive(main) and not adoption.find(agent.id, "www")
