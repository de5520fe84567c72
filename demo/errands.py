"""What a user does with the three services, by their names alone; each raises `Unserved` if it cannot be done."""

from __future__ import annotations

import ftplib
import io
import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

from demo.client import TIMEOUT_S, Seen, Unserved, use
from demo.layout import SERVERS, ZONE

PATIENCE_S = 3 * TIMEOUT_S
"""For an upload or a mail, which is written to a disk."""


def visit(_: str, __: Path) -> Seen:
    """GET www's `/whoami`."""
    return use("www")


def upload(token: str, _: Path) -> Seen:
    """Upload a file, download it again, and compare."""
    seen, name, content = use("ftp"), f"story-{token}.txt", f"the story of {token}\n".encode()
    back = io.BytesIO()
    try:
        with ftplib.FTP(timeout=PATIENCE_S) as session:
            session.connect(seen.address, _port("ftp"))
            session.login("demo", "demo")
            session.storbinary(f"STOR {name}", io.BytesIO(content))
            session.retrbinary(f"RETR {name}", back.write)
            session.delete(name)
    except (OSError, EOFError, ftplib.Error) as error:
        raise Unserved(f"ftp at {seen.address}: {error or type(error).__name__}") from None
    if back.getvalue() != content:
        raise Unserved(f"ftp at {seen.address}: {len(content)} bytes were uploaded, and others came back: {back.getvalue()[:80]!r}")
    return seen


def post(token: str, state: Path) -> Seen:
    """Send a mail, and find it in a Maildir."""
    seen, mail = use("mail"), EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "reader@example.test", f"story@{ZONE}", f"the story of {token}"
    mail.set_content("Once upon a time.\n")
    try:
        with smtplib.SMTP(seen.address, _port("mail"), timeout=PATIENCE_S) as session:
            session.send_message(mail)
    except (OSError, smtplib.SMTPException) as error:
        raise Unserved(f"mail at {seen.address}: {error or type(error).__name__}") from None
    if not any(token.encode() in found.read_bytes() for found in state.glob("**/story/new/*")):
        raise Unserved(f"mail at {seen.address}: it was taken, and lies in no Maildir below {state}")
    return seen


ERRANDS: dict[str, tuple[Callable[[str, Path], Seen], str]] = {
    "www": (visit, "GET /whoami"),
    "ftp": (upload, "upload and download"),
    "mail": (post, "a mail delivered"),
}
"""By service: what is done, and in which words."""


def _port(service: str) -> int:
    return next(server.port for server in SERVERS if server.service == service)
