"""Every kind of event has its words on the page (monitor/wording.py), and the page knows no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bus.timeline import KINDS
from monitor.answers import Event
from monitor.wording import SENTENCES, plain

TIMELINE = Path(__file__).resolve().parents[2] / "monitor" / "web" / "src" / "timeline.tsx"


def event(kind: str, **fields: object) -> Event:
    return Event(**({"id": "1-0", "at": 1.0, "kind": kind} | fields))  # type: ignore[arg-type]


def test_every_kind_has_a_sentence_and_nothing_else_has() -> None:
    assert list(SENTENCES) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sentence_says_more_than_the_text(kind: str) -> None:
    evidence = {"holder": "http", "by": "http", "secondary": "ftp"}
    said = plain(event(kind, server="email", service="www", epoch=7, text="because", evidence=evidence), [])
    assert said not in ("", "because") and not re.search(r"[{}]|None|  |:$", said)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sentence_stands_without_what_an_event_may_lack(kind: str) -> None:
    assert not re.search(r"[{}]|None|:$", plain(event(kind), []))


@pytest.mark.parametrize(
    ("happened", "sentence"),
    [
        (event("token", text="number 3, by alice, for server of any free name, for 600 s"), "a join token was made: number 3, by alice"),
        (event("revoked", server="mail", text="server mail, by alice"), "a key is no longer trusted: server mail, by alice"),
        (event("trust", text="read again: new: server mail; trusted no more: nobody"), "the trust file was read again: new: server mail"),
        (event("refused", text="a viewer may not send Order"), "refused: a viewer may not send Order"),
        (event("suspect", service="www", text="the store is older than it was"), "the record of www is in doubt: the store is older"),
        (event("trusted", service="www", text="http holds epoch 7"), "the record of www is trusted again: http holds epoch 7"),
        (event("store-failed", service="www", text="no answer"), "the store did not take a write about www, so nothing was granted: no"),
    ],
    ids=lambda value: value.kind if isinstance(value, Event) else "",
)
def test_what_the_sds_tells_of_itself_is_said_plainly(happened: Event, sentence: str) -> None:
    assert plain(happened, []).startswith(sentence)


def test_a_kind_of_a_later_release_is_shown_as_it_came() -> None:
    assert plain(event("unheard-of", server="email", text="something new"), []) == "something new"


def test_the_page_gives_signs_to_known_kinds_alone() -> None:
    listed = re.findall(r"^const [A-Z]+ = new Set\(\[(.+)\]\);", TIMELINE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(listed) == 3
    assert {kind for kinds in listed for kind in re.findall(r'"([^"]+)"', kinds)} <= KINDS.keys()
