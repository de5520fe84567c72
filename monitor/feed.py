"""The monitor's connection to the SDS: updates that are published, questions and answers (P3).

Under a viewer's key it can change nothing.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import zmq

from bus.config import MonitorConfig
from bus.keys import load_public, load_secret
from bus.messages import History, Message, Rejection, Status, Table, TableUpdate
from bus.polling import readable
from bus.refusals import now as clock
from bus.sockets import Dealer, Subscriber
from bus.wire import Header
from monitor.answers import Event
from monitor.pace import Pace
from monitor.view import View

Select = Callable[[list[int], list[int], list[int], float], object]
"""As `select.select`; gevent's lets other green threads go on meanwhile."""


class Feed:
    """Keeps a view up to date."""

    def __init__(
        self, config: MonitorConfig, view: View, news: Callable[[], None], say: Callable[[str], None], wait: Select = select.select
    ) -> None:
        """`news` is called when the view may have changed; `say` logs a line.  Raises `ConfigError`."""
        assert config.sds.address is not None, "checked with the settings"
        public, secret = load_public(Path(config.sds.public_key_file)), load_secret(Path(config.key_file))
        header = Header(config.cluster, config.name, "viewer", 0)
        self._line = Dealer(config.sds.address, config.sds.port, public, secret, header)
        self._updates = Subscriber(config.sds.address, config.sds.updates_port, public, secret, header)
        self._view = view
        self._news = news
        self._say = say
        self._wait = wait
        self._pace = Pace()
        self._ended = False

    def run(self) -> None:
        """Until `end`."""
        while not self._ended:
            self.step()

    def end(self) -> None:
        """Let `run` return."""
        self._ended = True

    def close(self) -> None:
        """Close both sockets."""
        self._line.close()
        self._updates.close()

    def step(self) -> None:
        """Ask what is due, wait for a word or the next question, take in what came."""
        at = clock()
        unsaid = False
        for kind, question in self._pace.due(at):
            if self._line.send(question):
                self._pace.asked(kind, at)
            else:
                unsaid = True  # not connected
        self._sleep(0.1 if unsaid else self._pace.wait_s(clock()))
        heard = [message for socket in (self._line, self._updates) for _, message in socket.receive()]
        for message in heard:
            self._pace.heard(clock())
            try:
                self._take(message)
            except ValueError as error:
                self._view.trouble = str(error)
                self._say(str(error))
        self._news()

    def _sleep(self, timeout_s: float) -> None:
        """Until there may be something to receive."""
        sockets = (self._line.socket, self._updates.socket)
        if not any(readable(socket) for socket in sockets):
            self._wait([int(socket.get(zmq.FD)) for socket in sockets], [], [], timeout_s)

    def _take(self, message: Message) -> None:
        at = clock()
        match message:
            case TableUpdate():
                came = self._view.follow(message, at)
                if came == "gap":
                    self._pace.missed()
                elif came == "grave":
                    self._pace.stirred(at)
            case Table():
                self._view.take_table(message, at)
                self._pace.answered("table", at)
                self._pace.stirred(at)
            case Status():
                self._pace.answered("status", at, len(msgspec.json.encode(message.status)))
                self._view.take_status(message.status, at)
            case History():
                self._pace.answered("history", at)
                self._view.take_history(events(message.events), at)
            case Rejection(code="bad-request"):
                self._pace.too_much()
            case Rejection():
                trouble = f"the SDS refuses the monitor: {message.text}"
                if self._view.trouble != trouble:
                    self._say(trouble)
                self._view.trouble = trouble


def events(answer: Iterable[Mapping[str, Any]]) -> list[Event]:
    """The events that can be understood, in their order; others are left out."""
    found = []
    for raw in answer:
        try:
            at = datetime.fromisoformat(str(raw.get("at"))).timestamp()
            found.append(msgspec.convert({**raw, "at": at}, Event))
        except (ValueError, OverflowError):  # a ValidationError is a ValueError
            continue
    return found
