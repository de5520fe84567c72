"""A server that shares its processor evenly among all that is to be done, exact by event.

    k = b / (1 - b)      background jobs that never end, for a background load of b
    1 / (n + k)          the speed of each of n requests

A request that is alone runs at the speed 1 - b; a load of q / (1 + q) is also
what the agent makes of a run queue of q (agent/loadlevel.py).  In the long run
the mean response is, for Poisson arrivals and any law of sizes (generalised
processor sharing: Cohen, 1979; with b = 0 it is M/G/1-PS, as M/M/1 is too)

    service / ((1 - b) (1 - occupation))

Each request ends when the service that everyone has had since the server began
(`_share`) has grown by its size: one number is moved for all of them.
"""

from __future__ import annotations

from heapq import heappop, heappush

from simulation.figure3.requests import Requests


def mean_response_s(service_s: float, occupation: float, load: float) -> float:
    """The formula above."""
    return service_s / ((1.0 - load) * (1.0 - occupation))


class Sharing:
    """One service, wherever it runs: what is waiting or being served, and how long each took."""

    def __init__(self, requests: Requests) -> None:
        self._at, self._work_s = requests.at, requests.work_s
        self._next = 0  # the first request that has not come yet
        self._share = 0.0
        self._running: list[tuple[float, int]] = []  # the share at which it ends, and which request: a heap
        self.responses: list[tuple[float, float]] = []  # when it came, and how long it took

    def serve(self, begin: float, end: float, load: float) -> None:
        """From `begin` to `end`, on a server with this background load."""
        self._take_waiting(begin)
        background = load / (1.0 - load)
        at, work_s, count = self._at, self._work_s, len(self._at)
        alone, done, running = 1.0 + background, self.responses.append, self._running
        now, coming, share = begin, self._next, self._share
        while True:
            arrival = at[coming] if coming < count else end
            if running:
                rate = 1.0 / (len(running) + background)
                over = now + (running[0][0] - share) / rate
                if over <= arrival and over <= end:
                    share, now = running[0][0], over
                    came = at[heappop(running)[1]]
                    done((came, over - came))
                    continue
                share += (min(arrival, end) - now) * rate
            if arrival >= end:
                break
            now = arrival
            work = work_s[coming]
            if not running:
                over = now + work * alone
                if over <= end and (coming + 1 >= count or over <= at[coming + 1]):
                    done((now, over - now))
                    coming += 1
                    continue
            heappush(running, (share + work, coming))
            coming += 1
        self._next, self._share = coming, share

    def _take_waiting(self, now: float) -> None:
        """What came while nobody served begins now."""
        while self._next < len(self._at) and self._at[self._next] < now:
            heappush(self._running, (self._share + self._work_s[self._next], self._next))
            self._next += 1

    def lose(self) -> None:
        """The server died, or another one goes on: whoever was being served asks again, and starts anew."""
        for order, (_, request) in enumerate(sorted(self._running, key=lambda job: job[1])):
            self._running[order] = (self._share + self._work_s[request], request)
        self._running.sort()
