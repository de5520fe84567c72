"""Links that log in once: a secret in a URL, its hash as the name of a file.

Whoever may write to the monitor's state directory may make one, while the
monitor runs.  Using it removes the file, which succeeds once.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from pathlib import Path

VALID_S = 86_400.0
"""A link that nobody used is good for this long."""

LONGEST = 200
"""Characters of what may be looked at as the secret of a link."""


def issue(state_dir: Path) -> str:
    """The secret of a new link; raises `OSError`."""
    directory = state_dir / "links"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _forget_old(directory)
    token = secrets.token_urlsafe(32)
    os.close(os.open(directory / _name(token), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return token


def use(state_dir: Path, token: str) -> bool:
    """Whether this is the secret of a link that was not used yet; from now on it was."""
    if not 0 < len(token) <= LONGEST:
        return False
    directory = state_dir / "links"
    _forget_old(directory)
    try:
        (directory / _name(token)).unlink()
    except OSError:
        return False
    return True


def _name(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _forget_old(directory: Path) -> None:
    """Remove links that are too old; what cannot be removed stays."""
    try:
        for link in directory.iterdir():
            if time.time() - link.stat().st_mtime > VALID_S:  # wall clock, as the file's
                link.unlink(missing_ok=True)
    except OSError:
        pass
