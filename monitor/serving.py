"""`locum monitor`: feed, pushes and web server in one process, on gevent.

gevent has to replace the standard library's sockets before anything else is
imported, so this is a program of its own: monitor/__main__.py.
"""

from __future__ import annotations

import errno
import secrets
import signal
import socket
import time
from pathlib import Path
from typing import Any

import gevent
import gevent.select
import msgspec
from gevent.event import Event
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from bus.addresses import written
from bus.config import ConfigError, MonitorConfig, parse
from bus.log import Log, take_over_logging
from bus.refusals import now as clock
from monitor import app
from monitor.becoming import address, login_link
from monitor.feed import Feed
from monitor.guard import LINE, Guard
from monitor.hands import Hands
from monitor.lines import SEND_S, Line
from monitor.metrics import Metrics
from monitor.pushing import Pushing
from monitor.sessions import Sessions
from monitor.view import View

REFUSED, MISCONFIGURED = 1, 2

REQUEST_S = 10.0
"""For the head of a request to come in, from the connection or the answer before."""

SPARE_CONNECTIONS = 100
"""For requests, besides those of the browsers that watch."""

STOP_S = 1.0
"""For requests under way, at the end."""


class Handler(WSGIHandler):  # type: ignore[misc]
    """One connection, which has to get on."""

    _patience: gevent.Timeout | None = None

    def handle(self) -> None:
        """Until it ends, or is too slow."""
        try:
            super().handle()
        except gevent.Timeout as late:
            if late is not self._patience:
                raise
        finally:
            self._be_patient()

    def read_requestline(self) -> str:
        """The first line, from when the head must come in."""
        self._patience = gevent.Timeout.start_new(REQUEST_S)
        line: str = super().read_requestline()
        return line

    def get_environ(self) -> dict[str, Any]:
        """The head is all there; web sockets get a connection that is cut off if it is stuck."""
        self._be_patient()
        environ: dict[str, Any] = super().get_environ()
        environ[LINE] = Line(self.socket)
        return environ

    def log_request(self) -> None:
        """Nobody wants to read all that."""

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.close()
            self._patience = None

    def _sendall(self, data: bytes) -> None:
        with gevent.Timeout(SEND_S, BrokenPipeError(errno.EPIPE, "it does not read")):
            super()._sendall(data)


class _ErrorLog:
    """What the web server has to complain of: the last line of it, without the traceback."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def write(self, text: str) -> None:
        """Log it, if it says something."""
        lines = [line for line in text.splitlines() if line.strip()]
        if lines:
            self._log(lines[-1][:300])

    def flush(self) -> None:
        """Nothing is kept back."""


class Monitor:
    """All of it."""

    def __init__(self, config: MonitorConfig, log: Log) -> None:
        """Listens; raises `ConfigError` and `OSError`."""
        self._log = log
        self.config = config
        self.view = View(config.cluster, clock(), demo=config.demo_control is not None, ahead_s=time.time() - clock())
        self._metrics = Metrics(self.view, clock, lambda: self._pushing.browsers())
        sessions = Sessions(secrets.token_bytes(32), config.session_s, lambda: secrets.token_urlsafe(32))
        flask = app.create(app.Site(config, self.view, sessions, Hands(config), self._metrics.text))
        self._pushing = Pushing(flask, self.view, config.browsers, self._count_push)
        self._feed = Feed(config, self.view, self._pushing.news, log, gevent.select.select)
        self._server = WSGIServer(
            _listener(config),
            Guard(flask, config.names, self._pushing.crowded),
            spawn=Pool(config.browsers + SPARE_CONNECTIONS),
            handler_class=Handler,
            log=None,
            error_log=_ErrorLog(log),
        )
        self._ending = Event()

    def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self._ending.set)
        self._server.start()
        workers = [gevent.spawn(work) for work in (self._feed.run, self._pushing.run)]
        for worker in workers:
            worker.link_exception(self._failed)
        self._log(f"the page is at {address(self.config)}")
        self._ending.wait()
        self._log("ending")
        self._feed.end()
        self._server.stop(timeout=STOP_S)
        gevent.killall(workers)
        self._feed.close()
        return REFUSED if any(worker.exception is not None and not worker.successful() for worker in workers) else 0

    def _count_push(self) -> None:
        self._metrics.pushes += 1

    def _failed(self, worker: gevent.Greenlet) -> None:
        self._log(f"a part of the monitor failed: {worker.exception!r}")
        self._ending.set()


def _listener(config: MonitorConfig) -> socket.socket:
    """Raises `OSError`."""
    family = socket.AF_INET6 if ":" in config.address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.address, config.port))
        listener.listen(256)
    except OSError:
        listener.close()
        raise
    return listener


def main(config: MonitorConfig, log_format: str = "text") -> int:
    """Be the monitor of this cluster; the exit status: 0 ended as asked, 1 refused, 2 the config cannot be used."""
    log = Log(config.name, "monitor", log_format)
    take_over_logging(log)
    try:
        Path(config.state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        monitor = Monitor(config, log)
        if config.operator_key_file is not None:
            print(f"log in once, within a day: {login_link(config)}", flush=True)
    except ConfigError as error:
        log(str(error))
        return MISCONFIGURED
    except OSError as error:
        where = written(config.address, config.port)
        remedy = {
            errno.EADDRINUSE: f"{where} is taken by another program: set `port` to another, or end that one",
            errno.EADDRNOTAVAIL: f"address: {config.address} is no address of this host: give one that `ip address` shows",
            errno.EACCES: f"{error.filename or where}: not allowed: choose a port above 1023, and a state_dir that can be written",
        }.get(error.errno or 0, f"{error.filename or where}: {error.strerror}")
        log(remedy)
        return REFUSED
    return monitor.run()


def command_line(arguments: list[str]) -> int:
    """python -m monitor CONFIG text|json [PORT]"""
    path, log_format, *port = arguments
    try:
        config = parse(Path(path).read_text(encoding="utf-8"), MonitorConfig, path)
    except (ConfigError, OSError, UnicodeError) as error:
        Log("", "monitor", log_format)(str(error))
        return MISCONFIGURED
    if port:
        config = msgspec.structs.replace(config, port=int(port[0]))
    return main(config, log_format)
