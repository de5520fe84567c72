"""The demo's name server as a process: what it keeps, how it starts and ends, what it survives."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.tsig
import dns.update
import pytest
from authorities import ADDRESS, KEY_NAME, ROOT, ZONE, Authority
from dns.rcode import Rcode
from hypothesis import given
from hypothesis import strategies as st

from demo.nameserver import Authority as Answering
from demo.nameserver import StateFile
from demo.zone import Zone
from tests.waiting import until


def fails(command: list[str]) -> str:
    """What the command says when it cannot start: one line, status 1."""
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout) == (1, "")
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


def test_killed_server_keeps_what_it_acknowledged(demo_server: Authority) -> None:
    demo_server.start()
    for number in range(1, 6):
        update = demo_server.change()
        update.replace(f"www.{ZONE}.", 1, "A", f"127.0.1.{number}")
        update.replace(f"www.{ZONE}.", 1, "TXT", f'"locum-epoch={number}"')
        assert demo_server.send(update) == Rcode.NOERROR
    serial = demo_server.serial()
    demo_server.end(signal.SIGKILL)
    demo_server.start()
    assert demo_server.values(f"www.{ZONE}.", "A") == ["127.0.1.5"]
    assert demo_server.values(f"www.{ZONE}.", "TXT") == ['"locum-epoch=5"']
    assert demo_server.serial() == serial


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_orderly_end(demo_server: Authority, number: signal.Signals) -> None:
    demo_server.start()
    with socket.create_connection((ADDRESS, demo_server.port), timeout=5):
        assert demo_server.end(number) == 0
    assert "Traceback" not in demo_server.log_file.read_text()


def test_records_given_at_the_start(demo_server: Authority) -> None:
    given_at_start = [*demo_server.command(), "--record", "http A 127.0.1.11", "--record", f"six.{ZONE} AAAA ::1"]
    demo_server.command = lambda: given_at_start  # type: ignore[method-assign]
    demo_server.start()
    assert demo_server.values(f"http.{ZONE}.", "A") == ["127.0.1.11"]
    assert demo_server.values(f"six.{ZONE}.", "AAAA") == ["::1"]
    update = demo_server.change()
    update.replace(f"http.{ZONE}.", 1, "A", "127.0.1.99")
    demo_server.send(update)
    demo_server.end()
    demo_server.start()
    assert demo_server.values(f"http.{ZONE}.", "A") == ["127.0.1.99"]


def test_taken_port(demo_server: Authority) -> None:
    demo_server.start()
    before = demo_server.state_file.read_text()
    assert f"{ADDRESS}:{demo_server.port}: Address already in use" in fails(demo_server.command())
    assert demo_server.state_file.read_text() == before


def test_port_taken_in_tcp_alone(demo_server: Authority) -> None:
    with socket.create_server((ADDRESS, demo_server.port)):
        assert "Address already in use" in fails(demo_server.command())
    assert not demo_server.state_file.exists()


@pytest.mark.parametrize("text", ["", "garbage", "\0\1\2", f"{ZONE}. 1 IN A 127.0.0.1\n"])
def test_state_that_is_no_zone(demo_server: Authority, text: str) -> None:
    demo_server.state_file.write_text(text)
    assert str(demo_server.state_file) in fails(demo_server.command())
    assert demo_server.state_file.read_text() == text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--record", "http A"], "name TYPE value"),
        (["--record", "http A 1.2.3"], "--record"),
        (["--record", "www.elsewhere.test. A 127.0.0.1"], "not in zone"),
        (["--record", "http MX 10 mail"], "MX"),
        (["--zone", "a..b"], "a..b"),
        (["--address", "192.0.2.1"], "192.0.2.1"),
        (["--port", "70000"], "70000"),
        (["--key-secret-file", "/nowhere/secret"], "/nowhere/secret"),
        (["--state-file", "/nowhere/zone"], "/nowhere/zone"),
    ],
)
def test_option_that_cannot_be(demo_server: Authority, options: list[str], words: str) -> None:
    assert words in fails(demo_server.command() + options)
    assert not demo_server.state_file.exists()


def test_update_that_cannot_be_kept_is_not_served(demo_server: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    command = [*demo_server.command(), "--state-file", str(folder / "zone")]
    demo_server.command = lambda: command  # type: ignore[method-assign]
    demo_server.start()
    shutil.rmtree(folder)
    update = demo_server.change()
    update.add(f"www.{ZONE}.", 1, "A", "127.0.1.1")
    assert demo_server.send(update) == Rcode.SERVFAIL
    assert demo_server.ask(f"www.{ZONE}.", "A").rcode() == Rcode.NXDOMAIN
    folder.mkdir()
    update = demo_server.change()
    update.add(f"www.{ZONE}.", 1, "A", "127.0.1.1")
    assert demo_server.send(update) == Rcode.NOERROR
    assert (folder / "zone").exists()


def test_idle_connection_is_closed(demo_server: Authority) -> None:
    command = [*demo_server.command(), "--idle-s", "0.2"]
    demo_server.command = lambda: command  # type: ignore[method-assign]
    demo_server.start()
    with socket.create_connection((ADDRESS, demo_server.port)) as connection:
        connection.sendall(b"\0")
        connection.settimeout(60)
        assert connection.recv(1) == b""


def test_complaints_are_bounded(demo_server: Authority) -> None:
    demo_server.start()
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        for _ in range(1000):
            udp.sendto(b"x" * 20, (ADDRESS, demo_server.port))
    until(lambda: "FORMERR" in demo_server.log_file.read_text())
    assert demo_server.serial() == 1
    assert demo_server.log_file.read_text().count("FORMERR") < 100


def _answering(folder: Path) -> Answering:
    zone = Zone.first(dns.name.from_text(ZONE), ADDRESS, [])
    return Answering(zone, dns.tsig.Key(KEY_NAME, b"k" * 32), StateFile(folder / "zone"))


@given(body=st.binary(max_size=300), opcode=st.sampled_from([0, 5, 4, 15]), counts=st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_any_bytes_get_an_answer_or_silence(tmp_path_factory: pytest.TempPathFactory, body: bytes, opcode: int, counts: list[int]) -> None:
    answering = _answering(tmp_path_factory.getbasetemp())
    for wire in (body, b"\0\7" + bytes([opcode << 3, 0]) + b"".join(count.to_bytes(2, "big") for count in counts) + body):
        reply = answering.reply(wire, "test", over_udp=True)
        if reply is not None:
            assert reply[:2] == wire[:2] and reply[2] & 0x80 and len(reply) <= 1232


def test_answers_are_not_answered(tmp_path: Path) -> None:
    query = dns.message.make_query(f"{ZONE}.", "SOA", flags=dns.flags.QR)
    assert _answering(tmp_path).reply(query.to_wire(), "test", over_udp=True) is None
