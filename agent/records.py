"""What an agent's state directory remembers of each service's files: state_dir/files/SERVICE.json."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from agent.disk import failed
from agent.staging import Record


class Records:
    """The records of one agent."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / "files"

    def of(self, service: str) -> Record:
        """What is remembered of this service; nothing if that is damaged: what is here is then foreign unless it is right."""
        try:
            record = msgspec.json.decode((self._directory / f"{service}.json").read_bytes(), type=Record)
        except (OSError, msgspec.MsgspecError, RecursionError):
            return Record(service=service)
        return record if record.service == service else Record(service=service)

    def remember(self, record: Record) -> None:
        """Write it down, whole or not at all.  Raises `DiskError`."""
        path = self._directory / f"{record.service}.json"
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = path.with_name(f"{record.service}.json.new")
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(record))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            raise failed(str(path), error) from None
