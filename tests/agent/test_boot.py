"""R17: a program that systemd starts at boot is found, whatever its unit is called."""

from pathlib import Path

import pytest

from agent.drivers.boot import enabled_at_boot


def enable(root: Path, name: str, *lines: str) -> None:
    wants = root / "multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / name).write_text("\n".join(["[Service]", *lines, ""]))


def test_a_unit_that_starts_the_same_program_is_named(tmp_path: Path) -> None:
    enable(tmp_path, "cat.service", "ExecStart=-/bin/cat /etc/motd")
    assert enabled_at_boot(("cat", "-u"), [tmp_path]) == "cat.service"


def test_another_program_is_none_of_ours(tmp_path: Path) -> None:
    enable(tmp_path, "ls.service", "ExecStart=/bin/ls")
    assert enabled_at_boot(("cat",), [tmp_path]) is None


def test_a_unit_that_is_not_enabled_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "cat.service").write_text("[Service]\nExecStart=/bin/cat\n")
    assert enabled_at_boot(("cat",), [tmp_path]) is None


@pytest.mark.parametrize(("theirs", "same"), [("/bin/sh /srv/a.sh", True), ("/bin/sh /srv/b.sh", False)])
def test_of_an_interpreter_the_whole_command_counts(tmp_path: Path, theirs: str, same: bool) -> None:
    enable(tmp_path, "script.service", f"ExecStart={theirs}")
    assert (enabled_at_boot(("sh", "/srv/a.sh"), [tmp_path]) is not None) == same


def test_units_that_cannot_be_understood_are_passed_over(tmp_path: Path) -> None:
    enable(tmp_path, "odd.service", "ExecStart=/bin/cat 'unfinished", "ExecStart=")
    (tmp_path / "multi-user.target.wants" / "dangling.service").symlink_to(tmp_path / "nowhere")
    assert enabled_at_boot(("cat",), [tmp_path]) is None


def test_continued_lines_are_one_command(tmp_path: Path) -> None:
    enable(tmp_path, "long.service", "ExecStart=/bin/cat \\", "  -u")
    assert enabled_at_boot(("cat",), [tmp_path]) == "long.service"
