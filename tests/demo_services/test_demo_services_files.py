"""What the demo's services take from files that came by the database: `--files PATH`, below LOCUM_FILES (P4)."""

from __future__ import annotations

import ftplib
import smtplib
import urllib.request
from pathlib import Path

import pytest

from demo.services.page import TEMPLATE


def told(root: Path, path: str, text: str) -> dict[str, str]:
    """That file on this server, and where it lies."""
    file = root / path[1:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return {"LOCUM_FILES": str(root)}


def get(service, path: str) -> str:
    with urllib.request.urlopen(f"http://{service.address}:{service.port}{path}", timeout=20) as answer:
        return answer.read().decode()


def test_the_page_is_the_file_as_it_is_now_and_is_filled_in(start, tmp_path):
    where = told(tmp_path, "/srv/www/index.html", "<p>$server serves $service, epoch $epoch, $20")
    service = start("http", "--files", "/srv/www", LOCUM_SERVICE="w<w", **where)
    assert get(service, "/") == "<p>email serves w&lt;w, epoch 7, $20"
    told(tmp_path, "/srv/www/index.html", TEMPLATE)
    assert "The server <strong>email</strong> is serving you" in get(service, "/")
    told(tmp_path, "/srv/www/more.txt", "more")
    assert get(service, "/more.txt") == "more"
    assert "email" in get(service, "/whoami")


def test_without_the_file_there_is_a_page_all_the_same(start, tmp_path):
    service = start("http", "--files", "/srv/www", LOCUM_FILES=str(tmp_path))
    assert "is serving you" in get(service, "/")


def test_users_of_ftp_are_those_in_the_file(start, tmp_path):
    where = told(tmp_path / "f", "/etc/ftp/users", "# name password\nann secret\n\nbob other\n")
    service = start("ftp", "--root", str(tmp_path / "up"), "--files", "/etc/ftp/users", **where)
    with ftplib.FTP(timeout=20) as client:
        client.connect(service.address, service.port)
        client.login("ann", "secret")
    with ftplib.FTP(timeout=20) as client, pytest.raises(ftplib.error_perm):
        client.connect(service.address, service.port)
        client.login("demo", "demo")


def test_mail_is_taken_for_the_domain_in_the_file(start, tmp_path):
    where = told(tmp_path / "f", "/etc/mail/domain", "Shop.example\n")
    service = start("smtp", "--root", str(tmp_path / "mail"), "--files", "/etc/mail/domain", LOCUM_SERVICE="mail", **where)
    with smtplib.SMTP(service.address, service.port, timeout=20) as client:
        client.sendmail("ann@example.test", "bob@shop.example", "Subject: hello\r\n\r\nhello\r\n")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("ann@example.test", "bob@demo.locum.test", "Subject: hello\r\n\r\nhello\r\n")


@pytest.mark.parametrize(
    ("program", "path", "text", "words"),
    [
        ("ftp", "/etc/ftp/users", "ann\n", "is no list of users"),
        ("ftp", "/etc/ftp/users", "ann a\nann b\n", "write each once"),
        ("ftp", "/etc/ftp/none", None, "cannot be read"),
        ("smtp", "/etc/mail/domain", "two words\n", "has no domain in its first line"),
        ("smtp", "/etc/mail/none", None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_good_is_one_line_and_no_service(begin, tmp_path, program, path, text, words):
    where = told(tmp_path / "f", path, text) if text is not None else {"LOCUM_FILES": str(tmp_path)}
    service = begin(program, "--root", str(tmp_path / "root"), "--files", path, **where)
    assert service.ended() == 1
    assert any(path in line and words in line for line in service.log), service.log


def test_a_path_that_is_not_absolute_is_refused(begin):
    service = begin("http", "--files", "srv/www")
    assert service.ended() == 2 and "--files" in service.log[-1]
