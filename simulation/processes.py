"""The processes of one server's services, as its kernel has them: they take time to start and to die."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agent import channel
from agent.leash import ActivationEnded, NoneLeft, ProcessEnded, ProcessFailed, ProcessStarted

if TYPE_CHECKING:
    from simulation.host import Host


class Behaviour(msgspec.Struct):
    """How processes and alarms behave; the weather makes it worse."""

    start_s: float = 0.5
    start_fails: float = 0.0  # the share of starts and of activations that fail
    activate_s: float = 0.05
    stop_s: float = 0.05
    stop_hangs: float = 0.0
    rough: bool = False  # kills take as long as they may more often than not
    late_s: float = 0.0  # an alarm of a guard comes this much late at most


class Process(msgspec.Struct):
    """A service's process."""

    pid: int
    service: str
    epoch: int
    grant_id: int
    up_at: float
    fails: bool
    answering: bool = False
    standby: bool = False  # it answers only once it was activated ...
    shut: bool = False  # ... and is as good as nothing until that was begun


class Processes:
    """All of them, at most one for each service."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._world = host.world
        self.running: dict[str, Process] = {}
        self._killing: set[str] = set()

    def answers(self, service: str) -> bool:
        """Whether a client here would get an answer."""
        process = self.running.get(service)
        return process is not None and process.answering

    # -- from start to end

    def launch(self, spawn: channel.Spawn) -> None:
        """The tether starts it; it answers, or fails, after a while."""
        host, random, behaviour = self._host, self._world.random, self._host.behaviour
        pid = self._world.draw()
        fails = random.random() < behaviour.start_fails
        up_at = self._world.now + random.uniform(0.1, 1) * behaviour.start_s
        process = Process(pid, spawn.service, spawn.epoch, spawn.grant_id, up_at, fails, standby=spawn.epoch == 0, shut=spawn.epoch == 0)
        if fails and random.random() < 0.3:
            self._world.after(0.002, self._leash_hears, host.life, ProcessFailed(spawn.service, spawn.epoch, "no such program"))
            return
        self.running[spawn.service] = process
        if not process.shut:
            self._serves(process)
        self._world.after(0.001, self._leash_hears, host.life, ProcessStarted(spawn.service, spawn.epoch, pid))
        self._world.at(up_at, self._up, host.life, process)

    def _serves(self, process: Process) -> None:
        """Its door may be open from now on."""
        host = self._host
        host.judge.lives(host.name, process.service, process.epoch, process.grant_id)
        host.judge.questions.started(host.name, host.incarnation, process.service, process.grant_id)

    def activate(self, activate: channel.Activate) -> None:
        """What opens a standby's door may fail, hang, or take until after the lease."""
        host, random, behaviour = self._host, self._world.random, self._host.behaviour
        process = self.running.get(activate.service)
        if process is None:
            self._world.after(0.001, self._leash_hears, host.life, ActivationEnded(activate.service, activate.epoch, 1))
            return
        process.shut, process.epoch, process.grant_id = False, activate.epoch, activate.grant_id
        self._serves(process)
        fate = random.choice(("fails", "hangs", "opens nothing")) if random.random() < behaviour.start_fails else "opens"
        if fate != "hangs":
            delay_s = max(process.up_at - self._world.now, 0.0) + random.uniform(0.001, behaviour.activate_s)
            self._world.after(delay_s, self._opened, host.life, process, fate)

    def _opened(self, life: int, process: Process, fate: str) -> None:
        if life != self._host.life or self.running.get(process.service) is not process:
            return
        if fate == "opens":
            process.answering = True
            self._show(process)
        self._host.to_leash(ActivationEnded(process.service, process.epoch, int(fate == "fails")))

    def _leash_hears(self, life: int, event: Any) -> None:
        if life == self._host.life:
            self._host.to_leash(event)

    def _up(self, life: int, process: Process) -> None:
        if life != self._host.life or self.running.get(process.service) is not process:
            return
        if process.fails:
            self.end(process.service, 1)
        elif not process.standby:
            process.answering = True
            self._show(process)

    def _show(self, process: Process) -> None:
        """What the world sees of it."""
        host = self._host
        if not host.paused and not process.shut:
            if host.name not in host.judge.alive[process.service]:
                host.judge.lives(host.name, process.service, process.epoch, process.grant_id)
            host.judge.answers(host.name, process.service, process.answering)

    def end(self, service: str, status: int) -> None:
        """Its main process ends, by itself or by a signal."""
        process = self.running[service]
        self._remove(service)
        self._host.to_leash(ProcessEnded(service, process.pid, status))

    def _remove(self, service: str) -> None:
        self.running.pop(service, None)
        self._host.judge.dies(self._host.name, service)

    # -- stopped and killed

    def stop(self, service: str) -> None:
        """The driver's stop: it ends after a while, unless it hangs."""
        random, behaviour = self._world.random, self._host.behaviour
        process = self.running.get(service)
        if process and random.random() >= behaviour.stop_hangs:
            self._world.after(random.uniform(0, behaviour.stop_s), self._stopped, self._host.life, process)

    def _stopped(self, life: int, process: Process) -> None:
        if life == self._host.life and self.running.get(process.service) is process:
            self.end(process.service, 0)

    def kill_one(self, pid: int) -> None:
        """SIGKILL to a main process."""
        for process in list(self.running.values()):
            if process.pid == pid:
                self.end(process.service, -9)

    def kill(self, service: str) -> None:
        """SIGKILL, and a scan that finds nothing some time later: within a quarter of S."""
        if service in self._killing:
            return
        random, host = self._world.random, self._host
        share = random.choice((1.0, 1.0, random.random())) if host.behaviour.rough else random.random()
        self._killing.add(service)
        self._world.after(share * host.timing.stop_s / 4, self._killed, host.life, service)

    def _killed(self, life: int, service: str) -> None:
        if life != self._host.life or service not in self._killing:
            return
        if self._host.paused:
            self._world.after(0.01, self._killed, life, service)
            return
        self._killing.discard(service)
        self._remove(service)
        self._host.to_leash(NoneLeft(service))

    # -- the host

    def all_end(self) -> None:
        """Power off."""
        for service in list(self.running):
            self._remove(service)
        self._killing.clear()

    def freeze(self) -> None:
        """The host is paused: nobody gets an answer."""
        for service in self.running:
            self._host.judge.dies(self._host.name, service)

    def thaw(self) -> None:
        """The host goes on, and so does killing."""
        for service, process in list(self.running.items()):
            if service in self._killing:
                self._killing.discard(service)
                self._remove(service)
                self._host.to_leash(NoneLeft(service))
            else:
                self._show(process)
