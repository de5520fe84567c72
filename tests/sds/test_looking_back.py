"""Questions about the history: filters, pages, and a store that answers in the meantime."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from bus.messages import HistoryRequest
from sds.keeper import PAGE_EVENTS, Keeper
from sds.looking_back import Wanted
from sds.rows import Event
from sds.twin import StoreTwin

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
EVERY_S = 10
COUNT = 2 * PAGE_EVENTS + 50


@pytest.fixture(scope="module")
def store() -> StoreTwin:
    """An event every ten seconds up to noon, by turns about www and mail; every hundredth is a takeover from http."""
    store = StoreTwin()
    for number in range(COUNT):
        evidence: dict[str, Any] = {"from": "http"} if number % 100 == 0 else {}
        at = NOON - timedelta(seconds=EVERY_S * (COUNT - 1 - number))
        event = {"at": at.isoformat(), "kind": "granted", "service": ("www", "mail")[number % 2], "server": "email", "evidence": evidence}
        store.append_event(msgspec.json.encode(event | {"number": number}), 100_000)
    return store


def asked(store: StoreTwin, question: HistoryRequest) -> list[int]:
    """The numbers of the events in the answer."""

    async def answer() -> tuple[Event, ...]:
        keeper = Keeper(store, store, None, 100, print)  # type: ignore[arg-type]
        return await keeper.events(question.limit, Wanted(question, NOON))

    return [msgspec.json.decode(event.payload)["number"] for event in asyncio.run(answer())]


def test_the_newest_oldest_first(store: StoreTwin) -> None:
    assert asked(store, HistoryRequest(limit=3)) == [COUNT - 3, COUNT - 2, COUNT - 1]


def test_all_of_them_across_pages_once_each(store: StoreTwin) -> None:
    assert asked(store, HistoryRequest(limit=10_000)) == list(range(COUNT))


def test_only_one_service(store: StoreTwin) -> None:
    assert asked(store, HistoryRequest(limit=PAGE_EVENTS, service="mail")) == [n for n in range(COUNT) if n % 2][-PAGE_EVENTS:]


def test_a_server_that_only_the_evidence_names_far_back(store: StoreTwin) -> None:
    assert asked(store, HistoryRequest(server="http")) == [n for n in range(COUNT) if n % 100 == 0]


def test_what_is_newer_than(store: StoreTwin) -> None:
    assert asked(store, HistoryRequest(limit=10_000, since_s=55.0)) == list(range(COUNT - 6, COUNT))
    assert asked(store, HistoryRequest(since_s=0.0, service="www")) == []
    assert len(asked(store, HistoryRequest(limit=10_000, since_s=1e300))) == COUNT


def test_nothing_fits(store: StoreTwin) -> None:
    assert asked(store, HistoryRequest(service="toaster")) == []


def test_nothing_is_read_beyond_what_is_too_old() -> None:
    """A question about the last minute costs a page, however long the history is."""

    class Counting(StoreTwin):
        pages = 0

        def events(self, limit: int, before: str | None = None) -> tuple[Event, ...]:
            self.pages += 1
            return super().events(limit, before)

    store = Counting()
    payload = msgspec.json.encode({"at": (NOON - timedelta(days=1)).isoformat(), "kind": "granted", "evidence": {}})
    store.append_events([payload] * (3 * PAGE_EVENTS), 100_000)
    assert asked(store, HistoryRequest(since_s=60.0)) == []
    assert store.pages == 1
