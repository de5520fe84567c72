"""The tether's loop: wait, reap, hear the guard, look at the clock, perform.

    guard dies     every service is killed, then both parts start anew
    runner dies    it is started anew, nothing else happens
    SIGTERM        the runner hands over, then everything ends
    SIGHUP         the runner reads the address in its settings anew (P20)

What is to be spawned and killed, and when, is agent/leash.py's to decide.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from pathlib import Path

from agent import adoption, lines
from agent.channel import Activate, Kill, Prepare, RunnerUp, Spawn, Until
from agent.households import Households
from agent.leash import Action, Event, GuardGone, GuardUp, KillAll, Launch, LaunchActivation, Leash, Remark, Say
from agent.parts import REFUSED, Commands, Part, in_words
from agent.spawning import Child, Program, launch, verdict_of
from bus.config import AgentConfig, Timing
from bus.log import Log
from bus.step import NEVER, Tick

HAND_OVER_LIMIT_S = 15.0
"""After SIGTERM the runner has this long to hand everything over."""

END_LIMIT_S = 10.0
"""What SIGKILL has not ended after this long will not end: we complain and leave."""

ROOT = str(Path(__file__).resolve().parent.parent)
_ENDING = (signal.SIGTERM, signal.SIGINT)


def clock() -> float:
    """CLOCK_BOOTTIME (R2)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Parent:
    """The real parent of guard, runner and services, for as long as they live."""

    def __init__(self, config: AgentConfig, timing: Timing, commands: Commands, log: Log) -> None:
        agent_id = adoption.identity(config)
        self._agent_id = agent_id
        self._commands = commands
        self._directory = os.getcwd()
        self._log = log
        self._leash = Leash(timing.lease_s, timing.guard_kill_s)
        self._households = Households(agent_id, os.path.realpath(config.state_dir))
        self._guard, self._runner = Part("guard"), Part("runner")
        self._line: lines.LineSocket | None = None
        self._verdicts: dict[int, tuple[Child, Part]] = {}
        self._signals = _signal_pipe()
        self._had_terminal = _has_terminal()
        self._code: int | None = None  # the agent's exit status, once it is to end
        self._give_up_at = NEVER  # handing over, and then ending
        self._handing_over = False
        self._swept_clean = False

    def run(self) -> int:
        """Until the agent is to end and nothing of it is left; its exit status."""
        while not self._finished(clock()):
            self._care(clock())
            ready = self._wait()
            self._reap()
            self._hear_signals()
            self._hear_verdicts(ready)
            self._hear_guard()
            if self._leash.wake_at <= clock():
                self._step(Tick())
        assert self._code is not None
        return self._code

    @property
    def clear(self) -> bool:
        """Verified: nothing of any service is left."""
        return self._swept_clean

    # -- waiting and hearing ---------------------------------------------------------------

    def _wait(self) -> set[int]:
        """The descriptors on which something happened, or none when it is time for something."""
        poller = select.poll()
        for fd in (self._signals, *self._households.pipes, *self._verdicts):
            poller.register(fd, select.POLLIN)
        if self._line is not None:
            poller.register(self._line, select.POLLIN | (select.POLLOUT if self._line.wants_write else 0))
        until = min(self._leash.wake_at, self._give_up_at, self._next_start_at())
        return {fd for fd, _ in poller.poll(None if until == NEVER else max(0.0, until - clock()) * 1000)}

    def _hear_signals(self) -> None:
        try:
            numbers = os.read(self._signals, 4096)
        except BlockingIOError:
            return
        for number in numbers:
            if number in _ENDING or (number == signal.SIGHUP and self._had_terminal and not _has_terminal()):
                self._asked_to_end(signal.Signals(number).name)
            elif number == signal.SIGHUP:
                self._runner.signal(signal.SIGHUP)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            if pid == self._guard.pid:
                self._guard_died(code)
            elif pid == self._runner.pid:
                self._runner_died(code)
            else:
                for event in self._households.reaped(pid, code):
                    self._step(event)

    def _hear_verdicts(self, ready: set[int]) -> None:
        for fd in ready.intersection(self._households.pipes):
            for event in self._households.hear(fd):
                self._step(event)
        for fd in ready.intersection(self._verdicts):
            child, part = self._verdicts[fd]
            reason = verdict_of(child)
            if reason is not None:
                del self._verdicts[fd]
            if reason:
                self._log(f"{part.name}: {reason}")

    def _hear_guard(self) -> None:
        line = self._line
        if line is None:
            return
        line.flush()
        try:
            for said, _ in line.receive():
                if isinstance(said, (Spawn, Prepare, Activate, Kill, Until)):
                    self._step(said)
        except lines.LineError as error:
            self._log(f"guard: {error}")
        if line.closed:  # mute, it cannot be trusted to be dead
            self._guard.signal(signal.SIGKILL)
            self._line = None

    # -- performing ------------------------------------------------------------------------

    def _step(self, event: Event) -> None:
        events = deque([event])
        while events:
            for action in self._leash.step(events.popleft(), clock()):
                events.extend(self._perform(action))

    def _perform(self, action: Action) -> list[Event]:
        match action:
            case Launch(spawn):
                return self._households.launch(spawn)
            case LaunchActivation(activate):
                return self._households.activate(activate)
            case KillAll(services):
                return self._households.kill(services, [part.pid for part in (self._guard, self._runner) if part.pid])
            case Say(line):
                if self._line is not None and not self._line.send(line) and self._line.wants_write:
                    self._log("guard: does not read its line; killing it")
                    self._guard.signal(signal.SIGKILL)
            case Remark(text):
                self._log(text)
        return []

    # -- guard and runner ------------------------------------------------------------------

    def _care(self, now: float) -> None:
        """Start what is due."""
        if self._code is not None:
            return
        if self._handing_over and self._give_up_at <= now:
            self._log(f"not everything was handed over within {HAND_OVER_LIMIT_S:g} s: ending all the same")
            self._end(0)
        elif self._guard.pid is None:
            if self._runner.pid is None and self._leash.clear and self._guard.start_at <= now:
                self._start_guard(now)
        elif self._line is not None and self._runner.pid is None and self._runner.start_at <= now:
            self._start_runner(now)

    def _next_start_at(self) -> float:
        if self._code is not None:
            return NEVER
        if self._guard.pid is None:
            return self._guard.start_at if self._leash.clear and self._runner.pid is None else NEVER
        return self._runner.start_at if self._line is not None and self._runner.pid is None else NEVER

    def _start_guard(self, now: float) -> None:
        ours, theirs = lines.pair()
        with theirs:
            if not self._launch(self._guard, theirs.fileno(), signal.SIGHUP, now):
                ours.close()
                return
        self._line = lines.LineSocket(ours)
        self._step(GuardUp())

    def _start_runner(self, now: float) -> None:
        guards, runners = lines.pair()
        with guards, runners:
            assert self._line is not None
            if self._launch(self._runner, runners.fileno(), signal.SIGKILL, now):
                self._line.send(RunnerUp(), fds=(guards.detach(),))
                if self._handing_over:
                    self._runner.signal(signal.SIGTERM)

    def _launch(self, part: Part, fd: int, death_signal: int, now: float) -> bool:
        program = Program(
            argv=self._commands(part.name, fd),
            environment=_environment(self._agent_id),
            directory=self._directory,
            death_signal=death_signal,
            keeps=(fd,),
            holds=(signal.SIGTERM, signal.SIGHUP) if part is self._runner else (),
        )
        try:
            child = launch(program)
        except OSError as error:
            self._log(f"{part.name}: cannot make a process: {error.strerror}; trying again")
            part.postpone(now)
            return False
        self._verdicts[child.verdict] = (child, part)
        part.started(child.pid, now)
        return True

    def _guard_died(self, code: int) -> None:
        """It dies, all services die: first that, and only then words."""
        status = self._guard.died(code, clock())
        if self._line is not None:
            self._line.close()
            self._line = None
        self._step(GuardGone())
        self._runner.signal(signal.SIGKILL)
        if self._code is not None:
            return
        if status is not None or self._handing_over:
            self._end(status or 0)
        else:
            self._log(f"guard ended ({in_words(code)}): its services are killed, and it starts anew")

    def _runner_died(self, code: int) -> None:
        if self._guard.pid is None or self._code is not None:
            self._runner.ended()  # it was us
            return
        status = self._runner.died(code, clock())
        if self._handing_over and code == 0:
            self._log("everything was handed over")
            self._end(0)
        elif status is not None:
            self._end(status)
        else:
            self._log(f"runner ended ({in_words(code)}): starting it anew")

    # -- the end ---------------------------------------------------------------------------

    def _asked_to_end(self, by: str) -> None:
        if self._code is not None:
            return
        if self._handing_over or self._guard.pid is None:
            self._log(f"{by}: ending at once")
            self._end(0)
            return
        self._log(f"{by}: handing over, for {HAND_OVER_LIMIT_S:g} s at most")
        self._handing_over, self._give_up_at = True, clock() + HAND_OVER_LIMIT_S
        self._runner.signal(signal.SIGTERM)  # one that is away is told when it is back

    def _end(self, code: int) -> None:
        """Kill both parts; the services follow with the guard."""
        self._code, self._give_up_at = code, clock() + END_LIMIT_S
        self._guard.signal(signal.SIGKILL)
        self._runner.signal(signal.SIGKILL)

    def _finished(self, now: float) -> bool:
        if self._code is None:
            return False
        if self._guard.pid is None and self._runner.pid is None and self._leash.clear:
            return self._swept(now)
        if self._give_up_at <= now:
            self._log(f"SIGKILL did not end {', '.join(self._leash.killing) or 'guard or runner'} within {END_LIMIT_S:g} s: leaving it")
            self._code = REFUSED
            return True
        return False

    def _swept(self, now: float) -> bool:
        """Orphans of the runner, and whoever hides his marks, must go too."""
        left = False
        try:
            adoption.end_leftovers(self._agent_id, max(0.0, self._give_up_at - now))
        except adoption.LeftoverError as error:
            self._log(str(error))
            self._code, left = REFUSED, True
        while (strays := self._households.strays()) and clock() < self._give_up_at:
            for stray in strays:
                adoption.end(stray.pid, stray.started)
            self._reap()
        self._swept_clean = not strays and not left
        return True


def _signal_pipe() -> int:
    """A descriptor on which the numbers of arriving signals are read."""
    read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    for number in (*_ENDING, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return read


def _has_terminal() -> bool:
    """Whether there is a controlling terminal: one that hangs up sends SIGHUP too, and is then gone."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _environment(agent_id: str) -> dict[str, str]:
    """The parts' environment: ours, with the agent's mark and the way to our packages."""
    inherited = {key: value for key, value in os.environ.items() if key not in adoption.marks("", "", 0, 0)}
    path = os.pathsep.join(dict.fromkeys(filter(None, (ROOT, *inherited.get("PYTHONPATH", "").split(os.pathsep)))))
    return inherited | {"LOCUM_AGENT": agent_id, "PYTHONPATH": path}
