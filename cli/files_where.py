"""Which database of files `locum files` is about: of some part's settings, or of the demo that runs here."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

from bus.config import AgentConfig, ConfigError, MonitorConfig, SdsConfig, parse
from bus.files_settings import FILES_USER, FilesSettings
from cli.outcome import Misconfigured, Unreachable


class Where(NamedTuple):
    """The database, and below what the services' files lie on this machine."""

    settings: FilesSettings
    cluster: str
    root: str  # without a slash at the end; empty for /


def where(config: str | None, service: str | None) -> Where:
    """By the settings in this file; None: the running demo.  Raises `Misconfigured` or `Unreachable` with the remedy."""
    try:
        return _by_config(Path(config)) if config is not None else _by_demo(service)
    except ConfigError as error:
        raise Misconfigured(str(error)) from None


def _by_config(path: Path) -> Where:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"{path}: cannot be read: {getattr(error, 'strerror', error)}: name the settings of an agent or of the SDS"
        ) from None
    found = _settings(text, str(path))
    if isinstance(found, AgentConfig):
        if found.files is None:
            raise Misconfigured(f"{path}: files: is missing: add [files] with the url of the database")
        return Where(found.files, found.cluster, found.files_root)
    if found.files is None:
        raise Misconfigured(f"{path}: files: is missing: there is no door to the files of this cluster's embedded store")
    host = f"[{found.files.address}]" if ":" in found.files.address else found.files.address
    settings = FilesSettings(url=f"redis://{FILES_USER}@{host}:{found.files.port}/0", password_file=found.files.password_file)
    return Where(settings, found.cluster, "")


def _settings(text: str, filename: str) -> AgentConfig | SdsConfig:
    """Told apart by the key that each must have and the other may not; raises `ConfigError`."""
    try:
        keys = tomllib.loads(text).keys()
    except (tomllib.TOMLDecodeError, RecursionError):
        return parse(text, AgentConfig, filename)  # which says so
    if "trust_file" in keys:
        return parse(text, SdsConfig, filename)
    if "sds" in keys:
        try:
            return parse(text, AgentConfig, filename)
        except ConfigError:
            if not _is_of_a_monitor(text, filename):
                raise
    raise ConfigError(
        f"{filename}: is neither an agent's settings (they have [sds]) nor the SDS's (trust_file): name a file of one of them"
    )


def _is_of_a_monitor(text: str, filename: str) -> bool:
    """It has [sds] as well."""
    try:
        parse(text, MonitorConfig, filename)
    except ConfigError:
        return False
    return True


def _by_demo(service: str | None) -> Where:
    from demo import layout, presence
    from demo.state import State

    demo = presence.running()
    if demo is None:
        raise Unreachable("no cluster: start one with ./locum demo, or name the settings of an agent with --config FILE")
    if not demo.state:
        raise Unreachable(f"the running demo ({demo}) does not answer, or is another user's")
    home = next((server for server in layout.SERVERS if server.service == service), layout.SERVERS[0])
    return _by_config(State(Path(demo.state)).settings(home.name))
