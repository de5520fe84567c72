"""The exit statuses of resource agents in plain words (OCF Resource Agent API 1.1, section "Return codes")."""

from __future__ import annotations

SUCCESS, GENERIC, NOT_INSTALLED, NOT_CONFIGURED, NOT_RUNNING = 0, 1, 5, 6, 7

WORDS = {
    0: "all is well",
    1: "it failed, for a reason that has no number",
    2: "a parameter is wrong on this server",
    3: "it cannot do that",
    4: "it lacks a right",
    5: "something that it needs is not installed",
    6: "its parameters or its configuration are wrong",
    7: "it does not run",
    8: "it runs, promoted",
    9: "it failed, promoted",
    190: "it runs, degraded",
    191: "it runs, promoted and degraded",
}

_RUNS = frozenset({0, 8, 190, 191})
_HOPELESS = frozenset({2, 3, 4, 5, 6})


def in_words(status: int) -> str:
    """What an agent's exit status means."""
    return f"status {status}, {WORDS[status]}" if status in WORDS else f"status {status}, which OCF does not know"


def runs(status: int) -> bool:
    """Whether an agent that answered its monitor so says that its service runs."""
    return status in _RUNS


def hopeless(status: int) -> bool:
    """Whether an agent whose start ended so would end so again on this server: another one is tried at once."""
    return status in _HOPELESS
