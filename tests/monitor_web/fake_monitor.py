"""What the page needs of a monitor, and no cluster behind it: it tells what it is given.

    python tests/monitor_web/fake_monitor.py [PORT]     to look at the page by hand: http dies and returns, again and again

It sends the headers of the real one, so that what the browser forbids there is
forbidden here.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import recorded
from flask import Flask, Response, jsonify, request, send_from_directory
from flask_socketio import SocketIO, emit
from werkzeug.serving import make_server

from monitor.state import Snapshot
from monitor.timeline import SHOWN

STATIC = Path(__file__).resolve().parents[2] / "monitor" / "static"
PASSWORD = "open sesame"
CSRF = "a-token-of-the-session"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class FakeMonitor:
    """A monitor on a free port of 127.0.0.1, in threads of this process."""

    def __init__(self, state: Snapshot, port: int = 0) -> None:
        self.state: dict[str, Any] = msgspec.to_builtins(state)
        self._first: str = self.state["events"][0]["id"]
        self.operator = False
        self.wishes: list[dict[str, Any]] = []
        self.asked_again = 0
        app = Flask(__name__, static_folder=None)
        self._sockets = SocketIO(app, async_mode="threading")
        self._routes(app)
        self._told()
        self._server = make_server("127.0.0.1", port, app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hang up, and answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        sockets = self._sockets.server
        for sid, _ in list(sockets.manager.get_participants("/", None)):
            sockets.disconnect(sid)
        self._thread.join()

    def change(self, delta: dict[str, Any], lost: bool = False) -> None:
        """Tell everyone; `lost`: remember it, but have it lost on its way."""
        for key, value in delta.items():
            if key in ("servers", "services"):
                rows = self.state[key] | value
                self.state[key] = {name: row for name, row in rows.items() if row is not None}
            elif key == "events":
                self.state[key] = [*self.state[key], *value][-SHOWN:]
            else:
                self.state[key] = value
        if not lost:
            self._sockets.emit("delta", delta)

    def _told(self) -> None:
        @self._sockets.on("connect")
        def connect() -> None:
            emit("snapshot", self.state)

        @self._sockets.on("again")
        def again(*_: object) -> None:
            self.asked_again += 1
            emit("snapshot", self.state)

    def _routes(self, app: Flask) -> None:
        app.add_url_rule("/", view_func=lambda: send_from_directory(STATIC, "index.html"), endpoint="page")
        app.add_url_rule("/static/<path:name>", view_func=lambda name: send_from_directory(STATIC, name), endpoint="files")
        app.add_url_rule("/api/session", view_func=self._session)
        app.add_url_rule("/api/history", view_func=self._history)
        app.add_url_rule("/api/sequence/<event>", view_func=lambda event: self._told_as(recorded.sequence()), endpoint="sequence")
        app.add_url_rule("/login", view_func=self._login, methods=["POST"])
        app.add_url_rule("/logout", view_func=self._logout, methods=["POST"])
        for name in ("preview", "act", "demo"):
            app.add_url_rule(f"/api/{name}", view_func=getattr(self, f"_{name}"), methods=["POST"])

        @app.after_request
        def strict(response: Response) -> Response:
            response.headers["Content-Security-Policy"] = POLICY
            response.headers["Cache-Control"] = "no-store"
            return response

    def _told_as(self, value: Any) -> Response:
        return Response(msgspec.json.encode(value), mimetype="application/json")

    def _session(self) -> Response:
        return jsonify(operator=self.operator, name="operator" if self.operator else None, csrf=CSRF)

    def _history(self) -> Response:
        """Two pages: before the first event that was told there was one, and before that another."""
        before = request.args["before"]
        number = 2 if before == self._first else 1
        at, last = f"2026-01-0{number}T10:00:00.000+00:00", number == 1
        event = {"id": f"0-{number}", "at": at, "kind": "silent", "server": "http", "text": f"once, {number}"}
        return jsonify(events=[event | {"service": None, "epoch": None, "evidence": {}}], before=None if last else "0-2")

    def _login(self) -> tuple[Response, int]:
        self.operator = self._body()["password"] == PASSWORD
        return (self._session(), 200) if self.operator else (jsonify(error="that is not the password"), 401)

    def _logout(self) -> Response:
        self.operator = False
        return self._session()

    def _preview(self) -> Response:
        wish = self._body()
        if wish["action"] == "move" and wish.get("to") == "http":
            return jsonify(sentences=[], ok=False, why_not="http is silent")
        sentences = ["www moves from http to email, which is hot.", "Clients see a gap of about a second."]
        return jsonify(sentences=sentences, ok=True, why_not=None)

    def _act(self) -> Response:
        self.wishes.append(self._body())
        return jsonify(done=True, text="it is under way")

    def _demo(self) -> Response:
        self.wishes.append(self._body())
        return jsonify(done=True, text=f"{self.wishes[-1]['verb']} {self.wishes[-1]['part']}: done")

    def _body(self) -> dict[str, Any]:
        assert request.headers["X-CSRF-Token"] == CSRF
        body: dict[str, Any] = request.get_json()
        return body


def main(port: int) -> None:
    """Tell the same short story for ever."""
    monitor = FakeMonitor(recorded.calm(time.time()), port)
    print(monitor.url, flush=True)
    while True:
        time.sleep(8)
        monitor.change(recorded.taken_over(time.time(), monitor.state["version"] + 1))
        time.sleep(8)
        calm = msgspec.to_builtins(recorded.calm(time.time()))
        monitor.change({key: calm[key] for key in ("head", "servers", "services", "passages")} | {"version": monitor.state["version"] + 1})


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
