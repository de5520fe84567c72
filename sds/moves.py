"""Planned moves: failback, drain, move; one at a time, and not in a storm (R14, section 5).

A move is only a wish: the target asks the holder to release (P15), the holder
appoints it and then stops, and the witness grants.  If that does not come about
in time, the wish is withdrawn and tried again later.

    none --order, drain, or home stable for long enough--> wished --target holds it, or time is up--> none
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from bus.step import LONG_AGO, NEVER, Note
from bus.timeline import Transition
from bus.values import ServiceDefinition

MOVE_LIMIT_S = 10.0
"""A wish that did not come about by then is withdrawn."""

UNABLE_LIMIT_S = 2.0
"""A target that cannot take it for so long is given up.  Not sooner: one that is just being prepared, registers anew, or
whose program is replaced is no candidate for a moment, and a move that is given up is not tried again for `MOVE_LIMIT_S`."""

FLAP_WINDOW = 3
"""A service that leaves its home within so many failback delays doubles the delay of its next failback."""

PIN_S = 600.0
"""Where an operator moved a service it is not failed back from for so long; then the move is forgotten."""

LONGEST_BACK_OFF = 64
"""The delay of a failback grows to this multiple at most."""


class Wish(msgspec.Struct, frozen=True):
    """Let this server hold the service."""

    target: str
    until: float
    why: str


class Situation(msgspec.Struct, frozen=True):
    """What a move depends on, of one service, as of now."""

    definition: ServiceDefinition
    holder: str | None
    serving: bool
    draining_holder: bool
    candidates: tuple[str, ...]  # able and live, best first, without the holder
    finishing: bool = False  # a former holder may still serve on: not yet (R22)


class Cluster(Protocol):
    """What moves ask of the SDS."""

    def situations(self, now: float) -> list[Situation]: ...
    def up_since(self, server: str) -> float: ...


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What moves have in mind for a service: for people; nothing is decided by it."""

    target: str | None = None  # of the move that is under way
    why: str | None = None
    within_s: float | None = None  # until it is given up
    failback_in_s: float | None = None  # it goes home by itself after so long; None: not by itself
    failback_why_not: str | None = None
    pinned_s: float = 0.0  # an operator's move holds it where it is for so long
    back_off: int = 1  # its home must have been up so many times longer than is configured
    retry_s: float = 0.0  # after a move that did not come about, the next begins no sooner


class Moves:
    """All planned moves of a cluster."""

    def __init__(self) -> None:
        self.wishes: dict[str, Wish] = {}
        self._ordered: dict[str, tuple[str, float]] = {}  # by service: the target, and until when it is tried
        self._left_home_at: dict[str, float] = {}
        self._back_off: dict[str, int] = {}
        self._home_since: dict[str, float] = {}  # since when a service is at home
        self._not_before: dict[str, float] = {}
        self._unable_since: dict[str, float] = {}  # since when the target of a move cannot take it
        self._pinned_until: dict[str, float] = {}

    def order(self, service: str, target: str, now: float) -> None:
        """An operator wants it there.  One-shot: it pins nothing."""
        self._ordered[service] = (target, now + MOVE_LIMIT_S)

    def step(self, cluster: Cluster, now: float) -> list[Any]:
        """Begin, end and withdraw moves."""
        notes: list[Any] = []
        situations = cluster.situations(now)
        for situation in situations:
            self._watch_home(situation, now)
            notes += self._end(situation, now)
        for situation in situations:
            if not self.wishes:
                notes += self._begin(situation, cluster, now)
        return notes

    def wake_at(self) -> float:
        """When a wish runs out; beginnings are looked for at every step."""
        given_up = [since + UNABLE_LIMIT_S for since in self._unable_since.values()]
        return min((*given_up, *(wish.until for wish in self.wishes.values())), default=NEVER)

    def _watch_home(self, situation: Situation, now: float) -> None:
        """Learn from a service that does not stay at home."""
        definition = situation.definition
        name = definition.name
        window_s = FLAP_WINDOW * definition.failback_delay_s
        if situation.holder == definition.home:
            self._home_since.setdefault(name, now)
            if now - self._home_since[name] > window_s:
                self._back_off.pop(name, None)
        elif name in self._home_since:
            self._left_home_at[name] = now
            stayed_s = now - self._home_since.pop(name)
            if stayed_s < window_s:
                self._back_off[name] = min(2 * self._back_off.get(name, 1), LONGEST_BACK_OFF)

    def _end(self, situation: Situation, now: float) -> list[Any]:
        name = situation.definition.name
        wish = self.wishes.get(name)
        if wish is None:
            return []
        if situation.holder == wish.target and situation.serving:
            self._withdraw(name)
            return [self._note("move-over", situation, f"{wish.target} serves it", target=wish.target, done=True)]
        if situation.holder == wish.target or wish.target in situation.candidates:
            self._unable_since.pop(name, None)
        else:
            self._unable_since.setdefault(name, now)
        if now < wish.until and now < self._unable_since.get(name, now) + UNABLE_LIMIT_S:
            return []
        self._withdraw(name)
        self._not_before[name] = now + MOVE_LIMIT_S
        text = f"given up: {wish.target} did not take it in time"
        return [self._note("move-over", situation, text, target=wish.target, done=False)]

    def _withdraw(self, name: str) -> None:
        del self.wishes[name]
        self._unable_since.pop(name, None)

    def _begin(self, situation: Situation, cluster: Cluster, now: float) -> list[Any]:
        name = situation.definition.name
        if not situation.serving or situation.holder is None or situation.finishing:
            return []
        ordered, until = self._ordered.get(name, ("", LONG_AGO))
        if ordered in situation.candidates or now > until:
            self._ordered.pop(name, None)
        if ordered in situation.candidates and now <= until:
            self._pinned_until[name] = now + PIN_S
            return self._wish(situation, ordered, "order", "an operator asked for it", now)
        if now < self._not_before.get(name, LONG_AGO):
            return []
        if situation.draining_holder and situation.candidates:
            return self._wish(situation, situation.candidates[0], "drain", f"{situation.holder} is draining", now)
        return self._fail_back(situation, cluster, now)

    def _fail_back(self, situation: Situation, cluster: Cluster, now: float) -> list[Any]:
        wait_s, _ = self._failback(situation, cluster, now)
        if wait_s > 0:
            return []
        home = situation.definition.home
        return self._wish(situation, home, "failback", f"{home} is its home and up for {now - cluster.up_since(home):.1f} s", now)

    def _failback(self, situation: Situation, cluster: Cluster, now: float) -> tuple[float, str | None]:
        """In how many seconds the service goes home by itself; NEVER, with the reason, if it does not as things stand."""
        definition = situation.definition
        name, home = definition.name, definition.home
        if situation.holder == home:
            return NEVER, None
        if definition.failback != "auto":
            return NEVER, "its failback is manual"
        if home not in situation.candidates:
            return NEVER, f"{home} cannot take it now"
        up_since = cluster.up_since(home)
        pinned_until = self._pinned_until.get(name, LONG_AGO)
        stable_at = max(up_since, self._left_home_at.get(name, LONG_AGO)) + definition.failback_delay_s * self._back_off.get(name, 1)
        if up_since < pinned_until - PIN_S:
            return max(pinned_until, stable_at) - now, None
        return stable_at - now, None

    def outlook(self, situation: Situation, cluster: Cluster, now: float) -> Outlook:
        """What is under way, and what would come next by itself."""
        name = situation.definition.name
        wish = self.wishes.get(name)
        wait_s, why_not = self._failback(situation, cluster, now)
        return Outlook(
            target=wish.target if wish else None,
            why=wish.why if wish else None,
            within_s=max(0.0, wish.until - now) if wish else None,
            failback_in_s=None if wait_s == NEVER else max(0.0, wait_s),
            failback_why_not=why_not,
            pinned_s=max(0.0, self._pinned_until.get(name, LONG_AGO) - now),
            back_off=self._back_off.get(name, 1),
            retry_s=max(0.0, self._not_before.get(name, LONG_AGO) - now),
        )

    def _wish(self, situation: Situation, target: str, cause: str, why: str, now: float) -> list[Any]:
        self.wishes[situation.definition.name] = Wish(target, now + MOVE_LIMIT_S, why)
        candidates = list(situation.candidates)
        return [self._note("move", situation, f"to {target}: {why}", target=target, cause=cause, candidates=candidates)]

    def _note(self, kind: str, situation: Situation, text: str, **evidence: Any) -> Note:
        return Note(Transition(kind=kind, server=situation.holder, service=situation.definition.name, text=text, evidence=evidence))
