"""Real time: what is taken, what is inherited, what is refused.  In processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tether.conftest import WITHOUT_RIGHTS, needs_rights

ROOT = Path(__file__).parent.parent.parent

REPORT = """
import json, os, threading
from agent import scheduling
def now():
    return [os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, os.getpriority(os.PRIO_PROCESS, 0)]
def in_thread():
    got = []
    thread = threading.Thread(target=lambda: got.append(now()))
    thread.start(); thread.join()
    return got[0]
def in_child():
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, json.dumps(now()).encode()); os._exit(0)
    os.wait()
    return json.loads(os.read(read, 1000))
"""


def run(code: str, *prefix: str) -> dict[str, object]:
    argv = [*prefix, sys.executable, "-c", REPORT + code]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, cwd=ROOT, start_new_session=True)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


TO_BE_HAD = run("print(json.dumps({'probe': scheduling.probe()}))")["probe"]
needs_fifo = pytest.mark.skipif(TO_BE_HAD != "fifo", reason="this host grants no SCHED_FIFO")
needs_nice = pytest.mark.skipif(TO_BE_HAD == "other", reason="this host grants no nice -20")


@needs_fifo
def test_fifo_is_for_this_process_only() -> None:
    got = run("f = scheduling.take()\nprint(json.dumps([f.scheduling, f.guards, now(), in_thread(), in_child()]))")
    scheduling, guards, here, thread, child = got
    assert scheduling == "fifo" and "sched-fifo" in guards
    assert here[0] == os.SCHED_FIFO and thread[0] == child[0] == os.SCHED_OTHER


@needs_fifo
def test_threads_inherit_until_that_is_stopped() -> None:
    """TRAPS 4: zmq's threads must have it, the children must not."""
    taken = "scheduling.take(threads_inherit=True)\nearly = in_thread()\nscheduling.stop_inheritance()\n"
    early, here, late, child = run(taken + "print(json.dumps([early, now(), in_thread(), in_child()]))")
    assert early[0] == here[0] == os.SCHED_FIFO and late[0] == child[0] == os.SCHED_OTHER


@needs_nice
def test_nice_is_for_this_process_only() -> None:
    scheduling, here, child = run("f = scheduling.take('nice')\nprint(json.dumps([f.scheduling, now(), in_child()]))")
    assert scheduling == "nice" and here == [os.SCHED_OTHER, -20] and child == [os.SCHED_OTHER, 0]


AUTOGROUP = Path("/proc/self/autogroup")


@needs_nice
@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel has no autogroup scheduling")
def test_nice_lifts_the_agents_own_session_and_no_other() -> None:
    """A terminal from which an agent was started must not stay ahead of everything else when it has ended."""
    group = "open('/proc/self/autogroup').read().split()[-1]"
    lift = f"before = {group}\nscheduling.take('nice')\nprint(json.dumps([before, {group}]))"
    assert run(lift) == ["0", "-20"]
    # The leader of this session is `sh`, whose child is another `sh`, whose child takes the class.
    deeper = ("sh", "-c", 'sh -c \'"$@"; true\' sh "$@"; true', "sh")
    assert run(lift, *deeper) == ["0", "0"]


def test_other_takes_no_class() -> None:
    scheduling, here = run("f = scheduling.take('other')\nprint(json.dumps([f.scheduling, now()]))")
    assert scheduling == "other" and here[0] == os.SCHED_OTHER


@needs_rights
def test_without_rights_it_says_what_it_lacks() -> None:
    result = run("f = scheduling.take()\nprint(json.dumps([f.scheduling, f.guards, f.lacks, scheduling.probe()]))", *WITHOUT_RIGHTS)
    scheduling, guards, lacks, probe = result
    assert scheduling == probe == "other" and guards == []
    assert [lack.partition(":")[0] for lack in lacks] == ["no SCHED_FIFO", "no nice -20", "not memory-locked", "not oom-protected"]


def test_a_probe_keeps_nothing() -> None:
    before, after = run("a = now()\nscheduling.probe()\nprint(json.dumps([a, now()]))")
    assert before == after


def test_quiet_is_without_collections() -> None:
    assert run("import gc\nscheduling.be_quiet()\nprint(json.dumps({'on': gc.isenabled()}))") == {"on": False}
