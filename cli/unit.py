"""The systemd unit of an agent, and the command that starts one by hand."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

UNIT = Path("/etc/systemd/system/locum-agent.service")


def systemd_runs() -> bool:
    """Whether systemd is this host's init, and ours to give units to (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir() and os.getuid() == 0


def program() -> list[str]:
    """How this very Locum is called: the script beside its Python, or the checkout's."""
    script = Path(sys.executable).with_name("locum")
    if script.is_file():
        return [str(script)]
    checkout = Path(__file__).resolve().parent.parent / "locum"
    return [str(checkout)] if checkout.is_file() else [sys.executable, "-m", "cli.main"]


def by_hand(settings: Path) -> str:
    """The command that starts the agent, for a shell."""
    return shlex.join([*program(), "agent", "--config", str(settings)])


def text(settings: Path, server: str, cluster: str) -> str:
    """The unit.

    SIGTERM goes to the tether alone, which hands over first; what is left when
    the time is over, systemd kills, the services included (R6).
    """
    words = " ".join(_escaped(word) for word in [*program(), "agent", "--config", str(settings)])
    return f"""# Written by locum join.
[Unit]
Description=Locum agent of {server} in cluster {cluster}
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart={words}
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
TimeoutStopSec=90
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2
LimitMEMLOCK=infinity
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""


def _escaped(word: str) -> str:
    """A word of ExecStart: systemd.service(5), COMMAND LINES."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"'
