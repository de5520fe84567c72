"""The demo's `mail`, used by smtplib."""

from __future__ import annotations

import mailbox
import smtplib
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from demo.services.maildir import deliver, folder_name

MAIL = "From: ann@example.test\r\nSubject: h\u00e4llo\r\n\r\nline\r\n..dots\r\n".encode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the mail goes."""
    return tmp_path / "mail"


@pytest.fixture
def service(start, root):
    """The service on an empty directory."""
    return start("smtp", "--root", str(root), LOCUM_SERVICE="mail")


@pytest.fixture
def client(service):
    """A client that has connected."""
    with smtplib.SMTP(service.address, service.port, local_hostname="client.test", timeout=20) as client:
        yield client


def mails(root: Path, folder: str) -> list[bytes]:
    """What is in a Maildir."""
    box = mailbox.Maildir(root / folder, create=False)
    return [box.get_bytes(key) for key in box.keys()]  # noqa: SIM118 (a Maildir iterates over its mails)


def test_greets_with_server_and_epoch(start, root):
    for name in ("email", "x" * 63):
        service = start("smtp", "--root", str(root), LOCUM_SERVICE="mail", LOCUM_SERVER=name)
        with socket.create_connection((service.address, service.port), timeout=20) as client:
            assert client.makefile().readline() == f"220 mail.demo.locum.test Locum mail server={name} epoch=7\n"


def test_delivers_into_the_maildir_of_each_recipient(client, root):
    refused = client.sendmail("ann@example.test", ["Bob@demo.locum.test", "eve+x@DEMO.locum.test", "bob@demo.locum.test"], MAIL)
    assert refused == {}
    (mail,) = mails(root, "bob")
    assert mails(root, "eve+x") == [mail]
    trace, _, content = mail.partition(b"From: ann@example.test\n")
    assert content == MAIL.partition(b"\r\n")[2].replace(b"\r\n", b"\n")
    assert trace.startswith(b"Return-Path: <ann@example.test>\nReceived: from client.test ([127.")
    assert b"by mail.demo.locum.test (Locum server=email epoch=7) with ESMTP; " in trace


def test_mail_outlives_a_restart(client, service, start, root):
    client.sendmail("ann@example.test", "bob@demo.locum.test", MAIL)
    service.process.kill()
    service.ended()
    again = start("smtp", "--root", str(root), LOCUM_PORT=str(service.port), LOCUM_EPOCH="8")
    with smtplib.SMTP(again.address, again.port, local_hostname="client.test", timeout=20) as second:
        second.sendmail("ann@example.test", "bob@demo.locum.test", MAIL)
    first, after = sorted(mails(root, "bob"), key=lambda mail: b"epoch=8" in mail)
    assert b"epoch=7" in first
    assert b"epoch=8" in after


def test_bounces_and_postmaster(client, root):
    client.sendmail("", "postmaster@demo.locum.test", MAIL)
    client.ehlo()
    client.mail("")
    assert client.docmd("RCPT", "TO:<Postmaster>")[0] == 250
    assert client.data(MAIL)[0] == 250
    assert len(mails(root, "postmaster")) == 2


@pytest.mark.parametrize(
    "address",
    ["bob@example.test", "bob@demo.locum.test.example", "bob@xdemo.locum.test", "bob", "@example.test:bob@locum.test", "bob@[127.0.9.11]"],
)
def test_other_domains_are_refused(client, root, address):
    client.ehlo()
    client.mail("ann@example.test")
    assert client.docmd("RCPT", f"TO:<{address}>")[0] in (550, 553)
    assert client.docmd("DATA")[0] == 503
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    "mailbox_name", ["../../bob", '"../../bob"', "..", ".", "/etc/x", '"a b"', "a/b", "%2e%2e", '"a\\"b"', "@", "x" * 65, "\u00fc"]
)
def test_no_mailbox_leads_out_of_the_root(client, root, tmp_path, mailbox_name):
    client.ehlo()
    client.mail("ann@example.test")
    code = client.docmd("RCPT", f"TO:<{mailbox_name}@demo.locum.test>")[0] if mailbox_name.isascii() else 500
    if code == 250:
        assert client.data(MAIL)[0] == 250
        (folder,) = root.iterdir()
        assert len(mails(root, folder.name)) == 1
    else:
        assert 500 <= code < 600
        assert list(root.iterdir()) == []
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [root]


def test_too_long_a_mailbox_is_refused(client):
    client.ehlo()
    client.mail("ann@example.test")
    assert client.rcpt(f"{'x' * 64}@demo.locum.test")[0] == 250
    assert client.rcpt(f"{'x' * 65}@demo.locum.test")[0] == 553


def test_too_large_a_mail_is_refused(client, root):
    client.ehlo()
    limit = int(client.esmtp_features["size"])
    assert limit >= 64 * 1024  # RFC 5321 section 4.5.3.1.7
    assert client.mail("ann@example.test", [f"SIZE={limit + 1}"])[0] == 552
    client.mail("ann@example.test")
    client.rcpt("bob@demo.locum.test")
    line = b"x" * 998 + b"\r\n"
    assert client.data(line * (limit // len(line) + 1))[0] == 552
    assert list(root.iterdir()) == []
    assert client.sendmail("ann@example.test", "bob@demo.locum.test", MAIL) == {}


def test_too_many_recipients(client):
    client.ehlo()
    client.mail("ann@example.test")
    assert {client.rcpt(f"bob{number}@demo.locum.test")[0] for number in range(100)} == {250}
    assert client.rcpt("last@demo.locum.test")[0] == 452


def test_what_cannot_be_stored_is_not_acknowledged(client, service, root):
    (root / "bob").write_text("in the way")
    with pytest.raises(smtplib.SMTPDataError) as raised:
        client.sendmail("ann@example.test", "bob@demo.locum.test", MAIL)
    assert raised.value.smtp_code == 451
    assert str(root) not in str(raised.value.smtp_error)
    assert "mail not stored" in service.log[-1]
    assert client.sendmail("ann@example.test", "eve@demo.locum.test", MAIL) == {}


def test_garbage(service, client):
    with socket.create_connection((service.address, service.port), timeout=20) as other:
        heard = other.makefile("rb")
        heard.readline()
        for words in (b"\x00\xff\xfe", b"", b"GET / HTTP/1.1", b"MAIL FROM:<a@b>", b"RCPT TO:<a@b>", b"EHLO", b"X" * 3_000):
            other.sendall(words + b"\r\n")
            assert heard.readline().startswith(b"5")
    assert client.noop()[0] == 250
    assert len(service.log) <= 1


def test_a_client_that_hangs_up_during_its_mail_delivers_nothing(service, client, root):
    with socket.create_connection((service.address, service.port), timeout=20) as other:
        heard = other.makefile("rb")
        heard.readline()
        for words in (b"HELO x", b"MAIL FROM:<a@b>", b"RCPT TO:<bob@demo.locum.test>", b"DATA"):
            other.sendall(words + b"\r\n")
            assert heard.readline()[:1] in b"23"
        other.sendall(b"Subject: half\r\n\r\nhal")
        other.shutdown(socket.SHUT_WR)
        while heard.readline():
            pass
    assert client.noop()[0] == 250
    assert list(root.iterdir()) == []


def test_a_half_made_maildir_is_completed(tmp_path):
    """Whoever was killed between two directories must not have lost the mailbox."""
    (tmp_path / "bob" / "tmp").mkdir(parents=True)
    deliver(tmp_path / "bob", MAIL)
    assert len(mails(tmp_path, "bob")) == 1


@given(some.lists(some.text(some.characters(max_codepoint=127), min_size=1, max_size=64), min_size=2, max_size=2))
def test_folder_names_are_safe_and_distinct(parts):
    names = [folder_name(part) for part in parts]
    for name in names:
        assert Path(name).name == name != ".."
        assert not name.startswith(".")
        assert len(name) <= 255
    assert (names[0] == names[1]) == (parts[0].lower() == parts[1].lower())
