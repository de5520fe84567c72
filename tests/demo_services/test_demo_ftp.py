"""The demo's `ftp`, used by ftplib."""

from __future__ import annotations

import ftplib
import io
from pathlib import Path

import pytest


@pytest.fixture
def service(start, tmp_path: Path):
    """The service on an empty directory, beside a file that must never be served."""
    (tmp_path / "secret.txt").write_text("SECRET")
    return start("ftp", "--root", str(tmp_path / "made" / "root"))


@pytest.fixture
def client(service):
    """A client that has logged in."""
    with ftplib.FTP(timeout=20) as client:
        client.connect(service.address, service.port)
        client.login("demo", "demo")
        yield client


def test_greets_with_server_and_epoch(start, tmp_path):
    for name in ("email", "x" * 63):
        service = start("ftp", "--root", str(tmp_path), LOCUM_SERVER=name)
        with ftplib.FTP(timeout=20) as client:
            assert client.connect(service.address, service.port) == f"220 Locum ftp server={name} epoch=7"


def test_upload_and_download(client, tmp_path):
    content = bytes(range(256)) * 1_000
    client.storbinary("STOR one.bin", io.BytesIO(content))
    assert (tmp_path / "made" / "root" / "one.bin").read_bytes() == content
    back = io.BytesIO()
    client.retrbinary("RETR one.bin", back.write)
    assert back.getvalue() == content
    assert client.nlst() == ["one.bin"]
    client.mkd("folder")
    client.rename("one.bin", "folder/two.bin")
    client.voidcmd("TYPE I")
    assert client.size("folder/two.bin") == len(content)
    client.delete("folder/two.bin")
    client.rmd("folder")
    assert client.nlst() == []


def test_passive_connections_are_on_its_own_address(client, service):
    host, port = ftplib.parse227(client.sendcmd("PASV"))
    assert host == service.address
    assert port > 1023


def test_files_outlive_a_restart(client, service, start, tmp_path):
    client.storbinary("STOR kept.txt", io.BytesIO(b"kept"))
    service.stop()
    again = start("ftp", "--root", str(tmp_path / "made" / "root"), LOCUM_PORT=str(service.port))
    with ftplib.FTP(timeout=20) as second:
        second.connect(again.address, again.port)
        second.login("demo", "demo")
        assert second.nlst() == ["kept.txt"]


@pytest.mark.parametrize(("user", "password"), [("demo", "wrong"), ("root", "demo"), ("anonymous", "a@b")])
def test_others_do_not_get_in(service, user, password):
    with ftplib.FTP(timeout=20) as client:
        client.connect(service.address, service.port)
        with pytest.raises(ftplib.error_perm, match=r"^530"):
            client.login(user, password)
        with pytest.raises(ftplib.error_perm, match=r"^530"):
            client.nlst()


@pytest.mark.parametrize("path", ["../../secret.txt", "/../../secret.txt", "../secret.txt", "link", "/etc/passwd"])
def test_nothing_outside_the_root(client, tmp_path, path):
    (tmp_path / "made" / "root" / "link").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(ftplib.error_perm, match=r"^550"):
        client.retrbinary(f"RETR {path}", lambda block: None)
    with pytest.raises(ftplib.error_perm, match=r"^550"):
        client.storbinary("STOR link", io.BytesIO(b"overwritten"))
    assert (tmp_path / "secret.txt").read_text() == "SECRET"


def test_garbage(client, service):
    for words in ("\x00\xff" * 50, "RETR", "PORT 1,2,3", "PORT 8,8,8,8,0,53", "CWD " + "x" * 500):
        with pytest.raises(ftplib.error_perm, match=r"^5"):
            client.sendcmd(words)
    assert client.pwd() == "/"
    assert len(service.log) <= 1
