"""Whose keys are trusted, and how that changes while the SDS runs (section 7, R20).

    trust file ----------------------------------------------> trusted <---.
    operator: TokenRequest -> token -- Join, once, in time --> member      |  unless revoked
                                                    Revoke, leave --> revoked

The trust file is the operator's and only read.  Everything else is the book: it
is durable before anybody is answered, and while it is being written whoever
asks is not answered, since everything asked here is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from bus.messages import Accepted, Issued, Join, Joined, Message, Rejection, Revoke, TokenRequest
from bus.step import Note, Peer, Send
from bus.timeline import Transition
from bus.values import TEXT_LIMIT, Owner, Role, ServiceDefinition

KEPT_S = 7 * 86_400.0
"""A token that is used or expired is remembered for so long, to say so to whoever tries it."""

TOKENS_LIMIT = 1_000
"""Tokens that wait to be used, at most."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """The right to join once."""

    number: int
    public_key: str
    role: Role
    name: str | None
    by: str  # the operator who asked for it
    valid_s: float
    expires_at: float  # of the wall clock, which is looked at only when the SDS starts: CLOCK_BOOTTIME ends with the host
    used_key: str = ""  # the key that joined by it
    used_name: str = ""

    @property
    def id(self) -> str:
        """The name under which its key speaks."""
        return f"token-{self.number}"


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A key that is trusted, or trusted no more."""

    public_key: str
    role: Role
    name: str


class Book(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was added to the trust file, and what was taken away."""

    cluster: str
    tokens: tuple[Token, ...] = ()
    highest: int = 0  # number of a token
    joined: tuple[Member, ...] = ()
    revoked: tuple[Member, ...] = ()
    left: tuple[str, ...] = ()  # servers


class WriteBook(msgspec.Struct, frozen=True):
    """Make this durable, then say `BookWritten`; if it cannot be done, `BookNotWritten`."""

    book: Book


class BookWritten(msgspec.Struct, frozen=True):
    """It is on disk."""


class BookNotWritten(msgspec.Struct, frozen=True):
    """It is not known to be on disk."""

    reason: str


class Relisted(msgspec.Struct, frozen=True):
    """The trust file was read again."""

    listed: dict[str, Owner]


class TrustChanged(msgspec.Struct, frozen=True):
    """Let the sockets trust what `doors` and `owners` say now."""


class Place(msgspec.Struct, frozen=True):
    """What newcomers are told of the SDS, and are given for their own settings."""

    name: str = "sds"
    address: str = "127.0.0.1"
    port: int = 5750
    updates_port: int = 5751
    settings: dict[str, dict[str, Any]] = {}
    secrets: dict[str, str] = {}


class Admission:
    """The trust file, the book, and every change of the book."""

    def __init__(self, book: Book, listed: Mapping[str, Owner], place: Place, now: float, wall: float) -> None:
        """`listed`: the trust file, by public key; `wall`: the wall clock at `now`."""
        self._book = book
        self._listed = dict(listed)
        self._place = place
        self._wall_ahead = wall - now
        self._until = {t.number: now + max(0.0, min(t.expires_at - wall, t.valid_s)) for t in book.tokens}
        self._under_way: tuple[Book, Peer, Callable[[], list[Any]]] | None = None

    # -- who is trusted

    @property
    def left(self) -> frozenset[str]:
        """The servers that left, and did not come back under another key."""
        return frozenset(name for name in self._book.left if not self.key_of("server", name))

    @property
    def busy(self) -> bool:
        """The book is being written."""
        return self._under_way is not None

    def owners(self) -> dict[str, Owner]:
        """Who is trusted, by public key; where file and book differ about a name, the file counts."""
        revoked = {member.public_key for member in self._book.revoked}
        found = {key: owner for key, owner in self._listed.items() if key not in revoked}
        names = {(owner.role, owner.name) for owner in found.values()}
        for member in self._book.joined:
            if member.public_key not in self._listed and (member.role, member.name) not in names:
                found[member.public_key] = Owner(member.name, member.role)
        return found

    def doors(self) -> dict[str, Owner]:
        """The same with the keys of tokens: to be let in, and heard say `Join`; expired and used ones, to be told so."""
        return {token.public_key: Owner(token.id, "joiner") for token in self._book.tokens} | self.owners()

    def key_of(self, role: Role, name: str) -> str:
        """The key trusted for this name; empty if none is."""
        return next((key for key, owner in self.owners().items() if owner == Owner(name, role)), "")

    def complaints(self) -> list[str]:
        """What of the trust file is not in force, or hides somebody who joined."""
        revoked = {member.public_key for member in self._book.revoked}
        names = {(owner.role, owner.name): key for key, owner in self._listed.items() if key not in revoked}
        hidden = [m for m in self._book.joined if names.get((m.role, m.name), m.public_key) != m.public_key]
        return [
            *(f"{o.role} {o.name}: this key is revoked: take the line out" for key, o in self._listed.items() if key in revoked),
            *(f"{m.role} {m.name}: joined under another key than this, which counts: take one of the two out" for m in hidden),
        ]

    # -- the doors

    def token(self, sender: Peer, m: TokenRequest, now: float) -> list[Any]:
        """An operator wants somebody to join."""
        if self.busy:
            return []
        known = next((token for token in self._book.tokens if token.public_key == m.public_key), None)
        if known:
            return [Send(sender, self._issued(known))]
        waiting = sum(1 for token in self._book.tokens if not token.used_key and self._until[token.number] > now)
        if waiting >= TOKENS_LIMIT:
            return self._refuse(sender, f"{waiting} tokens wait to be used already: let some expire")
        if m.public_key in self.doors():
            return self._refuse(sender, "that key is in use: draw another")
        if m.name and self.key_of(m.role, m.name):
            return self._refuse(sender, self._taken(m.role, m.name))
        token = Token(
            number=self._book.highest + 1,
            public_key=m.public_key,
            role=m.role,
            name=m.name,
            by=sender.name,
            valid_s=m.valid_s,
            expires_at=now + self._wall_ahead + m.valid_s,
        )
        text = f"number {token.number}, by {sender.name}, for {m.role} {m.name or 'of any free name'}, for {m.valid_s:.0f} s"

        def then() -> list[Any]:
            self._until[token.number] = now + token.valid_s
            return [
                TrustChanged(),
                Note(Transition(kind="token", text=text, evidence={"token": token.number, "by": sender.name})),
                Send(sender, self._issued(token)),
            ]

        kept = tuple(t for t in self._book.tokens if self._until[t.number] + KEPT_S > now)
        return self._write(msgspec.structs.replace(self._book, tokens=(*kept, token), highest=token.number), sender, then)

    def _issued(self, token: Token) -> Issued:
        place = self._place
        return Issued(number=token.number, address=place.address, port=place.port, updates_port=place.updates_port)

    def join(self, sender: Peer, m: Join, services: Iterable[ServiceDefinition], held: Iterable[str], now: float) -> list[Any]:
        """A newcomer shows a token's key; `held`: what the SDS has on record as held under that name."""
        token = next((token for token in self._book.tokens if token.id == sender.name), None)
        if token is None or self.busy:
            return []
        joined = Joined(name=m.name, role=token.role, sds=self._place.name)  # type: ignore[arg-type]
        if token.role == "server":
            more = {"settings": self._place.settings, "secrets": self._place.secrets, "services": tuple(services)}
            joined = msgspec.structs.replace(joined, **more)
        if (token.used_key, token.used_name) == (m.public_key, m.name) and self.key_of(token.role, m.name) == m.public_key:
            return [Send(sender, joined)]
        refusal = self._why_not_join(token, m, tuple(held), now)
        if refusal:
            note = Note(Transition(kind="refused", server=m.name, text=f"joining by {token.id}: {refusal}"))
            return [note, *self._refuse(sender, refusal)]
        member = Member(public_key=m.public_key, role=token.role, name=m.name)
        used = msgspec.structs.replace(token, used_key=m.public_key, used_name=m.name)
        book = msgspec.structs.replace(
            self._book,
            tokens=tuple(used if t.number == token.number else t for t in self._book.tokens),
            joined=(*(o for o in self._book.joined if (o.role, o.name) != (member.role, member.name)), member),
            left=tuple(name for name in self._book.left if token.role != "server" or name != m.name),
        )
        text = f"as {token.role} {m.name}, by {token.id} of {token.by}"
        evidence = {"token": token.number, "by": token.by, "role": token.role, "name": m.name, "public_key": m.public_key}
        note = Note(Transition(kind="joined", server=m.name if token.role == "server" else None, text=text, evidence=evidence))
        return self._write(book, sender, lambda: [TrustChanged(), note, Send(sender, joined)])

    def _why_not_join(self, token: Token, m: Join, held: tuple[str, ...], now: float) -> str | None:
        if any(member.public_key == m.public_key for member in self._book.revoked):
            return "this key was revoked: move the key file away, and another will be made"
        if token.used_key:
            return f"this token was used already, by {token.used_name}: let an operator make another (locum token)"
        if self._until[token.number] <= now:
            return "this token has expired: let an operator make another (locum token)"
        if token.name not in (None, m.name):
            return f"this token is for the name {token.name}, not {m.name}: leave --name out"
        if token.role == "server" and m.name == self._place.name:
            return f"{m.name} is the name of the SDS: choose another with --name"
        owner = self.doors().get(m.public_key)
        if owner not in (None, Owner(m.name, token.role)):
            return "this key is another's: move the key file away, and one of your own will be made"
        if self.key_of(token.role, m.name) not in ("", m.public_key):
            return self._taken(token.role, m.name)
        if held:
            what = ", ".join(held)
            return f"the former {m.name} still counts as the holder of {what}: wait for the takeover, or locum confirm-dead {m.name}"
        return None

    def _taken(self, role: Role, name: str) -> str:
        remedy = f"locum leave {name}" if role == "server" else f"locum revoke --{role} {name}"
        return f"there is a {role} {name} already: choose another name, or if that one is gone for good, {remedy} first"

    # -- out again

    def revoke(self, sender: Peer, m: Revoke, also: Callable[[], list[Any]]) -> list[Any]:
        """An operator no longer trusts a key; `also` gives the last words to its owner."""
        if self.busy:
            return []
        if not self.key_of(m.role, m.name):
            known = sorted(owner.name for owner in self.owners().values() if owner.role == m.role)
            return self._refuse(sender, f"no key is trusted for {m.role} {m.name}: the {m.role}s are {', '.join(known) or 'none'}")
        if m.role == "operator" and sum(1 for owner in self.owners().values() if owner.role == "operator") == 1:
            return self._refuse(sender, f"{m.name} is the only operator: let another join first (locum token --role operator)")
        text = f"{m.role} {m.name}, by {sender.name}"
        accepted = Accepted(text=f"the key of {m.role} {m.name} is no longer trusted")
        evidence = {"role": m.role, "name": m.name, "by": sender.name, "public_key": self.key_of(m.role, m.name)}
        note = Note(Transition(kind="revoked", server=m.name if m.role == "server" else None, text=text, evidence=evidence))
        return self.expel(sender, m.role, m.name, lambda: [note, Send(sender, accepted), *also()])

    def expel(self, sender: Peer, role: Role, name: str, then: Callable[[], list[Any]]) -> list[Any]:
        """Trust no key of this name, nor what it made; `then` says so, before the sockets are shut to it."""
        key = self.key_of(role, name)
        gone = (Member(public_key=key, role=role, name=name),) if key else ()
        tokens = self._book.tokens
        if role == "operator":
            tokens = tuple(token for token in tokens if token.by != name or token.used_key)
        book = msgspec.structs.replace(
            self._book,
            tokens=tokens,
            joined=tuple(member for member in self._book.joined if (member.role, member.name) != (role, name)),
            revoked=(*self._book.revoked, *gone),
            left=tuple(sorted({*self._book.left, name})) if role == "server" else self._book.left,
        )
        return self._write(book, sender, lambda: [*then(), TrustChanged()])

    def relist(self, listed: Mapping[str, Owner]) -> list[Any]:
        """The trust file was read again."""
        before = self.owners()
        self._listed = dict(listed)
        after = self.owners()
        more, fewer = ([f"{o.role} {o.name}" for k, o in a.items() if b.get(k) != o] for a, b in ((after, before), (before, after)))
        text = f"read again: new: {', '.join(more) or 'nobody'}; trusted no more: {', '.join(fewer) or 'nobody'}"
        return [TrustChanged(), Note(Transition(kind="trust", text=text))]

    # -- the book

    def written(self) -> list[Any]:
        """What was asked for has come true."""
        assert self._under_way is not None
        self._book, _, then = self._under_way
        self._under_way = None
        return then()

    def not_written(self, reason: str) -> list[Any]:
        """Nothing has changed."""
        assert self._under_way is not None
        _, sender, _ = self._under_way
        self._under_way = None
        return [Send(sender, Rejection(code="store", text=f"nothing was changed: {reason}"[:TEXT_LIMIT]))]

    def _write(self, book: Book, sender: Peer, then: Callable[[], list[Any]]) -> list[Any]:
        self._under_way = (book, sender, then)
        return [WriteBook(book)]

    def _refuse(self, sender: Peer, text: str) -> list[Any]:
        message: Message = Rejection(code="bad-request", text=text[:TEXT_LIMIT])
        return [Send(sender, message)]
