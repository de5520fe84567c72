"""The line: in order, whole, with descriptors, and its end."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from agent import lines
from agent.channel import Gone, Kill, Line, PeerAddress, Peers, RunnerUp, Serving
from agent.lines import LineError, LineSocket


@pytest.fixture
def ends() -> Iterator[tuple[LineSocket, LineSocket]]:
    one, two = lines.pair()
    both = LineSocket(one), LineSocket(two)
    yield both
    for end in both:
        end.close()


def receive_all(sender: LineSocket, receiver: LineSocket, count: int) -> list[Line]:
    got: list[Line] = []
    while len(got) < count:
        sender.flush()
        fresh = [line for line, _ in receiver.receive()]
        assert fresh or sender.wants_write, f"only {len(got)} of {count} came"
        got += fresh
    return got


def test_what_the_kernel_does_not_take_is_kept_in_order(ends: tuple[LineSocket, LineSocket]) -> None:
    sender, receiver = ends
    count = 20_000
    for number in range(count):
        assert sender.send(Serving(service="www", epoch=number))
    assert sender.wants_write
    got = receive_all(sender, receiver, count)
    assert [line.epoch for line in got if isinstance(line, Serving)] == list(range(count))
    assert not sender.wants_write and not receiver.receive()


def test_a_table_of_ten_thousand_servers_passes(ends: tuple[LineSocket, LineSocket]) -> None:
    sender, receiver = ends
    peers = Peers(peers={f"server-{n}": PeerAddress(f"10.0.{n % 256}.{n // 256}", 5760, "k" * 40) for n in range(10_000)})
    assert sender.send(peers) and sender.send(Gone(service="www"))
    assert receive_all(sender, receiver, 2) == [peers, Gone(service="www")]


def test_limit_leaves_the_rest(ends: tuple[LineSocket, LineSocket]) -> None:
    sender, receiver = ends
    for number in range(5):
        sender.send(Serving(service="www", epoch=number))
    assert [len(receiver.receive(2)) for _ in range(4)] == [2, 2, 1, 0]


def test_descriptors_come_with_their_line_and_are_not_inherited(ends: tuple[LineSocket, LineSocket]) -> None:
    sender, receiver = ends
    read, write = os.pipe()
    sender.send(Gone(service="www"))
    sender.send(RunnerUp(), fds=(write,))
    with pytest.raises(OSError):
        os.fstat(write)  # ours no longer
    (_, none), (line, (came,)) = receiver.receive()
    assert none == () and line == RunnerUp() and not os.get_inheritable(came)
    os.write(came, b"through")
    assert os.read(read, 100) == b"through"
    os.close(came)
    os.close(read)


def test_descriptors_that_wait_are_not_lost(ends: tuple[LineSocket, LineSocket]) -> None:
    sender, receiver = ends
    while not sender.wants_write:
        sender.send(Serving(service="www", epoch=1))
    read, write = os.pipe()
    sender.send(RunnerUp(), fds=(write,))
    came: tuple[int, ...] = ()
    while not came:
        sender.flush()
        came = next((fds for line, fds in receiver.receive() if line == RunnerUp()), ())
    os.close(came[0])
    assert os.read(read, 1) == b""  # ours was closed when it had been sent
    os.close(read)


def test_last_words_are_heard_before_the_end(ends: tuple[LineSocket, LineSocket]) -> None:
    sender, receiver = ends
    receiver.send(Kill(service="never-read", number=1))
    sender.send(Gone(service="www"))
    sender.send(Gone(service="mail"))
    sender.close()  # with something unread: the kernel reports a reset too
    assert [line for line, _ in receiver.receive()] == [Gone(service="www"), Gone(service="mail")]
    assert receiver.closed
    assert receiver.receive() == [] and not receiver.send(Gone(service="www"))


def test_nobody_there_is_no_exception(ends: tuple[LineSocket, LineSocket]) -> None:
    sender, receiver = ends
    receiver.close()
    read, write = os.pipe()
    assert not sender.send(RunnerUp(), fds=(write,))
    assert os.read(read, 1) == b""
    os.close(read)
    assert sender.receive() == [] and sender.closed


def test_a_peer_that_never_reads_fills_the_backlog(ends: tuple[LineSocket, LineSocket]) -> None:
    sender, _ = ends
    big = Serving(service="x" * 500_000, epoch=1)
    taken = 0
    while sender.send(big):
        taken += 1
        assert taken < 100
    assert taken * 500_000 >= lines.BACKLOG_BYTES - 500_000 and not sender.closed and sender.wants_write


@pytest.mark.parametrize("packet", [b"l\xc1", b"l", b"l\x80", b"?", b"l" + b"\x91" * 2000])
def test_nonsense_is_one_error_and_closes(packet: bytes) -> None:
    one, two = lines.pair()
    receiver = LineSocket(two)
    with one:
        one.send(packet)
        with pytest.raises(LineError, match="malformed line"):
            receiver.receive()
    assert receiver.closed


def test_an_inherited_descriptor_is_a_line() -> None:
    one, two = lines.pair()
    with one:
        line = LineSocket.inherited(two.detach())
        assert line.send(Gone(service="www"))
        assert one.recv(1000)
        line.close()
    with pytest.raises(OSError):
        LineSocket.inherited(987_654)


def test_the_line_is_a_packet_socket() -> None:
    one, two = lines.pair()
    with one, two:
        assert one.type == socket.SOCK_SEQPACKET and not one.get_inheritable()
