"""Each test of units_of_systemd.py, which runs as a unit of a systemd of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.inside import CHECKOUT, HERE, NAMESPACES, Outcomes, names, pytest_words, run, show

INSIDE = HERE / "units_of_systemd.py"
SYSTEMD = Path("/lib/systemd/systemd")
GROUPS = next((place for place in map(Path, ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")) if (place / "cgroup.controllers").exists()), None)

ENTER = 'echo $$ >"$0"/cgroup.procs && exec "$@"'

BOOT = """
mount -t tmpfs tmpfs /run && { umount -l /sys/fs/cgroup || true; } && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 99
mount -t tmpfs tmpfs /etc/systemd/system && cp "$0"/*.target "$0"/*.service /etc/systemd/system && ip link set lo up || exit 99
exec env -i container=locum PATH="$PATH" "$@"
"""
"""As a container's first process sees the world: its own control groups, its own /run, no units but the test's."""


@pytest.fixture(scope="module")
def group() -> Iterator[Path]:
    """A control group that is the root of those inside."""
    if os.geteuid() or GROUPS is None or not SYSTEMD.exists() or not all(map(shutil.which, ("unshare", "ip", "mount", "systemctl"))):
        pytest.skip("a systemd of our own takes root, control groups of version 2, systemd, util-linux and iproute2")
    place = GROUPS / f"locum-test-{os.getpid()}"
    try:
        place.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error.strerror}")
    yield place
    for below, _, _ in os.walk(place, topdown=False):
        os.rmdir(below)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, group: Path) -> Outcomes:
    """What became of each test inside."""
    place = tmp_path_factory.mktemp("inside")
    report, said = place / "report.xml", place / "said"
    (place / "test.target").write_text("[Unit]\nDefaultDependencies=no\nRequires=test.service\n")
    (place / "test.service").write_text(
        "[Unit]\nDefaultDependencies=no\nSuccessAction=exit-force\nFailureAction=exit-force\n[Service]\n"
        f"WorkingDirectory={CHECKOUT}\nExecStart={shlex.join(pytest_words(INSIDE, str(report)))}\n"
        f"StandardOutput=append:{said}\nStandardError=append:{said}\nEnvironment=PATH={os.environ['PATH']}\nTimeoutStopSec=2\n"
    )
    enter = ["sh", "-c", ENTER, str(group), *NAMESPACES, "--cgroup", "sh", "-c", BOOT, str(place)]
    probe = subprocess.run([*enter, "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"a systemd of our own cannot have its namespaces here: {probe.stderr.strip()}")
    systemd = [str(SYSTEMD), "--system", "--unit=test.target", "--log-target=console", "--log-level=warning", "--show-status=no"]
    return run([*enter, *systemd], report, said)


@pytest.mark.parametrize("name", names(INSIDE))
def test_inside(outcomes: Outcomes, name: str) -> None:
    show(outcomes, name)
