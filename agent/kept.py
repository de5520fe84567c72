"""What a keeper writes down of the processes that it keeps, and how they are found again.

Daemons leave the session in which they were started, and some wipe the marks in
their environment.  While the keeper lives they are its descendants; when keeper
and tether were killed together, only this record tells whose they are (R6, R17).

One line each: the boot that it is true of, sessions with the start of their
leaders, executables, pid files, a control group.  This file imports next to
nothing: it is on the way of every start.
"""

from __future__ import annotations

import os

RECORD = "kept"
"""The record's name in LOCUM_RUN, the directory of a service on this server."""

WORDS = "last-words"
"""The name of the file in which a keeper says why it ends: the epoch, and one line."""

_LIMIT = 64 * 1024


class Record:
    """What is known of the processes of one service."""

    def __init__(self) -> None:
        self.boot = ""
        self.sessions: dict[int, int] = {}  # number, and clock ticks since boot of its leader; 0 if that was gone
        self.programs: set[str] = set()  # executables that were seen in them
        self.pid_files: set[str] = set()
        self.group = ""  # a directory below /sys/fs/cgroup
        self.unit = ""

    def lines(self) -> str:
        """As it stands in the file."""
        rows = [f"boot {self.boot}"]
        rows += [f"session {number} {started}" for number, started in sorted(self.sessions.items())]
        rows += [f"program {path}" for path in sorted(self.programs)]
        rows += [f"pidfile {path}" for path in sorted(self.pid_files)]
        rows += [f"group {self.group}"] if self.group else []
        rows += [f"unit {self.unit}"] if self.unit else []
        return "\n".join(rows) + "\n"


def parse(text: str) -> Record:
    """A record from its lines; what cannot be understood is passed over."""
    record = Record()
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        numbers = rest.split()
        if kind == "session" and len(numbers) == 2 and all(number.isdecimal() for number in numbers):
            record.sessions[int(numbers[0])] = int(numbers[1])
        elif kind == "program":
            record.programs.add(rest)
        elif kind == "pidfile":
            record.pid_files.add(rest)
        elif kind in ("boot", "group", "unit"):
            setattr(record, kind, rest)
    return record


def read(directory: str) -> Record:
    """The record of a service; an empty one if there is none."""
    return parse(text_of(os.path.join(directory, RECORD)))


def all_below(directory: str) -> list[tuple[str, Record]]:
    """Each service that has a record, and its record."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    return [(name, record) for name in names if (record := read(os.path.join(directory, name))).boot]


def write(directory: str, name: str, text: str) -> None:
    """Whole or not at all; without a place to write it is left out."""
    path = os.path.join(directory, name)
    try:
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, text.encode(errors="surrogateescape"))
        finally:
            os.close(fd)
        os.rename(f"{path}.new", path)
    except OSError:
        pass  # a full disk: the processes are found by their descent as long as the keeper lives


def text_of(path: str, limit: int = _LIMIT) -> str:
    """The beginning of a regular file; nothing if it is not there, or not ours to read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        return os.read(fd, limit).decode(errors="surrogateescape")
    except OSError:
        return ""
    finally:
        os.close(fd)


def boot() -> str:
    """This boot's own name: pids and starts are of one boot (R2: no clock on the wall tells)."""
    return text_of("/proc/sys/kernel/random/boot_id").strip()


def stat(pid: int) -> tuple[str, int, int, int] | None:
    """State, parent, session and start of a process; None: there is no such process."""
    text = text_of(f"/proc/{pid}/stat")
    fields = text[text.rfind(")") + 2 :].split(" ", 20)
    if len(fields) < 21:
        return None
    return fields[0], int(fields[1]), int(fields[3]), int(fields[19])


def program_of(pid: int) -> str:
    """The executable of a process; nothing if it cannot be known."""
    try:
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        return ""


def descendants(pid: int) -> list[int]:
    """All that came of a process and lives below it, zombies too, itself left out."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        found = stat(int(name)) if name.isdecimal() else None
        if found is not None:
            parents.setdefault(found[1], []).append(int(name))
    below, line = [], [pid]
    while line:
        children = parents.pop(line.pop(), [])
        below += children
        line += children
    return below


def owned(record: Record, this_boot: str) -> list[int]:
    """The living processes of a record's sessions: those whose leader is that very one, or is gone and who run a program of it."""
    if not record.sessions or record.boot != this_boot:
        return []
    found = []
    for name in os.listdir("/proc"):
        told = stat(int(name)) if name.isdecimal() else None
        if told is None or told[0] in "ZX" or told[2] not in record.sessions:
            continue
        leader = stat(told[2])
        same = leader is not None and leader[3] == record.sessions[told[2]]
        if same or (leader is None and program_of(int(name)) in record.programs):
            found.append(int(name))
    return found
