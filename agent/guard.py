"""The guard's loop: receive, step, beat, cut off (R4, R7).

A plain poll loop in real time, with no asyncio, no garbage collection and
nothing else in the process.  What it decides is in agent/guarding.py.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from pathlib import Path
from typing import Any, NoReturn, get_args

from agent import adoption, channel, scheduling
from agent.doors import Wanted
from agent.gate import Gate, Table, remove_left
from agent.guarding import FromRunner, FromTether, GateNews, Guarding, Quit, RunnerLost, Several
from agent.incarnation import exceed, next_incarnation
from agent.lines import LineError, LineSocket
from agent.parts import MISCONFIGURED, PART_REFUSED
from agent.porter import Porter
from agent.surroundings import ToRunner, ToTether
from bus.config import AgentConfig, ConfigError, PresetName, Timing, parse
from bus.keys import Trust, load_public, load_secret
from bus.log import Log, take_over_logging
from bus.polling import Poller
from bus.sockets import EVERYWHERE, BindError, Dealer, Router
from bus.step import Note, Peer, Received, Send, Tick
from bus.wire import Header

AGAIN = 3
"""Exit status: this guard may not go on, the next one may."""

OLD_DOOR_S = 5.0
"""So long a guard also listens where it was before (P20): by then every peer has heard of the new address."""

AT_ONCE = 5_000
"""So many messages of one socket are heard before anybody is judged: more than wait after any pause (R7), yet bounded."""

HELD_UP_S = 1.0
"""An order of the kernel gate that takes longer is spoken of while it lasts."""

UNUSED_PEER_S = 60.0
"""A connection to a peer to which nothing was said for so long is closed."""


def clock() -> float:
    """CLOCK_BOOTTIME (R2)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class PeerLine:
    """The connection to another server's guard, and when it was last used."""

    def __init__(self, address: channel.PeerAddress, dealer: Dealer) -> None:
        self.address = address
        self.dealer = dealer
        self.used_at = clock()


class Guard:
    """Sockets and lines around the machine."""

    def __init__(self, config: AgentConfig, tether: LineSocket, timing: Timing, log: Log) -> None:
        self._config = config
        self._log = log
        self._tether = tether
        self._runner: LineSocket | None = None
        self._secret = load_secret(Path(config.key_file))
        incarnation = next_incarnation(Path(config.state_dir))
        self._header = Header(config.cluster, config.name, "guard", incarnation)
        self._trust: dict[str, str] = {}
        self._address = config.own_address.literal  # None: not known yet
        self._everywhere = self._address is None
        self._door_wanted: str | None = None  # an address at which it does not listen yet
        self._door_told = False  # why not
        self._gate: bool | None = None  # the kernel's is in force; None: not known yet
        self._held_up = False  # so was its last order
        self._old_doors: dict[str, float] = {}  # address -> when it is closed
        self._router = Router(self._address or EVERYWHERE, config.peer_port, self._secret, Trust.of({}), self._header)
        self._sds_key = load_public(Path(config.sds.public_key_file))
        self._sds_at = (config.sds.address, config.sds.port)
        self._sds = self._dial_sds()
        self._peers: dict[str, channel.PeerAddress] = {}
        self._lines: dict[str, PeerLine] = {}
        self._connections: dict[tuple[str, int], bytes] = {}
        self._pids: dict[str, int] = {}
        self._machine = Guarding(config.name, incarnation, int.from_bytes(os.urandom(6), "big"), timing, clock())
        self._poller = Poller()
        self._porter = self._employ()
        for thing in (self._router, self._sds, tether.fileno(), self._porter.fileno() if self._porter else None):
            if thing is not None:
                self._poller.register(thing)

    @property
    def alone(self) -> bool:
        """The tether is gone: its line is closed before the kernel tells of its death."""
        return self._tether.closed

    @property
    def pids(self) -> list[int]:
        """The main processes of what runs here."""
        return list(self._pids.values())

    def run(self) -> int:
        """Until the tether is gone or this guard may not go on; the exit status."""
        code: int | None = None
        while code is None:
            self._poller.wait(max(0.0, self._machine.wake_at - clock()))
            code = self._drain()
            if self._door_wanted or self._old_doors:
                self._mind_doors()
            if code is None and self._machine.wake_at <= clock():
                code = self._step(Tick())
        return code

    # -- what comes in

    def _drain(self) -> int | None:
        """Everything that waits is heard before the clock is looked at (R7)."""
        messages: list[Received] = []
        for connection, header, message in self._router.receive(AT_ONCE):
            self._connections[header.sender, header.incarnation] = connection
            messages.append(Received(Peer(header.sender, header.part, header.incarnation), message))
        dealers = [self._sds] if self._sds else []
        dealers += [line.dealer for line in self._lines.values()]
        for dealer in dealers:
            part = "sds" if dealer is self._sds else "guard"
            for header, message in dealer.receive(AT_ONCE):
                if header.part == part:
                    messages.append(Received(Peer(header.sender, header.part, header.incarnation), message))
        events: list[Any] = [Several(tuple(messages))] if messages else []
        events += self._hear_tether()
        events += self._hear_runner()
        events += self._hear_porter()
        if self._tether.closed:
            return PART_REFUSED
        for event in events:
            code = self._step(event)
            if code is not None:
                return code
        return None

    def _hear_tether(self) -> list[Any]:
        self._tether.flush()
        events: list[Any] = []
        for line, descriptors in self._tether.receive():
            if isinstance(line, channel.RunnerUp):
                events += self._lose_runner()
                self._runner = LineSocket.inherited(descriptors[0])
                self._poller.register(self._runner.fileno())
            elif isinstance(line, channel.Spawned):
                self._pids[line.service] = line.pid
            elif isinstance(line, channel.Gone):
                self._pids.pop(line.service, None)
            events.append(FromTether(line))
        return events

    def _hear_runner(self) -> list[Any]:
        runner = self._runner
        if runner is None:
            return []
        runner.flush()
        descriptor = runner.fileno()
        events: list[Any] = []
        try:
            for line, _ in runner.receive():
                if isinstance(line, channel.SdsAt):
                    self._find_sds(line)
                    continue
                if isinstance(line, channel.Peers):
                    self._meet(line.peers)
                elif isinstance(line, channel.MovedTo):
                    self._move(line.address)
                events.append(FromRunner(line))
        except LineError as error:
            self._log(f"runner: {error}")
        if runner.closed:
            self._runner = None
            self._poller.unregister(descriptor)
            events.append(RunnerLost())
        return events

    def _lose_runner(self) -> list[Any]:
        runner, self._runner = self._runner, None
        if runner is None:
            return []
        self._poller.unregister(runner.fileno())
        runner.close()
        return [RunnerLost()]

    def _meet(self, peers: dict[str, channel.PeerAddress]) -> None:
        """The servers of the table: whom to let in, and where to find them."""
        self._peers = peers
        keys = {name: peer.public_key for name, peer in peers.items()}
        if keys != self._trust:
            try:
                self._router.trust = Trust.of({"server": keys})
                self._trust = keys
            except ConfigError as error:
                self._log(f"the table's keys cannot be used: {error}")
        for name in [name for name, line in self._lines.items() if peers.get(name) != line.address]:
            self._hang_up(name)

    # -- another address

    def _move(self, address: str) -> None:
        """Be reachable there, and speak from there.  Leases and promises are not touched (P20, R20).

        A connection from an address that is gone hangs without a word, so all are made anew.
        """
        before, self._address = self._address, address
        if before in (None, address):
            return
        if not self._everywhere:
            self._door_wanted = address
        self._redial_sds()
        for name in list(self._lines):
            self._hang_up(name)

    def _mind_doors(self) -> None:
        """Open the door that is wanted, as soon as the host has that address; shut others a while after."""
        wanted = self._door_wanted
        if wanted is not None:
            try:
                self._router.listen_also(wanted)
            except BindError as error:
                if not self._door_told:
                    self._log(f"{error}; trying again")
                self._door_told = True
            else:
                self._door_wanted, self._door_told = None, False
                self._old_doors = {door: clock() + OLD_DOOR_S for door in self._router.doors if door != wanted}
        for address in [address for address, close_at in self._old_doors.items() if close_at <= clock()]:
            del self._old_doors[address]
            self._router.listen_no_more(address)

    # -- where the SDS is

    def _find_sds(self, line: channel.SdsAt) -> None:
        """The runner looked up where the SDS is.  Leases are not touched: for who grants them, this is a loss of the link."""
        if (line.address, line.port) == self._sds_at:
            return
        self._sds_at = (line.address, line.port)
        self._redial_sds()

    def _redial_sds(self) -> None:
        if self._sds:
            self._poller.unregister(self._sds)
            self._sds.close()
        self._sds = self._dial_sds()
        if self._sds:
            self._poller.register(self._sds)

    def _dial_sds(self) -> Dealer | None:
        """A connection to the SDS, once it is known where it is."""
        address, port = self._sds_at
        return Dealer(address, port, self._sds_key, self._secret, self._header) if address else None

    # -- the kernel gate

    def _employ(self) -> Porter | None:
        """Who minds the kernel gate; nobody if the owner wants none."""
        if self._config.kernel_gate == "off":
            self._log("no kernel gate: it is off in the settings")
            remove_left(self._config, adoption.identity(self._config))
            return None
        table = Table(self._config, adoption.identity(self._config))
        return Porter(lambda: Gate(table), clock)

    def _hear_porter(self) -> list[GateNews]:
        if self._porter is None:
            return []
        held_up = self._porter.held_up_s() > HELD_UP_S
        if held_up and not self._held_up:
            self._log(f"the kernel has not taken an order of the kernel gate for {HELD_UP_S:g} s: doors may shut though leases run")
        self._held_up = held_up
        news, remarks = self._porter.heard()
        for one in news:
            if one.in_force is not self._gate:
                self._gate = one.in_force
                self._log("the kernel gate is in force" if one.in_force else f"no kernel gate: {one.reason}")
        for remark in remarks:
            self._log(remark)
        return list(news)

    # -- what goes out

    def _step(self, event: Any) -> int | None:
        code = None
        actions = self._machine.step(event, clock())
        if self._porter:
            # first: who is told to start shall find the door open
            self._porter.want(Wanted(self._address, self._machine.doors, self._machine.wish))
        for action in actions:
            match action:
                case Send():
                    self._send(action)
                case ToTether():
                    self._tell_tether(action.line)
                case ToRunner():
                    if self._runner is not None:
                        self._runner.send(action.line)
                case Note():
                    self._log.transition(action.transition)
                    if self._runner is not None:
                        self._runner.send(channel.Tell(transition=action.transition))
                case Quit():
                    code = self._quit(action)
        return code

    def _send(self, action: Send) -> None:
        to = action.to
        if to.part == "sds":
            if self._sds:
                self._sds.send(action.message)
        elif to.incarnation:
            connection = self._connections.get((to.name, to.incarnation))
            if connection is not None and not self._router.send(connection, action.message):
                del self._connections[to.name, to.incarnation]
        else:
            dealer = self._dial(to.name)
            if dealer is not None:
                dealer.send(action.message)

    def _dial(self, name: str) -> Dealer | None:
        address = self._peers.get(name)
        if address is None:
            return None
        line = self._lines.get(name)
        if line is None:
            self._hang_up_unused()
            dealer = Dealer(address.address, address.port, address.public_key, self._secret, self._header, server_name=name)
            line = self._lines[name] = PeerLine(address, dealer)
            self._poller.register(dealer)
        line.used_at = clock()
        return line.dealer

    def _hang_up_unused(self) -> None:
        for name in [name for name, line in self._lines.items() if clock() - line.used_at > UNUSED_PEER_S]:
            self._hang_up(name)

    def _hang_up(self, name: str) -> None:
        line = self._lines.pop(name)
        self._poller.unregister(line.dealer)
        line.dealer.close()

    def _tell_tether(self, line: channel.Line) -> None:
        """The guard strikes first: a tether that is stopped or hung must not keep a service alive."""
        if isinstance(line, channel.Kill) and line.service in self._pids:
            try:
                os.killpg(self._pids[line.service], signal.SIGKILL)
            except OSError:
                pass  # it ended by itself
        self._tether.send(line)

    def _quit(self, action: Quit) -> int:
        self._log(f"this server may not go on: {action.reason}")
        if action.beyond >= self._header.incarnation:
            try:
                exceed(Path(self._config.state_dir), action.beyond)
            except ConfigError as error:
                self._log(str(error))
                return MISCONFIGURED
            return AGAIN
        return PART_REFUSED


def main() -> NoReturn:
    """python -m agent.guard CONFIG --tether-fd N --timing PRESET [--log text|json]"""
    parser = argparse.ArgumentParser(prog="python -m agent.guard")
    parser.add_argument("config")
    parser.add_argument("--tether-fd", type=int, required=True)
    parser.add_argument("--log", default="text")
    parser.add_argument("--timing", choices=get_args(PresetName), required=True)
    options = parser.parse_args()
    tether = LineSocket.inherited(options.tether_fd)
    # At once: on its way out Python would close the line first, and the tether kills a guard that is mute, so that its status were lost.
    os._exit(_be_guard(options.config, options.log, Timing.named(options.timing), tether))


def _be_guard(path: str, log_format: str, timing: Timing, tether: LineSocket) -> int:
    log = Log("", "guard", log_format)
    try:
        config = parse(Path(path).read_text(), AgentConfig, path)
        log = Log(config.name, "guard", log_format)
        take_over_logging(log)
        in_force = scheduling.take("fifo", threads_inherit=True)
        guard = Guard(config, tether, timing, log)
    except ConfigError as error:
        log(str(error))
        return MISCONFIGURED
    except (BindError, OSError) as error:
        log(str(error))
        return PART_REFUSED
    if in_force.scheduling != "other":
        scheduling.stop_inheritance()
    end_all = adoption.end_all_after_tether(adoption.identity(config), lambda: guard.pids)
    scheduling.be_quiet()
    code = guard.run()
    if guard.alone:
        end_all()
    return code


if __name__ == "__main__":
    main()
