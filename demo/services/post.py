"""The demo's mail door, by aiosmtpd.  Only this file knows that library."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from email.utils import formatdate
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from demo.services.maildir import deliver, folder_name
from demo.services.program import BACKLOG, DoorError, Setting

DOMAIN = "demo.locum.test"
"""For whose mailboxes mail is taken, unless a file says another."""

SIZE_LIMIT = 10 * 1024 * 1024
"""Bytes of one mail; RFC 1870."""

RECIPIENT_LIMIT = 100
"""Of one mail: RFC 5321 section 4.5.3.1.8."""

IDLE_S = 60.0
"""A client that says nothing for this long is cut off."""


def domain(file: str | None) -> str:
    """The first line of the file.  Raises DoorError if that cannot be used."""
    if file is None:
        return DOMAIN
    try:
        with open(file, encoding="ascii") as lines:
            found = lines.readline().strip().lower()
    except (OSError, UnicodeDecodeError) as error:
        raise DoorError(f"{file}: cannot be read ({error}): write a domain there") from error
    if not found or any(letter not in "abcdefghijklmnopqrstuvwxyz0123456789.-" for letter in found):
        raise DoorError(f"{file}: has no domain in its first line: write one there, as demo.locum.test")
    return found


class Door(SMTP):
    """One client's session."""

    local_part_limit = 64  # RFC 5321 section 4.5.3.1.1


class Reception:
    """What is taken, and from whom; aiosmtpd calls it at each step of a session."""

    def __init__(self, setting: Setting) -> None:
        assert setting.root is not None
        self._setting = setting
        self._root = setting.root
        self._domain = domain(setting.files)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """Any mailbox of the demo's domain, and the bare postmaster of RFC 5321 section 4.5.1."""
        mailbox, _, place = address.rpartition("@") if address.lower() != "postmaster" else (address, "@", self._domain)
        if not mailbox or place.lower() != self._domain:
            return f"550 5.1.1 No such mailbox: this server takes mail for @{self._domain}"
        if len(envelope.rcpt_tos) >= RECIPIENT_LIMIT:
            return f"452 4.5.3 Too many recipients: at most {RECIPIENT_LIMIT} at a time"
        envelope.rcpt_tos.append(f"{mailbox}@{self._domain}")
        return "250 2.1.5 Recipient ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Into the Maildir of each recipient; 250 only once it is on the disk."""
        assert envelope.original_content is not None
        mail = self._trace(session, envelope) + envelope.original_content
        try:
            for folder in dict.fromkeys(folder_name(recipient.rpartition("@")[0]) for recipient in envelope.rcpt_tos):
                await asyncio.to_thread(deliver, Path(self._root, folder), mail)
        except OSError as error:
            self._say(f"mail not stored: {error}")
            return "451 4.3.0 Not stored: try again later"
        return "250 2.0.0 Stored"

    async def handle_exception(self, error: Exception) -> str:
        """A bug, here or in the library: one line for us, nothing of it for the client."""
        self._say(f"session failed: {error!r}")
        return "451 4.3.0 Local error: try again later"

    def _trace(self, session: Session, envelope: Envelope) -> bytes:
        """Return-Path and Received, as RFC 5321 section 4.4 has them; they tell which server took the mail."""
        # RFC 3848: only the extended greeting makes it ESMTP.
        protocol = "ESMTP" if session.extended_smtp else "SMTP"
        who = self._setting
        address = session.peer[0] if session.peer else "unknown"
        lines = (
            f"Return-Path: <{_printable(envelope.mail_from or '')}>",
            f"Received: from {_printable(session.host_name or 'unknown')} ([{address}])",
            f" by {who.service}.{self._domain} (Locum server={who.server} epoch={who.epoch}) with {protocol}; {formatdate(localtime=True)}",
        )
        return "".join(f"{line}\r\n" for line in lines).encode()

    def _say(self, line: str) -> None:
        print(f"locum demo: {self._setting.service}: {line}", file=sys.stderr, flush=True)


def receive_mail(setting: Setting, door: socket.socket) -> None:
    """Receive mail for as long as the process lives."""
    # The library warns of every unknown command; whoever sends garbage must not fill the log.
    logging.basicConfig(format="locum demo: %(message)s", level=logging.ERROR)
    asyncio.run(_receive(setting, door))


async def _receive(setting: Setting, door: socket.socket) -> None:
    reception = Reception(setting)
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        return Door(
            reception,
            hostname=f"{setting.service}.{domain(setting.files)}",
            ident=setting.greeting,
            data_size_limit=SIZE_LIMIT,
            timeout=IDLE_S,
            loop=loop,
        )

    server = await loop.create_server(session, sock=door, backlog=BACKLOG)
    await server.serve_forever()


def _printable(text: str) -> str:
    return "".join(character if " " <= character <= "~" else "?" for character in text)
