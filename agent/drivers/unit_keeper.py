"""What stays in the foreground for a service that systemd runs as a unit.

    starting --systemctl start ended with 0, there is a main process--> keeping --SIGTERM, systemctl stop--> end
       |                                                                   |
       +------ the start failed, SIGTERM, SIGHUP --------------------------+--- its main process died, SIGHUP ---> group killed, end

The processes are systemd's children, not ours.  The death of the main one is known
by a pidfd, and all of them by the unit's control group.  The tether kills that group
too, and lets systemd say that the unit is over, whatever becomes of this program
(agent/units.py).  It imports as little as the keeper of resource agents does.
"""

from __future__ import annotations

import _signal as signals  # type: ignore[import-not-found]
import os
import select
import sys

from agent import control_groups, kept

NOT_RUNNING, GENERIC = 7, 1
_AGAIN_S = 0.01
_SIGNALS = {signals.SIGCHLD, signals.SIGTERM, signals.SIGHUP}
_ALL = {number for number in range(1, 65) if number not in (9, 19, 32, 33)}
_LONGEST_WORDS = 300


class UnitKeeper:
    """One unit, from its start to its end."""

    def __init__(self, systemctl: str, unit: str, group: str) -> None:
        self._systemctl = systemctl
        self._unit = unit
        self._group = group
        self._place = os.environ.get("LOCUM_RUN", "/nonexistent")
        self._wake, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        for number in _SIGNALS:
            signals.signal(number, lambda *_: None)
        signals.set_wakeup_fd(write, warn_on_full_buffer=False)
        signals.pthread_sigmask(signals.SIG_UNBLOCK, _SIGNALS)
        self._heard: set[int] = set()

    def run(self) -> int:
        """Until the unit is over; the exit status."""
        kept.remove(self._place, kept.WORDS)
        self._write_down(None)
        status, said = self._call("start", self._unit)
        if status is None:
            return self._stop()
        main = self._main_process()
        if status != 0 or not main:
            result = self._shown("Result")
            words = said or (f"it has no main process (Type={self._shown('Type')})" if status == 0 else f"status {status}")
            self._leave_words(f"systemctl start {self._unit} failed: {words}{f' (Result={result})' if result != 'success' else ''}")
            return self._end(GENERIC)
        return self._keep(main)

    def _keep(self, main: int) -> int:
        try:
            handle = os.pidfd_open(main)
        except OSError:
            return self._died(main)
        self._write_down(main)
        ready: set[int] = set()
        while True:
            if self._heard & {signals.SIGTERM, signals.SIGHUP}:
                return self._stop()
            if handle in ready:
                return self._died(main)
            ready = self._wait([handle])

    def _died(self, main: int) -> int:
        status = self._end(NOT_RUNNING)
        code, signal_or_status = self._shown("ExecMainCode"), self._shown("ExecMainStatus")
        how = f"was killed by signal {signal_or_status}" if code in ("2", "3") else f"ended with status {signal_or_status}"
        self._leave_words(f"the main process of {self._unit} (pid {main}) {how}")
        return status

    def _stop(self) -> int:
        """By systemd's own way, which also calls off a start that is under way."""
        self._heard.clear()
        self._call("stop", self._unit)
        return self._end(0)

    def _end(self, status: int) -> int:
        """Kill what is left of the group; the tether verifies."""
        control_groups.kill(self._group)
        kept.remove(self._place)
        return status

    def _write_down(self, main: int | None) -> None:
        """By what the unit is found if we and the tether are killed: its group while it starts, then its main process's session."""
        record = kept.Record()
        record.boot, record.group = kept.boot(), self._group
        told = kept.stat(main) if main else None
        if main and told:
            leader = kept.stat(told[2])
            record.sessions, record.programs = {told[2]: leader[3] if leader else 0}, {kept.program_of(main)}
        kept.write(self._place, kept.RECORD, record.lines())

    # -- systemd

    def _main_process(self) -> int:
        text = self._shown("MainPID")
        return int(text) if text.isdecimal() else 0

    def _shown(self, name: str) -> str:
        """A property of the unit; nothing if systemd does not tell."""
        return self._call("show", "--value", "-p", name, self._unit)[1]

    def _call(self, *words: str) -> tuple[int | None, str]:
        """systemctl to its end: its status, and the last line that it said.  None: we were told to end meanwhile."""
        read, write = os.pipe2(os.O_CLOEXEC)
        pid = os.posix_spawn(
            self._systemctl,
            [self._systemctl, "--no-ask-password", *words],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_DUP2, write, 2)],
            setsigmask=(),
            setsigdef=_ALL,
        )
        os.close(write)
        said = b""
        interrupts = words[0] == "start"
        while True:
            ready = self._wait([read])
            if read in ready:
                more = os.read(read, 65_536)
                said = (said + more)[-65_536:]
                if not more:
                    break
            elif interrupts and self._heard & {signals.SIGTERM, signals.SIGHUP}:
                os.kill(pid, signals.SIGKILL)
                interrupts = False
                os.waitpid(pid, 0)
                os.close(read)
                return None, ""
        os.close(read)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        lines = said.decode(errors="replace").strip().splitlines()
        return status, next((line.strip()[:_LONGEST_WORDS] for line in lines if line.strip()), "")

    def _wait(self, handles: list[int]) -> set[int]:
        """Those of the handles on which something happened; signals are in `_heard`.

        SIGHUP says that the tether died: the group is killed first thing, during a start or a stop too.
        """
        poller = select.poll()
        for handle in (self._wake, *handles):
            poller.register(handle, select.POLLIN)
        ready = {handle for handle, _ in poller.poll()}
        if self._wake in ready:
            try:
                heard = set(os.read(self._wake, 4096))
            except BlockingIOError:
                heard = set()
            if signals.SIGHUP in heard:
                control_groups.kill(self._group)
            self._heard |= heard
        return ready

    def _leave_words(self, words: str) -> None:
        os.write(2, f"unit keeper: {words}\n".encode(errors="replace"))
        kept.write(self._place, kept.WORDS, f"{os.environ.get('LOCUM_EPOCH', '0')}\n{words}\n")


def main() -> None:
    """python -I -S -c '...; main()' SYSTEMCTL UNIT GROUP"""
    os._exit(UnitKeeper(*sys.argv[1:4]).run())
