"""Pid files of daemons, and when one of them is stale.

A daemon that is killed leaves its pid file, and resource agents believe it: to one
the service "runs already", another refuses to start, and a stop kills whoever has the
number by now.  So before a start the stale ones are removed.  Whether one is stale is
asked of the process that it names, and of no clock (R2).
"""

from __future__ import annotations

import os

from agent import kept

_DIRECTORIES = ("/run", "/var/run")
_KEYS = ("pid", "pidfile", "pid_file", "pid-file")
_LARGEST = 4096
_MOST = 400


def named_by(parameters: dict[str, str]) -> set[str]:
    """The pid files that an agent's parameters name, or the configuration files among them."""
    found = set()
    for name, value in parameters.items():
        if not value.startswith("/"):
            continue
        if "pid" in name.lower() or value.endswith(".pid"):
            found.add(value)
        elif os.path.isfile(value):
            found |= _in_configuration(kept.text_of(value))
    return found


def _in_configuration(text: str) -> set[str]:
    """`pid /run/nginx.pid;`, `pidfile /run/redis.pid`, `PidFile = "/run/x.pid"`."""
    found = set()
    for line in text.splitlines():
        key, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        path = rest.strip().rstrip(";").strip().strip('"')
        if key.lower() in _KEYS and path.startswith("/") and " " not in path:
            found.add(path)
    return found


def of(pids: set[int], places: set[str]) -> set[str]:
    """The pid files that name one of these processes: those of `places`, and in the usual directories and a level below."""
    found = {path for path in places if pids.intersection(pids_in(path))}
    for directory in _DIRECTORIES:
        for path in _pid_files_below(directory):
            if pids.intersection(pids_in(path)):
                found.add(path)
    return found


def _pid_files_below(directory: str) -> list[str]:
    found: list[str] = []
    try:
        below = [directory, *(entry.path for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False))]
    except OSError:
        return []
    for place in below[:_MOST]:
        try:
            found += [os.path.join(place, name) for name in os.listdir(place) if name.endswith(".pid")]
        except OSError:
            continue
    return found[:_MOST]


def pids_in(path: str) -> set[int]:
    """The numbers in a pid file; some agents write several."""
    return {int(word) for word in kept.text_of(path, _LARGEST).split() if word.isascii() and word.isdecimal() and 0 < int(word) < 2**31}


def stale(path: str, programs: set[str]) -> bool:
    """Whether nobody whom it names lives and runs one of the programs, those that a keeper saw: a guess may not be the daemon's.

    Any life counts when none was seen, and when it cannot be known what somebody runs.
    """
    if not os.path.isfile(path) or os.path.islink(path):
        return False
    for pid in pids_in(path):
        told = kept.stat(pid)
        if told is not None and told[0] not in "ZX" and (not programs or kept.program_of(pid) in programs | {""}):
            return False
    return True


def remove_stale(paths: set[str], programs: set[str]) -> list[str]:
    """Remove those of them that are stale; which they were."""
    removed = []
    for path in sorted(paths):
        if stale(path, programs):
            try:
                os.unlink(path)
                removed.append(path)
            except OSError:
                continue  # not ours to remove: the agent will say what it thinks of it
    return removed
