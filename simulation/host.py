"""A server in virtual time: tether, guard and runner; the machines are the real ones.

What is simulated is what stands at the edges: lines between the three, late
alarms, and death in every part.  Their services are in processes.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent import channel
from agent.choosing import ChoosingSettings
from agent.guarding import FromRunner, FromTether, Guarding, Quit, RunnerLost, Several
from agent.leash import GuardGone, GuardUp, KillAll, Launch, LaunchActivation, Leash, Say
from agent.nameplate import NameWritten, WriteName
from agent.parent import HAND_OVER_LIMIT_S
from agent.preparing import Examine, Examined, Looked, LookIfShut
from agent.running import Ability, Exit, FromGuard, Loaded, Offer, Reconnect, Running, ServicesChanged, Terminate
from agent.surroundings import ToRunner, ToTether
from agent.takeover_events import AskPort, Check, Checked, KillProgram, PortAsked, StopProgram, Survey, Surveyed, ToGuard
from bus.config import Timing
from bus.messages import Grant, Message, Recorded, Refusal, Rejection, Released, Takeover
from bus.step import Note, Peer, Received, Send, Tick
from bus.timeline import line
from bus.values import ServiceDefinition
from bus.wire import Header
from simulation.alarm import Alarm
from simulation.judge import Judge
from simulation.processes import Behaviour, Processes
from simulation.world import SDS_HOST, Clock, World


class Names:
    """The name server: who wrote which epoch (R19)."""

    def __init__(self) -> None:
        self.epochs: dict[str, int] = {}

    def point(self, service: str, epoch: int) -> int:
        """Write the name; gives the higher epoch if one stands there."""
        known = self.epochs.get(service, 0)
        if known > epoch:
            return known
        self.epochs[service] = epoch
        return 0


class Host:
    """One server."""

    def __init__(
        self,
        world: World,
        judge: Judge,
        names: Names,
        name: str,
        timing: Timing,
        clock: Clock,
        behaviour: Behaviour,
        homes: tuple[ServiceDefinition, ...],
        ability: Ability,
        choosing: ChoosingSettings,
    ) -> None:
        self.world, self.judge, self.names, self.name = world, judge, names, name
        self.timing, self.clock, self.behaviour = timing, clock, behaviour
        self.homes, self.ability, self.choosing = homes, ability, choosing
        self.compare: Callable[[Host], None] = lambda _: None  # who holds its view against the SDS's record
        self.loadlevel = 0.0
        self.on = False
        self.paused = False
        self.guard_paused = False
        self.runner_paused = False
        self.incarnation = 0
        self._guard_header = Header("sim", name, "guard", 0)
        self._runner_header = Header("sim", name, "runner", 0)
        self.leash: Leash | None = None
        self.guard: Guarding | None = None
        self.runner: Running | None = None
        self.ending = False  # handing over
        self.ended = False
        self._held_back: list[tuple[str, Any]] = []  # events of paused parts, by part
        self.life = 0
        self._guard_life = 0
        self._runner_life = 0
        self.processes = Processes(self)
        self._line_at = {"guard": 0.0, "runner": 0.0}
        self._guard_alarm = Alarm(world, clock, lambda: self._to_guard(Tick()))
        self._runner_alarm = Alarm(world, clock, lambda: self._to_runner(Tick()))
        self._leash_alarm = Alarm(world, clock, lambda: self.to_leash(Tick()))
        world.doors[name] = self._receive

    @property
    def now(self) -> float:
        """What this host's clock shows."""
        return self.clock.at(self.world.now)

    # -- life and death

    def boot(self) -> None:
        """Power on; leftovers there are none."""
        if self.on:
            return
        self.world.say(self.name, "boots")
        self.on, self.paused, self.guard_paused, self.runner_paused = True, False, False, False
        self.ending = self.ended = False
        self.life += 1
        self.leash = Leash(self.timing.lease_s, self.timing.guard_kill_s)
        self._start_guard()

    def crash(self) -> None:
        """Power off: everything at once."""
        if not self.on:
            return
        self.world.say(self.name, "loses power")
        self.processes.all_end()
        self.on = self.paused = False
        self.leash = self.guard = self.runner = None
        self.life += 1
        self._guard_life += 1
        self._runner_life += 1
        self._held_back.clear()
        for alarm in (self._guard_alarm, self._runner_alarm, self._leash_alarm):
            alarm.clear()

    def kill_guard(self) -> None:
        """The guard dies: the tether kills what is left, the runner too, and starts both anew."""
        if not self.on or self.guard is None or self.paused:
            return
        self.world.say(self.name, "guard dies")
        if self.ending:
            self._exit()
            return
        self.guard, self.guard_paused = None, False
        self._guard_life += 1
        self._guard_alarm.clear()
        self._drop_held("guard")
        self._end_runner()
        self.to_leash(GuardGone())
        self._restart_guard_when_clear(self.life)

    def _restart_guard_when_clear(self, life: int) -> None:
        if life != self.life or self.guard is not None or self.ended:
            return
        if self.leash and self.leash.clear and not self.paused:
            self.to_leash(GuardUp())
            self._start_guard()
        else:
            self.world.after(0.01, self._restart_guard_when_clear, life)

    def _start_guard(self) -> None:
        self.incarnation += 1
        self._guard_header = Header("sim", self.name, "guard", self.incarnation)
        self._runner_header = Header("sim", self.name, "runner", self.incarnation)
        self._guard_life += 1
        self.guard = Guarding(self.name, self.incarnation, self.world.draw(), self.timing, self.now)
        self.world.after(self.world.random.uniform(0.02, 0.2), self._guard_up, self._guard_life)

    def _guard_up(self, life: int) -> None:
        if life == self._guard_life and self.guard:
            self._to_guard(Tick())
            self._start_runner()

    def kill_runner(self) -> None:
        """The runner dies, and is started anew after a moment."""
        if not self.on or self.runner is None or self.paused:
            return
        self.world.say(self.name, "runner dies")
        if self.ending:
            self._exit()
            return
        self._end_runner()
        self.world.after(self.world.random.uniform(0.1, 0.8), self._start_runner_again, self.life, self._guard_life)

    def _end_runner(self) -> None:
        self.runner, self.runner_paused = None, False
        self._runner_life += 1
        self._runner_alarm.clear()
        self._drop_held("runner")
        if self.guard:
            self._line("guard", self._guard_life, RunnerLost())

    def _start_runner_again(self, life: int, guard_life: int) -> None:
        if life == self.life and guard_life == self._guard_life and self.guard and self.runner is None:
            self._start_runner()

    def _start_runner(self) -> None:
        self._runner_life += 1
        services = self.homes
        offer = Offer(name=self.name, address=self.name, peer_port=5760, services=services)
        self.runner = Running(offer, self.timing, self.choosing, self.now)
        self._to_runner(self.ability)
        self._line("guard", self._guard_life, FromTether(channel.RunnerUp()))

    def kill_process(self, service: str) -> None:
        """The service's process dies alone."""
        if service in self.processes.running and not self.paused:
            self.world.say(self.name, service, "process is killed")
            self.processes.end(service, -9)

    def pause(self) -> None:
        """Everything is stopped: SIGSTOP to all, or a virtual machine that is not scheduled."""
        if not self.on or self.paused:
            return
        self.world.say(self.name, "is paused")
        self.paused = True
        self.processes.freeze()

    def resume(self) -> None:
        """The kernel gate (R6) is shut until the guard has looked: the known limit is left out here."""
        if not self.on or not self.paused:
            return
        self.world.say(self.name, "is resumed")
        self.paused = False
        self._release_held()
        if self.guard and not self.guard_paused:
            self._to_guard(Tick())
        self.to_leash(Tick())
        self.processes.thaw()

    def pause_part(self, part: str, paused: bool) -> None:
        """Only the guard, or only the runner, is stopped or goes on."""
        if not self.on or self.paused:
            return
        self.world.say(self.name, part, "is paused" if paused else "is resumed")
        if part == "guard":
            self.guard_paused = paused
        else:
            self.runner_paused = paused
        if not paused:
            self._release_held()
            if part == "guard":
                self._to_guard(Tick())
            else:
                self._to_runner(Tick())

    def terminate(self) -> None:
        """SIGTERM: hand over, then end; asked twice, or with nobody to hand over, end at once."""
        if not self.on or self.paused or self.guard is None:
            return
        self.world.say(self.name, "is to end")
        if self.ending or self.runner is None:
            self._exit()
            return
        self.ending = True
        self._to_runner(Terminate())
        self.world.after(HAND_OVER_LIMIT_S, self._give_up, self.life)

    def _give_up(self, life: int) -> None:
        if life != self.life or self.ended:
            return
        if self.paused:
            self.world.after(0.01, self._give_up, life)
        else:
            self._exit()

    def load(self, level: float) -> None:
        """The loadlevel is now this."""
        self.loadlevel = level
        if self.runner:
            self._to_runner(Loaded(level))

    # -- what reaches the parts

    def _receive(self, header: Header, message: Message, to: Peer) -> None:
        if not self.on or (isinstance(message, Rejection) and to.incarnation not in (0, self.incarnation)):
            return  # the connection of another incarnation: of one that is dead, or of a second server of this name
        sender = Peer(header.sender, header.part, header.incarnation)
        if to.part == "guard":
            self._to_guard(Received(sender, message))
        else:
            self._to_runner(Received(sender, message))

    def _to_guard(self, event: Any) -> None:
        guard = self.guard
        if guard is None:
            return
        if self.paused or self.guard_paused:
            self._held_back.append(("guard", event))
            return
        received = event.messages if isinstance(event, Several) else (event,) if isinstance(event, Received) else ()
        for each in received:
            self._show_news(each.message)
        for action in guard.step(event, self.now):
            self._perform_guard(action)
        if any(isinstance(each.message, Recorded) for each in received):
            self.compare(self)
        if self.guard is guard:
            self._guard_alarm.set(guard.wake_at, max(self.timing.tick_s, self.behaviour.late_s))

    def _show_news(self, message: Message) -> None:
        """What the judge sees the guard read."""
        if isinstance(message, Refusal):
            self.judge.questions.hears_refusal(self.name, self.incarnation, message)
        elif isinstance(message, Grant):
            self.judge.questions.hears_grant(self.name, self.incarnation, message)

    def _to_runner(self, event: Any) -> None:
        runner = self.runner
        if runner is None:
            return
        if self.paused or self.runner_paused:
            self._held_back.append(("runner", event))
            return
        for action in runner.step(event, self.now):
            self._perform_runner(action)
        if isinstance(event, Received):
            self.judge.readings.read(self.name, runner.table)
        if self.runner is runner:
            self._runner_alarm.set(runner.wake_at, 0.02)

    def to_leash(self, event: Any) -> None:
        leash = self.leash
        if leash is None:
            return
        if self.paused:
            self._held_back.append(("leash", event))
            return
        for action in leash.step(event, self.now):
            self._perform_leash(action)
        self._leash_alarm.set(leash.wake_at, self.timing.stop_s / 16)

    def _release_held(self) -> None:
        """What queued before the first tick is drained first, all messages at once (R7)."""
        held, self._held_back = self._held_back, []
        waiting = [event for part, event in held if part == "guard" and isinstance(event, Received)]
        if waiting:
            held = [("guard", Several(tuple(waiting))), *(entry for entry in held if entry[1] not in waiting)]
        doors = {"guard": self._to_guard, "runner": self._to_runner, "leash": self.to_leash}
        for part, event in held:
            if not isinstance(event, Tick):
                doors[part](event)

    def _drop_held(self, part: str) -> None:
        self._held_back = [(held, event) for held, event in self._held_back if held != part]

    def _line(self, part: str, life: int, event: Any) -> None:
        """A packet on a line: it arrives in order, and only at the process that it was meant for."""
        at = max(self.world.now + self.world.random.uniform(0.0001, 0.002), self._line_at[part])
        self._line_at[part] = at
        self.world.at(at, self._line_end, part, life, event)

    def _line_end(self, part: str, life: int, event: Any) -> None:
        if part == "guard" and life == self._guard_life:
            self._to_guard(event)
        elif part == "runner" and life == self._runner_life:
            self._to_runner(event)

    # -- what the parts do

    def _perform_guard(self, action: Any) -> None:
        match action:
            case Send():
                if isinstance(action.message, Released):
                    if action.message.overlap:
                        self.judge.finishes(self.name, action.message.service, action.message.epoch, self.ending)
                    self.judge.released(action.message.service, action.message.epoch)
                elif isinstance(action.message, Takeover):
                    self.judge.questions.asked(self.name, self.incarnation, action.message)
                target = SDS_HOST if action.to.part == "sds" else action.to.name
                self.world.send(self.name, target, self._guard_header, action.message, action.to)
            case ToTether():
                self.to_leash(action.line)
            case ToRunner():
                if self.runner:
                    self._line("runner", self._runner_life, FromGuard(action.line))
            case Note():
                if self.world.timeline is not None:
                    self.world.say(line(action.transition))
            case Quit():
                self.world.say(self.name, "guard ends:", action.reason)
                self.incarnation = max(self.incarnation, action.beyond)
                self.world.after(0.0, self.kill_guard)
            case _:
                raise AssertionError(f"no such action: {action!r}")

    def _perform_runner(self, action: Any) -> None:
        random = self.world.random
        match action:
            case Send():
                self.world.send(self.name, SDS_HOST, self._runner_header, action.message, action.to)
            case ToGuard():
                self._line("guard", self._guard_life, FromRunner(action.line))
            case Survey():
                self._answer(random.uniform(0, 0.005), Surveyed(action.definition.name, action.epoch, None))
            case Check():
                self.world.after(random.uniform(0, 0.005), self._check, self._runner_life, action)
            case WriteName():
                higher = self.names.point(action.service or "", action.epoch or 0)
                written = (action.service, action.fqdn, action.address, action.epoch)
                self._answer(random.uniform(0.002, 0.02), NameWritten(*written, done=not higher, higher_epoch=higher))
            case AskPort():
                self._answer(random.uniform(0, 0.005), PortAsked(action.definition.name, action.epoch, random.random() < 0.5))
            case Examine():
                trouble = "not ready" if random.random() < self.behaviour.start_fails else None
                self._answer(random.uniform(0.01, 0.1), Examined(action.definition.name, trouble))
            case LookIfShut():
                self._answer(0.001, Looked(action.definition.name, True))
            case StopProgram():
                self.processes.stop(action.definition.name)
            case KillProgram():
                self.processes.kill_one(action.pid)
            case ServicesChanged() | Reconnect():
                pass
            case Exit():
                self._exit()
            case _:
                raise AssertionError(f"no such action: {action!r}")

    def _perform_leash(self, action: Any) -> None:
        match action:
            case Launch():
                self.processes.launch(action.spawn)
            case LaunchActivation():
                self.processes.activate(action.activate)
            case KillAll():
                for service in action.services:
                    self.processes.kill(service)
            case Say():
                if self.guard:
                    self._line("guard", self._guard_life, FromTether(action.line))
            case _:
                self.world.say(self.name, action)

    def _answer(self, delay_s: float, event: Any) -> None:
        self.world.after(delay_s, self._runner_hears, self._runner_life, event)

    def _runner_hears(self, life: int, event: Any) -> None:
        if life == self._runner_life:
            self._to_runner(event)

    def _check(self, life: int, check: Check) -> None:
        if life == self._runner_life:
            answers = self.processes.answers(check.definition.name)
            self._to_runner(Checked(check.definition.name, check.epoch, answers, "" if answers else "refused"))

    def _exit(self) -> None:
        """The agent ends: nothing of it may be left."""
        if self.ended:
            return
        self.world.say(self.name, "ends")
        self.ended = True
        self.guard, self.runner = None, None
        self._guard_life += 1
        self._runner_life += 1
        self._guard_alarm.clear()
        self._runner_alarm.clear()
        self.to_leash(GuardGone())
        self.world.after(self.timing.stop_s, self._off, self.life)

    def _off(self, life: int) -> None:
        """It is off, and started again after a while."""
        if life == self.life:
            self.crash()
            self.world.after(self.world.random.uniform(0.2, 3.0), self.boot)
