"""Who has logged in, and who tries to.

A browser's cookie is a random word.  The word of a login is known here, and
forgotten when the monitor ends; any other is a visitor's, who may look.  What
changes something must carry the CSRF token that belongs to the cookie.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable

SESSIONS_LIMIT = 1_000
"""Logins that are remembered; the oldest is forgotten first."""

ATTEMPTS, ATTEMPTS_S = 6, 60.0
"""So many wrong passwords from one address in so long a time, then no more are looked at."""

_ADDRESSES_LIMIT = 10_000
_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")


class Sessions:
    """Logins by their cookies; `now` counts seconds from anywhere."""

    def __init__(self, secret: bytes, lasts_s: float, draw: Callable[[], str]) -> None:
        """`draw` makes a random word for a cookie."""
        self._secret = secret
        self._lasts_s = lasts_s
        self._draw = draw
        self._until: OrderedDict[str, float] = OrderedDict()

    def visitor(self, cookie: str | None) -> str:
        """The cookie of a visitor: his own if it can be one, else a new one."""
        return cookie if cookie is not None and _COOKIE.fullmatch(cookie) else self._draw()

    def log_in(self, now: float) -> str:
        """A new cookie, of an operator."""
        cookie = self._draw()
        self._until[cookie] = now + self._lasts_s
        while len(self._until) > SESSIONS_LIMIT:
            self._until.popitem(last=False)
        return cookie

    def log_out(self, cookie: str | None) -> None:
        """This one is a visitor again."""
        self._until.pop(cookie or "", None)

    def is_operator(self, cookie: str | None, now: float) -> bool:
        """Whether this cookie is of a login that lasts."""
        until = self._until.get(cookie or "")
        if until is not None and until <= now:
            self.log_out(cookie)
            return False
        return until is not None

    def csrf(self, cookie: str) -> str:
        """The token that belongs to the cookie."""
        return hmac.new(self._secret, cookie.encode(), hashlib.sha256).hexdigest()

    def is_csrf(self, cookie: str | None, token: str | None) -> bool:
        """Whether the token belongs to the cookie."""
        return bool(cookie and token) and hmac.compare_digest(self.csrf(cookie or "").encode(), (token or "").encode())


class Attempts:
    """Wrong passwords by address."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, address: str, now: float) -> float:
        """How long this address must wait before another password of it is looked at."""
        recent = [at for at in self._failed.get(address, []) if now - at < ATTEMPTS_S]
        return ATTEMPTS_S - (now - recent[0]) if len(recent) >= ATTEMPTS else 0.0

    def failed(self, address: str, now: float) -> None:
        """It was wrong."""
        recent = [at for at in self._failed.pop(address, []) if now - at < ATTEMPTS_S]
        self._failed[address] = [*recent, now]
        while len(self._failed) > _ADDRESSES_LIMIT:
            self._failed.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """It was right."""
        self._failed.pop(address, None)
