"""How the command line becomes the monitor, and where the page and its login links are found."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from bus.addresses import written
from bus.config import MonitorConfig
from monitor import links


def address(config: MonitorConfig, port: int | None = None) -> str:
    """Where a browser finds the page; `port` in the place of that in the settings."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.address, config.address)
    return f"http://{written(host, port or config.port)}/"


def login_link(config: MonitorConfig, port: int | None = None) -> str:
    """A new link that logs in once; raises `OSError`."""
    return f"{address(config, port)}login?link={links.issue(Path(config.state_dir))}"


def become(path: str, log_format: str, port: int | None) -> NoReturn:
    """Replace this process, whatever it has imported, by the monitor described in `path`."""
    root = str(Path(__file__).resolve().parent.parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    os.execv(sys.executable, [sys.executable, "-P", "-m", "monitor", path, log_format, *([str(port)] if port else [])])
