"""Runs distribution_agents.py in namespaces of its own, once, and shows each of its tests as one of ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).parent
INSIDE = HERE / "distribution_agents.py"
NAMES = re.findall(r"^def (test_\w+)", INSIDE.read_text(), re.MULTILINE)

PRIVATE = 'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /etc/systemd/system && ip link set lo up && exec "$@"'
"""Nobody's pid files, ports, units and processes but ours."""

LIMIT_S = 280


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ElementTree.Element]:
    """What became of each test inside."""
    if os.geteuid() or not all(map(shutil.which, ("unshare", "ip", "mount"))):
        pytest.skip("only root, with util-linux and iproute2, can make namespaces for the distribution's daemons")
    words = ["unshare", "--net", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child=SIGKILL", "sh", "-c", PRIVATE, "sh"]
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("namespaces cannot be made here")
    report = tmp_path_factory.mktemp("inside") / "report.xml"
    report.touch()
    with report.open("w") as written:
        argv = [*words, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp=/run/tests"]
        argv += [f"--junitxml=/dev/fd/{written.fileno()}", str(INSIDE)]
        done = subprocess.run(
            argv, cwd=HERE.parent.parent, capture_output=True, text=True, timeout=LIMIT_S, check=False, pass_fds=(written.fileno(),)
        )
    try:
        root = ElementTree.fromstring(report.read_text())
    except ElementTree.ParseError:
        raise AssertionError(f"the tests inside did not come to an end:\n{done.stdout[-5000:]}{done.stderr[-2000:]}") from None
    return {case.get("name", ""): case for case in root.iter("testcase")}


@pytest.mark.parametrize("name", NAMES)
def test_inside(outcomes: dict[str, ElementTree.Element], name: str) -> None:
    case = outcomes.get(name)
    assert case is not None, f"{name} was not run"
    skipped = case.find("skipped")
    if skipped is not None:
        pytest.skip(skipped.get("message", ""))
    for kind in ("failure", "error"):
        trouble = case.find(kind)
        assert trouble is None, trouble.text
