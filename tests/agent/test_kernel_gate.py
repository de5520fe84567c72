"""R6: the gate in a real kernel, seen by a client on another host; and the thread that minds it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hosts import Switch, why_no_gate
from waiting import until

from agent.doors import Wanted
from agent.gate import Gate, GateError, Table, remove_left
from agent.gate_twin import GateTwin
from agent.guarding import GateNews
from agent.listeners import listening
from agent.porter import Porter
from bus.step import LONG_AGO, NEVER
from tests.tether.conftest import WITHOUT_RIGHTS, needs_rights

CHECKOUT = Path(__file__).resolve().parents[2]
SERVER, CLIENT, PORT = "10.77.0.1", "10.77.0.2", 8081
SERVER6 = "fd77::1"
SOON_S = 30.0

NO_GATE = why_no_gate()
needs_gate = pytest.mark.skipif(NO_GATE is not None, reason=str(NO_GATE))


def clock() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def config(address: str = SERVER, port: int = 5760) -> Any:
    return SimpleNamespace(cluster="test", name="one", address=address, peer_port=port)


TABLE = Table(config(), "test/one@/somewhere")


class Hosts:
    """A server on which something listens, and a client."""

    def __init__(self) -> None:
        self.switch = Switch()
        self.server, self.client = self.switch.plug_in(SERVER), self.switch.plug_in(CLIENT)
        for host, address in ((self.server, SERVER6), (self.client, "fd77::2")):
            host.run("ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad")
        self._listener = self.server.inside(self._listen)
        self.gate = self.server.inside(lambda: Gate(TABLE))

    @staticmethod
    def _listen() -> socket.socket:
        listener = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        return listener

    def reached(self, address: str = SERVER) -> bool:
        """Whether a client gets through; for one that does, there is time enough."""
        return bool(until(lambda: self.client.reaches(address, PORT), within_s=SOON_S))

    def shut(self, address: str = SERVER) -> bool:
        """Whether a client does not get through within a second."""
        return not self.client.reaches(address, PORT)

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for host in (self.server, self.client, self.switch):
            host.end()


def _serve(listener: socket.socket) -> None:
    """Echo whatever comes, until the listener is shut."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def _echo(connection: socket.socket) -> None:
    with connection:
        try:
            while said := connection.recv(100):
                connection.sendall(said)
        except OSError:
            pass


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    made = Hosts()
    yield made
    made.end()


@needs_gate
def test_the_kernel_shuts_the_door_by_itself(hosts: Hosts) -> None:
    assert hosts.reached()
    hosts.gate.build((SERVER, SERVER6), (PORT,), {PORT: 600.0})
    assert hosts.reached() and hosts.reached(SERVER6)
    hosts.gate.refresh({PORT: 0.5}, ())
    until(lambda: hosts.shut() and hosts.shut(SERVER6), within_s=SOON_S)
    hosts.gate.refresh({PORT: None}, ())
    assert hosts.reached() and hosts.reached(SERVER6)
    hosts.gate.refresh({}, (PORT,))
    assert hosts.shut() and hosts.shut(SERVER6)
    hosts.gate.remove()
    assert hosts.reached() and not hosts.server.run("nft", "list", "tables")


@needs_gate
def test_the_agent_itself_still_sees_what_listens(hosts: Hosts) -> None:
    hosts.gate.build((SERVER, SERVER6), (PORT,), {})
    assert not hosts.server.reaches(SERVER, PORT), "nobody else of that host passes"
    assert hosts.server.inside(lambda: listening(SERVER, PORT))
    assert hosts.server.inside(lambda: listening(SERVER6, PORT))
    for address in (SERVER, SERVER6):
        assert not hosts.server.inside(lambda address=address: listening(address, PORT + 1)), "a refusal to ::1 is never delivered"


@needs_gate
def test_another_agents_address_is_not_concerned(hosts: Hosts) -> None:
    hosts.gate.build((SERVER6,), (PORT,), {})
    assert hosts.reached() and hosts.shut(SERVER6)


def _conversation() -> socket.socket:
    return socket.create_connection((SERVER, PORT), SOON_S)


def _answers(connection: socket.socket, within_s: float = 1.0) -> bool:
    connection.settimeout(within_s)
    connection.sendall(b"?")
    try:
        return bool(connection.recv(100))
    except TimeoutError:
        return False


@needs_gate
def test_open_connections_are_cut_too_and_go_on_when_it_opens(hosts: Hosts) -> None:
    hosts.gate.build((SERVER,), (PORT,), {PORT: None})
    with hosts.client.inside(_conversation) as connection:
        assert _answers(connection, SOON_S)
        hosts.gate.refresh({}, (PORT,))
        assert not _answers(connection)
        hosts.gate.refresh({PORT: None}, ())
        until(lambda: _answers(connection), within_s=SOON_S)


@needs_gate
def test_what_was_asked_before_is_not_answered_after(hosts: Hosts) -> None:
    """As of a service that was stopped with a request in its queue, and goes on."""
    with hosts.server.inside(lambda: socket.create_server((SERVER, 2525))) as door:
        hosts.gate.build((SERVER,), (2525,), {2525: None})
        with hosts.client.inside(lambda: socket.create_connection((SERVER, 2525), 5)) as client, door.accept()[0] as service:
            client.sendall(b"?")
            assert service.recv(100) == b"?"
            hosts.gate.refresh({}, (2525,))
            service.sendall(b"!")
            client.settimeout(1.0)
            with pytest.raises(TimeoutError):
                client.recv(100)
            hosts.gate.refresh({2525: None}, ())
            client.settimeout(SOON_S)
            assert client.recv(100) == b"!"


@needs_gate
def test_no_request_fails_while_the_lease_is_renewed(hosts: Hosts) -> None:
    hosts.gate.build((SERVER,), (PORT,), {PORT: 600.0})
    for _ in range(200):
        hosts.gate.refresh({PORT: 600.0}, ())
        assert hosts.client.reaches(SERVER, PORT, within_s=SOON_S)


@needs_gate
def test_a_change_by_others_is_seen(hosts: Hosts) -> None:
    hosts.gate.build((SERVER,), (PORT, 2525), {PORT: 20.0})
    assert hosts.gate.intact()
    hosts.gate.refresh({2525: None}, ())
    assert hosts.gate.intact()
    hosts.server.run("nft", f"flush chain inet {TABLE.name} inbound")
    assert not hosts.gate.intact()
    hosts.gate.build((SERVER,), (PORT,), {})
    hosts.server.run("nft", f"delete element inet {TABLE.name} gated {{ {PORT} }}")
    assert not hosts.gate.intact()
    hosts.server.run("nft", "flush ruleset")
    assert not hosts.gate.intact()
    with pytest.raises(GateError, match="No such file"):
        hosts.gate.refresh({PORT: 1.0}, ())


@needs_gate
def test_tables_of_agents_before_are_removed_and_no_others(hosts: Hosts) -> None:
    same_place, same_identity = Table(config(), "test/one@/elsewhere"), Table(config("10.77.0.9"), "test/one@/somewhere")
    stranger = Table(config("10.77.0.9"), "test/one@/elsewhere")
    for table in (TABLE, same_place, same_identity, stranger):
        hosts.server.run("nft", f"add table inet {table.name}")
    hosts.server.run("nft", "add table inet filter")
    hosts.server.inside(lambda: remove_left(config(), "test/one@/somewhere"))
    assert hosts.server.run("nft", "list", "tables").split() == ["table", "inet", stranger.name, "table", "inet", "filter"]


@needs_gate
def test_a_flushed_ruleset_is_mended(hosts: Hosts) -> None:
    porter = hosts.server.inside(lambda: Porter(lambda: Gate(TABLE), clock))
    porter.want(Wanted(SERVER, {PORT: LONG_AGO}))
    until(lambda: hosts.shut(), within_s=SOON_S)
    for _ in range(3):
        hosts.server.run("nft", "flush ruleset")
        until(lambda: hosts.shut(), within_s=SOON_S)
    porter.want(Wanted(SERVER, {PORT: NEVER}))
    assert hosts.reached()
    assert "changed or removed by somebody else" in " ".join(porter.heard()[1])


# -- the thread, with a kernel in memory


def heard(porter: Porter, fits: Callable[[GateNews], bool]) -> GateNews:
    """Wait for such news."""
    return until(lambda: next((news for news in porter.heard()[0] if fits(news)), None), within_s=SOON_S)


def test_porter_tells_what_is_gated_only_once_it_is() -> None:
    twin = GateTwin(clock)
    porter = Porter(lambda: twin, clock)
    assert heard(porter, lambda news: news.in_force).ports == frozenset()
    porter.want(Wanted(SERVER, {PORT: LONG_AGO}))
    assert heard(porter, lambda news: PORT in news.ports)
    assert not twin.passes(SERVER, PORT)
    porter.want(Wanted(SERVER, {PORT: NEVER}))
    until(lambda: twin.passes(SERVER, PORT), within_s=SOON_S)


def test_porter_answers_a_wish_that_came_and_went_and_came_while_it_was_busy() -> None:
    """It sees only the newest, which is as the one that it fulfilled, but for the number."""
    hangs, looking, goes_on = threading.Event(), threading.Event(), threading.Event()

    class Slow(GateTwin):
        def intact(self) -> bool:
            if hangs.is_set():
                looking.set()
                goes_on.wait(SOON_S)
            return super().intact()

    twin = Slow(clock)
    porter = Porter(lambda: twin, clock)
    porter.want(Wanted(SERVER, {PORT: LONG_AGO}, 1))
    heard(porter, lambda news: news.number == 1 and PORT in news.ports)
    hangs.set()
    assert looking.wait(SOON_S)
    porter.want(Wanted(SERVER, {}, 1))
    porter.want(Wanted(SERVER, {PORT: LONG_AGO}, 2))
    assert not [news for news in porter.heard()[0] if news.number > 1], "it hangs, and we are here"
    goes_on.set()
    assert heard(porter, lambda news: news.number == 2).ports == {PORT}


def test_porter_says_why_there_is_no_gate() -> None:
    def none() -> GateTwin:
        raise GateError("libnftables.so.1 cannot be used")

    assert heard(Porter(none, clock), lambda news: not news.in_force).reason == "libnftables.so.1 cannot be used"


def test_a_kernel_that_takes_its_time_delays_nobody_but_the_porter() -> None:
    """The guard's thread only leaves its newest wish; the order that hangs ends some time."""
    goes_on = threading.Event()

    class Slow(GateTwin):
        def refresh(self, open_s: Any, shut: tuple[int, ...]) -> None:
            goes_on.wait(SOON_S)
            super().refresh(open_s, shut)

    twin = Slow(clock)
    porter = Porter(lambda: twin, clock)
    porter.want(Wanted(SERVER, {PORT: LONG_AGO}))
    heard(porter, lambda news: PORT in news.ports)
    for number in range(1000):
        porter.want(Wanted(SERVER, {PORT: clock() + 1 + number}))
    assert not twin.passes(SERVER, PORT), "it hangs, and we are here"
    until(lambda: porter.held_up_s() > 0.0, within_s=SOON_S)
    goes_on.set()
    until(lambda: twin.passes(SERVER, PORT), within_s=SOON_S)
    porter.want(Wanted(SERVER, {PORT: LONG_AGO}))
    until(lambda: not twin.passes(SERVER, PORT), within_s=SOON_S)


def test_a_bug_in_the_thread_shuts_no_door() -> None:
    class Broken(GateTwin):
        def refresh(self, open_s: Any, shut: tuple[int, ...]) -> None:
            raise ZeroDivisionError

    twin = Broken(clock)
    porter = Porter(lambda: twin, clock)
    porter.want(Wanted(SERVER, {PORT: LONG_AGO}))
    heard(porter, lambda news: PORT in news.ports)
    porter.want(Wanted(SERVER, {PORT: NEVER}))
    assert "its thread failed" in heard(porter, lambda news: not news.in_force).reason
    until(lambda: twin.passes(SERVER, PORT), within_s=SOON_S)


AS_NOBODY = """
from types import SimpleNamespace
from agent.gate import Gate, GateError, Table, remove_left
config = SimpleNamespace(cluster="test", name="one", address="::1", peer_port=5760)
remove_left(config, "x")
try:
    Gate(Table(config, "x"))
except GateError as error:
    print(error)
"""


@needs_rights
def test_without_rights_it_says_so_and_nothing_else() -> None:
    """One clear reason, and no word of the library's own on standard error."""
    as_nobody = WITHOUT_RIGHTS if os.geteuid() == 0 else ()
    result = subprocess.run(
        [*as_nobody, sys.executable, "-P", "-c", AS_NOBODY],
        env={"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (result.stdout, result.stderr) == ("it needs root (CAP_NET_ADMIN)\n", "")


def test_what_happens_again_and_again_is_remarked_upon_once() -> None:
    twin = GateTwin(clock)
    porter = Porter(lambda: twin, clock)
    porter.want(Wanted(SERVER, {PORT: LONG_AGO}))
    heard(porter, lambda news: PORT in news.ports)
    for _ in range(3):
        twin.flush()
        until(lambda: not twin.passes(SERVER, PORT), within_s=SOON_S)
    assert len(porter.heard()[1]) == 1
