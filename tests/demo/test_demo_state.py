"""What a demo says of a state directory that it cannot use: one line, nothing started."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from running_demo import command, environment

from demo.state import State, StateError, default_directory


def test_a_user_without_a_home_is_told_to_name_a_place() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become a user that no one knows")
    nobody = 54_321
    without = {key: value for key, value in environment().items() if key not in ("HOME", "XDG_STATE_HOME")}
    try:
        done = subprocess.run(command("demo"), env=without, user=nobody, capture_output=True, text=True, timeout=60, check=False)
    except PermissionError:
        pytest.skip(f"{command()[0]} is for its owner alone")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no home directory" in done.stderr and len(done.stderr.splitlines()) == 1


def test_the_state_is_named_as_the_kernel_names_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert State(tmp_path / "link" / ".." / tmp_path.name / "state").directory == tmp_path / "state"


def test_settings_may_stand_in_a_directory_of_any_name(tmp_path: Path) -> None:
    import tomllib

    state = State(tmp_path / "büro 😀")
    state.furnish()
    assert tomllib.loads(state.settings("http").read_text())["state_dir"] == str(state.directory / "http")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="name another place with --state"):
        State(tmp_path / "file")


def test_xdg_state_home_is_heeded(tmp_path: Path) -> None:
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(tmp_path)
    try:
        assert default_directory() == tmp_path / "locum" / "demo"
    finally:
        if before is None:
            del os.environ["XDG_STATE_HOME"]
        else:
            os.environ["XDG_STATE_HOME"] = before
