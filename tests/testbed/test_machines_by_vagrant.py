"""The vagrant backend, with programs in place of vagrant, ssh and virsh that note how they are called.

The real ones need machines, which no test has; vagrant/README.md says what was seen of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from standing_bed import CHECKOUT, TESTBED

VAGRANT = """\
echo "$@" >>"$NOTES"
case $1 in
    status) echo "1,sds,state,$(cat "$NOTES.state")"; echo "1,sds,state-human-short,x" ;;
    destroy) grep -c destroy "$NOTES" | grep -qx 1 || echo not_created >"$NOTES.state" ;;
    ssh-config) echo "Host sds" ;;
    up) [ "$2" != --no-provision ] || exit 3 ;;
esac
"""
SSH = """\
echo ssh "$7" >>"$NOTES"
shift 7
[ "$1 $2" = "sudo -n" ] && exec sh -c "$3"
"""
VIRSH = 'echo virsh "$3" "$4" >>"$NOTES"; echo "error: Domain is already running" >&2; exit 1\n'


class FakeMachines:
    """A bed of the vagrant backend as a directory knows it."""

    def __init__(self, state: Path) -> None:
        self.state, self.notes = state / "bed", state / "notes"
        programs = state / "programs"
        programs.mkdir()
        for name, text in {"vagrant": VAGRANT, "ssh": SSH, "virsh": VIRSH}.items():
            (programs / name).write_text(f"#!/bin/sh\n{text}")
            (programs / name).chmod(0o755)
        (state / "notes.state").write_text("running\n")
        machine = self.state / "vagrant" / "machines" / "http" / "libvirt"
        machine.mkdir(parents=True)
        (machine / "id").write_text("4711")
        (self.state / "backend").write_text("vagrant\n")
        (self.state / "ssh-config").write_text("Host http\n")
        self.environment = {"PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin", "NOTES": str(self.notes), "LOCUM_TESTBED": str(self.state)}

    def numbered(self, host: str, number: str) -> None:
        """Vagrant knows that machine by this number."""
        machine = self.state / "vagrant" / "machines" / host / "libvirt"
        machine.mkdir(parents=True, exist_ok=True)
        (machine / "index_uuid").write_text(number)

    def testbed(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([TESTBED, *words], env=self.environment, capture_output=True, text=True, timeout=60, check=False)

    def noted(self) -> list[str]:
        return self.notes.read_text().splitlines()


@pytest.fixture
def machines(tmp_path: Path) -> FakeMachines:
    return FakeMachines(tmp_path)


def test_a_program_reaches_a_machine_word_for_word(machines: FakeMachines) -> None:
    done = machines.testbed("on", "http", "printf", "%s|", "a b", "$HOME", "it's", "")
    assert done.stdout == "a b|$HOME|it's||"
    assert machines.testbed("on", "http", "sh", "-c", "exit 5").returncode == 5
    assert machines.noted()[0] == "ssh http"


def test_a_bed_is_destroyed_until_it_is_gone(machines: FakeMachines) -> None:
    """`vagrant destroy -f` has ended well with a machine still there."""
    done = machines.testbed("down")
    assert done.returncode == 0, done.stderr
    assert machines.noted().count("destroy -f") == 2
    assert not (machines.state / "vagrant").exists() and not (machines.state / "backend").exists()


def test_a_crash_is_a_power_cut(machines: FakeMachines) -> None:
    """`vagrant halt -f` has let a machine shut down in peace, and its services move."""
    (machines.state.parent / "programs" / "virsh").write_text('#!/bin/sh\necho virsh "$3" "$4" >>"$NOTES"\n')
    assert machines.testbed("host", "crash", "http").returncode == 0
    assert machines.noted()[-1] == "virsh destroy 4711"


def test_machines_are_called_by_their_numbers(machines: FakeMachines) -> None:
    """Vagrant would take `db` for the machine sds, whose number begins so."""
    for host, number in {"sds": "db17", "db": "2c8e", "http": "6862"}.items():
        machines.numbered(host, number)
    (machines.state.parent / "programs" / "ssh").write_text("#!/bin/sh\nexit 255\n")
    machines.testbed("host", "boot", "db")
    assert machines.noted()[-1] == "up --no-provision --provider=libvirt 2c8e"
    assert machines.testbed("down").returncode == 0
    assert machines.noted()[-1].startswith("status --machine-readable db17 2c8e 6862")
    assert machines.noted().count("destroy -f db17 2c8e 6862") == 2


def test_a_machine_that_vagrant_did_not_make_is_named(machines: FakeMachines) -> None:
    machines.numbered("sds", "db17")
    code = (
        "from pathlib import Path; from vagrant.bed.vms import Machines; from vagrant.bed.plan import plan; "
        f"bed = Machines(Path({str(machines.state)!r}), plan()); bed.end = lambda: None; bed.make(Path('x'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=machines.environment | {"PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True
    )
    assert "Vagrant made no machine db http ftp email" in done.stderr


def test_to_wake_a_machine_that_is_awake_is_no_harm(machines: FakeMachines) -> None:
    assert machines.testbed("host", "thaw", "http").returncode == 0
    assert machines.noted()[-1] == "virsh resume 4711"
    asleep = machines.testbed("host", "freeze", "http")
    assert asleep.returncode == 1 and "already running" in asleep.stderr


def test_what_vagrant_says_of_a_failure_is_passed_on(machines: FakeMachines) -> None:
    (machines.state.parent / "programs" / "ssh").write_text("#!/bin/sh\nexit 255\n")
    done = machines.testbed("host", "boot", "http")
    assert done.returncode == 1 and "vagrant" in done.stderr and "status 3" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="not root: the outside's name server cannot be set")
def test_the_outside_is_this_machine_with_db_for_its_name_server(machines: FakeMachines) -> None:
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    done = machines.testbed("client", "cat", "/etc/resolv.conf")
    assert done.stdout.startswith("nameserver 10.77.0.53"), done.stderr


def test_a_machine_without_vagrant_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from vagrant.bed.vms import Machines; from vagrant.bed.plan import plan; "
        "print(Machines(Path('x'), plan()).missing())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(CHECKOUT), "PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert "apt install" in done.stdout and "vagrant-libvirt" in done.stdout
