"""Passwords as the settings keep them: a hash that is dear to compute (scrypt, RFC 7914).

scrypt$14$8$1$SALT$HASH        cost as a power of two, block size, lanes
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from bus.config import PASSWORD_HASH

COST, BLOCK, LANES = 14, 8, 1
SHORTEST = 8
"""Characters of a password, at least."""

_MEMORY_BYTES = 64 * 1024 * 1024


def hashed(password: str) -> str:
    """What to write as `password_hash`; raises `ValueError` if the password is too short."""
    if len(password) < SHORTEST:
        raise ValueError(f"the password has {len(password)} characters: take at least {SHORTEST}")
    salt = secrets.token_bytes(16)
    return f"scrypt${COST}${BLOCK}${LANES}${_written(salt)}${_written(_derived(password, salt, COST, BLOCK, LANES))}"


def matches(stored: str, password: str) -> bool:
    """Whether this is the password whose hash is stored; False too for what is no hash of ours."""
    if not PASSWORD_HASH.fullmatch(stored):
        return False
    _, cost, block, lanes, salt, expected = stored.split("$")
    try:
        found = _derived(password, _read(salt), int(cost), int(block), int(lanes))
    except (ValueError, TypeError, OverflowError):  # costs that this machine cannot pay, or base64 that is none
        return False
    return hmac.compare_digest(found, _read(expected))


def _derived(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**cost, r=block, p=lanes, maxmem=_MEMORY_BYTES, dklen=32)


def _written(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _read(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
