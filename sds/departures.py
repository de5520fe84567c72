"""Servers that leave: empty first, then forgotten, their key with them (section 7).

    member --Leave--> drained, hands over --holds nothing--> left
       |---Revoke, Leave by force------------------------------^

Leaving by force is safe: the server is heard no more, by the SDS and by all who
learn it from the table, so what it holds is a lapse and a takeover like any
other.  But a name is a machine for the rules (R15: "it came back empty"), so
nobody gets the name while the record says that the former one holds something.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bus.messages import Leave, Leaving, Message, Rejection, Revoke
from bus.step import Note, Peer, Send
from bus.timeline import Transition
from bus.values import TEXT_LIMIT
from sds.admission import Admission
from sds.membership import Membership
from sds.moves import Situation
from sds.witness import Witness


class Departures:
    """What is asked of a server that goes."""

    def __init__(self, membership: Membership, witness: Witness, admission: Admission, drain: Callable[[str], list[Any]]) -> None:
        """`drain` lets a server hand over what it holds, and have it stored."""
        self._membership = membership
        self._witness = witness
        self._admission = admission
        self._drain = drain

    def held_by(self, name: str) -> list[str]:
        """The services of which the record says, or is about to say, that this server holds them."""
        held = []
        for service, case in self._witness.cases.items():
            records = [case.record, *([case.under_way[0]] if case.under_way else [])]
            if any(record.state == "held" and record.holder == name for record in records):
                held.append(service)
        return sorted(held)

    def impostor(self, name: str, public_key: str) -> bool:
        """Another machine under this name than the one that holds something by the record, and may do so still (R15).

        Its coming back empty would say nothing about the other.  An operator
        who confirms that the other is dead ends the doubt (R13).
        """
        server = self._membership.servers.get(name)
        if server is None or server.public_key in ("", public_key):
            return False
        cases = (self._witness.cases[service] for service in self.held_by(name))
        return any(name not in case.vouched for case in cases)

    def leave(self, sender: Peer, m: Leave, situations: Sequence[Situation], now: float) -> list[Any]:
        """An operator, or the server itself, wants it gone; said again until it is."""
        name = m.server
        if self._admission.busy:
            return []
        if name in self._admission.left:
            return [Send(sender, Leaving(left=True, text=f"{name} has left"))]
        if name not in self._membership.servers and not self._admission.key_of("server", name):
            known = ", ".join(sorted(self._membership.servers.keys() - self._admission.left)) or "none"
            return self._refuse(sender, f"there is no server {name!r}: the servers are {known}")
        held = self.held_by(name)
        if held and not m.force:
            return self._empty(sender, name, held, situations, now)
        what = f", though it held {', '.join(held)}" if held else ""
        note = Note(
            Transition(kind="left", server=name, text=f"by word of {sender.name}{what}", evidence={"by": sender.name, "held": held})
        )
        done = Send(sender, Leaving(left=True, text=f"{name} has left, and its key is no longer trusted"))
        return self._admission.expel(sender, "server", name, lambda: [note, done, *self._farewell(name)])

    def revoke(self, sender: Peer, m: Revoke) -> list[Any]:
        """An operator no longer trusts somebody's key; a server whose key that was has left."""
        return self._admission.revoke(sender, m, lambda: self._farewell(m.name) if m.role == "server" else [])

    def _farewell(self, name: str) -> list[Any]:
        """The last word to its guard, which ends at once if it hears it; nothing depends on that."""
        if name not in self._membership.servers:
            return []
        text = f"{name} has left the cluster, its key is no longer trusted: stop this agent (to come back, join with a new token)"
        return [Send(Peer(name, "guard", self._membership.incarnation(name)), Rejection(code="name-taken", text=text))]

    def _empty(self, sender: Peer, name: str, held: list[str], situations: Sequence[Situation], now: float) -> list[Any]:
        """Let it hand over what it holds; whoever asked asks again."""
        if not self._membership.is_up(name, now):
            remedy = f"if it is dead, locum confirm-dead {name} first; --force lets it go as it is"
            return self._refuse(sender, f"{name} is silent, and may hold {', '.join(held)}: {remedy}")
        stuck = ", ".join(s.definition.name for s in situations if s.holder == name and not s.candidates)
        if stuck:
            return self._refuse(sender, f"{name} holds {stuck}, and nobody else can run that now: --force lets it go all the same")
        actions: list[Any] = [Send(sender, Leaving(left=False, text=f"{name} hands over {', '.join(held)} first"))]
        if not self._membership.servers[name].drained:
            actions += self._drain(name)
            actions.append(Note(Transition(kind="draining", server=name, text=f"it is to leave, by word of {sender.name}")))
        return actions

    def _refuse(self, sender: Peer, text: str) -> list[Any]:
        message: Message = Rejection(code="bad-request", text=text[:TEXT_LIMIT])
        return [Send(sender, message)]
