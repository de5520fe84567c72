"""What somebody sees of the running demo who may look but give no orders: status, history, table updates, and what clients get."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import IO, Any

from bus.messages import History, HistoryRequest, Status, StatusRequest, TableUpdate
from bus.polling import wait_any
from bus.question import Sds, Silence, ask_meanwhile
from bus.sockets import Subscriber
from bus.wire import Header
from demo.layout import SDS_UPDATES
from demo.state import CHECKOUT
from demo.telling import Answer

ASK_EVERY_S = 0.02
"""Between two questions of a client for one service."""

_LOOK_S = 0.1


class Watcher:
    """Everything seen so far, the newest last; `look` it up whenever it is wanted."""

    def __init__(self, sds: Sds, since: datetime) -> None:
        self._sds = sds
        self._since = since  # what happened before is of an earlier run
        self.status: dict[str, Any] = {"servers": [], "services": []}
        self.events: list[dict[str, Any]] = []
        self.updates: list[TableUpdate] = []
        self.answers: list[Answer] = []

    async def watch(self) -> None:
        """Look on, until cancelled."""
        await asyncio.gather(self._subscribe(), self._inquire(), self._listen())

    async def _inquire(self) -> None:
        while True:
            with contextlib.suppress(Silence):
                status = await ask_meanwhile(self._sds, StatusRequest(), 1.0)
                history = await ask_meanwhile(self._sds, HistoryRequest(limit=2_000), 1.0)
                if isinstance(status, Status) and isinstance(history, History):
                    self.status = status.status
                    self.events = [event for event in history.events if datetime.fromisoformat(event["at"]) >= self._since]
            await asyncio.sleep(_LOOK_S)

    async def _subscribe(self) -> None:
        """Every table update that changes something (P7)."""
        sds = self._sds
        line = Subscriber(
            SDS_UPDATES.address, SDS_UPDATES.port, sds.public_key, sds.secret, Header(sds.cluster, sds.name, "viewer", 0), "sds"
        )
        try:
            while True:
                await wait_any([line], None)
                heard = [message for _, message in line.receive()]
                self.updates += [update for update in heard if isinstance(update, TableUpdate) and (update.servers or update.services)]
        finally:
            line.close()

    async def _listen(self) -> None:
        """The clients' answers, from a process of their own; it ends with our end of its stdin."""
        command = (sys.executable, "-P", "-m", "demo.asker", "--every", str(ASK_EVERY_S))
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
        asker = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        reader = threading.Thread(target=self._read, args=(asker.stdout,), daemon=True)
        reader.start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            assert asker.stdin is not None
            asker.stdin.close()
            reader.join()
            asker.wait()

    def _read(self, rows: IO[bytes]) -> None:
        for row in rows:
            self.answers.append(Answer(*json.loads(row)))

    # -- what was seen

    def service(self, name: str) -> dict[str, Any]:
        """The row of a service in the newest status; empty if there is none."""
        return next((row for row in self.status["services"] if row["name"] == name), {})

    def happened(self, kind: str, since: int = 0, **where: Any) -> dict[str, Any] | None:
        """The first event of this kind from the `since`th on, with these values in event or evidence."""
        for event in self.events[since:]:
            known = event["evidence"] | event
            if event["kind"] == kind and all(known.get(key) == value for key, value in where.items()):
                return event
        return None

    def last_answers(self, service: str, since: float) -> Sequence[Answer]:
        """The answers to a service's clients since then."""
        return [answer for answer in self.answers if answer.service == service and answer.asked_at >= since]
