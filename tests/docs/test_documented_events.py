"""docs/protocol.md says what the evidence of events may hold, and the real machines put nothing else into it."""

from __future__ import annotations

from typing import Any

import pytest
from documents import DOCS, plain, rows, sections

from bus.step import Note
from bus.timeline import EVIDENCE, KINDS, PAPER
from simulation.central import Central
from simulation.host import Host
from simulation.life import Life

CHAPTER = sections((DOCS / "protocol.md").read_text(), 2)["Evidence of events"]


def test_the_evidence_of_each_kind_is_documented_in_order() -> None:
    found = {plain(row[0]): tuple(plain(row[1]).split(", ")) for row in rows(CHAPTER) if len(row) == 2}
    assert list(found.items()) == list(EVIDENCE.items())
    assert list(EVIDENCE) == [kind for kind in KINDS if kind in EVIDENCE]


def test_the_papers_names_are_documented() -> None:
    assert {plain(row[0]): (row[1], row[2]) for row in rows(CHAPTER) if len(row) == 3} == PAPER
    assert PAPER.keys() <= KINDS.keys()


def test_every_key_whose_name_does_not_say_it_is_explained() -> None:
    prose = CHAPTER.partition("What the keys mean")[2].partition("What the paper calls")[0]
    for key in ("candidates", "ground", "secondary_heard_nothing_s", "heard_nothing_s", "number", "before", "by", "untold", "cause"):
        assert f"`{key}`" in prose, key


@pytest.fixture(scope="module")
def events() -> dict[str, set[str]]:
    """By kind, every key of evidence that real machines used in some simulated lives."""
    seen: dict[str, set[str]] = {}

    def notice(action: Any) -> None:
        if isinstance(action, Note):
            seen.setdefault(action.transition.kind, set()).update(action.transition.evidence)

    honest = {owner: owner._perform_guard if owner is Host else owner._perform for owner in (Host, Central)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Host, "_perform_guard", lambda host, action: (notice(action), honest[Host](host, action)))
        patch.setattr(Central, "_perform", lambda central, action: (notice(action), honest[Central](central, action)))
        for seed in range(6):
            assert Life(seed, "storm").play().failure is None
    return seen


def test_real_events_have_a_known_kind_and_documented_evidence(events: dict[str, set[str]]) -> None:
    assert {"granted", "asking", "standing-in", "recorded", "released", "lapsed", "refused", "move"} <= events.keys()
    for kind, keys in events.items():
        assert kind in KINDS, kind
        assert keys <= set(EVIDENCE.get(kind, ())), kind


def test_documented_evidence_is_really_given(events: dict[str, set[str]]) -> None:
    for kind in ("granted", "asking", "standing-in", "recorded", "released", "lapsed", "move", "silent", "returned"):
        assert events[kind] == set(EVIDENCE[kind]), kind
