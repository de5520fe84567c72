"""What a trusted peer says and nobody expects: it ends nobody, and nothing follows from it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from parts import TIMING, Guard, Sds, guard, said

from agent import channel
from bus.messages import MESSAGES, Happened, Message, Released
from bus.step import Note, Peer
from bus.values import TEXT_LIMIT, ServiceDefinition
from bus.wire import Header, decode, encode

VALUES: dict[type, Any] = {int: 1, float: 0.1, bool: True, str: "www"}


def example(kind: type[Message]) -> Message:
    """A message of this kind, with as little in it as is allowed."""
    wanted: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.required:
            wanted[field.name] = next(value for value in candidates(field.name) if fits(kind, wanted | {field.name: value}, field.name))
    return msgspec.convert({"type": kind.__name__} | wanted, kind)


def candidates(name: str) -> tuple[Any, ...]:
    definition = ServiceDefinition(name="www", fqdn="www.test", port=1, home="http")
    return (
        1,
        0.1,
        True,
        "www",
        "grant",
        {},
        [],
        msgspec.to_builtins(definition),
        "unknown",
        "move",
        "not-secondary",
        "server",
        "x" * 40,
        name,
    )


def fits(kind: type[Message], wanted: dict[str, Any], name: str) -> bool:
    try:
        msgspec.convert({"type": kind.__name__} | wanted, kind)
    except msgspec.ValidationError as error:
        return not str(error).endswith(f"$.{name}`")
    return True


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_any_message_of_a_peer_leaves_guard_and_sds_alive(kind: type[Message]) -> None:
    message = example(kind)
    one = Guard()
    one.hear(guard("ftp"), message)
    one.wait(1.0)
    sds = Sds()
    sds.join("http")
    for part in ("guard", "runner", "operator", "viewer", "member", "joiner"):
        sds.hear(Peer("http", part, 1), message)  # type: ignore[arg-type]
    sds.wait(1.0, "http")


def test_long_reason_of_a_release_is_cut_to_what_may_travel() -> None:
    holder = Guard()
    holder.grant()
    holder.runner(channel.GiveUp(service="www", epoch=1, reason="x" * 3 * TEXT_LIMIT))
    (released,) = said(holder.wait(TIMING.beat_s), Released)[:1]
    assert decode(encode(Header("c", "email", "guard", 1), released))[1] == released


@pytest.mark.parametrize("evidence", [{"a": msgspec.msgpack.Ext(1, b"x")}, {"a": "x" * 100_000}], ids=["no JSON", "too long"])
def test_evidence_that_nobody_can_read_is_left_out(evidence: dict[str, Any]) -> None:
    sds = Sds()
    sds.join("http")
    actions = sds.hear(Peer("http", "runner", 1), Happened(kind="serving", text="it answers", evidence=evidence))
    (note,) = [action for action in actions if isinstance(action, Note)]
    assert note.transition.text == "it answers" and note.transition.evidence == {}
