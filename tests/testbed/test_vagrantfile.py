"""The Vagrantfile is a good one, and has the hosts of the plan."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from standing_bed import CHECKOUT

from vagrant.bed.plan import plan

VAGRANTFILE = CHECKOUT / "vagrant" / "Vagrantfile"


@pytest.mark.skipif(not shutil.which("vagrant"), reason="vagrant is not installed: apt install vagrant")
def test_vagrant_takes_it(tmp_path: Path) -> None:
    environment = os.environ | {
        "VAGRANT_CWD": str(VAGRANTFILE.parent),
        "VAGRANT_HOME": str(tmp_path / "home"),
        "VAGRANT_DOTFILE_PATH": str(tmp_path / "dot"),
        "LOCUM_WHEELS": str(tmp_path / "wheels"),
    }
    done = subprocess.run(
        ["vagrant", "validate", "--ignore-provider"], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_hosts_are_those_of_the_plan() -> None:
    found = dict(re.findall(r'"(\w+)" => (\d+)', VAGRANTFILE.read_text()))
    assert found == {host.name: host.address.rpartition(".")[2] for host in plan({}).hosts}


def test_both_backends_install_by_one_script() -> None:
    assert "/vagrant/provision/install.sh /wheels" in VAGRANTFILE.read_text()
    assert '"/vagrant/provision/install.sh", "/wheels"' in (CHECKOUT / "vagrant" / "bed" / "netns.py").read_text()
