"""Both kinds of loops: nothing that came in is slept over."""

from __future__ import annotations

import asyncio
import os
import random
import select
import time

import zmq

from bus.keys import Trust
from bus.messages import Acknowledgement, Loadlevel, RemoveAssignment, TableRequest
from bus.polling import AsyncPoller, Poller, wait_any
from tests.waiting import until

LIST = Loadlevel(loadlevel=0.25, seq=3)


def test_the_plain_poller_does_the_chores_and_says_what_is_ready(bench) -> None:
    dealer = bench.dealer()
    here, there = os.pipe()
    poller = Poller()
    for thing in (bench.router, dealer, here):
        poller.register(thing)

    def connected() -> bool:
        poller.wait(0.01)
        return dealer.send(LIST)

    until(connected)
    assert until(lambda: poller.wait(1)) == {bench.router}
    [heard] = bench.router.receive()
    bench.router.send(heard.connection, TableRequest())
    os.write(there, b"x")
    ready = until(lambda: (r := poller.wait(1)) and dealer in r and r)
    assert ready == {dealer, here}
    os.read(here, 1)
    dealer.receive()
    assert poller.wait(0) == set()
    poller.unregister(here)
    poller.unregister(dealer)
    os.write(there, b"x")
    assert poller.wait(0.01) == set()
    os.close(here)
    os.close(there)


def test_the_plain_poller_never_returns_empty_handed_before_its_time(bench) -> None:
    poller = Poller()
    poller.register(bench.router)
    for timeout_s in (0.0004, 0.0051, 0.02):
        begun = time.clock_gettime(time.CLOCK_BOOTTIME)
        assert poller.wait(timeout_s) == set()
        assert time.clock_gettime(time.CLOCK_BOOTTIME) - begun >= timeout_s


def test_a_key_trusted_while_both_ends_sleep_gets_in(bench) -> None:
    async def main() -> None:
        eve = bench.dealer("eve")
        poller = AsyncPoller()
        poller.register(bench.router)
        while not bench.router.refused["foreign-key"]:
            await poller.wait(0.05)
        asyncio.get_running_loop().call_later(0.05, setattr, bench.router, "trust", Trust.of({"server": {"eve": eve_key}}))
        while not eve.send(LIST):
            await asyncio.wait({asyncio.ensure_future(poller.wait(0.02))})
        assert bench.router in await poller.wait(5)
        poller.close()

    eve_key = bench.secrets["eve"].public
    asyncio.run(asyncio.wait_for(main(), 20))


def test_asyncio_wakes_for_descriptors_and_pokes_and_time(bench) -> None:
    async def main() -> None:
        here, there = os.pipe()
        poller = AsyncPoller()
        poller.register(here)
        poller.register(bench.router)
        assert await poller.wait(0.01) == set()
        asyncio.get_running_loop().call_later(0.01, os.write, there, b"x")
        assert await poller.wait(5) == {here}
        assert await poller.wait(None) == {here}, "it is level-triggered"
        poller.unregister(here)
        assert await poller.wait(0.01) == set()
        poller.close()
        os.close(here)
        os.close(there)
        assert await wait_any([bench.router], 0.01) == set()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_no_wakeup_is_lost_when_sends_and_sleeps_mix(bench) -> None:
    """Ping-pong both ways and random sends from other tasks, each end asleep whenever it can be.

    A lost wake-up leaves an end asleep with a message before it: once the noise
    is over, nothing else comes to wake it.
    """
    rounds, unasked = 3000, 2000
    seed = random.randrange(2**32)
    chance = random.Random(seed)

    async def server(poller: AsyncPoller, state: dict) -> None:
        while state["server"] < rounds:
            await poller.wait(None)  # for ever: a time limit would look again, and hide what was slept over
            for heard in bench.router.receive(limit=chance.choice((1, 2, 500))):
                state["connection"] = heard.connection
                if isinstance(heard.message, RemoveAssignment):
                    state["server"] += 1
                    answer = Acknowledgement(service="www", epoch=1, number=1, beat=heard.message.number, nonce=1)
                    while not bench.router.send(heard.connection, answer):
                        await asyncio.sleep(0)

    async def client(dealer, poller: AsyncPoller, state: dict) -> None:
        asked = answered = 0
        while answered < rounds:
            while asked < rounds and asked - answered < chance.choice((1, 1, 1, 8)):
                if dealer.send(RemoveAssignment(service="www", epoch=1, number=asked)):
                    asked += 1
                await asyncio.sleep(0)
            await poller.wait(None)
            answered += sum(isinstance(m, Acknowledgement) for _, m in dealer.receive(limit=chance.choice((1, 3, 500))))

    async def noise(dealer, state: dict) -> None:
        """Sends at moments of its own, on the very sockets on which the others sleep."""
        for _ in range(unasked):
            if chance.random() < 0.5:
                dealer.send(LIST)
            elif "connection" in state:
                bench.router.send(state["connection"], TableRequest())
            await asyncio.sleep(chance.choice((0, 0, 0, 0.0005)))

    async def main() -> None:
        dealer = bench.dealer()
        ours, theirs = AsyncPoller(), AsyncPoller()
        ours.register(bench.router)
        theirs.register(dealer)
        while not dealer.send(LIST):
            await ours.wait(0.01)
        state = {"server": 0}
        tasks = asyncio.gather(server(ours, state), client(dealer, theirs, state), noise(dealer, state))
        try:
            await asyncio.wait_for(tasks, 60)
        except TimeoutError:
            raise AssertionError(f"something was slept over (seed {seed}): {state}") from None
        ours.close()
        theirs.close()

    asyncio.run(asyncio.wait_for(main(), 120))


def test_a_send_that_takes_in_the_news_wakes_the_sleeper(bench) -> None:
    """What came in shows on the descriptor only until some call takes it in, and a send does."""

    async def main() -> None:
        dealer = bench.dealer()
        ours, theirs = AsyncPoller(), AsyncPoller()
        ours.register(bench.router)
        theirs.register(dealer)
        while not dealer.send(LIST):
            await ours.wait(0.01)
        assert await ours.wait(5)
        [heard] = bench.router.receive()
        for end, poller, speak in (
            (dealer, theirs, lambda: bench.router.send(heard.connection, TableRequest())),
            (bench.router, ours, lambda: dealer.send(LIST)),
        ):
            while await poller.wait(0.1):
                end.receive()
            sleeper = asyncio.create_task(poller.wait(None))
            while poller._waking is None:
                await asyncio.sleep(0)
            assert speak()
            assert select.select([end.socket.get(zmq.FD)], [], [], 5)[0], "it has come in, and asyncio has not looked yet"
            assert dealer.send(LIST) if end is dealer else bench.router.send(heard.connection, TableRequest())
            assert await asyncio.wait_for(sleeper, 10) == {end}
        ours.close()
        theirs.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_flood_does_not_starve_other_tasks(bench) -> None:
    async def main() -> None:
        dealer = bench.dealer()
        poller = AsyncPoller()
        poller.register(bench.router)
        while not dealer.send(LIST):
            await poller.wait(0.01)
        turns = 0

        async def other() -> None:
            nonlocal turns
            while turns < 100:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        for _ in range(300):
            dealer.send(LIST)
            await poller.wait(1)
            bench.router.receive(limit=1)
        assert turns == 100
        await task
        poller.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_socket_that_is_closed_while_watched_leaves_no_trace(bench) -> None:
    async def main() -> None:
        poller = AsyncPoller()
        poller.register(bench.router)
        for _ in range(5):
            dealer = bench.dealer()
            poller.register(dealer)
            while not dealer.send(LIST):
                await poller.wait(0.01)
            assert bench.router in await poller.wait(5)
            [heard] = bench.router.receive()
            bench.router.send(heard.connection, TableRequest())
            while dealer not in await poller.wait(5):
                bench.router.receive()
            bench.drop(dealer)
        poller.close()

    asyncio.run(asyncio.wait_for(main(), 20))
