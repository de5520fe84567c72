"""The web site that the demo's `www` serves, by the standard library's http.server."""

from __future__ import annotations

import json
import mimetypes
import os
import socket
import stat
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from demo.services.page import page
from demo.services.program import Setting

IDLE_S = 10.0
"""A connection on which nothing comes for this long is closed, half a request or none."""

_BLOCK_BYTES = 64 * 1024


class Site(ThreadingHTTPServer):
    """The service's web site, behind a door that is open already."""

    def __init__(self, setting: Setting, door: socket.socket) -> None:
        self.setting = setting
        # bind_and_activate would look the address up in the DNS, and open a second door.
        super().__init__((setting.address, setting.port), Request, bind_and_activate=False)
        self.socket.close()
        self.socket = door
        self.whoami = json.dumps({"service": setting.service, "server": setting.server, "epoch": setting.epoch}).encode()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news; anything else is one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):
            print(f"locum demo: {self.setting.service}: request from {client_address[0]} failed: {error!r}", file=sys.stderr, flush=True)


class Request(BaseHTTPRequestHandler):
    """One client's connection, with one request or several."""

    server: Site
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    wbufsize = -1  # head and body leave as one packet
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer with what the path names."""
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            # A body that nobody reads must not be taken for the next request.
            self.close_connection = True
        try:
            path = unquote(urlsplit(self.path).path, errors="strict")
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        if path == "/whoami":
            self._answer("application/json", self.server.whoami)
        elif path == "/":
            self._answer("text/html; charset=utf-8", self._page())
        else:
            self._answer_with_file(path)

    do_HEAD = do_GET

    def version_string(self) -> str:
        """What the Server header says."""
        return "Locum-demo"

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: a client of the demo makes a hundred a second."""

    def _answer(self, content_type: str, body: bytes) -> None:
        self._head(content_type, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _page(self) -> bytes:
        """The page among the service's files as it is now, or the one that came with the program."""
        setting = self.server.setting
        file = open_below(setting.files, "index.html")
        if file is None:
            return page(setting).encode()
        with file:
            return page(setting, file.read().decode(errors="replace")).encode()

    def _answer_with_file(self, path: str) -> None:
        file = open_below(self.server.setting.files or self.server.setting.root, path)
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            self._head(_content_type(Path(file.name)), size)
            if self.command != "HEAD":
                self._send(file, size)

    def _send(self, file: BinaryIO, size: int) -> None:
        """As many bytes as the head said, however the file changes meanwhile."""
        while size:
            block = file.read(min(size, _BLOCK_BYTES))
            if not block:
                self.close_connection = True
                return
            self.wfile.write(block)
            size -= len(block)

    def _head(self, content_type: str, size: int) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(size))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def open_below(root: str | None, path: str) -> BinaryIO | None:
    """The regular file that a decoded path names, or None: absent, unreadable, or not below the real `root`."""
    if root is None or "\0" in path:
        return None
    try:
        found = Path(root, path.lstrip("/")).resolve()
        if found.is_dir():
            found = (found / "index.html").resolve()
        if not found.is_relative_to(root):
            return None
        file = open(found, "rb", opener=_open_warily)  # noqa: SIM115 (the caller closes it)
    except (OSError, RuntimeError):  # RuntimeError: links that lead in a circle
        return None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        return None
    return file


def _open_warily(path: str, flags: int) -> int:
    # The path was free of links when it was resolved; and a fifo must not hold us up.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _content_type(file: Path) -> str:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
