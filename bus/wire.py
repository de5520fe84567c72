"""One message as one frame: who speaks, then what is said.

An envelope carries protocol version, cluster, sender, part and incarnation
first, so that a peer of another version is understood far enough to be told so.
Whatever is not a message for us becomes one `PeerError`, never a crash.
"""

from __future__ import annotations

from typing import Annotated, Union, get_args

import msgspec

from bus.messages import MESSAGES, Message
from bus.values import Count, Part

PROTOCOL_VERSION = 1
"""This release speaks it, and understands the one before."""

OLDEST_VERSION = 1
"""What this release still understands."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""A frame beyond this is refused before it is decoded."""


class PeerError(Exception):
    """What came in is not a message for us.  It was dropped; nothing else happened."""


class Header(msgspec.Struct, frozen=True):
    """Who speaks: the sender is believed only if the transport key is the sender's (R20)."""

    cluster: str
    sender: str
    part: Part
    incarnation: Count


class _Envelope(msgspec.Struct, array_like=True, frozen=True):
    version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    cluster: Annotated[str, msgspec.Meta(max_length=63)]
    sender: Annotated[str, msgspec.Meta(max_length=63)]
    part: str
    incarnation: Count
    body: msgspec.Raw


_encoder = msgspec.msgpack.Encoder()
_envelopes = msgspec.msgpack.Decoder(_Envelope)
_bodies = msgspec.msgpack.Decoder(Union[MESSAGES])
_PARTS = frozenset(get_args(Part))


class VersionError(PeerError):
    """The sender speaks a version that we do not; both ends show it."""

    def __init__(self, sender: str, version: int) -> None:
        need = f"v{OLDEST_VERSION} to v{PROTOCOL_VERSION}" if OLDEST_VERSION < PROTOCOL_VERSION else f"v{PROTOCOL_VERSION}"
        super().__init__(f"{sender or 'a peer'} speaks protocol v{version}, this side needs {need}: upgrade the older of the two")
        self.sender = sender
        self.version = version


def encode(header: Header, message: Message) -> bytes:
    """One message as one frame."""
    body = msgspec.Raw(_encoder.encode(message))
    return _encoder.encode(_Envelope(PROTOCOL_VERSION, header.cluster, header.sender, header.part, header.incarnation, body))


def decode(frame: bytes) -> tuple[Header, Message]:
    """One frame as who speaks and what is said; anything else is one `PeerError`."""
    if len(frame) > MAX_MESSAGE_BYTES:
        raise PeerError(f"a message of {len(frame)} bytes exceeds the limit of {MAX_MESSAGE_BYTES}")
    try:
        envelope = _envelopes.decode(frame)
        if not OLDEST_VERSION <= envelope.version <= PROTOCOL_VERSION:
            raise VersionError(envelope.sender, envelope.version)
        if envelope.part not in _PARTS:
            raise PeerError(f"malformed message: no such part as {envelope.part[:40]!r}")
        header = Header(envelope.cluster, envelope.sender, envelope.part, envelope.incarnation)  # type: ignore[arg-type]
        return header, _bodies.decode(envelope.body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, OverflowError) as error:
        raise PeerError(f"malformed message: {error}") from None
