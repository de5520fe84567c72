"""Each test of distribution_agents.py, which runs in namespaces of its own."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.drivers.inside import HERE, NAMESPACES, Outcomes, names, pytest_words, run, show

INSIDE = HERE / "distribution_agents.py"

PRIVATE = 'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /etc/systemd/system && ip link set lo up && exec "$@"'
"""Nobody's pid files, ports, units and processes but ours."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What became of each test inside."""
    if os.geteuid() or not all(map(shutil.which, ("unshare", "ip", "mount"))):
        pytest.skip("only root, with util-linux and iproute2, can make namespaces for the distribution's daemons")
    words = [*NAMESPACES, "sh", "-c", PRIVATE, "sh"]
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("namespaces cannot be made here")
    place = tmp_path_factory.mktemp("inside")
    if str(place).startswith("/run/"):
        pytest.skip("the report would be in /run, which is another one inside")
    return run([*words, *pytest_words(INSIDE, str(place / "report.xml"))], place / "report.xml", place / "said")


@pytest.mark.parametrize("name", names(INSIDE))
def test_inside(outcomes: Outcomes, name: str) -> None:
    show(outcomes, name)
