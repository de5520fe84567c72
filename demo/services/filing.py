"""The files that the demo's `ftp` keeps, by pyftpdlib.  Only this file knows that library."""

from __future__ import annotations

import logging
import socket

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from demo.services.program import BACKLOG, DoorError, Setting

USER = "demo"
PASSWORD = "demo"  # public on purpose: DESIGN section 9

EVERYTHING = "elradfmwMT"
"""pyftpdlib's letters for all that a user may do below the root."""


def accounts(file: str | None) -> list[tuple[str, str]]:
    """Users and their passwords.  Raises DoorError if the file cannot be used."""
    if file is None:
        return [(USER, PASSWORD)]
    try:
        with open(file, encoding="utf-8") as lines:
            words = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise DoorError(f"{file}: cannot be read ({error}): write a user and a password there") from error
    if not words or any(len(line) != 2 for line in words) or len({line[0] for line in words}) < len(words):
        raise DoorError(f"{file}: is no list of users: write each once, a user and a password in each line")
    return [(user, password) for user, password in words]


def serve_files(setting: Setting, door: socket.socket) -> None:
    """Serve the directory `setting.root` over FTP, for as long as the process lives."""
    assert setting.root is not None
    # The library logs every command, and it sets logging up by itself unless that was done.
    logging.basicConfig(format="locum demo: %(message)s", level=logging.ERROR)
    allowed = DummyAuthorizer()
    for user, password in accounts(setting.files):
        allowed.add_user(user, password, setting.root, perm=EVERYTHING)

    class Session(FTPHandler):  # type: ignore[misc]
        """One client's control connection."""

        authorizer = allowed
        auth_failed_timeout = 1  # seconds before a wrong password is answered

        def handle(self) -> None:
            # The library's own greeting becomes two lines for a long server name.
            self.respond(f"220 {setting.greeting}")

    FTPServer(door, Session, backlog=BACKLOG).serve_forever(handle_exit=False)
