"""Before any request is looked at: for whom it is, from where, how long, and how many there are.

    Host      an address, localhost, or a name in the settings: nobody's web page can
              be made to speak to us under a name of its own (DNS rebinding)
    Origin    of whatever changes something, and of the web socket: our own pages only
    body      of a POST alone, of a stated length, short, and all there within seconds

Every answer carries the headers that make the browser strict.
"""

from __future__ import annotations

import errno
import io
import ipaddress
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import gevent
import msgspec

from monitor.lines import Line, LineInput
from monitor.state import Complaint

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

BODY_BYTES = 65_536
BODY_S = 10.0
"""For the body of a request to come in."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)

LINE = "locum.line"
"""In the environment of a request: its connection, a `Line`."""

SOCKET_PATH = "/socket.io/"


class Refused(Exception):
    """The request is not for the application: the status line, and what to say."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status


class Guard:
    """A WSGI application around another."""

    def __init__(self, inner: Application, names: Iterable[str], crowded: Callable[[], str | None]) -> None:
        """`names`: host names of ours; `crowded`: why another browser cannot be let in, if it cannot."""
        self._inner = inner
        self._names = {"localhost", *(name.lower() for name in names)}
        self._crowded = crowded

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Let it pass, or answer with one line."""

        def strict(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, *HEADERS], exc_info)

        try:
            self._look(environ)
        except Refused as refusal:
            line: Line = environ[LINE]
            if refusal.status.startswith(("400", "408", "411", "413")):
                gevent.spawn_later(1.0, line.cut)  # what is still to come of it is not waited for
            body = msgspec.json.encode(Complaint(error=str(refusal)))
            strict(refusal.status, [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Connection", "close")])
            return [body]
        answer = self._inner(environ, strict)
        if environ[LINE].spoken:
            raise BrokenPipeError(errno.EPIPE, "the web socket has ended, and with it the connection")
        return answer

    def _look(self, environ: Environ) -> None:
        """Raises `Refused`."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        host = environ.get("HTTP_HOST", "").lower()
        if not self._is_ours(host):
            text = f"this monitor is not called {host[:80]!r}: ask for it by address, or add the name to `names` in its settings"
            raise Refused("421 Misdirected Request", text)
        if method not in ("GET", "HEAD", "POST"):
            raise Refused("405 Method Not Allowed", f"{method[:16]} is not for anything here")
        is_socket = path.startswith(SOCKET_PATH)
        origin = environ.get("HTTP_ORIGIN")
        if (method == "POST" or is_socket) and origin is not None and urlsplit(origin).netloc.lower() != host:
            raise Refused("403 Forbidden", f"a page of {origin[:80]!r} may not do this")
        if is_socket and "sid=" not in environ.get("QUERY_STRING", ""):
            crowded = self._crowded()
            if crowded:
                raise Refused("503 Service Unavailable", crowded)
        # A compressor for each browser would cost more than what it saves here.
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
        _read_body(environ, method)
        if is_socket and method == "GET":
            environ["wsgi.input"] = LineInput(environ[LINE])

    def _is_ours(self, host: str) -> bool:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name in self._names
        return True


def _read_body(environ: Environ, method: str) -> None:
    """The whole body, so that whoever sends it slowly holds up nobody; raises `Refused`."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if environ.get("HTTP_TRANSFER_ENCODING"):
        raise Refused("411 Length Required", "say how long the body is, in Content-Length")
    if not (length.isascii() and length.isdigit()):
        raise Refused("400 Bad Request", "Content-Length is no number")
    if method != "POST" and int(length):
        raise Refused("400 Bad Request", f"a {method} has no body")
    if int(length) > BODY_BYTES:
        raise Refused("413 Content Too Large", f"the body has {length[:20]} bytes, at most {BODY_BYTES} are read")
    if not int(length):
        return
    try:
        with gevent.Timeout(BODY_S, TimeoutError):
            body = environ["wsgi.input"].read(int(length))
    except (TimeoutError, OSError):
        raise Refused("408 Request Timeout", f"the body did not come within {BODY_S:.0f} s") from None
    environ["wsgi.input"] = io.BytesIO(body)
