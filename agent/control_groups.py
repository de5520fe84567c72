"""Control groups of systemd's units: who is in one, and the end of all of them.  It imports next to nothing, as agent/kept.py."""

from __future__ import annotations

import os

from agent import kept

_MOUNTS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup")
_KILL = 9


def root() -> str | None:
    """Where systemd's groups are: of version 2, or of its own hierarchy of version 1; None if there are none."""
    return next((place for place in _MOUNTS if os.path.exists(os.path.join(place, "cgroup.procs"))), None)


def path_of(unit: str, slice_name: str) -> str:
    """Where systemd puts a system unit: the slice `a-b.slice` is `a.slice/a-b.slice`."""
    words = slice_name.removesuffix(".slice").split("-")
    slices = [f"{'-'.join(words[: count + 1])}.slice" for count in range(len(words))] if words != [""] else []
    return "/" + "/".join([*slices, unit])


def kill(group: str) -> None:
    """SIGKILL everything in it, at once where the kernel can (5.14, version 2), else one by one."""
    try:
        fd = os.open(os.path.join(group, "cgroup.kill"), os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        for pid in members(group):
            try:
                os.kill(pid, _KILL)
            except OSError:
                continue
        return
    try:
        os.write(fd, b"1")
    except OSError:
        pass  # it went away in this moment
    finally:
        os.close(fd)


def members(group: str) -> list[int]:
    """The processes in it and in those below it; none if there is no such group."""
    found = []
    for place, _, files in os.walk(group):
        if "cgroup.procs" in files:
            found += [int(word) for word in kept.text_of(os.path.join(place, "cgroup.procs"), 1 << 20).split()]
    return found
