"""Which database of files `locum files` is about: of some part's settings, or of the demo that runs here."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bus.config import AgentConfig, ConfigError, SdsConfig, parse
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
    if "trust_file" in text:
        sds = parse(text, SdsConfig, str(path))
        if sds.files is None:
            raise Misconfigured(f"{path}: files: is missing: there is no door to the files of this cluster's embedded store")
        host = f"[{sds.files.address}]" if ":" in sds.files.address else sds.files.address
        settings = FilesSettings(url=f"redis://{FILES_USER}@{host}:{sds.files.port}/0", password_file=sds.files.password_file)
        return Where(settings, sds.cluster, "")
    agent = parse(text, AgentConfig, str(path))
    if agent.files is None:
        raise Misconfigured(f"{path}: files: is missing: add [files] with the url of the database")
    return Where(agent.files, agent.cluster, agent.files_root)


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
