"""The thread that minds the kernel gate, so that the guard never waits for it (R6).

    guard --Wanted--> porter --order--> gate       libnftables, which may wait for the kernel
      ^----- news ------|                          in force or not, and what is gated

Only the newest wish counts: while one order is under way, older wishes are
forgotten; but one with a number of its own is always answered by news of that
number, or of a later one.  A time-out is reckoned right before its order, so that a porter that
was held up opens nothing for longer than the lease.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

from agent.doors import Build, Done, Doors, Event, Failed, Look, Looked, Order, Refresh, Remove, Wanted
from agent.gate import GateError
from agent.guarding import GateNews
from bus.step import LONG_AGO, Tick

SLOW_S = 0.1
"""An order that takes the kernel longer is remarked upon."""

REMARK_EVERY_S = 60.0
"""Between two remarks of one kind: somebody may flush the rules again and again."""

_LONGEST_WAIT_S = 3600.0

Waiting = TypeVar("Waiting")


class AnyGate(Protocol):
    """agent/gate.py's, or its twin."""

    def build(self, addresses: tuple[str, ...], gated: tuple[int, ...], open_s: dict[int, float | None]) -> None: ...
    def refresh(self, open_s: dict[int, float | None], shut: tuple[int, ...]) -> None: ...
    def intact(self) -> bool: ...
    def remove(self) -> None: ...


class Porter:
    """The gate of one guard."""

    def __init__(self, open_gate: Callable[[], AnyGate], clock: Callable[[], float]) -> None:
        self._open_gate = open_gate
        self._clock = clock
        self._doors = Doors()
        self._wanted = Wanted(None, {})
        self._work = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._news: deque[GateNews] = deque()
        self._told: GateNews | None = None
        self._mended = 0
        self._remarks: deque[str] = deque(maxlen=10)
        self._remarked_at: dict[str, float] = {}  # by what it is about
        self._began_at: float | None = None  # the order that is under way
        threading.Thread(target=self._run, name="porter", daemon=True).start()

    def fileno(self) -> int:
        """Readable when there are news or remarks."""
        return self._bell

    def want(self, wanted: Wanted) -> None:
        """Let the doors be so; returns at once."""
        if wanted != self._wanted:
            self._wanted = wanted
            os.eventfd_write(self._work, 1)

    def heard(self) -> tuple[list[GateNews], list[str]]:
        """What is new of the gate, and what a person should read; empties both."""
        _hush(self._bell)
        return _emptied(self._news), _emptied(self._remarks)

    def held_up_s(self) -> float:
        """For how long the kernel has had the order that is under way; 0 if there is none."""
        began_at = self._began_at
        return 0.0 if began_at is None else self._clock() - began_at

    # -- the thread

    def _run(self) -> None:
        try:
            gate = self._open_gate()
            gate.remove()  # what an agent before us left
        except GateError as error:
            self._report(GateNews(in_force=False, reason=str(error)))
            return
        try:
            self._mind(gate)
        except Exception as error:  # a bug here must not leave doors shut whose leases run
            _perform(gate, Remove())
            self._report(GateNews(in_force=False, reason=f"its thread failed: {error!r}"))

    def _mind(self, gate: AnyGate) -> None:
        event: Event = self._wanted
        while True:
            self._obey(gate, event)
            self._report_changes()
            if self._doors.state == "refused":
                return
            event = self._next_event()

    def _next_event(self) -> Event:
        poller = select.poll()
        poller.register(self._work, select.POLLIN)
        wait_s = min(max(0.0, self._doors.wake_at - self._clock()), _LONGEST_WAIT_S)
        if poller.poll(wait_s * 1000):
            _hush(self._work)
            return self._wanted
        return Tick()

    def _obey(self, gate: AnyGate, event: Event) -> None:
        order = self._doors.step(event, self._clock())
        while order is not None:
            self._began_at = began_at = self._clock()
            answer = _perform(gate, order)
            self._began_at = None
            took_s = self._clock() - began_at
            if took_s > SLOW_S:
                self._remark("slow", f"the kernel took {took_s:.2f} s to change the kernel gate; the tether does not wait for it")
            order = self._doors.step(answer, self._clock())

    def _report_changes(self) -> None:
        doors = self._doors
        if doors.mended > self._mended:
            self._mended = doors.mended
            self._remark("mended", "the table of the kernel gate was changed or removed by somebody else: made anew")
        news = GateNews(in_force=doors.in_force, reason=doors.reason, ports=doors.gated, number=doors.number)
        if news != self._told:
            self._report(news)

    def _report(self, news: GateNews) -> None:
        self._told = news
        self._news.append(news)
        os.eventfd_write(self._bell, 1)

    def _remark(self, about: str, text: str) -> None:
        now = self._clock()
        if now - self._remarked_at.get(about, LONG_AGO) < REMARK_EVERY_S:
            return
        self._remarked_at[about] = now
        self._remarks.append(text)
        os.eventfd_write(self._bell, 1)


def _perform(gate: AnyGate, order: Order) -> Event:
    try:
        match order:
            case Build():
                gate.build(order.addresses, order.gated, order.open_s)
            case Refresh():
                gate.refresh(order.open_s, order.shut)
            case Look():
                return Looked(gate.intact())
            case Remove():
                gate.remove()
    except GateError as error:
        return Failed(str(error))
    return Done()


def _hush(descriptor: int) -> None:
    try:
        os.eventfd_read(descriptor)
    except BlockingIOError:
        pass


def _emptied(waiting: deque[Waiting]) -> list[Waiting]:
    found: list[Waiting] = []
    while waiting:
        found.append(waiting.popleft())
    return found
