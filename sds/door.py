"""The door of the embedded store: where servers may have the files of services, and nothing else (P4)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from bus.config import SdsConfig
from bus.files_settings import FILES_USER, files_rules
from bus.keys import load_password

SDS_USER = "sds"
"""The SDS's own user, where there is a door; without one nobody else gets in at all."""


class Door(NamedTuple):
    """Where the files of a cluster's services can be had, and by which password."""

    cluster: str
    address: str
    port: int
    password: str

    @property
    def mark(self) -> str:
        """Tells one door from another."""
        return hashlib.sha256(f"{self} {files_rules(self.cluster)}".encode()).hexdigest()

    def lines(self, listen: str, password: str) -> str:
        """The configuration of a server that listens here beside `listen`; the SDS comes in by this password, and nobody without one."""
        known, files = (hashlib.sha256(word.encode()).hexdigest() for word in (password, self.password))
        return "\n".join(
            (
                f"#password {password}",
                f"#door {self.mark}",
                *(line for line in listen.splitlines() if not line.startswith("port ")),
                f"bind {self.address}",
                f"port {self.port}",
                "protected-mode no",
                "user default off",
                f"user {SDS_USER} on #{known} ~* &* +@all",
                f"user {FILES_USER} on #{files} {files_rules(self.cluster)}",
            )
        )


def door(config: SdsConfig) -> Door | None:
    """The door of these settings.  Raises `ConfigError` if its password cannot be read."""
    if config.files is None:
        return None
    return Door(config.cluster, config.files.address, config.files.port, load_password(Path(config.files.password_file)))
