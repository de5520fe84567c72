"""Virtual time, clocks and the network: everything from one seed.

Nothing here knows what the machines decide.  A message is really encoded when
it is sent and decoded when it arrives.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any

from bus.messages import Message
from bus.wire import Header, decode, encode

SDS_HOST = "sds"


Link = tuple[str, str]
"""From one host to another, one way."""


class Clock:
    """A host's CLOCK_BOOTTIME: another origin, and a rate that is a little wrong (R2)."""

    def __init__(self, offset_s: float, rate: float) -> None:
        self._offset_s = offset_s
        self._rate = rate

    def at(self, time: float) -> float:
        """What the clock shows at this instant of the world."""
        return self._offset_s + time * self._rate

    def when(self, shown: float) -> float:
        """The instant of the world at which the clock shows this."""
        return (shown - self._offset_s) / self._rate


class Network:
    """What may happen to a message: all of it is off until the weather turns it on."""

    def __init__(self) -> None:
        self.loss = 0.0
        self.duplication = 0.0
        self.delay_s = 0.01
        self.tail = 0.0  # the share of messages that take up to `tail_delay_s`
        self.tail_delay_s = 3.0
        self.cuts: set[Link] = set()
        self.slow: dict[Link, float] = {}  # a message on such a link takes up to this long


class World:
    """One life: a heap of what is still to happen."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.seed = seed
        self.now = 0.0
        self.network = Network()
        self.doors: dict[str, Callable[[Header, Message, Any], None]] = {}
        self.timeline: list[str] | None = None
        self.stopped = False
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._last_id = 0

    def clock(self, error: float) -> Clock:
        """A new host's clock: fast, right or slow by as much as is allowed."""
        return Clock(self.random.uniform(0, 1_000), 1 + self.random.choice((-error, 0.0, error)))

    def draw(self) -> int:
        """A fresh identifier."""
        self._last_id += 1
        return self._last_id

    def at(self, time: float, what: Callable[..., None], *arguments: Any) -> None:
        """Let this happen then; what is scheduled for one instant happens in the order of scheduling."""
        self._order += 1
        heappush(self._heap, (time if time > self.now else self.now, self._order, what, arguments))

    def after(self, delay_s: float, what: Callable[..., None], *arguments: Any) -> None:
        """Let this happen after so long."""
        self.at(self.now + delay_s, what, *arguments)

    def run(self, until: float) -> None:
        """Let everything happen up to then, or until the judge stops the world."""
        heap = self._heap
        while heap and heap[0][0] <= until and not self.stopped:
            self.now, _, what, arguments = heappop(heap)
            what(*arguments)
        if not self.stopped:
            self.now = until

    def say(self, *words: Any) -> None:
        """A line of the timeline, if anybody reads it."""
        if self.timeline is not None:
            self.timeline.append(f"{self.now:9.3f}  " + " ".join(str(word) for word in words))

    # -- the network

    def send(self, origin: str, target: str, header: Header, message: Message, to: Any) -> None:
        """One message, which may arrive late, twice, or never."""
        self._carry(origin, target, encode(header, message), to)

    def publish(self, origin: str, header: Header, message: Message, subscribers: dict[str, Any]) -> None:
        """One message to many; each copy has its own fate."""
        frame = encode(header, message)
        for target, to in subscribers.items():
            self._carry(origin, target, frame, to)

    def _carry(self, origin: str, target: str, frame: bytes, to: Any) -> None:
        network, random, link = self.network, self.random, (origin, target)
        copies = 2 if network.duplication and random.random() < network.duplication else 1
        for copy in range(copies):
            if link in network.cuts or (network.loss and random.random() < network.loss):
                continue
            delay_s = random.random() * network.delay_s
            if link in network.slow:
                delay_s = random.random() * network.slow[link]
            elif copy or (network.tail and random.random() < network.tail):
                delay_s = random.random() * network.tail_delay_s
            self.at(self.now + delay_s, self._deliver, target, frame, to)

    def _deliver(self, target: str, frame: bytes, to: Any) -> None:
        header, message = decode(frame)
        self.doors[target](header, message, to)
