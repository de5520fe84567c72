"""The Service Description Server as one machine: each message to the part that decides.

    Report, Registration, Loadlevel -> membership      who is here
    Renewal, Takeover, Appointment, Released -> witness   who may hold what
    Order, and the passing of time -> moves             what should move
    TokenRequest, Join, Revoke, Leave -> admission, departures   whose keys are trusted

What changed in the table is published after every step (P7, P13).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from bus.config import Timing
from bus.messages import (
    Accepted,
    Epochs,
    Happened,
    Join,
    Leave,
    Loadlevel,
    Message,
    Order,
    Registration,
    Rejection,
    Report,
    Revoke,
    TableRequest,
    TableUpdate,
    TokenRequest,
)
from bus.step import NEVER, Draw, Note, Peer, Received, Send, Tick
from bus.timeline import KINDS, Transition, sound
from bus.values import TEXT_LIMIT, ServerRow, ServiceDefinition, ServiceRow
from sds.admission import Admission, Book, BookNotWritten, BookWritten, Place, Relisted
from sds.case import Record, WriteFailed, Written
from sds.complaints import Complaints
from sds.departures import Departures
from sds.membership import Membership, Server
from sds.moves import Moves, Situation
from sds.naming import address_of, server_name, service_name
from sds.rows import HighWater
from sds.status import Since, explaining, files_status, priorities, server_row, server_status, service_row, service_status
from sds.table import TableOfAll
from sds.witness import Witness

SEQ_STEP = 2**32
"""Each incarnation of the SDS numbers its updates above those of the one before."""


class Publish(msgspec.Struct, frozen=True):
    """Send this to all subscribers; it may be lost."""

    update: TableUpdate


_SAID = (Send, Publish)
"""What changes nothing in the table: words that leave."""


class Outlived(msgspec.Struct, frozen=True):
    """A server has heard a later SDS than this one is: its state was lost, and it must start again above that number (R18)."""

    incarnation: int


class WriteServer(msgspec.Struct, frozen=True):
    """Store this server's row; nothing waits for it, and it is repeated if it fails."""

    server: Server


class ServerWriteFailed(msgspec.Struct, frozen=True):
    """The row is not known to be stored."""

    name: str


class Turned(msgspec.Struct, frozen=True):
    """The door turned somebody away: an unknown key, garbage, a name that is not the key's."""

    code: str
    text: str


class ServiceDescription:
    """Everything the SDS decides."""

    def __init__(
        self,
        *,
        cluster: str,
        incarnation: int,
        timing: Timing,
        servers: Iterable[Server],
        records: Iterable[Record],
        high_water: dict[str, HighWater],
        public_key_of: Callable[[str], str],
        draw: Draw,
        now: float,
        admission: Admission | None = None,
    ) -> None:
        self._cluster = cluster
        self._incarnation = incarnation
        self._timing = timing
        self._public_key_of = public_key_of
        self.membership = Membership({server.name: server for server in servers}, timing)
        records = list(records)
        quiet_until = now + self.membership.longest_promise_s()
        self.witness = Witness(records, high_water, self, timing, incarnation, draw, quiet_until)
        self.moves = Moves()
        self.admission = admission or Admission(Book(cluster=cluster), {}, Place(), now, now)
        self.membership.left = self.admission.left
        self._departures = Departures(self.membership, self.witness, self.admission, self._drain)
        self.table = TableOfAll(incarnation * SEQ_STEP)
        self.wake_at = now
        self._look_at = now
        self._beacon_at = now
        self._since = Since()
        self._unsaved: set[str] = set()
        self._complaints = Complaints()

    # -- the door

    def step(self, event: Any, now: float) -> list[Any]:
        """One event; what to do about it."""
        match event:
            case Received():
                actions = self._receive(event.sender, event.message, now)
            case Tick():
                actions = self._tick(now)
            case Written() | WriteFailed():
                actions = self.witness.step(event, now)
            case ServerWriteFailed():
                self._unsaved.add(event.name)
                actions = []
            case Turned():
                actions = [Note(Transition(kind="refused", text=event.text, evidence={"code": event.code}))]
            case BookWritten():
                actions = self._trust_changed(self.admission.written())
            case BookNotWritten():
                actions = self.admission.not_written(event.reason)
            case Relisted():
                actions = self._trust_changed(self.admission.relist(event.listed))
            case _:
                raise AssertionError(f"an SDS gets no {event!r}")
        if not all(isinstance(action, _SAID) for action in actions):
            actions += self._publish(now)
            actions = self._without_repeated_refusals(actions, now)
        self.wake_at = min(self._look_at, self.witness.wake_at(now))
        return actions

    def _without_repeated_refusals(self, actions: list[Any], now: float) -> list[Any]:
        """Whoever is refused asks again and again: the history hears of it at a bounded rate."""
        kept: list[Any] = []
        for action in actions:
            if isinstance(action, Note) and action.transition.kind == "refused":
                told = self._complaints.told(action.transition, now)
                kept += [Note(told)] if told else []
            else:
                kept.append(action)
        return kept

    def _receive(self, sender: Peer, message: Message, now: float) -> list[Any]:
        if sender.part not in ("guard", "runner"):
            return self._answer_person(sender, message, now)
        if self._departures.impostor(sender.name, self._public_key_of(sender.name)):
            return self._refuse_impostor(sender, message)
        admitted, actions = self.membership.admits(sender, message, now)
        if not admitted:
            return actions
        match message:
            case Report():
                self.membership.reported(sender, message, now)
                if message.knows > self._incarnation:
                    return [Outlived(message.knows)]
                actions += self.witness.receive(sender, message, now)
                epochs = {name: case.record.epoch for name, case in self.witness.cases.items()}
                actions.append(Send(sender, Epochs(incarnation=sender.incarnation, epochs=epochs)))
                if any(isinstance(action, Note) for action in actions):
                    self.witness.returned(sender.name, now)
                    actions.append(WriteServer(self.membership.servers[sender.name]))
            case Registration():
                actions += self._register(sender, message, now)
            case Loadlevel():
                current = message.seq == self.table.seq
                self.membership.loaded(sender, message)
                actions += self._publish(now)
                if not current:
                    actions.append(Send(sender, self.table.whole(0)))
            case TableRequest():
                actions.append(Send(sender, self.table.whole(0)))
            case Happened():
                actions += self._happened(sender, message)
            case _:
                actions += self.witness.receive(sender, message, now)
        return actions

    def _answer_person(self, sender: Peer, message: Message, now: float) -> list[Any]:
        """Who is neither guard nor runner: an operator, a viewer, a newcomer, a server that leaves."""
        match sender.part, message:
            case "operator", Order():
                return self._order(sender, message, now)
            case "operator", TokenRequest():
                return self.admission.token(sender, message, now)
            case "operator", Revoke():
                return self._departures.revoke(sender, message)
            case (("operator" | "member"), Leave()) if sender.part == "operator" or sender.name == message.server:
                self._look_at = now
                return self._departures.leave(sender, message, self.situations(now), now)
            case "joiner", Join():
                services = [case.record.definition for case in self.witness.cases.values()]
                return self.admission.join(sender, message, services, self._departures.held_by(message.name), now)
            case (("operator" | "viewer"), TableRequest()):
                return [Send(sender, self.table.whole(0))]
        text = f"a {sender.part} may not send {type(message).__name__}"
        return [self._refused(sender, message, "not-allowed", text), Send(sender, Rejection(code="not-allowed", text=text))]

    def _refused(self, sender: Peer, message: Message, code: str, text: str) -> Note:
        evidence = {"message": type(message).__name__, "code": code, "by": sender.name}
        return Note(Transition(kind="refused", service=getattr(message, "service", None), text=text, evidence=evidence))

    def _trust_changed(self, actions: list[Any]) -> list[Any]:
        """Who left is no candidate; who came back under another key is not drained any more."""
        back, self.membership.left = self.membership.left - self.admission.left, self.admission.left
        fresh = [name for name in sorted(back & self.membership.servers.keys()) if self.membership.drain(name, False)]
        return [*actions, *(WriteServer(self.membership.servers[name]) for name in fresh)]

    def _refuse_impostor(self, sender: Peer, message: Message) -> list[Any]:
        text = (
            f"another machine held {', '.join(self._departures.held_by(sender.name))} under the name {sender.name}, and may do so still: "
            f"wait until it was taken over, or, if that machine is dead, locum confirm-dead {sender.name}"
        )
        return [self._refused(sender, message, "not-allowed", text), Send(sender, Rejection(code="not-allowed", text=text[:TEXT_LIMIT]))]

    def _drain(self, name: str) -> list[Any]:
        self.membership.drain(name, True)
        return [WriteServer(self.membership.servers[name])]

    def _register(self, sender: Peer, message: Registration, now: float) -> list[Any]:
        new, actions = self.membership.register(sender, message, self._public_key_of(sender.name))
        for definition in message.services:
            if definition.home == sender.name:
                actions += self._define(definition, sender, now)
        if new:
            actions.append(WriteServer(self.membership.servers[sender.name]))
        actions += self._publish(now)
        actions.append(Send(sender, self.table.whole(sender.incarnation)))
        return actions

    def _define(self, definition: ServiceDefinition, sender: Peer, now: float) -> list[Any]:
        """A service has one home; another server may describe it only once that home no longer does (R15)."""
        case = self.witness.cases.get(definition.name)
        home = case.record.definition.home if case else sender.name
        if home == sender.name or not self.membership.describes(home, definition.name):
            return self.witness.define(definition, now)
        text = f"{definition.name} is {home}'s service already: take [[service]] {definition.name} out of the file of one of the two"
        evidence = {"message": "Registration", "code": "not-allowed", "by": sender.name}
        note = Transition(kind="refused", server=sender.name, service=definition.name, text=text, evidence=evidence)
        return [Note(note), Send(sender, Rejection(code="not-allowed", text=text))]

    def _happened(self, sender: Peer, message: Happened) -> list[Any]:
        if message.kind not in KINDS:
            return []
        transition = Transition(
            kind=message.kind,
            server=sender.name,
            service=message.service,
            epoch=message.epoch,
            text=message.text,
            evidence=sound(message.evidence),
        )
        return [Note(transition)]

    def _tick(self, now: float) -> list[Any]:
        actions: list[Any] = []
        actions += self.witness.tick(now)
        if now >= self._look_at:
            self._look_at = now + self._timing.loadlevel_s / 2
            actions += self.membership.silences(now)
            actions += self.moves.step(self, now)
            actions += [WriteServer(self.membership.save_again(name)) for name in sorted(self._unsaved)]
            self._unsaved.clear()
            actions += self._publish(now)
            if now >= self._beacon_at:
                self._beacon_at = now + self._timing.loadlevel_s
                actions.append(Publish(self.table.beacon()))
        return actions

    def _publish(self, now: float) -> list[Any]:
        servers, services = self.rows(now)
        for row in services.values():
            self._since.note(row, now)
        update = self.table.refresh(servers, services)
        if update is None:
            return []
        self._beacon_at = now + self._timing.loadlevel_s
        return [Publish(update)]

    # -- what witness and moves ask

    def is_up(self, name: str, now: float) -> bool:
        """For the witness."""
        return self.membership.is_up(name, now)

    def why_not(self, name: str, service: str, now: float) -> str | None:
        """For the witness."""
        return self.membership.why_not(name, service, now)

    def incarnation(self, name: str) -> int:
        """For the witness."""
        return self.membership.incarnation(name)

    def timing_of(self, name: str) -> tuple[float, float]:
        """For the witness."""
        return self.membership.timing_of(name)

    def heard_at(self, name: str) -> float:
        """For the witness."""
        return self.membership.heard_at(name)

    def everyone(self) -> list[str]:
        """For the witness: every server that ever registered."""
        return sorted(self.membership.servers)

    def ranked(self) -> list[str]:
        """All servers, lowest priority first, ties by name (P8)."""
        ranks = priorities(self.membership, self.witness)
        return sorted(self.membership.servers, key=lambda name: (ranks.get(name, 1_000), name))

    def candidates(self, service: str, besides: str | None, now: float) -> list[dict[str, Any]]:
        """For the witness, and for people: who could take the service, best first, and why one could not (P8)."""
        ranks = priorities(self.membership, self.witness)
        rows = [
            {"server": name, "priority": ranks.get(name), "ok": why_not is None, "why_not": why_not}
            for name in self.ranked()
            if name != besides and name not in self.membership.left and self.membership.servers[name].registration is not None
            for why_not in (self.why_not(name, service, now),)
        ]
        return sorted(rows, key=lambda row: not row["ok"])

    def lost(self, name: str) -> None:
        """For the witness."""
        self.membership.lost(name)

    def up_since(self, server: str) -> float:
        """For moves."""
        presence = self.membership.presence.get(server)
        return presence.up_since if presence else NEVER

    def situations(self, now: float) -> list[Situation]:
        """For moves."""
        found = []
        ranked = self.ranked()
        for name, case in sorted(self.witness.cases.items()):
            record = case.record
            holder = record.holder if record.state == "held" else None
            server = self.membership.servers.get(holder or "")
            presence = self.membership.presence.get(holder or "")
            able = [s for s in ranked if s != holder and self.membership.why_not(s, name, now) is None and case.may_try(s, now)]
            serving = bool(presence and presence.serving.get(name) == record.epoch and holder and self.is_up(holder, now))
            draining, finishing = bool(server and server.drained), now < case.finishing_until
            found.append(Situation(record.definition, holder, serving, draining, tuple(able), finishing))
        return found

    # -- orders

    def _order(self, sender: Peer, order: Order, now: float) -> list[Any]:
        refusal = self._why_refused(order, now)
        if refusal:
            note = self._refused(sender, order, "bad-request", f"{sender.name} ordered {order.verb}: {refusal}")
            return [note, Send(sender, Rejection(code="bad-request", text=refusal))]
        server = order.server or ""
        actions: list[Any] = []
        if order.verb == "move":
            target = server or self._best_target(order.service or "", now)
            self.moves.order(order.service or "", target, now)
            text = f"{order.service} is being moved to {target}"
        elif order.verb == "confirm-dead":
            text = f"{sender.name} vouches for it"
            actions.append(Note(Transition(kind="confirmed-dead", server=server, text=text, evidence={"by": sender.name})))
            actions += self.witness.confirm_dead(server, now)
            text = f"{server} counts as dead: what it held may start elsewhere"
        else:
            drained = order.verb == "drain"
            self.membership.drain(server, drained)
            kind = "draining" if drained else "resumed"
            actions.append(WriteServer(self.membership.servers[server]))
            text = f"on {sender.name}'s order"
            actions.append(Note(Transition(kind=kind, server=server, text=text, evidence={"by": sender.name})))
            text = f"{server} is being drained" if drained else f"{server} may hold services again"
        self._look_at = now
        return [*actions, Send(sender, Accepted(text=text))]

    def _best_target(self, service: str, now: float) -> str:
        return next(s.candidates[0] for s in self.situations(now) if s.definition.name == service)

    def _why_refused(self, order: Order, now: float) -> str | None:
        if order.verb == "move":
            return self._why_not_move(order, now)
        server = self.membership.servers.get(order.server or "")
        if server is None:
            return f"there is no server {order.server!r}: the servers are {', '.join(sorted(self.membership.servers)) or 'none'}"
        if order.verb == "confirm-dead":
            return self._why_not_dead(server.name, now)
        if order.verb in ("drain", "resume") and server.drained == (order.verb == "drain"):
            return f"{server.name} is {'already drained' if server.drained else 'not drained'}"
        return None

    def _why_not_dead(self, server: str, now: float) -> str | None:
        heard_s = now - self.heard_at(server)
        if heard_s < max(self._timing.silent_s, self.membership.longest_promise_s()):
            return f"{server} is alive: its guard was heard {heard_s:.1f} s ago"
        known_in_s = self.witness.quiet_until + self._timing.silent_s - now
        if known_in_s > 0:
            return f"this SDS has just started and cannot know yet whether {server} is heard: say it again in {known_in_s:.1f} s"
        return None

    def _why_not_move(self, order: Order, now: float) -> str | None:
        case = self.witness.cases.get(order.service or "")
        if case is None:
            return f"there is no service {order.service!r}: the services are {', '.join(sorted(self.witness.cases)) or 'none'}"
        situation = next(s for s in self.situations(now) if s.definition.name == order.service)
        if situation.holder is None or not situation.serving:
            return f"{order.service} is not being served now: wait until it is"
        if order.server == situation.holder:
            return f"{order.server} holds {order.service} already"
        if order.server and order.server not in situation.candidates:
            return f"{order.server} cannot take {order.service}: {self.why_not(order.server, order.service or '', now)}"
        if not situation.candidates:
            return f"nobody else can take {order.service}"
        if situation.finishing:
            left_s = case.finishing_until - now
            return f"{order.service} has just moved, and its former holder may serve on for {left_s:.1f} s: try again then"
        return None

    # -- what people see

    def rows(self, now: float) -> tuple[dict[str, ServerRow], dict[str, ServiceRow]]:
        """The table as of now."""
        ranks = priorities(self.membership, self.witness)
        servers = {}
        for server in self.membership.servers.values():
            row = server_row(server, self.membership, ranks, now)
            if row:
                servers[row.name] = msgspec.structs.replace(row, public_key=self._public_key_of(row.name))
        services = {
            name: service_row(case.record, case.suspects is not None, self.moves.wishes.get(name), self.membership, now)
            for name, case in self.witness.cases.items()
        }
        return servers, services

    def status(self, sds: list[dict[str, Any]], now: float) -> dict[str, Any]:
        """What `locum status --json` prints; `sds` says who asks and answers as SDS."""
        servers, services = self.rows(now)
        outlooks = {s.definition.name: self.moves.outlook(s, self, now) for s in self.situations(now)}
        heard = {name: now - max(p.guard_heard_at, p.runner_heard_at) for name, p in self.membership.presence.items()}
        return {
            "cluster": self._cluster,
            "seq": self.table.seq,
            "sds": sds,
            "servers": [server_status(servers[name], heard[name], server_name(name, self.membership, now)) for name in sorted(servers)],
            "services": [
                service_status(
                    services[name],
                    self._candidates(name, now),
                    now - self._since.note(services[name], now),
                    address_of(name, services[name], self.membership, now),
                    service_name(name, services[name], self.membership, now),
                    files_status(services[name], self.membership, now),
                )
                | explaining(self.witness.cases[name], outlooks[name])
                for name in sorted(services)
            ],
        }

    def _candidates(self, service: str, now: float) -> list[dict[str, Any]]:
        """Those besides the holder, and who may not try again yet, since it has just failed."""
        case = self.witness.cases[service]
        holder = case.record.holder if case.record.state == "held" else None
        rows = self.candidates(service, holder, now)
        waits = {name: round(failure.retry_at - now, 3) for name, failure in case.failures.items() if failure.retry_at > now}
        return [row | ({"retry_s": waits[row["server"]]} if row["server"] in waits else {}) for row in rows]
