"""A child process, from fork to exec, as the tether wants it.

The parent waits for nothing: the child reports a failure through a pipe that
closes by itself when the program runs, and the parent polls that.  Between fork
and exec only the child's own thread exists, and the tether has no other.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

import msgspec

from agent import kernel

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OUTPUT_MODE = 0o640
_FAILED = 127


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What is to run, and how."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]  # all of it; PATH is added if it is missing
    directory: str
    death_signal: int  # what the kernel sends it when the tether dies
    output: str | None = None  # a file to append to; None: the tether's own standard error
    keeps: tuple[int, ...] = ()  # file descriptors that it inherits, under their numbers
    holds: tuple[int, ...] = ()  # signals that wait for it until it unblocks them
    adopts: bool = False  # its orphaned descendants become its children, not the tether's


class Child(msgspec.Struct, frozen=True):
    """A child that was forked.  Read `verdict` to its end: nothing means that the program runs."""

    pid: int
    verdict: int


def launch(program: Program) -> Child:
    """Fork, and exec in the child.  Raises OSError if there can be no more processes or descriptors."""
    environment = {"PATH": DEFAULT_PATH, **program.environment}
    parent = os.getpid()
    verdict, report = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    # A signal that came to the child before it is rid of our handlers would wake us through the shared pipe.
    before = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _become(program, environment, parent, report)
    except OSError:
        os.close(verdict)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(report)
    return Child(pid, verdict)


def verdict_of(child: Child) -> str | None:
    """Why the program could not be run, or "" if it runs; None: not known yet.  Closes the pipe with the answer."""
    try:
        reason = os.read(child.verdict, 4096)
    except BlockingIOError:
        return None
    os.close(child.verdict)
    return reason.decode(errors="replace")


def _become(program: Program, environment: Mapping[str, str], parent: int, report: int) -> None:
    """The child's whole life in our code; it never returns."""
    doing = "cannot prepare its process"
    try:
        _be_plain(program, parent)
        doing = f"cannot enter {program.directory}"
        os.chdir(program.directory)
        doing = f"cannot open its output {program.output}"
        _connect(program, report)
        doing = f"cannot run {program.argv[0] if program.argv else 'an empty command'}"
        os.execvpe(program.argv[0], program.argv, environment)
    except OSError as error:
        os.write(report, f"{doing}: {error.strerror}".encode())
    except (ValueError, IndexError, TypeError) as error:  # a NUL in a word, no word at all
        os.write(report, f"{doing}: {error}".encode())
    finally:
        os._exit(_FAILED)


def _be_plain(program: Program, parent: int) -> None:
    """A session of its own, and nothing of the tether's privileges, signals or protection."""
    os.setsid()
    kernel.die_with_parent(program.death_signal)
    if program.adopts:
        kernel.become_subreaper()  # this survives exec
    if os.getppid() != parent:
        os._exit(_FAILED)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    _be_mortal()
    os.umask(0o022)
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, program.holds)


def _be_mortal() -> None:
    """The out-of-memory killer may take it as it may any other."""
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(fd, b"0")
        os.close(fd)
    except OSError:
        pass  # it was no lower than this user may have it


def _connect(program: Program, report: int) -> None:
    """Standard streams, and no other descriptor than those that it keeps and our pipe."""
    os.dup2(os.open("/dev/null", os.O_RDWR), 0)
    if program.output is None:
        os.dup2(2, 1)
    else:
        output = os.open(program.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY, _OUTPUT_MODE)
        os.dup2(output, 1)
        os.dup2(output, 2)
    last = 2
    for fd in sorted((*program.keeps, report)):
        os.closerange(last + 1, fd)
        last = fd
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))
    for fd in program.keeps:
        os.set_inheritable(fd, True)
