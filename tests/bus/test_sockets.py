"""Real sockets on 127.0.0.1: who gets in, who does not, and what becomes of messages."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zmq

from bus import refusals
from bus.keys import Secret, Trust
from bus.messages import Loadlevel, Rejection, TableRequest, TableUpdate
from bus.sockets import EVERYWHERE, BindError, Dealer, Publisher, Router, Subscriber
from bus.wire import MAX_MESSAGE_BYTES, PROTOCOL_VERSION, Header, decode, encode
from bus.zap import authenticator, context
from tests.waiting import until

HERE = Header("demo", "http", "runner", 1)
SDS = Header("demo", "sds", "sds", 1)
LIST = Loadlevel(loadlevel=0.25, seq=3)


def test_a_message_comes_with_who_says_it_and_is_answered(bench) -> None:
    dealer = bench.dealer()
    bench.say(dealer, LIST)
    [heard] = bench.hear()
    assert heard.header == HERE and heard.message == LIST
    assert bench.router.send(heard.connection, TableRequest())
    [(header, message)] = until(dealer.receive)
    assert header == SDS and message == TableRequest()


def test_a_new_header_goes_with_the_next_message(bench) -> None:
    dealer = bench.dealer()
    bench.say(dealer, LIST)
    dealer.header = Header("demo", "http", "guard", 8)
    bench.say(dealer, LIST)
    assert [h.header.incarnation for h in bench.hear(2)] == [1, 8]


def test_ipv6(bench) -> None:
    router = bench.keep(Router("::1", 0, bench.server_secret, bench.trust, SDS))
    dealer = bench.keep(Dealer("::1", router.port, bench.server_secret.public, bench.secrets["http"], HERE))
    bench.router = router
    bench.say(dealer, LIST)
    assert bench.hear()[0].message == LIST


def test_an_operator_may_not_speak_as_a_server_and_a_server_not_as_another(bench, caplog) -> None:
    for number, (name, header) in enumerate((("anna", {"part": "guard"}), ("http", {"sender": "ftp"}), ("http", {"part": "sds"})), 1):
        dealer = bench.dealer(name, **header)
        bench.say(dealer, LIST)
        until(lambda number=number: (bench.router.receive(), bench.router.refused["name"] == number)[1])
        [(_, rejection)] = until(dealer.receive)
        assert isinstance(rejection, Rejection) and rejection.code == "not-allowed"
        bench.drop(dealer)
    assert bench.router.refused["name"] == 3
    assert "may not speak as runner 'ftp'" in caplog.text
    dealer = bench.dealer("anna", part="viewer")
    bench.say(dealer, LIST)
    assert bench.hear()[0].header.part == "viewer"


def test_a_foreign_key_waits_and_gets_in_when_it_is_trusted(bench, caplog) -> None:
    dealer = bench.dealer("eve")
    until(lambda: (bench.router.receive(), bench.router.refused["foreign-key"])[1])
    assert not dealer.send(LIST)
    assert bench.secrets["eve"].public in caplog.text and "trust file" in caplog.text
    bench.router.trust = Trust.of({"server": {"eve": bench.secrets["eve"].public}})
    bench.say(dealer, LIST, within_s=2)  # without a new handshake, which would come after 3 s
    assert bench.hear()[0].header.sender == "eve"


def test_a_dealer_whose_handshake_ran_out_comes_again(bench) -> None:
    dealer = bench.dealer("eve")
    until(lambda: (bench.serve(), bench.router.refused["foreign-key"] >= 2)[1], within_s=20)
    bench.router.trust = Trust.of({"server": {"eve": bench.secrets["eve"].public}})
    bench.say(dealer, LIST)
    assert bench.hear()[0].header.sender == "eve"


def test_a_key_that_is_trusted_no_more_is_silenced_at_once(bench) -> None:
    dealer = bench.dealer()
    bench.say(dealer, LIST)
    [heard] = bench.hear()
    bench.router.trust = Trust({})
    bench.say(dealer, LIST)
    until(lambda: bench.router.receive() or bench.router.refused["foreign-key"])
    assert not bench.router.send(heard.connection, TableRequest())
    bench.router.trust = bench.trust
    bench.say(dealer, LIST)
    assert bench.hear()[0].message == LIST


def test_another_servers_key_is_no_way_in(bench) -> None:
    secret = bench.secrets["http"]
    dealer = bench.keep(Dealer("127.0.0.1", bench.router.port, Secret.new().public, secret, HERE))
    until(lambda: (bench.router.receive(), bench.router.refused["handshake"])[1])
    assert not dealer.send(LIST)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(300),  # TLS
        b"GET / HTTP/1.1\r\nHost: sds\r\n\r\n",
        b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48),
        b"\xff" + bytes(8) + b"\x7f\x03\x01CURVE" + bytes(47) + os.urandom(200),
    ],
    ids=["tls", "http", "null", "curve"],
)
def test_garbage_on_the_port_is_counted_and_logged_and_hurts_nobody(bench, caplog, garbage) -> None:
    dealer = bench.dealer()
    bench.say(dealer, LIST)
    assert len(bench.hear()) == 1
    with socket.create_connection(("127.0.0.1", bench.router.port)) as stranger:
        stranger.sendall(garbage)
        until(lambda: bench.router.receive() or bench.router.refused["handshake"])
    assert "refused a client at" in caplog.text
    bench.say(dealer, LIST)
    assert [h.message for h in bench.hear()] == [LIST]


def test_a_client_on_the_null_mechanism_gets_nowhere(bench) -> None:
    with context().socket(zmq.DEALER) as null:
        null.linger = 0
        null.connect(f"tcp://127.0.0.1:{bench.router.port}")
        null.send(encode(HERE, LIST))
        until(lambda: bench.router.receive() or bench.router.refused["handshake"])
    assert bench.router.receive() == []


def test_malformed_messages_and_too_many_frames_are_dropped(bench, caplog) -> None:
    raw = bench.raw()
    good = encode(HERE, LIST)
    for frames in ([os.urandom(50)], [b""], [good, b"more"], [b"\xff"] * 40, [b"\x91" * 5000], [good]):
        raw.send_multipart(frames)
    assert [h.message for h in bench.hear()] == [LIST]
    assert bench.router.refused == {"malformed": 3, "frames": 2}
    answers = [decode(raw.recv())[1] for _ in range(3)]
    assert [answer.code for answer in answers if isinstance(answer, Rejection)] == ["bad-request"] * 3
    assert "server http: a message of 2 frames" in caplog.text


def test_an_oversized_message_ends_its_connection_and_no_other(bench) -> None:
    dealer = bench.dealer("ftp")
    bench.say(dealer, LIST)
    bench.hear()
    raw = bench.raw()
    raw.send(bytes(MAX_MESSAGE_BYTES + 10_000))
    with raw.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
        until(lambda: (bench.router.receive(), monitor.poll(0))[1])
        raw.disable_monitor()
    bench.say(dealer, LIST)
    assert [h.header.sender for h in bench.hear()] == ["ftp"]


def test_a_future_version_is_told_so(bench, caplog) -> None:
    raw = bench.raw()
    frame = bytearray(encode(HERE, LIST))
    assert frame[1] == PROTOCOL_VERSION
    frame[1] = 99
    raw.send(bytes(frame))
    until(lambda: bench.router.receive() or bench.router.refused["version"])
    dealer = bench.dealer()  # decodes what the raw socket got
    _, said = until(lambda: dealer._judged(raw.recv(), []))
    assert said.code == "version" and "http speaks protocol v99" in said.text
    assert "http speaks protocol v99" in caplog.text


def test_another_cluster_is_told_so_and_shows_it(bench) -> None:
    dealer = bench.dealer(cluster="other")
    bench.say(dealer, LIST)
    until(lambda: bench.router.receive() or bench.router.refused["cluster"])
    [(header, rejection)] = until(dealer.receive)
    assert header.cluster == "demo" and rejection.code == "cluster" and "'other'" in rejection.text


def test_a_dealer_believes_only_the_cluster_and_name_that_it_expects(bench) -> None:
    dealer = bench.dealer()
    dealer.server_name = "ftp"
    bench.say(dealer, LIST)
    [heard] = bench.hear()
    bench.router.send(heard.connection, TableRequest())
    until(lambda: dealer.receive() or dealer.refused["name"])
    bench.router.header = Header("other", "ftp", "guard", 1)
    bench.router.send(heard.connection, TableRequest())
    until(lambda: dealer.receive() or dealer.refused["cluster"])
    assert dealer.refused == {"name": 1, "cluster": 1}


def test_nothing_stale_is_delivered_after_a_restart(bench) -> None:
    dealer = bench.dealer()
    bench.say(dealer, LIST)
    bench.hear()
    port = bench.router.port
    bench.drop(bench.router)
    until(
        lambda: (authenticator().drain(), not dealer.send(Loadlevel(loadlevel=0.5, seq=1)))[1]
    )  # the last ones that it took died with the connection
    assert not any(dealer.send(Loadlevel(loadlevel=0.5, seq=2)) for _ in range(100))

    def again() -> Router | None:
        try:
            return Router("127.0.0.1", port, bench.server_secret, bench.trust, SDS)
        except BindError:  # libzmq frees the port in the background
            return None

    bench.router = bench.keep(until(again))
    bench.say(dealer, Loadlevel(loadlevel=0.5, seq=3))
    assert [h.message.seq for h in bench.hear()] == [3]


def test_a_peer_that_does_not_read_blocks_nobody(bench) -> None:
    stuck = bench.raw("ftp")
    stuck.rcvhwm = 1
    stuck.send(encode(Header("demo", "ftp", "guard", 1), LIST))
    [heard] = bench.hear()
    big = Rejection(code="unknown", text="x" * 2000)
    refused_at = next(n for n in range(1_000_000) if not bench.router.send(heard.connection, big))
    assert refused_at >= 1
    dealer = bench.dealer()
    bench.say(dealer, LIST)
    [other] = bench.hear()
    assert bench.router.send(other.connection, TableRequest())
    assert until(dealer.receive)


def test_a_server_that_does_not_read_blocks_no_dealer(bench) -> None:
    dealer = bench.dealer()
    bench.say(dealer, LIST)
    big = Rejection(code="unknown", text="x" * 2000)
    assert next(n for n in range(1_000_000) if not dealer.send(big)) >= 1


def test_a_closed_connection_is_told_of(bench) -> None:
    dealer = bench.dealer()
    bench.say(dealer, LIST)
    [heard] = bench.hear()
    bench.drop(dealer)
    until(lambda: not bench.router.send(heard.connection, TableRequest()))


def test_receive_stops_at_its_limit(bench) -> None:
    dealer = bench.dealer()
    for _ in range(20):
        bench.say(dealer, LIST)
    until(lambda: bench.router.socket.get(zmq.EVENTS) & zmq.POLLIN)
    assert len(bench.router.receive(limit=0)) == 0
    total = 0

    def all_of_them() -> bool:
        nonlocal total
        some = bench.router.receive(limit=7)
        assert len(some) <= 7
        total += len(some)
        return total == 20

    until(all_of_them)


def test_publisher_and_subscriber(bench, caplog) -> None:
    publisher = bench.keep(Publisher("127.0.0.1", 0, bench.server_secret, bench.trust, SDS))
    arguments = ("127.0.0.1", publisher.port, bench.server_secret.public)
    subscriber = bench.keep(Subscriber(*arguments, bench.secrets["http"], HERE))
    stranger = bench.keep(Subscriber(*arguments, bench.secrets["eve"], HERE))

    def heard() -> list[object]:
        for chore in publisher.chores:
            chore.drain()
        publisher.send(TableUpdate(seq=5))
        return subscriber.receive()

    assert until(heard)[0] == (SDS, TableUpdate(seq=5))
    until(lambda: (heard(), publisher.refused["foreign-key"])[1])
    assert stranger.receive() == []
    publisher.trust = Trust.of({"viewer": {"eve": bench.secrets["eve"].public}})
    until(lambda: (heard(), stranger.receive())[1])


def test_a_taken_port_and_a_foreign_address_are_one_clear_line(bench) -> None:
    for address, port, words in (
        ("127.0.0.1", bench.router.port, "already in use"),
        ("192.0.2.1", 0, "no address of this host"),
        ("no such host", 0, ""),
        ("127.0.0.1", 70_000, "1 to 65535"),
    ):
        with pytest.raises(BindError) as error:
            Router(address, port, bench.server_secret, bench.trust, SDS)
        text = str(error.value)
        assert text.startswith(f"cannot listen on {address} port {port}: ") and words in text and "\n" not in text


def test_an_impossible_address_or_key_never_connects_and_never_raises(bench, caplog) -> None:
    for address, key in (("no such host", bench.server_secret.public), ("127.0.0.1", "no key"), ("127.0.0.1", "é" * 40)):
        dealer = bench.keep(Dealer(address, bench.router.port, key, bench.secrets["http"], HERE))
        assert not dealer.send(LIST) and dealer.receive() == []
    assert caplog.text.count("cannot be reached") == 3


def test_complaints_are_few_and_summed_up(caplog) -> None:
    caplog.set_level(logging.WARNING)
    complaints = refusals.Refusals("here")
    for number in range(1000):
        complaints.add("malformed", f"peer {number}", "bad")
    for _ in range(1000):
        complaints.add("malformed", "peer 0", "bad")
    assert complaints.counts["malformed"] == 2000
    lines = len(caplog.records)
    assert 1 <= lines <= 50
    complaints._summed_at -= refusals.SUMMARY_S
    complaints.sum_up()
    assert caplog.records[-1].getMessage() == f"here: and malformed {2000 - lines} more without a line of their own"


def test_many_unread_failures_do_not_freeze_the_context(bench) -> None:
    """TRAPS 8: a full monitor stops every socket of its context."""
    dealer = bench.dealer()
    bench.say(dealer, LIST)
    bench.hear()
    for _ in range(1500):
        with socket.create_connection(("127.0.0.1", bench.router.port)) as stranger:
            stranger.sendall(b"x" * 20)
    assert dealer.send(LIST)
    until(lambda: bench.router.socket.get(zmq.EVENTS) & zmq.POLLIN)  # and nobody drained the monitor meanwhile
    assert [h.message for h in bench.hear()] == [LIST]
    until(lambda: (bench.router.receive(), bench.router.refused["handshake"] == 1500)[1])


def test_a_process_ends_promptly_with_everything_open(tmp_path: Path) -> None:
    program = """
from bus.sockets import *
from bus.keys import Secret, Trust
from bus.wire import Header
secret = Secret.new()
trust = Trust.of({"server": {"http": secret.public}})
router = Router("127.0.0.1", 0, secret, trust, Header("demo", "sds", "sds", 1))
publisher = Publisher("127.0.0.1", 0, secret, trust, Header("demo", "sds", "sds", 1))
dealer = Dealer("127.0.0.1", router.port, secret.public, secret, Header("demo", "http", "guard", 1))
for _ in range(100): router.receive(); dealer.send(__import__("bus.messages").messages.TableRequest())
"""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20, cwd=Path(__file__).parents[2])
    assert time.monotonic() - begun < 15


# -- a server that moves (P20) -------------------------------------------------------------


def test_a_router_listens_at_a_new_address_beside_the_old_and_then_there_alone(bench) -> None:
    """Also of the other family; what is connected at the old address is not cut off before that door is closed."""
    port = bench.router.port
    old = bench.dealer()
    bench.say(old, LIST)
    for address in ("127.0.0.2", "::1"):
        bench.router.listen_also(address)
        bench.say(
            bench.keep(Dealer(address, port, bench.server_secret.public, bench.secrets["ftp"], Header("demo", "ftp", "guard", 1))), LIST
        )
    bench.say(old, LIST)
    assert sorted(heard.header.sender for heard in bench.hear(4)) == ["ftp", "ftp", "http", "http"]
    bench.router.listen_no_more("127.0.0.1")
    assert bench.router.doors == ("127.0.0.2", "::1")
    until(lambda: (bench.serve(), not old.send(LIST))[1])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_an_address_that_this_host_has_not_changes_no_door(bench) -> None:
    with pytest.raises(BindError, match=r"192\.0\.2\.1.*no address of this host"):
        bench.router.listen_also("192.0.2.1")
    assert bench.router.doors == ("127.0.0.1",)
    bench.say(bench.dealer(), LIST)
    assert bench.hear()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.7", "::1"])
def test_a_router_may_listen_everywhere(bench, address: str) -> None:
    bench.router = bench.keep(Router(EVERYWHERE, 0, bench.server_secret, bench.trust, SDS))
    bench.say(bench.keep(Dealer(address, bench.router.port, bench.server_secret.public, bench.secrets["http"], HERE)), LIST)
    assert bench.hear()[0].message == LIST
