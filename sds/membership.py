"""Who registers, returns, moves, falls silent, is refused: P6, R15, R16, R20.

A server is its guard and its runner.  The guard's report decides which
incarnation speaks for the name; the runner's registration says what it offers.

    unknown --report--> present --report of a higher incarnation--> challenged
                           ^                                          |   |
                           |<--- one G without a word of the old one--|   |
                           |<--- the old one answers: the new one is refused
"""

from __future__ import annotations

from typing import Any

import msgspec

from bus.config import Timing
from bus.messages import AreYouThere, Loadlevel, Message, Registration, Rejection, Report
from bus.step import LONG_AGO, Note, Peer, Send
from bus.timeline import Transition
from bus.values import FilesState, NameState, Readiness
from sds.clocks import Clocks


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What the store keeps of a server."""

    name: str
    incarnation: int
    version: int = 0
    registration: Registration | None = None
    public_key: str = ""
    drained: bool = False


class Presence(msgspec.Struct):
    """What only the running SDS knows of a server."""

    guard_heard_at: float = LONG_AGO
    runner_heard_at: float = LONG_AGO
    up_since: float = LONG_AGO
    loadlevel: float | None = None
    serving: dict[str, int] = {}
    names: dict[str, str] = {}
    naming: dict[str, NameState] = {}
    own_name: NameState | None = None
    standby: dict[str, Readiness] = {}
    files: dict[str, FilesState] = {}
    challenger: Peer | None = None
    challenged_at: float = LONG_AGO
    challenge: int = 0
    stands_in: frozenset[str] = frozenset()
    told_silent: bool = True


class Membership:
    """All servers, and which of their incarnations is believed."""

    def __init__(self, servers: dict[str, Server], timing: Timing) -> None:
        self.servers = dict(servers)
        self.presence = {name: Presence() for name in servers}
        self.left: frozenset[str] = frozenset()  # their keys are not trusted: nothing is heard of them
        self._timing = timing
        self._clocks = Clocks(timing.clock_error)

    # -- questions of the witness and of moves

    def incarnation(self, name: str) -> int:
        """The incarnation that speaks for this name; 0 if none ever did."""
        server = self.servers.get(name)
        return server.incarnation if server else 0

    def is_up(self, name: str, now: float) -> bool:
        """Both its guard and its runner were heard lately."""
        presence = self.presence.get(name)
        if presence is None:
            return False
        silent_s = self._timing.silent_s
        return now - presence.guard_heard_at < silent_s and now - presence.runner_heard_at < silent_s

    def heard_at(self, name: str) -> float:
        """When the guard last said anything."""
        presence = self.presence.get(name)
        return presence.guard_heard_at if presence else LONG_AGO

    def stands_in(self, name: str, service: str, now: float) -> bool:
        """Whether this server is heard, and says that it is the service's secondary."""
        return self.is_up(name, now) and service in self.presence[name].stands_in

    def readiness(self, name: str, service: str, now: float) -> Readiness | None:
        """How far this server is prepared to take the service over, as it says itself; None if it does not say."""
        return self.presence[name].standby.get(service) if self.is_up(name, now) else None

    def files(self, name: str, service: str, now: float) -> FilesState | None:
        """How far the service's files are on this server, as it says itself; None if it does not say (P4)."""
        return self.presence[name].files.get(service) if self.is_up(name, now) else None

    def lost(self, name: str) -> None:
        """Its secondary and the SDS agree that it is silent: it counts as such until it is heard anew."""
        presence = self.presence.get(name)
        if presence:
            presence.guard_heard_at = LONG_AGO

    def why_not(self, name: str, service: str, now: float) -> str | None:
        """Why this server cannot take the service now; None if it can."""
        server = self.servers.get(name)
        if server is None or server.registration is None:
            return "it never registered"
        if name in self.left:
            return "it left the cluster"
        if not self.is_up(name, now):
            return "it is silent"
        if server.drained or server.registration.draining:
            return "it is draining"
        registration = server.registration
        complaint = self._clocks.complaint(name)
        if complaint:
            return complaint
        if service in registration.able:
            return None
        return registration.unable.get(service, "it has not said yet whether it can run it")

    def offer(self, registration: Registration, name: str) -> tuple[tuple[str, ...], dict[str, str]]:
        """What this server can run as the table shows it, and why not the rest: with a wrong clock, nothing (R2)."""
        complaint = self._clocks.complaint(name)
        if complaint is None:
            return registration.able, registration.unable
        return (), registration.unable | dict.fromkeys(registration.able, complaint)

    def describes(self, name: str, service: str) -> bool:
        """Whether this server, as far as is known, is up to describe the service as its own."""
        server = self.servers.get(name)
        registration = server.registration if server else None
        return (
            registration is not None and name not in self.left and any(definition.name == service for definition in registration.services)
        )

    def timing_of(self, name: str) -> tuple[float, float]:
        """H and S of this server."""
        server = self.servers.get(name)
        if server is None or server.registration is None:
            return self._timing.lease_s, self._timing.stop_s
        return server.registration.lease_s, server.registration.stop_s

    def longest_promise_s(self) -> float:
        """The longest G that any server may have been promised (R16)."""
        known = [self._timing.promise_for(*self.timing_of(name)) for name in self.servers]
        return max([self._timing.promise_s, *known])

    # -- who may speak

    def admits(self, sender: Peer, message: Message, now: float) -> tuple[bool, list[Any]]:
        """Whether this incarnation speaks for its name (R15, R20), and what to answer if not."""
        server = self.servers.get(sender.name)
        presence = self.presence.setdefault(sender.name, Presence())
        if server is not None and sender.incarnation < server.incarnation:
            return False, self._refuse_stale(sender, server)
        if server is not None and sender.incarnation == server.incarnation:
            self._heard(sender, presence, now)
            answered = isinstance(message, Report) and presence.challenger is not None and message.answers == presence.challenge
            return True, self._refuse_challenger(server, presence) if answered else []
        if sender.part != "guard" or not isinstance(message, Report):
            return False, []
        return self._newcomer(sender, server, presence, now)

    def _heard(self, sender: Peer, presence: Presence, now: float) -> None:
        was_silent = now - min(presence.guard_heard_at, presence.runner_heard_at) >= self._timing.silent_s
        if sender.part == "guard":
            presence.guard_heard_at = now
        elif sender.part == "runner":
            presence.runner_heard_at = now
        if was_silent:
            presence.up_since = now

    def _refuse_stale(self, sender: Peer, server: Server) -> list[Any]:
        text = (
            f"{sender.name} speaks as incarnation {sender.incarnation}, but incarnation {server.incarnation} has registered: "
            "another live server has this name, or this one's state directory is older than it was"
        )
        evidence = {"code": "stale-incarnation", "by": sender.name}
        note = Note(Transition(kind="refused", server=server.name, text=text, evidence=evidence))
        return [Send(sender, Rejection(code="stale-incarnation", text=text, highest=server.incarnation)), note]

    def _refuse_challenger(self, server: Server, presence: Presence) -> list[Any]:
        """The old incarnation answered the challenge: two live servers have one name."""
        challenger, presence.challenger = presence.challenger, None
        if challenger is None:
            return []
        address = server.registration.address if server.registration else "an unknown address"
        text = f"another live server speaks as {server.name}, from {address}: give one of the two another name and key"
        evidence = {"code": "name-taken", "by": server.name}
        note = Transition(kind="refused", server=server.name, text=f"a second live server of this name: {text}", evidence=evidence)
        return [Send(challenger, Rejection(code="name-taken", text=text, highest=server.incarnation)), Note(note)]

    def _newcomer(self, sender: Peer, server: Server | None, presence: Presence, now: float) -> tuple[bool, list[Any]]:
        if server is not None and presence.challenger != sender:
            presence.challenger, presence.challenged_at, presence.challenge = sender, now, int(now * 1e6)
            return False, [Send(Peer(server.name, "guard", server.incarnation), AreYouThere(challenge=presence.challenge))]
        if server is not None and now - presence.challenged_at <= self.longest_promise_s():
            return False, []
        presence.challenger = None
        presence.guard_heard_at, presence.runner_heard_at = now, LONG_AGO
        presence.serving, presence.standby, presence.stands_in, presence.up_since = {}, {}, frozenset(), now
        presence.files = {}
        kind = "returned" if server else "registered"
        old = server or Server(name=sender.name, incarnation=0)
        self.servers[sender.name] = msgspec.structs.replace(old, incarnation=sender.incarnation, version=old.version + 1)
        evidence = {"incarnation": sender.incarnation} | ({"before": server.incarnation} if server else {})
        return True, [Note(Transition(kind=kind, server=sender.name, text=f"incarnation {sender.incarnation}", evidence=evidence))]

    # -- what it offers

    def register(self, sender: Peer, message: Registration, public_key: str) -> tuple[bool, list[Any]]:
        """A registration of the admitted incarnation: P6, P20.  True if anything is new."""
        old = self.servers[sender.name]
        if old.registration == message and old.public_key == public_key:
            return False, []
        actions: list[Any] = []
        before = old.registration.address if old.registration else None
        if before not in (None, message.address):
            evidence = {"from": before, "to": message.address}
            text = f"from {before} to {message.address}"
            actions.append(Note(Transition(kind="moved", server=sender.name, text=text, evidence=evidence)))
        self.servers[sender.name] = msgspec.structs.replace(old, registration=message, public_key=public_key, version=old.version + 1)
        return True, actions

    def reported(self, sender: Peer, message: Report, now: float) -> None:
        """A report of the admitted incarnation: how its clock runs (R2)."""
        self._clocks.heard(sender.name, sender.incarnation, message.running_s, now)
        self.presence[sender.name].stands_in = frozenset(message.stands_in)

    def save_again(self, name: str) -> Server:
        """The row of this server, to be stored under a version of its own."""
        server = self.servers[name] = msgspec.structs.replace(self.servers[name], version=self.servers[name].version + 1)
        return server

    def loaded(self, sender: Peer, message: Loadlevel) -> None:
        """A loadlevel: P9."""
        presence = self.presence[sender.name]
        presence.loadlevel, presence.serving = message.loadlevel, message.serving
        presence.names, presence.naming, presence.own_name = message.names, message.naming, message.own_name
        presence.standby, presence.files = message.standby, message.files

    def drain(self, name: str, drained: bool) -> bool:
        """Let a server hold nothing, or again something.  False if it is so already."""
        old = self.servers[name]
        if old.drained == drained:
            return False
        self.servers[name] = msgspec.structs.replace(old, drained=drained, version=old.version + 1)
        return True

    def silences(self, now: float) -> list[Any]:
        """Notes about servers that fell silent or were heard again."""
        notes: list[Any] = []
        for name, presence in self.presence.items():
            if name not in self.servers or name in self.left or self.servers[name].registration is None:
                continue
            silent = not self.is_up(name, now)
            if silent == presence.told_silent:
                continue
            presence.told_silent = silent
            if silent:
                heard = {"guard_heard_s": presence.guard_heard_at, "runner_heard_s": presence.runner_heard_at}
                evidence = {part: None if at == LONG_AGO else round(now - at, 3) for part, at in heard.items()}
                notes.append(Note(Transition(kind="silent", server=name, text=self._last_words(presence, now), evidence=evidence)))
            else:
                notes.append(Note(Transition(kind="heard", server=name, text="guard and runner are heard")))
        return notes

    def _last_words(self, presence: Presence, now: float) -> str:
        ages = (("guard", presence.guard_heard_at), ("runner", presence.runner_heard_at))
        heard = [f"its {part} was heard {now - at:.1f} s ago" for part, at in ages if at != LONG_AGO]
        if presence.guard_heard_at == LONG_AGO:
            heard.insert(0, "its guard is not heard")
        return ", ".join(heard)
