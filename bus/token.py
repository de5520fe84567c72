"""A join token: one line that holds all a newcomer needs to reach the SDS and be let in, once (section 7).

    locum1-<base64url of: msgpack of `JoinToken`, then six bytes of its SHA-256>

Whoever has the line has the right to join: it carries the secret half of a CURVE
key that the SDS admits for that alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Literal

import msgspec

from bus.values import Count, Key, Name, Port

VERSION = 1
_SUM_BYTES = 6
_FORM = re.compile(r"locum(\d{1,4})-([A-Za-z0-9_-]*)")


class TokenError(Exception):
    """This is no token that can be used.  Nobody was asked."""


class JoinToken(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What the line says."""

    cluster: Name
    number: Count
    address: str
    port: Port
    updates_port: Port
    sds_key: Key  # public
    secret: Key
    role: Literal["server", "operator", "viewer"]
    name: Name | None
    expires_at: float  # of the wall clock of whoever made it: only to be shown


def write(token: JoinToken) -> str:
    """The token as one line."""
    body = msgspec.msgpack.encode(token)
    return f"locum{VERSION}-{base64.urlsafe_b64encode(body + _sum(body)).decode().rstrip('=')}"


def read(line: str) -> JoinToken:
    """The token that this text is; blanks and line breaks of a paste do not matter.  Raises `TokenError`."""
    text = "".join(line.split())
    form = _FORM.fullmatch(text)
    if form is None:
        raise TokenError("this is no join token: one begins with locum1- and has letters, digits, - and _ (locum token makes one)")
    if int(form[1]) != VERSION:
        raise TokenError(f"this is a token of version {form[1]}, this Locum reads version {VERSION}: upgrade the older of the two")
    try:
        raw = base64.urlsafe_b64decode(form[2] + "=" * (-len(form[2]) % 4))
        body, found = raw[:-_SUM_BYTES], raw[-_SUM_BYTES:]
        if found != _sum(body):
            raise ValueError
        return msgspec.msgpack.decode(body, type=JoinToken)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        raise TokenError(f"the token is damaged or cut short ({len(text)} characters came): paste the whole line") from None


def _sum(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_SUM_BYTES]
