"""The monitor's pages and answers: thin routes over the view, the sessions and the operator's hands (Flask)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import gevent
import msgspec
from flask import Flask, Response, redirect, request, send_from_directory
from werkzeug.exceptions import HTTPException

from bus.config import MonitorConfig
from bus.refusals import now as clock
from monitor import links, metrics, passwords
from monitor.answers import Event
from monitor.hands import Hands
from monitor.sequence import sequence
from monitor.sessions import Attempts, Sessions
from monitor.state import Complaint, DemoWish, Session, Wish
from monitor.view import View
from monitor.whatif import preview

STATIC = Path(__file__).resolve().parent / "static"
COOKIE = "locum_session"
HISTORY_LIMIT = 1_000
"""Events in one page of /api/history, at most."""

PLAIN_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Locum</title>
<h1>Locum</h1>
<p>The page is not built here. In a checkout <code>./locum demo</code> and <code>./locum monitor</code> build it by themselves,
if they find Node 18 or can install it from the package registry; <code>python cli/page.py .</code> says what is wrong.</p>
<p>Meanwhile: <a href="/api/status">status</a>, <a href="/api/history">history</a>, <a href="/metrics">metrics</a>, or
<code>./locum status --watch</code>.</p>
</html>
"""

Body = TypeVar("Body", Wish, DemoWish)
Route = Callable[..., Any]


class Wrong(Exception):
    """The request cannot be answered: the status code, and one line."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /login."""

    password: str


class Site:
    """What the routes answer from."""

    def __init__(self, config: MonitorConfig, view: View, sessions: Sessions, hands: Hands, scrape: Callable[[], bytes]) -> None:
        self.config = config
        self.view = view
        self.sessions = sessions
        self.attempts = Attempts()
        self.hands = hands
        self.scrape = scrape

    # -- who asks

    def cookie(self) -> str | None:
        return request.cookies.get(COOKIE)

    def is_operator(self) -> bool:
        return self.sessions.is_operator(self.cookie(), time.monotonic())

    def session(self, cookie: str) -> Session:
        operator = self.sessions.is_operator(cookie, time.monotonic())
        return Session(operator=operator, name=self.config.operator if operator else None, csrf=self.sessions.csrf(cookie))

    def keep(self, response: Response, cookie: str) -> Response:
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="Strict", secure=self.config.https, path="/")
        return response

    def log_in(self, password: str) -> str:
        """The cookie of a new login; raises `Wrong`."""
        address, now = request.remote_addr or "", time.monotonic()
        wait_s = self.attempts.wait_s(address, now)
        if wait_s > 0:
            raise Wrong(429, f"too many wrong passwords: wait {wait_s:.0f} s")
        if self.config.password_hash is None:
            raise Wrong(403, "no password is set: use the link that ./locum monitor prints, or have one made by --link")
        # Dear to compute, so it is done beside the loop, and counted as wrong until it is known to be right.
        self.attempts.failed(address, now)
        if not gevent.get_hub().threadpool.apply(passwords.matches, (self.config.password_hash, password)):
            raise Wrong(403, "wrong password")
        self.attempts.succeeded(address)
        return self.sessions.log_in(now)

    # -- what is answered

    def status(self) -> dict[str, Any]:
        if self.view.answer is None or self.view.heard_at is None:
            raise Wrong(503, "the SDS has not answered yet: is it running, and does it trust this monitor's key?")
        return {**self.view.answer, "heard_s": round(clock() - self.view.heard_at, 3)}

    def history(self) -> dict[str, Any]:
        limit, before = request.args.get("limit", "100"), request.args.get("before")
        if not (limit.isascii() and limit.isdigit() and len(limit) <= 9 and 1 <= int(limit) <= HISTORY_LIMIT):
            raise Wrong(400, f"limit: write a number from 1 to {HISTORY_LIMIT}")
        if before is not None and not all(part.isascii() and part.isdigit() and len(part) < 20 for part in before.split("-")):
            raise Wrong(400, "before: write the `before` of the page that came first")
        events, more = self.view.timeline.page(int(limit), before, request.args.get("service"), request.args.get("server"))
        return {"events": [_as_printed(event) for event in events], "before": more}

    def health(self) -> dict[str, Any]:
        lost = self.view.lost_since(clock())
        return {"ok": True, "sds": "heard" if self.view.heard_at is not None and lost is None else "lost"}


def _as_printed(event: Event) -> dict[str, Any]:
    """As `locum history --json` prints it."""
    at = datetime.fromtimestamp(event.at).astimezone().isoformat(timespec="milliseconds")
    return {"id": event.id, "at": at, **{key: value for key, value in msgspec.structs.asdict(event).items() if key not in ("id", "at")}}


def answer(value: Any, code: int = 200) -> Response:
    """As JSON, never kept by a cache."""
    response = Response(msgspec.json.encode(value), code, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def body(kind: type[Body] | type[Login]) -> Any:
    """The JSON body; raises `Wrong`."""
    if request.mimetype != "application/json":
        raise Wrong(415, "send it as application/json")
    try:
        return msgspec.json.decode(request.get_data(), type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Wrong(400, f"the body cannot be understood: {error}") from None


def create(site: Site) -> Flask:
    """The application."""
    app = Flask("monitor", static_folder=str(STATIC), static_url_path="/static")
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 0  # a browser asks again, and is told that nothing changed

    @app.errorhandler(Wrong)
    def wrong(error: Wrong) -> Response:
        return answer(Complaint(error=str(error)), error.code)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        return answer(Complaint(error=f"{error.name.lower()}: {request.method} {request.path[:100]}"), error.code or 500)

    _pages(app, site)
    _answers(app, site)
    _sessions(app, site)
    _actions(app, site)
    return app


def _pages(app: Flask, site: Site) -> None:
    @app.get("/")
    def index() -> Response:
        if (STATIC / "index.html").is_file():
            response = send_from_directory(STATIC, "index.html")
        else:
            response = Response(PLAIN_PAGE, mimetype="text/html")
        response.headers["Cache-Control"] = "no-cache"
        return site.keep(response, site.sessions.visitor(site.cookie()))

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status=204)  # the page names its own


def _answers(app: Flask, site: Site) -> None:
    app.add_url_rule("/api/status", "status", lambda: answer(site.status()))
    app.add_url_rule("/api/history", "history", lambda: answer(site.history()))
    app.add_url_rule("/healthz", "health", lambda: answer(site.health()))

    @app.get("/metrics")
    def scrape() -> Response:
        return Response(site.scrape(), content_type=metrics.CONTENT_TYPE)

    @app.get("/api/sequence/<identity>")
    def drawn(identity: str) -> Response:
        found = sequence(site.view.timeline.events, identity)
        if found is None:
            raise Wrong(404, "no change of holder belongs to that event, or the history does not reach back to it")
        return answer(found)


def _sessions(app: Flask, site: Site) -> None:
    @app.get("/api/session")
    def who() -> Response:
        cookie = site.sessions.visitor(site.cookie())
        return site.keep(answer(site.session(cookie)), cookie)

    @app.post("/login")
    def log_in() -> Response:
        cookie = site.log_in(body(Login).password)
        return site.keep(answer(site.session(cookie)), cookie)

    @app.get("/login")
    def by_link() -> Response:
        good = site.hands.can_order and links.use(Path(site.config.state_dir), request.args.get("link", ""))
        response = redirect("/" if good else "/?link=used", 303)
        response.headers["Cache-Control"] = "no-store"
        found: Response = site.keep(response, site.sessions.log_in(time.monotonic())) if good else response  # type: ignore[arg-type, assignment]
        return found

    @app.post("/logout")
    @_for_operators(site)
    def log_out() -> Response:
        site.sessions.log_out(site.cookie())
        cookie = site.sessions.visitor(None)
        return site.keep(answer(site.session(cookie)), cookie)


def _actions(app: Flask, site: Site) -> None:
    @app.post("/api/preview")
    def look_ahead() -> Response:
        shown = site.view.now_shown
        return answer(preview(body(Wish), shown.servers, shown.services))

    @app.post("/api/act")
    @_for_operators(site)
    def act() -> Response:
        return answer(gevent.get_hub().threadpool.apply(site.hands.act, (body(Wish),)))

    @app.post("/api/demo")
    @_for_operators(site)
    def to_the_demo() -> Response:
        if site.config.demo_control is None:
            raise Wrong(404, "this cluster is no demo")
        return answer(site.hands.demo(body(DemoWish)))


def _for_operators(site: Site) -> Callable[[Route], Route]:
    """A route that changes something: for a login, and with the token that only our own page has."""

    def guarded(route: Route) -> Route:
        @wraps(route)
        def checked(*arguments: Any, **named: Any) -> Any:
            if not site.is_operator():
                raise Wrong(403, "log in first: only an operator may do this")
            if not site.sessions.is_csrf(site.cookie(), request.headers.get("X-CSRF-Token")):
                raise Wrong(403, "the header X-CSRF-Token is missing or old: ask /api/session for it")
            return route(*arguments, **named)

        return checked

    return guarded
