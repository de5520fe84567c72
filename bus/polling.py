"""Waiting, for both kinds of loops: the guard's plain one and asyncio's.

Both do their sockets' chores (bus/zap.py) on the way and return what is ready.
A ZeroMQ descriptor only tells of changes, and sending may swallow the news that
something came in.  So readiness is always asked of the socket itself, right
before sleeping; and a send, once done, wakes a sleeper whose news it may have
swallowed.
"""

from __future__ import annotations

import math
import select
from typing import TYPE_CHECKING, Protocol, TypeVar

import zmq

from bus.refusals import now
from bus.zap import Chore

if TYPE_CHECKING:
    import asyncio


class Pollable(Protocol):
    """A socket of ours."""

    socket: zmq.Socket[bytes]
    chores: tuple[Chore, ...]
    sleeper: AsyncPoller | None


def readable(socket: zmq.Socket[bytes]) -> bool:
    """Whether something can be received; asking takes in what libzmq has to say, so act on it."""
    return bool(int(socket.get(zmq.EVENTS)) & zmq.POLLIN)


class _Poller:
    """What both pollers know: sockets, raw descriptors and chores."""

    def __init__(self) -> None:
        self._sockets: dict[zmq.Socket[bytes], Pollable] = {}
        self._descriptors: set[int] = set()
        self._chores: dict[zmq.Socket[bytes], Chore] = {}

    def _gather_chores(self) -> None:
        self._chores = {chore.socket: chore for pollable in self._sockets.values() for chore in pollable.chores}

    def _do_chores(self) -> None:
        for chore in self._chores.values():
            chore.drain()


class Poller(_Poller):
    """For a loop without asyncio.

    `wait` has the granularity of zmq_poll: it rounds the time up to a whole
    millisecond, so it never returns empty-handed early, and at most 1 ms (and
    the scheduler's delay) late.
    """

    def __init__(self) -> None:
        super().__init__()
        self._poller = zmq.Poller()

    def register(self, thing: Pollable | int) -> None:
        """Wait for this socket, or for this descriptor to become readable."""
        if isinstance(thing, int):
            self._descriptors.add(thing)
            self._poller.register(thing, zmq.POLLIN)
        else:
            self._sockets[thing.socket] = thing
            self._refresh()

    def unregister(self, thing: Pollable | int) -> None:
        """No longer wait for it; to be called before it is closed."""
        if isinstance(thing, int):
            self._descriptors.discard(thing)
            self._poller.unregister(thing)
        else:
            del self._sockets[thing.socket]
            self._refresh()

    def wait(self, timeout_s: float | None) -> set[Pollable | int]:
        """What is ready within the time (None: for ever); empty if nothing is."""
        until_at = math.inf if timeout_s is None else now() + timeout_s
        while True:
            rest_s = until_at - now()
            events = self._poller.poll(None if math.isinf(rest_s) else max(0, math.ceil(rest_s * 1000)))
            ready: set[Pollable | int] = set()
            for which, _ in events:
                if isinstance(which, int):
                    ready.add(which)
                elif which in self._chores:
                    self._chores[which].drain()
                else:
                    ready.add(self._sockets[which])
            if ready or now() >= until_at:
                return ready

    def _refresh(self) -> None:
        self._gather_chores()
        self._poller = zmq.Poller()
        for descriptor in self._descriptors:
            self._poller.register(descriptor, zmq.POLLIN)
        for socket in (*self._sockets, *self._chores):
            self._poller.register(socket, zmq.POLLIN)


class AsyncPoller(_Poller):
    """For a task on asyncio's loop.  A socket has one sleeper: one task waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()  # of all descriptors: asyncio watches this one alone
        self._watched: set[int] = set()
        self._waking: asyncio.Future[None] | None = None

    def register(self, thing: Pollable | int) -> None:
        """Wait for this socket, or for this descriptor to become readable."""
        if isinstance(thing, int):
            self._descriptors.add(thing)
        else:
            assert thing.sleeper is None or thing.sleeper is self, "another poller waits for this socket"
            self._sockets[thing.socket] = thing
            thing.sleeper = self
        self._refresh()

    def unregister(self, thing: Pollable | int) -> None:
        """No longer wait for it; to be called before it is closed."""
        if isinstance(thing, int):
            self._descriptors.discard(thing)
        else:
            self._sockets.pop(thing.socket)
            thing.sleeper = None
        self._refresh()

    async def wait(self, timeout_s: float | None) -> set[Pollable | int]:
        """What is ready within the time (None: for ever); empty if nothing is.

        It yields to the loop at least once, so that a flood starves no other task.
        """
        import asyncio  # not above: it is 7 MB that the guard can do without

        until_at = math.inf if timeout_s is None else now() + timeout_s
        await asyncio.sleep(0)
        while True:
            ready = self._ready()
            rest_s = until_at - now()
            if ready or rest_s <= 0:
                return ready
            await self._sleep(rest_s)

    def poke(self) -> None:
        """Look again: a socket of ours sent, and may have taken in news meanwhile."""
        if self._waking is not None and not self._waking.done():
            self._waking.set_result(None)

    def close(self) -> None:
        """Forget all; the sockets stay open."""
        for pollable in self._sockets.values():
            pollable.sleeper = None
        self._sockets.clear()
        self._epoll.close()

    def _ready(self) -> set[Pollable | int]:
        self._do_chores()
        ready: set[Pollable | int] = {p for s, p in self._sockets.items() if readable(s)}
        if self._descriptors:
            ready.update(descriptor for descriptor, _ in self._epoll.poll(0) if descriptor in self._descriptors)
        return ready

    async def _sleep(self, rest_s: float) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        self._waking = loop.create_future()
        loop.add_reader(self._epoll.fileno(), self.poke)
        timer = None if math.isinf(rest_s) else loop.call_later(rest_s, self.poke)
        try:
            await self._waking
        finally:
            self._waking = None
            loop.remove_reader(self._epoll.fileno())
            if timer is not None:
                timer.cancel()

    def _refresh(self) -> None:
        self._gather_chores()
        wanted = self._descriptors | {int(s.get(zmq.FD)) for s in (*self._sockets, *self._chores)}
        for descriptor in self._watched - wanted:
            try:
                self._epoll.unregister(descriptor)
            except OSError:
                pass  # it was closed first
        for descriptor in wanted - self._watched:
            self._epoll.register(descriptor, select.EPOLLIN)
        self._watched = wanted
        self.poke()


AnySocket = TypeVar("AnySocket", bound=Pollable)


async def wait_any(sockets: list[AnySocket], timeout_s: float | None) -> set[AnySocket]:
    """Which of these sockets are ready within the time.  A loop keeps an `AsyncPoller` instead."""
    poller = AsyncPoller()
    for socket in sockets:
        poller.register(socket)
    try:
        ready = await poller.wait(timeout_s)
    finally:
        poller.close()
    return {socket for socket in sockets if socket in ready}
