"""The command line of the test-bed."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from vagrant.bed import setting_up, wire
from vagrant.bed.backend import CHECKOUT, Backend, BedError
from vagrant.bed.home import lacking, words
from vagrant.bed.netns import Netns
from vagrant.bed.plan import CLIENT, TIMINGS, PlanError, plan
from vagrant.bed.vms import Machines

STATE = Path(os.environ.get("LOCUM_TESTBED") or "/var/tmp/locum-testbed").absolute()
BACKENDS: dict[str, Callable[[], Backend]] = {"netns": lambda: Netns(STATE, plan()), "vagrant": lambda: Machines(STATE, plan())}

_ABOUT = """\
Five hosts with nginx, vsftpd and postfix kept available by Locum, to break them: vagrant/README.md.
Its state is in $LOCUM_TESTBED (/var/tmp/locum-testbed). Exit status: 0 done, 1 it could not be, 2 usage."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; its exit status."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _interrupted)
    try:
        act: Callable[[argparse.Namespace], int] = options.act
        return act(options)
    except (BedError, PlanError) as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("testbed: interrupted", file=sys.stderr)
        return 130


def _interrupted(number: int, frame: FrameType | None) -> None:
    """All signals that end us take the same way out, once."""
    for other in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="testbed", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, act: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about)
        added.set_defaults(act=act)
        return added

    starting = command("up", up, "from nothing to the cluster of Fig. 2a; what is there of an earlier bed is cleared away")
    starting.add_argument("--backend", choices=sorted(BACKENDS), default="netns", help="namespaces of this machine, or virtual machines")
    starting.add_argument("--timing", choices=TIMINGS, default="lan", help="the preset of all agents (default: lan)")
    starting.add_argument("--keep", action="store_true", help="if it fails, leave what there is for a look")
    command("down", down, "leave nothing: no process, namespace, mount, machine")
    command("status", status, "the hosts, the network's faults, and what Locum says")
    command("settled", settled, "whether all is at home, with secondaries, and every server heard; 1 and what is lacking if not")
    command("home", home, "order home what is served elsewhere; then as settled")
    inside = command("on", on, "run a program on a host, as root")
    inside.add_argument("host")
    inside.add_argument("words", nargs=argparse.REMAINDER, metavar="CMD")
    outside = command("client", client, "run a program in the outside world, whose name server is db")
    outside.add_argument("words", nargs=argparse.REMAINDER, metavar="CMD")
    power = command("host", host, "the power and the clockwork of a host; prints since when, by CLOCK_MONOTONIC")
    power.add_argument("what", choices=["crash", "boot", "freeze", "thaw", "is-up", "address"])
    power.add_argument("host")
    command("heal", heal, "undo every fault: all hosts on and awake, their units running, the network whole")
    network = command("wire", network_fault, "faults of the network; prints since when, by CLOCK_MONOTONIC")
    network.add_argument("what", choices=["cut", "isolate", "lose", "clear"])
    network.add_argument("words", nargs="*", metavar="HOST|PERCENT")
    network.add_argument("--one-way", action="store_true")
    return parser


def up(options: argparse.Namespace) -> int:
    bed = BACKENDS[options.backend]()
    missing = bed.missing()
    if missing:
        raise BedError(f"this machine lacks {'; '.join(missing)}")
    with _alone():
        former = _backend_there()
        if former and former != options.backend:
            BACKENDS[former]().end()
        begun_at = time.monotonic()

        def say(text: str) -> None:
            print(f"{time.monotonic() - begun_at:6.1f} s  {text}", flush=True)

        (STATE / "backend").write_text(options.backend + "\n")
        names = " ".join(host.name for host in bed.plan.hosts)
        print(f"plan: {names} by {options.backend}, www ftp mail under Locum, preset {options.timing}; state in {STATE}", flush=True)
        try:
            _build(bed, options.timing, say)
        except (BedError, KeyboardInterrupt):
            if not options.keep:
                say("clearing away what there is")
                bed.end()
            raise
        say("up: Fig. 2a")
    return 0


def _build(bed: Backend, timing: str, say: setting_up.Say) -> None:
    say("wheels")
    wheels = STATE / "cache" / "wheels"
    built = subprocess.run([CHECKOUT / "vagrant" / "wheels.sh", wheels, *bed.wheels_for], stdin=subprocess.DEVNULL)
    if built.returncode:
        raise BedError("the wheels could not be built: what is said above")
    say("hosts")
    (STATE / "wire.json").unlink(missing_ok=True)
    bed.make(wheels)
    setting_up.provision(bed, timing, say)
    say("waiting for Fig. 2a")
    setting_up.settle(bed, say)


def down(options: argparse.Namespace) -> int:
    if not STATE.is_dir():
        return 0
    with _alone():
        backend = _backend_there()
        if backend:
            BACKENDS[backend]().end()
        for name in ("backend", "wire.json"):
            (STATE / name).unlink(missing_ok=True)
        shutil.rmtree(STATE / "logs", ignore_errors=True)
    return 0


def status(options: argparse.Namespace) -> int:
    bed = _bed()
    for entry in bed.plan.hosts:
        print(f"{entry.name:<6} {entry.address:<15} {'up' if bed.is_up(entry.name) else 'down'}")
    for fault in wire.read(STATE / "wire.json").words():
        print(f"! {fault}")
    print(flush=True)
    if not bed.is_up("sds"):
        raise BedError("sds is down: vagrant/failures/boot-host.sh sds")
    bed.become("sds", ["locum", "status"])


def settled(options: argparse.Namespace) -> int:
    bed = _bed()
    found = setting_up.state(bed)
    missing = lacking(found, bed.plan)
    if missing or found is None:
        print("\n".join(missing))
        return 1
    print(f"all at home: {words(found)}")
    return 0


def home(options: argparse.Namespace) -> int:
    setting_up.bring_home(_bed())
    return settled(options)


def on(options: argparse.Namespace) -> int:
    bed = _bed()
    bed.become(bed.plan.host(options.host).name, _words(options))


def client(options: argparse.Namespace) -> int:
    _bed().become(CLIENT, _words(options))


def _words(options: argparse.Namespace) -> list[str]:
    words: list[str] = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        print("testbed: name a program to run, and its arguments", file=sys.stderr)
        raise SystemExit(2)
    return words


def host(options: argparse.Namespace) -> int:
    bed = _bed()
    name = bed.plan.host(options.host).name
    if options.what == "address":
        print(bed.plan.host(name).address)
        return 0
    if options.what == "is-up":
        return 0 if bed.is_up(name) else 1
    if options.what == "boot":
        bed.boot(name)
        at = time.monotonic()
    else:
        if options.what != "thaw" and not bed.is_up(name):  # a machine that is paused does not answer
            raise BedError(f"{name} is down: vagrant/failures/boot-host.sh {name}")
        at = {"crash": bed.crash, "freeze": bed.freeze, "thaw": bed.thaw}[options.what](name)
    print(f"{at:.6f}")
    return 0


def heal(options: argparse.Namespace) -> int:
    bed = _bed()
    with _alone(patient=True):
        bed.spoil(wire.Wire())
        (STATE / "wire.json").unlink(missing_ok=True)
        setting_up.mend(bed)
    print(f"{time.monotonic():.6f}")
    return 0


def network_fault(options: argparse.Namespace) -> int:
    bed = _bed()
    with _alone(patient=True):
        print(f"{_spoil(bed, options):.6f}")
    return 0


def _spoil(bed: Backend, options: argparse.Namespace) -> float:
    faults = wire.read(STATE / "wire.json")
    match options.what, options.words:
        case "cut", [one, other] if one != other:
            faults = faults.with_cut(bed.plan.host(one).name, bed.plan.host(other).name, options.one_way)
        case "isolate", [name]:
            faults = faults.with_apart(bed.plan.host(name).name)
        case "lose", [name, percent] if percent.isdigit() and int(percent) <= 100:
            faults = faults.with_lost(bed.plan.host(name).name, int(percent))
        case "clear", []:
            faults = wire.Wire()
        case _:
            print("testbed: wire cut A B [--one-way] | isolate HOST | lose HOST PERCENT (0 to 100) | clear", file=sys.stderr)
            raise SystemExit(2)
    at = bed.spoil(faults)
    (STATE / "wire.json").write_text(faults.text())
    return at


def _bed() -> Backend:
    backend = _backend_there()
    if backend is None:
        raise BedError(f"there is no bed in {STATE}: vagrant/testbed up")
    return BACKENDS[backend]()


def _backend_there() -> str | None:
    try:
        name = (STATE / "backend").read_text().strip()
    except FileNotFoundError:
        return None
    if name not in BACKENDS:
        raise BedError(f"{STATE / 'backend'}: {name}: is no backend: remove that file, then: vagrant/testbed up")
    return name


@contextmanager
def _alone(patient: bool = False) -> Iterator[None]:
    """One at a time changes a bed; the others are told, or wait if they are patient."""
    try:
        STATE.mkdir(parents=True, exist_ok=True)
        held = os.open(STATE / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BedError(f"{STATE}: cannot be written: {error.strerror}: name another directory in LOCUM_TESTBED") from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX if patient else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BedError(f"another testbed is at work on {STATE}: wait for it, or end it") from None
    finally:
        os.close(held)
