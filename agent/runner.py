"""The runner's loop: receive, step, perform (R4).

On asyncio: registration, loadlevel, choosing, drivers and names.  It may die
and come back; the guard keeps what runs.  What it decides is in
agent/running.py, and nothing that it does can make two servers serve.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, get_args

import msgspec

from agent import adoption, channel, dns, scheduling
from agent.choosing import ChoosingSettings
from agent.depot import Depot
from agent.depot import Part as FilesPart
from agent.drivers.choice import Drivers
from agent.finding import Place
from agent.lines import LineError, LineSocket
from agent.load import Load, agent_reader, read_host
from agent.load_command import LoadCommand
from agent.nameplate import AskName, NameAnswered, NameWritten, WriteName
from agent.parts import MISCONFIGURED, PART_REFUSED, REFUSED
from agent.preparing import Examine, Examined, Looked, LookIfShut, LookIfUp, SeenUp
from agent.running import Ability, Exit, FilesAre, FromGuard, Loaded, Offer, Reconnect, Running, ServicesChanged, Terminate
from agent.seeking import Seeking
from agent.shelf_events import Restaged
from agent.takeover_events import AskPort, Check, Checked, KillProgram, Moved, PortAsked, StopProgram, Survey, Surveyed, ToGuard, Told
from agent.whereabouts import Changes, Whereabouts
from bus.config import AgentConfig, ConfigError, PresetName, Timing, parse
from bus.keys import load_public, load_secret
from bus.log import Log, take_over_logging
from bus.messages import Happened, Message, Rejection
from bus.polling import AsyncPoller
from bus.sockets import Dealer, Subscriber
from bus.step import Peer, Received, Send, Tick
from bus.values import ServiceDefinition
from bus.wire import Header

SURVEY_EVERY_S = 5.0
"""How often it is looked anew at what this server can run."""

FIRST_LOOK_S = 2.0
"""Looking for the first time is given so long before anything else."""

UNSAID = 200
"""Events for the history that wait for the SDS; of more the oldest are lost."""

MISSED_S = 5.0
"""An SDS that says nothing for so long is spoken of."""


def clock() -> float:
    """CLOCK_BOOTTIME (R2)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Runner:
    """Sockets, drivers and names around the machine."""

    def __init__(self, config: AgentConfig, path: str, guard: LineSocket, timing: Timing, guards: tuple[str, ...], log: Log) -> None:
        self._config = config
        self._path = path
        self._log = log
        self._guard = guard
        self._timing = timing
        self._secret = load_secret(Path(config.key_file))
        self._sds_key = load_public(Path(config.sds.public_key_file))
        self._header = Header(config.cluster, config.name, "runner", 0)
        self._sds: Dealer | None = None
        self._updates: Subscriber | None = None
        self._sds_at: Place | None = None
        self._seeking = Seeking(config, log)
        self._whereabouts = Whereabouts(config)
        self._depot = self._made_depot(config, log)
        self._drivers = Drivers(
            config.name, self._whereabouts.address, adoption.identity(config), Path(config.state_dir), config.files_root, self._depot.lacks
        )
        self._names = dns.Names(config.dns, dns.read_secret(config.dns.key_secret_file)) if config.dns else None
        readers = {"host": read_host, "agent": agent_reader(os.getppid())}
        self._load = Load(readers[config.load], config.load_smoothing_s) if config.load in readers else None
        self._load_command = LoadCommand(config.load_command, config.name, config.load_command_every_s, log)
        offer = Offer(
            name=config.name,
            address=self._whereabouts.address,
            peer_port=config.peer_port,
            services=config.definitions,
            zone=config.zone,
            guards=guards,
            dns_name=f"{config.name}.servers.{config.dns.zone}" if config.dns else None,
            authorities=len(config.dns.authorities) if config.dns else 0,
        )
        self._machine = Running(offer, timing, ChoosingSettings(config.margin, config.dwell_s), clock())
        self._definitions: dict[str, ServiceDefinition] = {service.name: service for service in config.definitions}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsaid: deque[Message] = deque(maxlen=UNSAID)
        self._code: int | None = None
        self._sds_heard_at = clock()
        self._poller = AsyncPoller()

    async def run(self) -> int:
        """Until everything is handed over or the guard is gone; the exit status."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._step, Terminate())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))  # the tether's word may have come before us
        await self._look_first()
        self._poller.register(self._guard.fileno())
        if self._config.sds.address:
            self._dial_sds(Place(self._config.sds.address, self._config.sds.port, self._config.sds.updates_port))
        else:
            self._begin(self._seeking.run(lambda: self._sds_heard_at, self._go_to_sds))
        for chore in (self._sample(), self._survey_all(), self._miss_sds(), self._follow_address(), self._keep_files()):
            self._begin(chore)
        if self._config.load_command:
            self._begin(self._load_command.run())
        while self._code is None:
            await self._poller.wait(max(0.0, min(1.0, self._machine.wake_at - clock())))
            self._drain()
            self._say_what_happened()
            if self._code is None and self._machine.wake_at <= clock():
                self._step(Tick())
        self._depot.close()
        return self._code

    # -- what comes in

    def _drain(self) -> None:
        for socket in self._sockets:
            for header, message in socket.receive():
                self._sds_heard_at = clock()
                if isinstance(message, Rejection):
                    self._log(f"the SDS refuses: {message.text}")
                self._step(Received(Peer(header.sender, header.part, header.incarnation), message))
        self._guard.flush()
        try:
            for line, _ in self._guard.receive():
                if isinstance(line, channel.Welcome):
                    self._introduce(line.incarnation)
                if isinstance(line, channel.Exited):
                    self._ask_why(line)
                self._step(FromGuard(line))
        except LineError as error:
            self._log(f"guard: {error}")
        if self._guard.closed:
            self._code = REFUSED if self._code is None else self._code

    def _ask_why(self, line: channel.Exited) -> None:
        """What the driver knows of an end comes before the news of it."""
        definition = self._definitions.get(line.service)
        words = self._drivers.of(definition).last_words(definition, line.epoch) if definition else ""
        if words:
            self._step(Told(line.service, line.epoch, words))

    def _introduce(self, incarnation: int) -> None:
        """The guard's incarnation is this server's."""
        self._header = Header(self._config.cluster, self._config.name, "runner", incarnation)
        for socket in self._sockets:
            socket.header = self._header

    # -- the SDS

    @property
    def _sockets(self) -> list[Dealer | Subscriber]:
        """The connections to the SDS, once it is known where it is."""
        return [socket for socket in (self._sds, self._updates) if socket is not None]

    def _dial_sds(self, place: Place) -> None:
        """Speak to it there, by new connections, and no longer elsewhere."""
        self._sds_at = place
        for socket in self._sockets:
            self._poller.unregister(socket)
            socket.close()
        self._sds = Dealer(place.address, place.port, self._sds_key, self._secret, self._header)
        self._updates = Subscriber(place.address, place.updates_port, self._sds_key, self._secret, self._header)
        for socket in self._sockets:
            self._poller.register(socket)

    def _go_to_sds(self, place: Place) -> None:
        self._dial_sds(place)
        self._whereabouts.sds_is_at(place.address, place.port)
        self._guard.send(channel.SdsAt(address=place.address, port=place.port))
        self._poller.poke()

    # -- what goes out

    def _step(self, event: Any) -> None:
        for action in self._machine.step(event, clock()):
            self._perform(action)
        self._poller.poke()

    def _perform(self, action: Any) -> None:
        match action:
            case Send():
                self._say_to_sds(action.message)
            case ToGuard():
                self._guard.send(self._complete(action.line))
            case Survey():
                self._begin(self._survey(action))
            case Check():
                self._begin(self._check(action))
            case AskPort():
                self._begin(self._ask_port(action))
            case WriteName():
                self._begin(self._write_name(action))
            case AskName():
                self._begin(self._ask_name(action))
            case Reconnect():
                self._reconnect()
            case Examine():
                self._begin(self._examine(action))
            case LookIfShut():
                self._begin(self._look_if_shut(action))
            case LookIfUp():
                self._begin(self._look_if_up(action))
            case StopProgram():
                self._begin(self._stop(action))
            case KillProgram():
                self._drivers.signal(action.pid, signal.SIGKILL)
            case ServicesChanged():
                self._definitions |= {definition.name: definition for definition in action.definitions}
                self._depot.wake()
                self._begin(self._look_at_abilities())
            case Exit():
                self._code = action.code
            case _:
                raise AssertionError(f"no such action: {action!r}")

    def _say_to_sds(self, message: Message) -> None:
        """What is for the history waits until the SDS knows us; all else is said again by the machine, or no longer true."""
        if isinstance(message, Happened):
            self._unsaid.append(message)
            self._say_what_happened()
        else:
            self._send(message)

    def _send(self, message: Message) -> bool:
        """False: there is no connection."""
        return self._sds is not None and self._sds.send(message)

    def _say_what_happened(self) -> None:
        while self._unsaid and self._machine.admitted and self._send(self._unsaid[0]):
            self._unsaid.popleft()

    def _complete(self, line: channel.Line) -> channel.Line:
        """What only the driver knows of a start."""
        if isinstance(line, channel.Prepare):
            definition, epoch, standby = line.definition, 0, None
        elif isinstance(line, channel.Spawn | channel.Activate):
            order = self._machine.takeovers[line.service].order
            assert order is not None
            definition, epoch, standby = order.definition, line.epoch, order.standby
        else:
            return line
        driver = self._drivers.of(definition)
        environment = driver.environment(definition, epoch, standby=isinstance(line, channel.Prepare) and bool(definition.activate))
        changed: dict[str, Any] = {"environment": environment, "output": driver.output(definition)}
        if isinstance(line, channel.Activate):
            environment["LOCUM_PID"] = str(standby)
        else:
            changed |= {"argv": driver.program(definition), "keeper": driver.keeps(definition)}
        return msgspec.structs.replace(line, **changed)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            raise SystemExit(f"{self._config.name}: a task of the runner failed: {task.exception()!r}")

    # -- drivers and names

    async def _survey(self, action: Survey) -> None:
        definition, driver = action.definition, self._drivers.of(action.definition)
        if definition.files or not driver.knows(definition):
            self._step_guard(channel.Surveying(service=definition.name, epoch=action.epoch))
        without = await self._depot.staged(definition, definition.start_limit_s / 2)
        if not driver.knows(definition):
            await self._drivers.look((self._definitions | {definition.name: definition}).values(), ())
        self._step(Surveyed(definition.name, action.epoch, without or driver.why_not(definition)))

    async def _check(self, action: Check) -> None:
        answers, text = await self._drivers.of(action.definition).check(action.definition, action.epoch)
        self._step(Checked(action.definition.name, action.epoch, answers, text))

    async def _ask_port(self, action: AskPort) -> None:
        answers, _ = await self._drivers.of(action.definition).answers(action.definition)
        self._step(PortAsked(action.definition.name, action.epoch, answers))

    async def _examine(self, action: Examine) -> None:
        definition = action.definition
        without = await self._depot.staged(definition)
        trouble = without or await self._drivers.of(definition).examine(definition)
        self._step(Examined(definition.name, trouble, of_files=without is not None))
        await self._look_at_abilities()

    async def _look_if_shut(self, action: LookIfShut) -> None:
        definition = action.definition
        self._step(Looked(definition.name, self._drivers.of(definition).is_shut(definition)))

    async def _look_if_up(self, action: LookIfUp) -> None:
        definition = action.definition
        up, _ = await self._drivers.of(definition).answers(definition)
        self._step(SeenUp(definition.name, bool(up)))

    async def _stop(self, action: StopProgram) -> None:
        definition = action.definition
        await self._drivers.of(definition).stop(definition, action.epoch, action.pid, action.within_s)
        if definition.stop:
            self._step_guard(channel.Stopped(service=definition.name, epoch=action.epoch))

    def _step_guard(self, line: channel.Line) -> None:
        self._guard.send(line)

    async def _write_name(self, action: WriteName) -> None:
        service, fqdn, address, epoch = action.service, action.fqdn, action.address, action.epoch
        if self._names is None:
            self._step(NameWritten(service, fqdn, address, epoch, done=True, text="no name server is configured"))
            return
        outcome = await (self._names.register(fqdn, address) if epoch is None else self._names.point(fqdn, address, epoch))
        match outcome:
            case dns.Named():
                answer = NameWritten(service, fqdn, address, epoch, done=True, text=f"{fqdn} is {address}")
            case dns.Stale():
                answer = NameWritten(service, fqdn, address, epoch, done=False, higher_epoch=outcome.epoch)
            case _:
                answer = NameWritten(service, fqdn, address, epoch, done=False, text=outcome.reason)
        self._step(answer)

    async def _ask_name(self, action: AskName) -> None:
        answers = await self._names.answers(action.fqdn) if self._names is not None else ()
        self._step(NameAnswered(action.service, action.number, answers))

    # -- files

    def _made_depot(self, config: AgentConfig, log: Log) -> Depot:
        depot = Depot(config, log)
        depot.part_of, depot.turned = self._part_in, self._files_turned
        depot.tell = self._say_to_sds
        depot.restaged = lambda service: self._step(Restaged(service))
        return depot

    async def _keep_files(self) -> None:
        await self._depot.run(lambda: list(self._definitions.values()))

    def _part_in(self, service: str) -> FilesPart:
        """What this server is for a service whose files are kept."""
        takeover, preparing = self._machine.takeovers.get(service), self._machine.preparing.get(service)
        if takeover is not None and takeover.order is not None:
            return FilesPart("holder", takeover.order.epoch)
        return FilesPart("stand-in" if preparing is not None and preparing.stands_in else "other", 0)

    def _files_turned(self) -> None:
        self._step(FilesAre(self._depot.states()))
        self._begin(self._look_at_abilities())

    # -- where it is

    async def _follow_address(self) -> None:
        """Watch for another address of this host (P20), as the kernel tells, and now and then; SIGHUP reads it anew."""
        changes, told = Changes(), False
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._read_address_again, changes)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
        while True:
            if self._whereabouts.moved():
                self._log(f"this server is at {self._whereabouts.address}")
                self._drivers.moved(self._whereabouts.address)
                self._step(Moved(self._whereabouts.address))
            elif not self._whereabouts.address and not told:
                told = True
                self._log(f'address = "{self._config.address}": this host has no such address yet: waiting for one')
            await changes.wait(self._timing.loadlevel_s)

    def _read_address_again(self, changes: Changes) -> None:
        """Of the settings only the address may change while the agent runs; what holds leases is not touched."""
        try:
            config = parse(Path(self._path).read_text(), AgentConfig, self._path)
        except (ConfigError, OSError, UnicodeError) as error:
            self._log(f"SIGHUP: nothing is changed: {error}")
            return
        if msgspec.structs.replace(config, address=self._config.address) != self._config:
            self._log("SIGHUP: of what was changed only address comes into force now; for the rest the agent must be started anew")
        self._log(f'SIGHUP: address = "{config.address}"')
        self._whereabouts.follow(config)
        changes.look_now()

    def _reconnect(self) -> None:
        """A connection that came from an address which is gone says nothing of its end (TRAPS 23): make it anew."""
        if self._sds_at is not None:
            self._dial_sds(self._sds_at)

    # -- itself

    async def _sample(self) -> None:
        while True:
            measured = round(self._load.sample(clock()), 2) if self._load else 0.0
            self._step(Loaded(max(measured, self._load_command.level)))
            await asyncio.sleep(self._timing.loadlevel_s)

    async def _miss_sds(self) -> None:
        """Say it once when the SDS is not heard, and once when it is again."""
        missed = False
        while True:
            where = f"the SDS at {self._sds_at}" if self._sds_at else "the SDS, not found yet,"
            silent_s = clock() - self._sds_heard_at
            if missed is not (silent_s > MISSED_S):
                missed = not missed
                known = "does it run there, and has its trust file this server's key?"
                self._log(f"{where} has said nothing for {silent_s:.0f} s: {known}" if missed else f"{where} is heard again")
            await asyncio.sleep(MISSED_S / 5)

    async def _survey_all(self) -> None:
        while True:
            await self._look_at_abilities()
            await asyncio.sleep(SURVEY_EVERY_S)

    async def _look_first(self) -> None:
        """What this server can run is best known before it says so; a resource agent that takes long is not waited for."""
        task = asyncio.get_running_loop().create_task(self._look_at_abilities())
        self._tasks.add(task)
        task.add_done_callback(self._done)
        await asyncio.wait([task], timeout=FIRST_LOOK_S)

    async def _look_at_abilities(self) -> None:
        ours = [name for name in self._definitions if self._is_ours(name)]
        await self._drivers.look(tuple(self._definitions.values()), ours)
        reasons = {name: self._why_not(definition) for name, definition in self._definitions.items()}
        able = tuple(sorted(name for name, reason in reasons.items() if reason is None))
        self._step(Ability(able, {name: reason for name, reason in reasons.items() if reason is not None}))

    def _why_not(self, definition: ServiceDefinition) -> str | None:
        wanted = self._config.backs_up
        if wanted is not None and definition.name not in wanted and definition.home != self._config.name:
            return "its owner does not want it here: it is not in backs_up"
        without = self._depot.why_not(definition)
        if without:
            return without
        preparing = self._machine.preparing.get(definition.name)
        if preparing is not None and preparing.trouble:
            return preparing.trouble
        return self._drivers.of(definition).why_not(definition, ours=self._is_ours(definition.name))

    def _is_ours(self, service: str) -> bool:
        """Whether it runs here by our doing, or is being started, or is kept as a standby."""
        takeover, preparing = self._machine.takeovers.get(service), self._machine.preparing.get(service)
        return (takeover is not None and takeover.order is not None) or (preparing is not None and preparing.keeps_standby)


def main() -> int:
    """python -m agent.runner CONFIG --guard-fd N --timing PRESET [--log text|json]"""
    parser = argparse.ArgumentParser(prog="python -m agent.runner")
    parser.add_argument("config")
    parser.add_argument("--guard-fd", type=int, required=True)
    parser.add_argument("--log", default="text")
    parser.add_argument("--timing", choices=get_args(PresetName), required=True)
    options = parser.parse_args()
    log = Log("", "runner", options.log)
    try:
        config = parse(Path(options.config).read_text(), AgentConfig, options.config)
        log = Log(config.name, "runner", options.log)
        take_over_logging(log)
        in_force = scheduling.probe()
        timing = Timing.named(options.timing)
        guard = LineSocket.inherited(options.guard_fd)
        runner = Runner(config, options.config, guard, timing, (f"timing-{timing.name}", f"sched-{in_force}", "tether"), log)
    except ConfigError as error:
        log(str(error))
        return MISCONFIGURED
    except OSError as error:
        log(str(error))
        return PART_REFUSED
    # At once: on its way out Python would wait for the thread of the files, which may be in the midst of an upload.
    os._exit(asyncio.run(runner.run()))


if __name__ == "__main__":
    sys.exit(main())
