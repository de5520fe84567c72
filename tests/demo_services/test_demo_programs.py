"""What all three programs do alike: start, refuse to start, listen, stop (DESIGN section 9)."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import psutil
import pytest

from tests.waiting import until

PROGRAMS = ("http", "ftp", "smtp")


def greeting(service) -> bytes:
    """The first bytes that a program says by itself, or in answer to a question."""
    with socket.create_connection((service.address, service.port), timeout=20) as client:
        client.sendall(b"GET /whoami HTTP/1.0\r\n\r\n")
        return client.recv(500)


@pytest.mark.parametrize("program", PROGRAMS)
def test_says_where_it_listens_and_stops_cleanly(program, start, tmp_path):
    service = start(program, "--root", str(tmp_path / "root"))
    line = f"locum demo: {program}: listening on {service.address}:{service.port}, server=email epoch=7"
    until(lambda: line in service.log)
    assert service.stop() == 0
    assert service.log == [line]


@pytest.mark.parametrize("program", PROGRAMS)
def test_stops_cleanly_while_a_client_is_connected(program, start, tmp_path):
    service = start(program, "--root", str(tmp_path))
    with socket.create_connection((service.address, service.port), timeout=20) as client:
        if program == "http":
            client.sendall(b"GET /whoami HTTP/1.1\r\nHost: www\r\n\r\n")
        assert client.recv(500)
        assert service.stop(signal.SIGINT) == 0
        try:
            while client.recv(500):
                pass
        except ConnectionResetError:
            pass


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_stop_during_the_start_is_clean_too(program, begin, tmp_path):
    service = begin(program, "--root", str(tmp_path))
    until(service.answers, every_s=0.001)  # the door is open, the rest is still being imported
    assert service.stop() == 0


@pytest.mark.parametrize("program", PROGRAMS)
def test_listens_on_its_own_address_and_nowhere_else(program, start, tmp_path):
    service = start(program, "--root", str(tmp_path))
    assert greeting(service)
    listening = [found.laddr for found in psutil.Process(service.process.pid).net_connections("inet") if found.status == "LISTEN"]
    assert listening == [(service.address, service.port)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_flags_override_the_environment(program, start, begin, tmp_path):
    first = start(program, "--root", str(tmp_path))
    second = begin(program, f"--port={first.port}", "--root", str(tmp_path), "--address", "127.0.9.12", LOCUM_PORT="1")
    second.address, second.port = "127.0.9.12", first.port
    until(second.answers)
    assert greeting(first)
    assert greeting(second)


@pytest.mark.parametrize("program", PROGRAMS)
def test_serves_on_ipv6(program, start, tmp_path):
    """P20: the paper's network is Mobile IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no [::1] on this machine: {error}")
    service = start(program, "--root", str(tmp_path), LOCUM_ADDRESS="::1")
    assert b"epoch" in greeting(service)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", service.port), timeout=20)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_starts_again_on_the_same_port_at_once(program, number, start, tmp_path):
    """Also past connections that the one before closed first, and which linger in the kernel."""
    first = start(program, "--root", str(tmp_path))
    with socket.create_connection((first.address, first.port), timeout=20) as client:
        if program == "http":
            client.sendall(b"GET /whoami HTTP/1.1\r\nHost: www\r\n\r\n")
        assert client.recv(500)
        first.stop(number)
        second = start(program, "--root", str(tmp_path), LOCUM_PORT=str(first.port), LOCUM_EPOCH="8")
    answer = greeting(second)
    assert (b"epoch=8" if program != "http" else b'"epoch": 8') in answer


def refused(service) -> str:
    """The one line of a service that ended by itself."""
    service.ended()
    (line,) = service.log
    assert line.startswith("locum demo: ")
    return line


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_taken_port_is_one_line(program, begin, tmp_path):
    with socket.create_server(("127.0.9.11", 0)) as other:
        port = other.getsockname()[1]
        service = begin(program, "--root", str(tmp_path), LOCUM_PORT=str(port))
        assert f"127.0.9.11:{port}: is taken by another program: stop that one" in refused(service)
    assert service.ended() == 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_directory_that_cannot_be_made_is_one_line(program, begin, tmp_path):
    (tmp_path / "file").write_text("in the way")
    service = begin(program, "--root", str(tmp_path / "file" / "root"))
    assert "not a directory: give a directory that can be made and read" in refused(service)
    assert service.ended() == 1


def test_a_directory_that_cannot_be_written_to_is_one_line(begin):
    if not Path("/proc/self").is_dir():
        pytest.skip("no /proc on this machine, where root cannot write either")
    service = begin("ftp", "--root", "/proc/self")
    assert "--root /proc/self: cannot be written to" in refused(service)
    assert service.ended() == 1


def test_an_address_of_another_machine_is_one_line(begin):
    service = begin("http", "--address", "192.0.2.1")
    assert "is no address of this machine" in refused(service)
    assert service.ended() == 1


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("variable", ["LOCUM_SERVICE", "LOCUM_SERVER", "LOCUM_EPOCH", "LOCUM_ADDRESS", "LOCUM_PORT"])
def test_a_missing_variable_is_one_line(program, variable, begin, tmp_path):
    service = begin(program, "--root", str(tmp_path), **{variable: None if variable != "LOCUM_PORT" else ""})
    assert variable in refused(service)
    assert service.ended() == 2


@pytest.mark.parametrize("program", ["ftp", "smtp"])
def test_a_missing_root_is_one_line(program, begin):
    service = begin(program)
    assert "--root: is missing" in refused(service)
    assert service.ended() == 2
