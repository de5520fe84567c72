"""P5, P20, R19: names are written until it is done, asked of every authority, and never deleted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from parts import WWW, said

from agent.nameplate import LONGEST_S, LOOK_EVERY_S, Answer, AskName, NameAnswered, NameWritten, WriteName
from agent.naming import Naming
from agent.takeover_events import Outnamed, ToHistory
from bus.step import NEVER, Tick
from bus.values import ServerRow, ServiceRow

HERE, THERE = "10.0.0.1", "fd00::1"
FIRST, SECOND = "192.0.2.53:53", "192.0.2.54:53"


class Names:
    """The names of one server; the authorities are the test's."""

    def __init__(self, own_name: str | None = None, authorities: int = 2) -> None:
        self.machine = Naming(authorities, own_name)
        self.now = 10.0
        self.asked: AskName | None = None
        self.happened: list[tuple[str, str]] = []
        self.writes: list[float] = []  # when

    def do(self, actions: list[Any]) -> list[Any]:
        for action in actions:
            if isinstance(action, AskName):
                self.asked = action
            elif isinstance(action, WriteName):
                self.writes.append(self.now)
            elif isinstance(action, ToHistory):
                self.happened.append((action.message.kind, action.message.text))
        return actions

    def step(self, event: Any = None) -> list[Any]:
        return self.do(self.machine.step(event or Tick(), self.now))

    def serve(self, address: str = HERE, epoch: int = 1) -> list[Any]:
        self.machine.serve(WWW, address, epoch, self.now)
        return self.step()

    def wrote(self, address: str = HERE, epoch: int = 1, **how: Any) -> list[Any]:
        return self.step(NameWritten("www", WWW.fqdn, address, epoch, **({"done": True} | how)))

    def answered(self, *answers: str | None) -> list[Any]:
        """Each authority answers this address; empty: no such name; None: it does not answer."""
        assert self.asked is not None, "nobody was asked"
        asked, self.asked = self.asked, None
        said_ = [(a,) if a else () if a is not None else None for a in answers]
        found = tuple(Answer(place, one, f"name server {place}: no answer") for place, one in zip((FIRST, SECOND), said_, strict=False))
        return self.step(NameAnswered(asked.service, asked.number, found))

    def wait(self, seconds: float) -> list[Any]:
        """Time passes; every alarm rings."""
        end, actions = self.now + seconds, []
        while self.machine.wake_at <= end:
            self.now = max(self.now, self.machine.wake_at)
            actions += self.step()
        self.now = end
        return actions

    @property
    def state(self) -> Any:
        return self.machine.states(self.now)["www"]

    def told(self, kind: str) -> list[str]:
        return [text for what, text in self.happened if what == kind]


def converged() -> Names:
    names = Names()
    names.serve()
    names.wrote()
    names.answered(HERE, HERE)
    return names


def test_name_is_written_asked_everywhere_and_converges() -> None:
    names = Names()
    (write,) = said(names.serve(), WriteName)
    assert (write.fqdn, write.address, write.epoch) == (WWW.fqdn, HERE, 1)
    assert names.state.state == "pending" and names.state.why
    assert said(names.wrote(), AskName), "at once, not after a while"
    names.now += 0.2
    names.answered(HERE, HERE)
    assert names.state.state == "converged"
    (text,) = names.told("converged")
    assert "2 authorities" in text and "0.200 s" in text
    assert names.machine.addresses() == {"www": HERE}


def test_name_is_written_until_it_is_done_less_and_less_often() -> None:
    names = Names()
    names.serve()
    gaps = []
    for _ in range(8):
        failed_at = names.now
        names.wrote(done=False, text="no answer")
        names.wait(LONGEST_S)
        gaps.append(names.writes[-1] - failed_at)
    assert len(names.writes) == 9 and gaps == sorted(gaps) and gaps[0] < gaps[-1] <= LONGEST_S
    assert names.state.state == "pending" and names.state.why == "no answer" and names.state.for_s >= 8 * LONGEST_S
    assert len(names.told("unnamed")) == 1, "once, not at each attempt"
    names.wrote()
    names.answered(HERE, HERE)
    assert names.state.state == "converged" and names.told("named")


def test_one_write_at_a_time() -> None:
    """Else an older one of ours could come last."""
    names = Names()
    names.serve()
    assert not said(names.serve(THERE), WriteName)
    (write,) = said(names.wrote(HERE), WriteName)
    assert write.address == THERE
    assert names.state.state == "pending", "what was written is not what is wanted"


@pytest.mark.parametrize("silent", [None, "", "10.0.0.9"])
def test_secondary_that_lags_or_is_down_leaves_the_name_pending_and_shows(silent: str | None) -> None:
    names = Names()
    names.serve()
    names.wrote()
    names.answered(HERE, silent)
    assert names.state.state == "pending" and SECOND in names.state.why
    assert names.state.answers == {FIRST: HERE, SECOND: silent}
    assert not names.told("converged")
    assert said(names.wait(0.1), AskName), "asked again soon"
    names.answered(HERE, HERE)
    assert names.state.state == "converged" and len(names.told("converged")) == 1


def test_answers_to_what_was_asked_before_the_write_do_not_count() -> None:
    names = Names()
    names.serve()
    names.wait(LOOK_EVERY_S)
    early = names.asked
    assert early is not None
    names.wrote()
    names.step(NameAnswered("www", early.number, (Answer(FIRST, ("10.0.0.9",)),)))
    assert names.state.state == "pending"
    names.answered(HERE, HERE)
    assert names.state.state == "converged"


def test_name_that_was_changed_behind_our_back_is_wrong_and_written_again() -> None:
    names = converged()
    assert said(names.wait(LOOK_EVERY_S), AskName)
    actions = names.answered("10.0.0.9", HERE)
    assert names.state.state == "wrong" and "10.0.0.9" in names.state.why
    assert said(actions, WriteName)
    names.wrote()
    names.answered(HERE, HERE)
    assert names.state.state == "converged" and len(names.told("converged")) == 2


def test_quarrel_over_a_name_dies_down() -> None:
    names = converged()
    done = before = len(names.writes)
    for _ in range(1000):
        names.wait(1.0)
        if names.asked:
            names.answered("10.0.0.9", "10.0.0.9")
        if len(names.writes) > done:
            names.wrote()
            done += 1
    assert 5 < done - before < 40


def test_r19_a_later_holder_is_reported_and_its_name_left_alone() -> None:
    names = Names()
    names.serve()
    actions = names.wrote(done=False, higher_epoch=9)
    (stale,) = said(actions, Outnamed)
    assert (stale.epoch, stale.higher_epoch) == (1, 9)
    assert not said(names.wait(60.0), WriteName)


def test_holder_that_moved_rewrites_under_the_same_epoch() -> None:
    """P20, R19."""
    names = converged()
    (write,) = said(names.serve(THERE), WriteName)
    assert (write.address, write.epoch) == (THERE, 1)
    names.wrote(THERE)
    names.answered(THERE, THERE)
    assert names.state.state == "converged" and len(names.told("converged")) == 2


def test_name_of_a_service_that_is_released_is_not_deleted_nor_written() -> None:
    names = converged()
    names.machine.withdraw("www")
    assert names.step() == [] and names.machine.states(names.now) == {}
    names.wrote(done=False, text="late answer")
    assert names.machine.wake_at == NEVER


def test_server_registers_its_own_name_and_follows_its_address() -> None:
    """P5, P20."""
    names = Names("http.servers.test")
    for address in (HERE, THERE):
        names.machine.be_at(address, names.now)
        (write,) = said(names.step(), WriteName)
        assert (write.service, write.fqdn, write.address, write.epoch) == (None, "http.servers.test", address, None)
        names.step(NameWritten(None, write.fqdn, address, None, done=True))
        names.answered(address, address)
        state = names.machine.own_state(names.now)
        assert state is not None and state.state == "converged"


def test_without_authorities_nothing_is_asked_or_shown() -> None:
    names = Names(authorities=0)
    assert said(names.serve(), WriteName)
    names.wrote()
    assert names.asked is None and names.machine.states(names.now) == {}


# -- who looks at what nobody serves -------------------------------------------------------


def server(name: str, state: str = "up") -> ServerRow:
    return ServerRow(name=name, address=HERE, peer_port=1, public_key="k", incarnation=1, state=state)  # type: ignore[arg-type]


ROW = ServiceRow(definition=WWW, epoch=3, holder="http", state="serving")


@pytest.mark.parametrize(
    ("row", "http", "looks"),
    [
        (ROW, "up", False),
        (ROW, "silent", True),
        (msgspec.structs.replace(ROW, holder=None, state="unserved"), "silent", True),
        (msgspec.structs.replace(ROW, state="starting"), "up", False),
    ],
)
def test_first_server_that_is_up_looks_where_clients_of_an_unserved_service_are_sent(row: ServiceRow, http: str, looks: bool) -> None:
    for name in ("email", "ftp"):
        names = Names()
        servers = {s.name: s for s in (server("email"), server("ftp"), server("http", http))}
        names.machine.watch(name, [row], servers, names.now)
        asked = said(names.step(), AskName)
        assert bool(asked) == (looks and name == "email")
        if asked:
            names.answered("10.0.0.8", "10.0.0.8")
            assert names.machine.addresses() == {"www": "10.0.0.8"} and names.machine.states(names.now) == {}
            names.machine.watch(name, [ROW], servers | {"http": server("http")}, names.now)
            assert names.machine.addresses() == {}, "somebody serves it again"
