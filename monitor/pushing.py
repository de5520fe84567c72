"""What the pages are told, live: a snapshot to each that comes, then the same deltas to all (Flask-SocketIO)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent
import msgspec
from flask import Flask, request
from flask_socketio import SocketIO, join_room
from gevent.event import Event

from bus.refusals import now as clock
from monitor.view import View

PUSH_S = 0.1
"""Between two pushes, at least: what comes meanwhile goes out together."""

IDLE_S = 0.5
"""Without news the view is looked at so often all the same: it ages."""

AGAIN_S = 1.0
"""A page is given another snapshot no more often than this."""

PING_S = 10.0
"""Between two signs of life that a browser is asked for; the answer may take as long."""

PAGES = "pages"


class _Json:
    """msgspec in the place of the json module: ten times as fast, and it knows our structs."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return msgspec.json.encode(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_: Any) -> Any:
        try:
            return msgspec.json.decode(text)
        except RecursionError:
            raise ValueError("nested too deeply") from None


class Pushing:
    """The pages that are open."""

    def __init__(self, app: Flask, view: View, limit: int, pushed: Callable[[], None]) -> None:
        """`limit`: pages at once; `pushed` is told of each push."""
        self._view = view
        self._limit = limit
        self._pushed = pushed
        self._news = Event()
        self._again: dict[str, float] = {}
        self._io = SocketIO(
            app,
            async_mode="gevent",
            json=_Json,
            cors_allowed_origins=[],  # monitor/guard.py looks at the origin
            manage_session=False,
            always_connect=True,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_http_buffer_size=4_096,  # a page has next to nothing to say
            http_compression=False,
        )
        self._io.on_event("connect", self._connected)
        self._io.on_event("again", self._asked_again)
        self._io.on_event("disconnect", self._left)

    def news(self) -> None:
        """The view may have changed."""
        self._news.set()

    def browsers(self) -> int:
        """How many are connected."""
        return len(self._io.server.eio.sockets)

    def crowded(self) -> str | None:
        """Why another browser cannot be let in."""
        return None if self.browsers() < self._limit else f"{self._limit} browsers watch already: close one, or raise `browsers`"

    def run(self) -> None:
        """Push what is new, for ever."""
        while True:
            self._news.wait(IDLE_S)
            self._news.clear()
            now = clock()
            self._view.show_by(time.time() - now)
            delta = self._view.delta(now)
            if delta is not None:
                self._io.server.emit("delta", delta, to=PAGES)
                self._pushed()
                gevent.sleep(PUSH_S)

    # -- what a page says

    def _connected(self, _: Any = None) -> None:
        """Nothing may come between the snapshot and the first delta: no other greenlet runs meanwhile."""
        join_room(PAGES)
        self._give_snapshot(_page())

    def _asked_again(self, *_: Any) -> None:
        page, now = _page(), time.monotonic()
        if now - self._again.get(page, 0.0) >= AGAIN_S:
            self._again[page] = now
            self._give_snapshot(page)

    def _left(self, *_: Any) -> None:
        self._again.pop(_page(), None)

    def _give_snapshot(self, page: str) -> None:
        self._io.server.emit("snapshot", self._view.snapshot(clock()), to=page)


def _page() -> str:
    """Which page speaks."""
    return str(request.sid)  # type: ignore[attr-defined]  # Flask-SocketIO puts it there
