"""The runner's decisions: joining, choosing, and what to tell guard and SDS.

    Welcome --> Registration, repeated until the table answers it (P6)
    table   --> peers and candidates for the guard; moves that this server is to ask for (P15)
    Start   --> `Takeover` of that service
    SIGTERM --> hand over, see others serve it, then exit

Nothing here can make two servers serve: the guard and the SDS see to that.
"""

from __future__ import annotations

from typing import Any

import msgspec

from agent import channel
from agent.choosing import Choosing, ChoosingSettings
from agent.leaving import Leaving
from agent.nameplate import NameAnswered, NameWritten
from agent.naming import Naming
from agent.preparing import Examined, Looked, Preparing, SeenUp
from agent.shelf_events import Restaged
from agent.surroundings import SDS
from agent.takeover import Stage, Takeover
from agent.takeover_events import Checked, Heir, Moved, Outnamed, PointName, PortAsked, Surveyed, ToGuard, ToHistory, Told
from bus.config import Timing
from bus.messages import Happened, Loadlevel, Message, Registration, Table, TableRequest, TableUpdate
from bus.step import LONG_AGO, Peer, Received, Send, Tick
from bus.table_copy import TableCopy
from bus.values import ALONE, NOBODY, TEXT_LIMIT, FilesState, Readiness, ServiceDefinition, is_server

REGISTER_EVERY_S = 0.5
"""Between two registrations that nobody answered."""

REGISTER_SOON_S = 0.03
"""The same just after a move (P20), when the connection is new; doubled with each one."""


KERNEL_GATE = "kernel gate"
"""In the `guards` of a server's status: its services can be reached only through a door that the kernel shuts at the end of a lease."""


class FromGuard(msgspec.Struct, frozen=True):
    """The guard said something."""

    line: channel.Line


class Loaded(msgspec.Struct, frozen=True):
    """A new loadlevel was measured, 0..1."""

    loadlevel: float


class Ability(msgspec.Struct, frozen=True):
    """What this server can run, and why it cannot run the rest (P19)."""

    able: tuple[str, ...]
    unable: dict[str, str]


class FilesAre(msgspec.Struct, frozen=True):
    """How far the files of each service are here (P4)."""

    states: dict[str, FilesState]


class Terminate(msgspec.Struct, frozen=True):
    """This agent is to end."""


class Exit(msgspec.Struct, frozen=True):
    """Everything is handed over: end the process with this code."""

    code: int


class Reconnect(msgspec.Struct, frozen=True):
    """The connections to the SDS came from an address that may be gone: make them anew (P20)."""


class ServicesChanged(msgspec.Struct, frozen=True):
    """The services of the table changed: look anew at what this server can run."""

    definitions: tuple[ServiceDefinition, ...]


class Offer(msgspec.Struct, frozen=True):
    """What this server says of itself."""

    name: str
    address: str  # empty: it has none yet, and says nothing of itself
    peer_port: int
    services: tuple[ServiceDefinition, ...]
    zone: str | None = None
    guards: tuple[str, ...] = ()
    dns_name: str | None = None  # the server's own name (P5)
    authorities: int = 0  # name servers that can be asked what they answer


class Backing(msgspec.Struct, frozen=True):
    """The secondary on record of a service held here."""

    secondary: str = NOBODY
    changing: bool = False


class Running:
    """Everything that the runner of one server decides."""

    def __init__(self, offer: Offer, timing: Timing, choosing: ChoosingSettings, now: float) -> None:
        self._offer = offer
        self._timing = timing
        self._choosing_settings = choosing
        self.table = TableCopy()
        self.takeovers: dict[str, Takeover] = {}
        self.preparing: dict[str, Preparing] = {}
        self._choosing: dict[str, Choosing] = {}
        self._backing: dict[str, Backing] = {}
        self._incarnation: int | None = None
        self._sds_incarnation = 0
        self._sds_heard_at = LONG_AGO
        self._answered = False
        self._ability = Ability(tuple(sorted(service.name for service in offer.services)), {})
        self._loadlevel = 0.0
        self._naming = Naming(offer.authorities, offer.dns_name)
        self._naming.be_at(offer.address, now)
        self._leaving: Leaving | None = None
        self._register_at = now
        self._register_again_s = REGISTER_EVERY_S
        self._loadlevel_at = now
        self._peers_said: dict[str, channel.PeerAddress] | None = None
        self._definitions: tuple[ServiceDefinition, ...] = ()
        self._serving_said: dict[str, int] = {}
        self._standby_said: dict[str, Readiness] = {}
        self._files: dict[str, FilesState] = {}
        self._files_said: dict[str, FilesState] = {}
        self._gate: channel.Gate | None = None
        self._actions: list[Any] = []
        self.wake_at = now

    @property
    def admitted(self) -> bool:
        """The SDS has answered the newest registration: what this incarnation says is heard."""
        return self._answered

    def step(self, event: Any, now: float) -> list[Any]:
        """One event; what to do about it."""
        self._actions = []
        match event:
            case Received():
                self._receive(event.sender, event.message, now)
            case FromGuard():
                self._from_guard(event.line, now)
            case Surveyed() | Checked() | PortAsked() | Told():
                self._takeover(event.service, event, now)
            case NameWritten() | NameAnswered():
                self._name(event, now)
            case Moved():
                self._moved(event, now)
            case Examined() | Looked() | SeenUp() | Restaged():
                self._prepare(event.service, event, now)
            case Loaded():
                self._loadlevel = event.loadlevel
            case FilesAre():
                self._files = event.states
            case Ability():
                self._able(event, now)
            case Terminate():
                self._terminate(now)
            case Tick():
                for service in list(self.takeovers):
                    self._takeover(service, event, now)
                for service in list(self.preparing):
                    self._prepare(service, event, now)
            case _:
                raise AssertionError(f"a runner gets no {event!r}")
        self._periodic(now)
        self._name(Tick(), now)
        self._set_alarm()
        if self._leaving is not None and self._leaving.may_go(self.table, now):
            self._actions.append(Exit(0))
        return self._actions

    # -- the SDS

    def _receive(self, sender: Peer, message: Message, now: float) -> None:
        if sender.part == "sds":
            if sender.incarnation < self._sds_incarnation:
                return
            if sender.incarnation > self._sds_incarnation:
                self._sds_incarnation = sender.incarnation
                self._answered, self._register_at = False, now
            self._sds_heard_at = now
        match message:
            case Table():
                if message.incarnation == self._incarnation:
                    self._answered = self._is_whole_answer(message)
                self.table.take(message)
                self._look_at_table(now)
            case TableUpdate():
                if not self.table.follow(message):
                    self._actions.append(Send(SDS, TableRequest()))
                elif message.servers or message.services or message.left:
                    self._look_at_table(now)
            case _:
                pass

    def _is_whole_answer(self, table: Table) -> bool:
        """Whether the SDS knows of every service what we say of it: this may be the answer to a registration before the newest."""
        row = next((row for row in table.servers if row.name == self._offer.name), None)
        said = {*self._ability.able, *self._ability.unable}
        return row is None or said <= {*row.able, *row.unable}

    def _look_at_table(self, now: float) -> None:
        peers = {
            row.name: channel.PeerAddress(row.address, row.peer_port, row.public_key)
            for row in self.table.servers.values()
            if row.name != self._offer.name and row.public_key
        }
        if peers != self._peers_said:
            self._peers_said = peers
            self._say(channel.Peers(peers=peers))
        definitions = tuple(row.definition for row in self.table.services.values())
        if definitions != self._definitions:
            self._definitions = definitions
            self._actions.append(ServicesChanged(definitions))
            for definition in definitions:
                if definition.name in self.preparing:
                    self._prepare(definition.name, definition, now)
        for service in self._backing:
            self._say_candidates(service, now)
        self._ask_for_moves()

    def _ask_for_moves(self) -> None:
        """The target of a planned move asks its holder (P15)."""
        for row in self.table.services.values():
            if row.move_to == self._offer.name and row.holder not in (None, self._offer.name):
                self._say(channel.AskRelease(service=row.definition.name, holder=row.holder or "", epoch=row.epoch))

    def _say_candidates(self, service: str, now: float) -> None:
        """Only while the SDS is heard: an old table must not make a holder believe that it is alone."""
        if now - self._sds_heard_at > self._timing.silent_s or not self._answered:
            return
        choosing = self._choosing.setdefault(service, Choosing(self._choosing_settings))
        servers = self.table.servers
        ranked = choosing.rank(service, self._offer.name, servers)
        backing = self._backing[service]
        better = None
        if not backing.changing:
            turn = sum(row.secondary == backing.secondary and name < service for name, row in self.table.services.items())
            better = choosing.better(ranked, backing.secondary, self._offer.name, servers, now, turn)
        self._say(channel.Candidates(service=service, names=ranked, better=better))

    # -- the guard

    def _from_guard(self, line: channel.Line, now: float) -> None:
        match line:
            case channel.Welcome():
                self._incarnation, self._answered = line.incarnation, False
                self._register_at = self._loadlevel_at = now
                if self._offer.address:
                    self._say(channel.MovedTo(address=self._offer.address))
                if self._leaving is not None:
                    self._say(channel.HandOver())
            case channel.Tell():
                transition = line.transition
                self._happened(
                    Happened(
                        kind=transition.kind,
                        service=transition.service,
                        epoch=transition.epoch,
                        text=transition.text[:TEXT_LIMIT],
                        evidence=transition.evidence,
                    )
                )
            case channel.HandedOver():
                if self._leaving is not None:
                    self._leaving.handed_over(now)
            case channel.Backed():
                self._backing[line.service] = Backing(line.secondary, line.changing)
                if line.secondary in (NOBODY, ALONE):
                    self._say_candidates(line.service, now)
            case channel.Gate():
                self._gated(line, now)
            case channel.StandingIn() | channel.Standby():
                self._prepare(line.service, line, now)
            case _:
                service: str = line.service  # type: ignore[attr-defined]
                if isinstance(line, channel.Start):
                    self._prepare(service, line, now)
                    self._backing.setdefault(service, Backing())
                    self._say_candidates(service, now)
                elif isinstance(line, channel.Ended | channel.Stop | channel.Finish):
                    self._backing.pop(service, None)
                    self._naming.withdraw(service)
                elif isinstance(line, channel.Exited):
                    self._tell_heir(service, line.epoch, now)
                self._takeover(service, line, now)

    def _tell_heir(self, service: str, epoch: int, now: float) -> None:
        """Who waits hot for what just ended; only while the SDS, which must agree, is heard."""
        row, backing = self.table.services.get(service), self._backing.get(service)
        if row is None or backing is None or backing.changing or now - self._sds_heard_at > self._timing.silent_s:
            return
        if row.standby == "hot" and row.secondary == backing.secondary and is_server(backing.secondary):
            self._takeover(service, Heir(service, epoch, backing.secondary), now)

    def _takeover(self, service: str, event: Any, now: float) -> None:
        takeover = self.takeovers.setdefault(service, Takeover(service))
        for action in takeover.step(event, now):
            if isinstance(action, ToHistory):
                self._happened(action.message)
            elif isinstance(action, PointName):
                self._naming.serve(action.definition, self._offer.address, action.epoch, now)
                self._name(Tick(), now)
            else:
                self._actions.append(action)

    def _name(self, event: Any, now: float) -> None:
        for action in self._naming.step(event, now):
            if isinstance(action, ToHistory):
                self._happened(action.message)
            elif isinstance(action, Outnamed):
                self._naming.withdraw(action.service)
                self._takeover(action.service, action, now)
            else:
                self._actions.append(action)

    def _prepare(self, service: str, event: Any, now: float) -> None:
        """For a service that this server may have to take over."""
        preparing = self.preparing.get(service)
        if preparing is None:
            preparing = self.preparing[service] = Preparing(service)
            if self._gate:
                self._perform_preparing(preparing, self._gate, now)
            row = self.table.services.get(service)
            if row is not None:
                self._perform_preparing(preparing, row.definition, now)
        self._perform_preparing(preparing, event, now)

    def _perform_preparing(self, preparing: Preparing, event: Any, now: float) -> None:
        for action in preparing.step(event, now):
            if isinstance(action, ToHistory):
                self._happened(action.message)
            else:
                self._actions.append(action)

    def _happened(self, message: Happened) -> None:
        self._actions.append(Send(SDS, message))

    def _gated(self, line: channel.Gate, now: float) -> None:
        """Others shall see whether the kernel gate is in force here (R6); a secondary that can be hot only behind it hears of it."""
        self._gate = line
        for preparing in list(self.preparing.values()):
            self._perform_preparing(preparing, line, now)
        others = tuple(guard for guard in self._offer.guards if guard != KERNEL_GATE)
        guards = (*others, KERNEL_GATE) if line.in_force else others
        if guards != self._offer.guards:
            self._offer = msgspec.structs.replace(self._offer, guards=guards)
            self._register_at, self._answered = now, False

    # -- itself

    def _able(self, ability: Ability, now: float) -> None:
        if ability != self._ability:
            self._ability = ability
            self._register_at, self._answered = now, False

    def _moved(self, event: Moved, now: float) -> None:
        """Another address, the same server: tell the SDS, the guard and the services (P20, R20)."""
        if event.address == self._offer.address:
            return
        self._offer = msgspec.structs.replace(self._offer, address=event.address)
        self._say(channel.MovedTo(address=event.address))
        self._actions.append(Reconnect())
        self._register_at, self._answered, self._register_again_s = now, False, REGISTER_SOON_S
        self._naming.be_at(event.address, now)
        for service in list(self.takeovers):
            self._takeover(service, event, now)
        for service in list(self.preparing):
            self._prepare(service, event, now)

    def _terminate(self, now: float) -> None:
        if self._leaving is None:
            self._leaving = Leaving(self._offer.name, self._backing.keys())
            self._register_at, self._answered = now, False
            self._say(channel.HandOver())

    # -- time

    def _periodic(self, now: float) -> None:
        if self._incarnation is None or not self._offer.address:
            return
        if not self._answered and now >= self._register_at:
            self._register_at = now + self._register_again_s
            self._register_again_s = min(2 * self._register_again_s, REGISTER_EVERY_S)
            self._actions.append(Send(SDS, self._registration()))
        serving = {t.service: t.order.epoch for t in self.takeovers.values() if t.order and t.stage is Stage.SERVING}
        standby = {name: preparing.readiness for name, preparing in self.preparing.items() if preparing.readiness}
        said = (self._serving_said, self._standby_said, self._files_said)
        if now >= self._loadlevel_at or (serving, standby, self._files) != said:
            self._loadlevel_at = now + self._timing.loadlevel_s
            self._serving_said, self._standby_said, self._files_said = serving, standby, self._files
            self._naming.watch(self._offer.name, self.table.services.values(), self.table.servers, now)
            loadlevel = Loadlevel(
                loadlevel=self._loadlevel,
                seq=self.table.seq or 0,
                serving=serving,
                names=self._naming.addresses(),
                naming=self._naming.states(now),
                standby=standby,
                files=self._files,
                own_name=self._naming.own_state(now),
            )
            self._actions.append(Send(SDS, loadlevel))
            for service in self._backing:
                self._say_candidates(service, now)
            self._ask_for_moves()

    def _registration(self) -> Registration:
        offer = self._offer
        return Registration(
            address=offer.address,
            peer_port=offer.peer_port,
            zone=offer.zone,
            services=offer.services,
            able=self._ability.able,
            unable={service: why[:TEXT_LIMIT] for service, why in self._ability.unable.items()},
            guards=offer.guards,
            lease_s=self._timing.lease_s,
            stop_s=self._timing.stop_s,
            draining=self._leaving is not None,
        )

    def _set_alarm(self) -> None:
        due = self._naming.wake_at
        for takeover in self.takeovers.values():
            due = min(due, takeover.wake_at)
        for preparing in self.preparing.values():
            due = min(due, preparing.wake_at)
        if self._leaving is not None and self._leaving.until is not None:
            due = min(due, self._leaving.until)
        if self._incarnation is not None and self._offer.address:
            due = min(due, self._loadlevel_at)
            if not self._answered:
                due = min(due, self._register_at)
        self.wake_at = due

    def _say(self, line: channel.Line) -> None:
        self._actions.append(ToGuard(line))
