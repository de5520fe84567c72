"""The keeper: what stays in the foreground for a service whose resource agent puts daemons into the background.

    starting --start ended with 0, it left daemons--> keeping --SIGTERM--> stopping --nothing left--> end
       |                                                 |
       +--- start failed, SIGTERM, SIGHUP ---------------+--- the main daemon died, SIGHUP ---> all killed, end

The tether runs it as the service's process and makes it the adopter of orphans
(PR_SET_CHILD_SUBREAPER), so every daemon becomes a child of the keeper, whatever
session it moves to and whatever it does to its environment.  So the tether finds and
kills them all with it (R5, R6), and the death of a daemon is known at once, where the
agent's monitor would see it seconds later.  SIGHUP comes from the kernel when the
tether dies.

It is on the way of every takeover and imports next to nothing; even Python's `signal`
costs more than all the rest, hence the module beneath it.

    python -I -S -c 'import sys; sys.path[:0] = [ROOT]; from agent.drivers.keeper import main; main()' AGENT

Exit status: that of a start that failed (OCF 1.1), 7 when the daemon died by itself, else 0.
"""

from __future__ import annotations

import _signal as signals  # type: ignore[import-not-found]
import os
import sys

from agent import kept
from agent.drivers import pid_files

NOT_RUNNING = 7
"""OCF_NOT_RUNNING."""

NO_DAEMON = 1
"""OCF_ERR_GENERIC: the agent said that it started something, and did not."""

STOP_GRACE_S = 0.1
"""Once no daemon is left, the agent's stop may tidy up for so long, unless it sleeps."""

_FIRST_LOOK_S, _LAST_LOOK_S = 0.25, 8.0
_AGAIN_S = 0.002
_LONGEST_WORDS = 300
_SIGNALS = {signals.SIGCHLD, signals.SIGTERM, signals.SIGHUP}
_ALL = {number for number in range(1, 65) if number not in (32, 33)}


class Keeper:
    """One service, from its agent's start to the end of its last daemon."""

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._place = os.environ.get("LOCUM_RUN", "/nonexistent")
        self._parameters = {name[11:]: value for name, value in os.environ.items() if name.startswith("OCF_RESKEY_")}
        self._record = kept.read(self._place)
        self._places = pid_files.named_by(self._parameters)
        self._ended: dict[int, int] = {}  # children that were reaped, and how they ended

    def run(self) -> int:
        """Until nothing is left; the exit status."""
        kept.remove(self._place, kept.WORDS)
        removed = pid_files.remove_stale(self._places | self._record.pid_files, self._record.programs)
        for path in removed:
            self._say(f"removed {path}: the process that it names is gone")
        self._record = kept.Record()
        self._record.boot = kept.boot()
        self._record.pid_files = set(self._places)
        said_before = self._size_of_log()
        start = self._begin("start")
        while start not in self._ended:
            number = self._wait(_FIRST_LOOK_S)
            if number in (signals.SIGTERM, signals.SIGHUP):
                return self._end_all(0)
            if number is None:
                self._remember(start)
        if self._ended[start] != 0:
            return self._start_failed(self._ended[start], said_before)
        main = self._main_daemon()
        if main is None:
            return self._refuse(
                NO_DAEMON,
                "its agent's start ended well but left no process of ours: it believes that the service runs already "
                "(look for a foreign one, or a stale pid file), or keeps none",
            )
        return self._keep(main)

    # -- starting

    def _start_failed(self, status: int, said_before: int) -> int:
        words = self._words_since(said_before)
        return self._refuse(status if 0 < status < 256 else NO_DAEMON, f"its agent's start failed{': ' if words else ''}{words}")

    def _refuse(self, status: int, words: str) -> int:
        self._leave_words(words)
        return self._end_all(status)

    def _main_daemon(self) -> int | None:
        """The child that is the service: one that a pid file names, else one with a session of its own, else the eldest."""
        children = [(pid, told) for pid in self._children() if (told := kept.stat(pid)) is not None and told[0] not in "ZX"]
        named = {pid for path in self._places for pid in pid_files.pids_in(path)}
        own = os.getsid(0)
        children.sort(key=lambda child: (child[0] not in named, child[1][2] == own, child[1][3], child[0]))
        return children[0][0] if children else None

    # -- keeping

    def _keep(self, main: int) -> int:
        name = os.path.basename(kept.program_of(main))
        self._remember(main)
        look_s = _FIRST_LOOK_S
        while main not in self._ended:
            number = self._wait(look_s)
            if number == signals.SIGHUP:
                return self._end_all(0)
            if number == signals.SIGTERM:
                return self._stop()
            if number is None:
                self._remember(main)
                look_s = min(2 * look_s, _LAST_LOOK_S)
        status = self._ended[main]
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        code = self._end_all(NOT_RUNNING)
        self._leave_words(f"{name} (pid {main}) {how}")
        return code

    def _remember(self, main: int) -> None:
        """Write down by what the daemons are found if we are killed, and the tether too."""
        before = self._record.lines()
        for pid in kept.descendants(os.getpid()):
            told = kept.stat(pid)
            if told is None or told[0] in "ZX":
                continue
            leader = kept.stat(told[2])
            self._record.sessions[told[2]] = leader[3] if leader else self._record.sessions.get(told[2], 0)
            self._record.programs.add(kept.program_of(pid) or "?")
        self._record.pid_files |= pid_files.of({main}, self._places)
        if self._record.lines() != before:
            kept.write(self._place, kept.RECORD, self._record.lines())

    # -- ending

    def _stop(self) -> int:
        """The agent's own stop.  It is over as soon as no daemon is left, or it ends, or the tether's patience does."""
        stop = self._begin("stop")
        while stop not in self._ended:
            if self._wait(_FIRST_LOOK_S) == signals.SIGHUP:
                break
            if not self._daemons(stop):
                self._let_tidy_up(stop)
                break
        return self._end_all(0)

    def _let_tidy_up(self, stop: int) -> None:
        """Most agents sleep for a second before they look again: there is nothing to wait for then."""
        looks = 10
        while looks and stop not in self._ended and not self._sleeps(stop):
            if self._wait(STOP_GRACE_S / 10) is None:
                looks -= 1

    def _sleeps(self, stop: int) -> bool:
        return any(os.path.basename(kept.program_of(pid)) == "sleep" for pid in kept.descendants(stop))

    def _daemons(self, stop: int) -> list[int]:
        """Whoever lives below us and is not of the agent's stop."""
        of_stop = {stop, *kept.descendants(stop)}
        alive = [pid for pid in kept.descendants(os.getpid()) if pid not in of_stop]
        return [pid for pid in alive if (told := kept.stat(pid)) is not None and told[0] not in "ZX"]

    def _end_all(self, status: int) -> int:
        """SIGKILL everything that descends from us until there is nothing; the tether would do it too, a little later."""
        while True:
            for pid in kept.descendants(os.getpid()):
                try:
                    os.kill(pid, signals.SIGKILL)
                except OSError:
                    continue
            if not self._reap():
                return status
            self._wait(_AGAIN_S)

    # -- processes

    def _begin(self, action: str) -> int:
        """Run the agent, in our session and with plain signals."""
        return os.posix_spawn(self._agent, [self._agent, action], os.environ, setsigmask=(), setsigdef=_ALL - {9, 19})

    def _wait(self, limit_s: float) -> int | None:
        """The next signal, with whoever ended by then reaped; None when the time is over."""
        told = signals.sigtimedwait(_SIGNALS, limit_s)
        self._reap()
        return told.si_signo if told is not None else None

    def _reap(self) -> bool:
        """Whether there are children left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self._ended[pid] = os.waitstatus_to_exitcode(status)

    def _children(self) -> list[int]:
        me = os.getpid()
        return [pid for pid in kept.descendants(me) if (told := kept.stat(pid)) is not None and told[1] == me]

    # -- words

    def _size_of_log(self) -> int:
        return os.fstat(2).st_size

    def _words_since(self, offset: int) -> str:
        """What the agent gave as its reason, else the last that it called an error, else the last that it said."""
        try:
            fd = os.open("/proc/self/fd/2", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return ""
        try:
            said = os.pread(fd, 65_536, max(offset, os.fstat(fd).st_size - 65_536)).decode(errors="replace")
        except OSError:
            return ""  # no file: there is no log to look back into
        finally:
            os.close(fd)
        return words_in(said)

    def _leave_words(self, words: str) -> None:
        self._say(words)
        kept.write(self._place, kept.WORDS, f"{os.environ.get('LOCUM_EPOCH', '0')}\n{words}\n")

    def _say(self, words: str) -> None:
        try:
            os.write(2, f"keeper: {words}\n".encode(errors="replace"))
        except OSError:
            pass  # the disk is full: nobody can be told


def words_in(said: str) -> str:
    """The reason in what an agent said on its standard error; nothing if it said nothing."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for mark in ("ocf-exit-reason:", "ERROR:", ""):
        for line in reversed(lines):
            if mark in line:
                return line.partition(mark)[2].strip()[:_LONGEST_WORDS] if mark else line[:_LONGEST_WORDS]
    return ""


def main() -> None:
    """Keep the service of the agent that the command line names, with the environment as its driver made it."""
    signals.pthread_sigmask(signals.SIG_BLOCK, _SIGNALS)
    os._exit(Keeper(sys.argv[1]).run())
