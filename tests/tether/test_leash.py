"""What the tether must spawn and kill, and when: the machine alone."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent.channel import Activate, Activated, Exited, Gone, Kill, Line, Prepare, Spawn, Spawned, SpawnFailed, Until
from agent.leash import (
    Action,
    ActivationEnded,
    GuardGone,
    GuardUp,
    KillAll,
    Launch,
    LaunchActivation,
    Leash,
    NoneLeft,
    ProcessEnded,
    ProcessFailed,
    ProcessStarted,
    Remark,
    Say,
)
from bus.step import NEVER, Tick
from bus.values import ServiceDefinition

H, HALF_S = 0.6, 0.2


def spawn(service: str = "www", epoch: int = 1) -> Spawn:
    return Spawn(service=service, epoch=epoch, grant_id=5, argv=("x",), environment={}, output="o")


def said(actions: list[Action]) -> list[Line]:
    return [action.line for action in actions if isinstance(action, Say)]


def running(epoch: int = 1, at: float = 0.0) -> Leash:
    leash = Leash(H, HALF_S)
    assert leash.step(spawn(epoch=epoch), at) == [Launch(spawn(epoch=epoch))]
    assert said(leash.step(ProcessStarted("www", epoch, 9), at)) == [Spawned(service="www", epoch=epoch, pid=9)]
    return leash


def refusal(actions: list[Action]) -> str:
    (line,) = said(actions)
    assert isinstance(line, SpawnFailed) and len(actions) == 1
    return line.reason


def test_a_failure_frees_the_service() -> None:
    leash = Leash(H, HALF_S)
    leash.step(spawn(), 0)
    assert said(leash.step(ProcessFailed("www", 1, "no"), 0)) == [SpawnFailed(service="www", epoch=1, reason="no")]
    assert leash.clear and leash.wake_at == NEVER
    assert leash.step(spawn(), 0) == [Launch(spawn())]


def test_a_kill_is_repeated_ever_more_slowly_until_none_is_left() -> None:
    leash = running()
    assert leash.step(Kill(service="www", number=1), 1.0) == [KillAll(("www",))]
    intervals, now = [], 1.0
    for _ in range(8):
        intervals.append(leash.wake_at - now)
        assert not leash.step(Tick(), now)  # not before its time
        now = leash.wake_at
        assert leash.step(Tick(), now) == [KillAll(("www",))]
    rounded = [round(interval, 6) for interval in intervals]
    assert 0 < rounded[0] <= 0.005 and rounded == sorted(rounded) and rounded[-1] == 0.05
    assert said(leash.step(NoneLeft("www"), now)) == [Gone(service="www", number=1)]
    assert leash.clear and leash.wake_at == NEVER
    assert leash.step(NoneLeft("www"), now) == []


def test_killing_that_takes_long_is_remarked_once() -> None:
    leash, now, remarks = running(), 1.0, []
    leash.step(Kill(service="www", number=1), now)
    while now < 20.0:
        now = leash.wake_at
        remarks += [action for action in leash.step(Tick(), now) if isinstance(action, Remark)]
    assert len(remarks) == 1 and "www: SIGKILL has not ended all of it" in remarks[0].text


def test_an_ordered_end_is_no_exit_but_a_reason_to_look_at_once() -> None:
    leash = running()
    leash.step(Kill(service="www", number=1), 1.0)
    assert leash.step(ProcessEnded("www", 9, -9), 1.0) == [KillAll(("www",))]


def test_an_exit_of_its_own_is_told_and_the_rest_waits_for_a_kill() -> None:
    leash = running()
    assert said(leash.step(ProcessEnded("www", 9, 3), 0.1)) == [Exited(service="www", epoch=1, pid=9, status=3)]
    assert not leash.clear
    assert "has not been killed" in refusal(leash.step(spawn(), 0.1))
    assert leash.step(Kill(service="www", number=1), 0.2) == [KillAll(("www",))]


def test_no_second_life_before_the_first_is_gone() -> None:
    leash = Leash(H, HALF_S)
    leash.step(spawn(), 0)
    assert refusal(leash.step(spawn(), 0))  # starting
    leash.step(ProcessStarted("www", 1, 9), 0)
    assert refusal(leash.step(spawn(epoch=2), 0))  # running
    leash.step(Kill(service="www", number=1), 0)
    assert "being killed" in refusal(leash.step(spawn(epoch=2), 0))
    leash.step(NoneLeft("www"), 0)
    assert leash.step(spawn(epoch=2), 0) == [Launch(spawn(epoch=2))]


def test_a_lower_epoch_never_starts() -> None:
    leash = running(epoch=5)
    leash.step(GuardGone(), 0)
    leash.step(NoneLeft("www"), 0)
    leash.step(GuardUp(), 0)
    assert "epoch 5" in refusal(leash.step(spawn(epoch=4), 0))
    assert leash.step(spawn(epoch=5), 0) == [Launch(spawn(epoch=5))]


def test_a_spawn_alone_earns_one_lease() -> None:
    leash = running(at=10.0)
    assert leash.wake_at == 10.0 + H + HALF_S


def test_an_until_said_before_the_spawn_counts() -> None:
    leash = Leash(H, HALF_S)
    leash.step(Until(service="www", until_at=10.2), 10.0)
    leash.step(spawn(), 10.0)
    assert leash.wake_at == 10.2 + HALF_S


def test_an_until_of_the_life_before_does_not() -> None:
    leash = running()
    leash.step(Until(service="www", until_at=100.0), 1.0)
    leash.step(Kill(service="www", number=1), 2.0)
    leash.step(NoneLeft("www"), 2.0)
    leash.step(spawn(), 3.0)
    assert leash.wake_at == 3.0 + H + HALF_S


def test_the_latest_until_counts_whichever_way_it_goes() -> None:
    leash = running()
    leash.step(Until(service="www", until_at=5.0), 1.0)
    assert leash.wake_at == 5.0 + HALF_S
    leash.step(Until(service="www", until_at=2.0), 1.0)
    assert leash.wake_at == 2.0 + HALF_S
    leash.step(Until(service="www", until_at=NEVER), 1.0)  # R12: alone
    assert leash.wake_at == NEVER


def test_newer_words_that_are_yet_unread_are_not_judged() -> None:
    """R7: each of several late lines is heard before the clock is looked at."""
    leash = running()
    leash.step(spawn("mail"), 0.0)
    assert leash.step(Until(service="www", until_at=9.0), 5.0) == []
    assert leash.step(Until(service="mail", until_at=9.0), 5.0) == []
    assert leash.step(Tick(), 5.0) == []


def test_what_is_not_prolonged_is_killed_and_told() -> None:
    leash = running()
    leash.step(Until(service="www", until_at=1.0), 0.5)
    assert leash.step(Tick(), 1.0 + HALF_S - 0.001) == []
    actions = leash.step(Tick(), 1.0 + HALF_S)
    assert [type(action) for action in actions] == [Remark, KillAll]
    assert said(leash.step(ProcessEnded("www", 9, -9), 1.3)) == [Exited(service="www", epoch=1, pid=9, status=-9)]
    assert said(leash.step(NoneLeft("www"), 1.3)) == [Gone(service="www")]


def test_the_end_names_the_newest_order_to_spawn_though_it_was_refused() -> None:
    leash = Leash(H, HALF_S)
    leash.step(msgspec.structs.replace(spawn(), number=1), 0.0)
    leash.step(Tick(), H + HALF_S)
    assert refusal(leash.step(msgspec.structs.replace(spawn(), number=2), H + HALF_S))
    assert said(leash.step(NoneLeft("www"), H + HALF_S)) == [Gone(service="www", spawn=2)]


def test_what_is_not_prolonged_while_it_starts_has_failed() -> None:
    leash = Leash(H, HALF_S)
    leash.step(spawn(), 0.0)
    lines = said(leash.step(Tick(), H + HALF_S))
    assert isinstance(lines[0], SpawnFailed) and "killed by the tether" in lines[0].reason
    assert leash.step(ProcessStarted("www", 1, 9), 1.0) == []


def test_what_outlived_its_main_process_is_on_the_leash_too() -> None:
    leash = running()
    leash.step(ProcessEnded("www", 9, 0), 0.1)
    assert KillAll(("www",)) in leash.step(Tick(), H + HALF_S)


def test_without_guard_all_is_killed_and_nothing_obeyed() -> None:
    leash = running()
    leash.step(spawn("mail"), 0.0)
    assert leash.step(GuardGone(), 0.1) == [KillAll(("www", "mail"))]
    for line in (spawn("ftp"), Kill(service="www", number=1), Until(service="www", until_at=99.0)):
        assert leash.step(line, 0.1) == []
    assert leash.step(ProcessStarted("mail", 1, 10), 0.1) == []
    assert leash.step(ProcessEnded("www", 9, -9), 0.1) == [KillAll(("www",))]
    assert leash.step(NoneLeft("www"), 0.1) == [] and leash.killing == ("mail",) and not leash.clear
    assert leash.step(NoneLeft("mail"), 0.1) == [] and leash.clear


WWW = ServiceDefinition(name="www", fqdn="www.test", port=80, home="http")


def prepare(service: str = "www") -> Prepare:
    return Prepare(service=service, definition=WWW, argv=("x",), environment={}, output="o")


def activate(epoch: int = 1, service: str = "www") -> Activate:
    return Activate(service=service, epoch=epoch, grant_id=5, argv=("open",), environment={}, output="o")


def standby() -> Leash:
    leash = Leash(H, HALF_S)
    (launch,) = leash.step(prepare(), 0.0)
    assert isinstance(launch, Launch) and launch.spawn.epoch == 0
    assert said(leash.step(ProcessStarted("www", 0, 9), 0.0)) == [Spawned(service="www", epoch=0, pid=9)]
    return leash


def unactivated(actions: list[Action]) -> Activated:
    (line,) = said(actions)
    assert isinstance(line, Activated) and line.status and line.reason and len(actions) == 1
    return line


def test_a_standby_needs_no_lease_and_dies_with_the_guard() -> None:
    leash = standby()
    assert leash.wake_at == NEVER
    assert not leash.clear, "a new guard must not start beside it"
    assert leash.step(GuardGone(), 5.0) == [KillAll(("www",))]


def test_an_activated_standby_is_on_the_leash_of_its_epoch() -> None:
    leash = standby()
    leash.step(Until(service="www", until_at=10.3), 10.0)
    assert leash.step(activate(), 10.0) == [LaunchActivation(activate())]
    assert leash.wake_at == 10.3 + HALF_S
    leash.step(Until(service="www", until_at=10.5), 10.1)
    assert said(leash.step(ActivationEnded("www", 1, 0), 10.1)) == [Activated(service="www", epoch=1, status=0)]
    assert KillAll(("www",)) in leash.step(Tick(), 10.5 + HALF_S)


def test_an_activation_alone_earns_one_lease() -> None:
    leash = standby()
    leash.step(activate(), 10.0)
    assert leash.wake_at == 10.0 + H + HALF_S


def test_a_standby_behind_the_gate_is_on_the_leash_though_nothing_is_run_to_activate_it() -> None:
    leash = standby()
    assert leash.step(msgspec.structs.replace(activate(), argv=()), 10.0) == [Say(Activated(service="www", epoch=1, status=0))]
    assert leash.wake_at == 10.0 + H + HALF_S
    assert KillAll(("www",)) in leash.step(Tick(), leash.wake_at)


def test_only_a_shut_standby_that_runs_is_activated() -> None:
    assert unactivated(Leash(H, HALF_S).step(activate(), 0.0))  # none
    assert unactivated(running().step(activate(), 0.0))  # it is no standby
    leash = Leash(H, HALF_S)
    leash.step(prepare(), 0.0)
    assert unactivated(leash.step(activate(), 0.0))  # not up yet
    leash = standby()
    leash.step(activate(), 0.0)
    assert unactivated(leash.step(activate(), 0.0))  # activated already
    leash = standby()
    leash.step(Kill(service="www", number=1), 0.0)
    assert unactivated(leash.step(activate(), 0.0))  # being killed
    leash.step(NoneLeft("www"), 0.0)
    assert unactivated(leash.step(activate(), 0.0))  # gone


def test_a_standby_is_not_activated_under_a_lower_epoch() -> None:
    leash = running(epoch=5)
    leash.step(Kill(service="www", number=1), 0.0)
    leash.step(NoneLeft("www"), 0.0)
    leash.step(prepare(), 0.0)
    leash.step(ProcessStarted("www", 0, 9), 0.0)
    assert unactivated(leash.step(activate(epoch=4), 0.0))
    assert leash.step(activate(epoch=6), 0.0) == [LaunchActivation(activate(epoch=6))]


def test_a_service_never_starts_beside_its_standby() -> None:
    leash = standby()
    assert "a standby of it has not been killed" in refusal(leash.step(spawn(), 0.0))
    assert "a standby of it has not been killed" in refusal(leash.step(prepare(), 0.0))


def test_the_end_of_a_standby_is_told_without_an_epoch() -> None:
    leash = standby()
    assert said(leash.step(ProcessEnded("www", 9, 1), 0.1)) == [Exited(service="www", epoch=0, pid=9, status=1)]


EVENTS = st.one_of(
    st.builds(prepare, st.sampled_from(("www", "mail"))),
    st.builds(activate, st.integers(1, 3), st.sampled_from(("www", "mail"))),
    st.builds(spawn, st.sampled_from(("www", "mail")), st.integers(0, 3)),
    st.builds(lambda service: Kill(service=service, number=1), st.sampled_from(("www", "mail"))),
    st.builds(lambda service, at: Until(service=service, until_at=at), st.sampled_from(("www", "mail")), st.floats(0, 5)),
    st.sampled_from(("started", "failed", "ended", "scan", "guard", "tick")),
)


class Host:
    """What processes there would be, if the actions were carried out; as bad as it may be."""

    def __init__(self) -> None:
        self.starting: dict[str, int] = {}
        self.main: set[str] = set()
        self.others: set[str] = set()
        self.highest: dict[str, int] = {}

    def carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Launch):
                name, epoch = action.spawn.service, action.spawn.epoch
                assert name not in self.starting and name not in self.main and name not in self.others, "two lives of a service"
                assert epoch == 0 or epoch >= self.highest.get(name, 0), "a lower epoch was launched"
                self.highest[name] = max(epoch, self.highest.get(name, 0))
                self.starting[name] = epoch
            elif isinstance(action, LaunchActivation):
                name, epoch = action.activate.service, action.activate.epoch
                assert name in self.main and epoch >= self.highest.get(name, 0), "a door was opened that should stay shut"
                self.highest[name] = epoch
            elif isinstance(action, Say) and isinstance(action.line, Gone):
                name = action.line.service
                assert name not in self.starting and name not in self.main and name not in self.others, "gone, and yet there"

    def happen(self, word: str, leash: Leash, now: float) -> list[Action]:
        if word in ("started", "failed") and self.starting:
            name, epoch = self.starting.popitem()
            if word == "failed":
                return leash.step(ProcessFailed(name, epoch, "no"), now)
            self.main.add(name)
            self.others.add(name)
            return leash.step(ProcessStarted(name, epoch, 1), now)
        if word == "ended" and self.main:
            return leash.step(ProcessEnded(self.main.pop(), 1, 0), now)
        if word == "scan" and leash.killing:
            name = leash.killing[0]
            if name in self.main or name in self.starting:
                self.main.discard(name)
                epoch = self.starting.pop(name, 0)
                first = leash.step(ProcessStarted(name, epoch, 1), now) if epoch else []
                return first + leash.step(ProcessEnded(name, 1, -9), now)
            self.others.discard(name)
            return leash.step(NoneLeft(name), now)
        if word == "guard":
            return leash.step(GuardUp() if leash.clear else GuardGone(), now)
        return leash.step(Tick(), now)


@given(st.lists(st.tuples(EVENTS, st.floats(0, 0.5)), max_size=60))
def test_never_two_lives_and_gone_is_true(history: list[tuple[object, float]]) -> None:
    leash, host, now = Leash(H, HALF_S), Host(), 0.0
    for event, later in history:
        now += later
        actions = host.happen(event, leash, now) if isinstance(event, str) else leash.step(event, now)  # type: ignore[arg-type]
        host.carry_out(actions)
    leash.step(GuardGone(), now)
    assert set(leash.killing) >= set(host.starting) | host.main | host.others
