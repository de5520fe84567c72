"""Any bytes are a message or one `PeerError`; every message comes back as it was sent."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from bus import messages, wire
from bus.messages import MESSAGES, Loadlevel, Message, RemoveAssignment
from bus.wire import MAX_MESSAGE_BYTES, PROTOCOL_VERSION, Header, PeerError, VersionError

HERE = Header("demo", "http", "guard", 7)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def values(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """What a field of this type may hold, by msgspec's own account of it."""
    match kind:
        case inspect.StrType(pattern=None):
            return st.text(min_size=kind.min_length or 0, max_size=min(kind.max_length or 40, 40))
        case inspect.StrType():
            if "ocf" in kind.pattern:
                return st.sampled_from(["", "ocf:heartbeat:nginx"])
            return NAMES | st.sampled_from(["-nobody", "-alone"]) if "-nobody" in kind.pattern else NAMES
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType():
            return st.integers(kind.ge if kind.ge is not None else -(2**62), kind.le if kind.le is not None else 2**62)
        case inspect.FloatType():
            return st.floats(kind.ge, kind.le, allow_nan=False)
        case inspect.NoneType():
            return st.none()
        case inspect.AnyType():
            return ANYTHING
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.UnionType():
            return st.one_of([values(t) for t in kind.types])
        case inspect.VarTupleType():
            return st.lists(values(kind.item_type), max_size=3).map(tuple)
        case inspect.DictType():
            return st.dictionaries(values(kind.key_type), values(kind.value_type), max_size=3)
        case inspect.StructType():
            return st.builds(kind.cls, **{f.name: values(f.type) for f in kind.fields})
    raise AssertionError(f"a message holds {kind}, of which this test knows nothing")


def concrete(base: type) -> set[type]:
    return {leaf for child in base.__subclasses__() for leaf in (concrete(child) or {child})}


def test_messages_are_all_the_concrete_messages() -> None:
    assert set(MESSAGES) == concrete(Message)
    assert len(MESSAGES) == len(set(MESSAGES))


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_every_message_comes_back_as_it_was_sent(kind: type[Message]) -> None:
    assert kind.__doc__

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(values(inspect.type_info(kind)))
    def comes_back(message: Message) -> None:
        assert wire.decode(wire.encode(HERE, message)) == (HERE, message)

    comes_back()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_one_error(frame: bytes) -> None:
    try:
        header, message = wire.decode(frame)
    except PeerError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(header, Header) and isinstance(message, MESSAGES)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_message_is_a_message_or_one_error(data: st.DataObject) -> None:
    frame = bytearray(wire.encode(HERE, data.draw(values(inspect.type_info(data.draw(st.sampled_from(MESSAGES)))))))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(frame)))
    for damaged in (bytes(frame), bytes(frame[:cut])):
        try:
            wire.decode(damaged)
        except PeerError:
            pass


@settings(max_examples=150, deadline=None)
@given(ANYTHING, st.lists(ANYTHING, max_size=8))
def test_any_well_formed_value_is_a_message_or_one_error(body: Any, envelope: list[Any]) -> None:
    for value in (body, envelope, [PROTOCOL_VERSION, "demo", "http", "guard", 7, body]):
        try:
            wire.decode(msgspec.msgpack.encode(value))
        except PeerError:
            pass


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x91" * 100_000,
        b"\xdf\xff\xff\xff\xff",
        b"\x96\x01\xa1c\xa4http\xa5guard\x01" + b"\x81\xa1a" * 50_000,
        bytes(MAX_MESSAGE_BYTES + 1),
    ],
    ids=["empty", "deep", "huge-map", "deep-body", "oversized"],
)
def test_what_is_meant_to_hurt_is_one_error(frame: bytes) -> None:
    with pytest.raises(PeerError):
        wire.decode(frame)


@pytest.mark.parametrize("version", [0, PROTOCOL_VERSION + 1, 1_000])
def test_another_version_is_named(version: int) -> None:
    frame = msgspec.msgpack.encode([version, "demo", "http", "guard", 7, {"type": "NotYetInvented", "x": 1}])
    with pytest.raises(PeerError) as error:
        wire.decode(frame)
    if version > PROTOCOL_VERSION:
        assert isinstance(error.value, VersionError) and f"http speaks protocol v{version}" in str(error.value)


def test_a_newer_neighbour_may_say_more_than_we_know() -> None:
    frame = msgspec.msgpack.encode([PROTOCOL_VERSION, "demo", "http", "guard", 7, {"type": "TableRequest", "invented_later": 1}, "more"])
    assert wire.decode(frame) == (HERE, messages.TableRequest())


@pytest.mark.parametrize("name", ["", "-http", "http-", "HTTP", "a b", "http\n", "a" * 64, "http/..", "ä"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(PeerError):
        wire.decode(wire.encode(HERE, RemoveAssignment(service=name, epoch=1, number=1)))


@pytest.mark.parametrize("level", [-0.1, 1.1, math.nan, math.inf])
def test_a_number_out_of_range_is_refused(level: float) -> None:
    with pytest.raises(PeerError):
        wire.decode(wire.encode(HERE, Loadlevel(loadlevel=level, seq=0)))
