"""What a newcomer is given for its own settings: `[joiners]` of the SDS's file, with the secrets themselves (decision 16)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from bus.config import ConfigError, SdsConfig
from sds.admission import Place


def place(config: SdsConfig) -> Place:
    """What newcomers are given, secrets in place of the names of their files.  Raises `ConfigError`."""
    settings: dict[str, dict[str, Any]] = {}
    secret_texts: dict[str, str] = {}
    sections = msgspec.structs.asdict(config.joiners) if config.joiners else {}
    for section, values in sections.items():
        if values is None:
            continue
        settings[section] = {key: value for key, value in msgspec.to_builtins(values).items() if value is not None}
        for key in [key for key in settings[section] if key.endswith(("secret_file", "password_file"))]:
            secret_texts[f"{section}.{key}"] = _secret_text(f"joiners.{section}.{key}", Path(settings[section].pop(key)))
    return Place(config.name, config.address, config.port, config.updates_port, settings, secret_texts)


def _secret_text(key: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"{key}: {path}: cannot be read: {why}: make it, or mend the path") from None
