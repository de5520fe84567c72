"""When a unit is over, as the tether has systemd say it (R5, R6): a systemctl in its place, which ends as the real one does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.units import GROUP, SYSTEMCTL, UNIT, UnitEnd


def stopped(tmp_path: Path, status: int) -> UnitEnd:
    """After one `systemctl stop` that ended with this status."""
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\n[ "$*" = "--no-ask-password stop www.service" ] && exit {status}\nexit 99\n')
    systemctl.chmod(0o755)
    end = UnitEnd({UNIT: "www.service", GROUP: str(tmp_path / "group"), SYSTEMCTL: str(systemctl)}, {}, str(tmp_path))
    end.kill()
    assert end.helper is not None and not end.over
    pid, how = os.waitpid(end.helper, 0)
    assert end.reaped(pid, os.waitstatus_to_exitcode(how)) and not end.reaped(pid, 0)
    return end


@pytest.mark.parametrize(("status", "over"), [(0, True), (5, True), (1, False), (4, False)])
def test_a_unit_is_over_when_systemd_stopped_it_or_knows_it_no_longer(tmp_path: Path, status: int, over: bool) -> None:
    """5: its file was removed while it ran, and it was forgotten with its last process."""
    end = stopped(tmp_path, status)
    assert end.over is over
    end.kill()
    assert (end.helper is None) is over, "what failed is tried again"
    if end.helper is not None:
        os.waitpid(end.helper, 0)


def test_a_unit_of_which_a_process_is_left_is_not_over_whatever_systemd_says(tmp_path: Path) -> None:
    end = stopped(tmp_path, 5)
    (tmp_path / "group").mkdir()
    (tmp_path / "group" / "cgroup.procs").write_text("1\n")
    assert not end.over
