"""docs/protocol.md says exactly what bus/messages.py, bus/values.py, bus/wire.py, bus/timeline.py and agent/channel.py say."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from documents import DOCS, blocks, fields, kind, plain, rows, sections

from agent import channel
from bus import messages, values, wire
from bus.keys import SPEAKS_AS
from bus.timeline import KINDS

PAGE = (DOCS / "protocol.md").read_text()
CHAPTERS = sections(PAGE, 2)
MESSAGES = sections(CHAPTERS["The messages"], 4)
VALUES = sections(CHAPTERS["What messages are made of"], 4)


def concrete(module: Any, base: type) -> list[type[msgspec.Struct]]:
    """The structs that a module makes of its base, in its order."""
    return [found for found in vars(module).values() if isinstance(found, type) and issubclass(found, base) and found is not base]


def documented(section: str) -> list[tuple[str, str, str]]:
    return [(plain(name), plain(words), default) for name, words, default, _ in rows(section)]


def test_the_messages_are_all_there_in_the_papers_order() -> None:
    assert list(MESSAGES) == [message.__name__ for message in messages.MESSAGES]


@pytest.mark.parametrize("message", messages.MESSAGES, ids=lambda message: message.__name__)
def test_a_message_has_the_fields_that_are_documented(message: type[msgspec.Struct]) -> None:
    assert documented(MESSAGES[message.__name__]) == fields(message)


def test_what_messages_are_made_of_is_all_there() -> None:
    made_of = concrete(values, values.Value)
    assert list(VALUES) == [value.__name__ for value in made_of]
    for value in made_of:
        assert documented(VALUES[value.__name__]) == fields(value), value.__name__


@pytest.mark.parametrize("name", [*MESSAGES, *VALUES])
def test_everything_has_a_purpose_and_every_field_a_meaning(name: str) -> None:
    section = MESSAGES.get(name) or VALUES[name]
    assert section.split("|")[0].strip(), f"{name} has no purpose"
    assert all(meaning for *_, meaning in rows(section)), f"a field of {name} has no meaning"


@pytest.mark.parametrize("message", messages.MESSAGES, ids=lambda message: message.__name__)
def test_a_message_says_who_speaks_to_whom(message: type[msgspec.Struct]) -> None:
    first = MESSAGES[message.__name__].strip().split(".")[0]
    assert " to " in first, f"{message.__name__}: {first}"


def test_the_envelope_is_what_goes_over_the_wire() -> None:
    places = [plain(row[0]) for row in rows(CHAPTERS["On the wire"])[: len(wire._Envelope.__struct_fields__)]]
    assert places == list(wire._Envelope.__struct_fields__)


def test_the_example_is_a_real_frame() -> None:
    (example,) = blocks(CHAPTERS["On the wire"], "json")
    said = json.loads(example)
    header, message = wire.decode(msgspec.msgpack.encode(said))
    assert msgspec.msgpack.decode(wire.encode(header, message)) == said


def test_the_limits_and_versions_are_those_in_force() -> None:
    text = " ".join(CHAPTERS["On the wire"].split())
    assert f"{wire.MAX_MESSAGE_BYTES // 1024 // 1024} MiB at most" in text
    spoken = f"speaks version {wire.PROTOCOL_VERSION} and understands versions {wire.OLDEST_VERSION} to {wire.PROTOCOL_VERSION}"
    assert spoken in text


def test_who_may_say_what_is_what_the_sockets_enforce() -> None:
    said = {row[0]: row[1] for row in rows(CHAPTERS["On the wire"]) if row[0] in SPEAKS_AS and len(row) == 2}
    assert said.keys() == SPEAKS_AS.keys()
    for role, parts in SPEAKS_AS.items():
        assert {part.strip() for part in said[role].partition(":")[0].split(",")} == parts, role


def test_the_codes_of_a_rejection_are_all_there() -> None:
    codes = {field.name: field.kind for field in fields(messages.Rejection)}["code"].split(", ")
    lines = CHAPTERS["On the wire"].partition("Codes of a `Rejection`")[2]
    assert sorted(plain(code) for code, _ in rows(lines)) == sorted(codes)


def test_the_kinds_of_events_are_all_there_in_order() -> None:
    assert [(plain(name), text) for name, text in rows(CHAPTERS["Kinds of events"])] == list(KINDS.items())


def test_the_lines_between_processes_are_all_there_in_order() -> None:
    chapter = CHAPTERS["Between the processes of one agent"]
    found = [row for row in rows(chapter) if len(row) == 3]
    assert [plain(name) for name, *_ in found] == [line.__name__ for line in channel.LINES]
    for line, (_, said, meaning) in zip(channel.LINES, found, strict=True):
        wanted = ", ".join(f"{field.name} ({field.kind})" for field in fields(line)) or "-"
        assert plain(said) == wanted, line.__name__
        assert meaning, line.__name__


def test_kinds_are_told_apart() -> None:
    assert kind(values.Count) != kind(values.Seconds) != kind(values.Level)
    assert kind(float, "lease_s") == "s"
    assert kind(int, "ttl_s") == "s, whole"
