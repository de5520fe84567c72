"""One name in the DNS: what it shall say, what was written, what each authority answers (P5, P20, R19).

    wanted --written--> every authority answers it: converged
      ^  |                    |
      |  |--no answer, no-----+--another answer of the primary: wrong
      +--- again, after a while, at most `LONGEST_S`

One write is under way at a time, so that an older one of ours never comes last.
A name is never deleted: who leaves, leaves it to the next.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from agent.takeover_events import Outnamed, ToHistory
from bus.messages import Happened
from bus.step import NEVER
from bus.values import TEXT_LIMIT, NameState

FIRST_S = 0.5
"""Between two attempts to write a name, doubled with each one ..."""

LONGEST_S = 4.0
"""... up to this."""

LONGEST_QUARREL_S = 60.0
"""Where somebody else writes the same name again and again, we do so less and less often, down to this."""

SOON_S = 0.05
"""Between two questions whether every authority has it, doubled with each one ..."""

LOOK_EVERY_S = 2.0
"""... up to this, and then for ever."""


class WriteName(msgspec.Struct, frozen=True):
    """Make the name say this at the primary authority; answer `NameWritten` (P5, R19)."""

    service: str | None  # None: the server's own name
    fqdn: str
    address: str
    epoch: int | None  # None: the server's own name


class NameWritten(msgspec.Struct, frozen=True):
    """The answer: done, or a higher epoch stands there, or why not."""

    service: str | None
    fqdn: str
    address: str
    epoch: int | None
    done: bool
    higher_epoch: int = 0
    text: str = ""


class AskName(msgspec.Struct, frozen=True):
    """Ask every authority what it answers; answer `NameAnswered`."""

    service: str | None
    fqdn: str
    number: int


class Answer(msgspec.Struct, frozen=True):
    """What one authority said; no addresses: there is no such name."""

    authority: str
    addresses: tuple[str, ...] | None  # None: it said nothing
    trouble: str = ""


class NameAnswered(msgspec.Struct, frozen=True):
    """The answers of all authorities, the primary's first."""

    service: str | None
    number: int
    answers: tuple[Answer, ...]


State = Literal["converged", "pending", "wrong"]


class Nameplate:
    """One name, written by this server or only looked at."""

    def __init__(self, service: str | None, fqdn: str, looks: bool, now: float) -> None:
        """`looks`: whether there are authorities to ask."""
        self.service = service
        self.fqdn = fqdn
        self.address: str | None = None  # that it shall have; None: it is only looked at
        self.epoch: int | None = None
        self.answers: tuple[Answer, ...] = ()
        self._looks = looks
        self._state: State = "pending"
        self._why = ""
        self._since = self._wanted_at = now
        self._written = self._writing = self._asking = False
        self._told: set[str] = set()  # kinds of event that were told of this state
        self._number = 0  # of the newest question
        self._retry_s = FIRST_S
        self._again_s = 0.0
        self._ask_s = SOON_S
        self._next_write_at = NEVER
        self._next_ask_at = now if looks else NEVER
        self._actions: list[Any] = []

    @property
    def wake_at(self) -> float:
        """When it wants to be looked at."""
        return min(NEVER if self._writing else self._next_write_at, NEVER if self._asking else self._next_ask_at)

    def state(self, now: float) -> NameState | None:
        """For the status; None if it is not ours to write, or nobody is there to write to."""
        if self.address is None or not self._looks:
            return None
        answers = {a.authority: None if a.addresses is None else ", ".join(a.addresses) for a in self.answers}
        for_s = min(max(0.0, now - self._since), 86_400.0)
        return NameState(fqdn=self.fqdn, state=self._state, for_s=for_s, why=self._why[:TEXT_LIMIT], answers=answers)

    # -- what it shall say

    def want(self, address: str, epoch: int | None, now: float) -> None:
        """It shall lead there; under the same epoch to another address if the holder moved (P20)."""
        if (address, epoch) == (self.address, self.epoch):
            return
        self.address, self.epoch = address, epoch
        self._retry_s, self._again_s, self._since = FIRST_S, 0.0, now
        self._begin("pending", "it has not been written yet", now, now)

    def unwant(self) -> None:
        """It is somebody else's from now on."""
        self.address = self.epoch = None
        self._next_write_at = NEVER

    def _begin(self, state: State, why: str, write_at: float, now: float) -> None:
        self._told.clear()
        self._written, self._wanted_at, self._next_write_at = False, now, write_at
        self._be(state, why, now)

    def _be(self, state: State, why: str, now: float) -> None:
        if state != self._state:
            self._since = now
        self._state, self._why = state, why

    # -- what came of it

    def written(self, event: NameWritten, now: float) -> list[Any]:
        """A write ended."""
        self._actions, self._writing = [], False
        if self.address is None or (event.fqdn, event.address, event.epoch) != (self.fqdn, self.address, self.epoch):
            return self._actions  # meant for what it was before; what is wanted now is due
        if event.done:
            self._written, self._next_write_at = True, NEVER
            self._retry_s, self._ask_s = FIRST_S, SOON_S
            self._number += 1  # what was asked before the write does not count
            self._asking, self._next_ask_at = False, now if self._looks else NEVER
            self._tell("named", event.text)
            self._be("pending", "it is written, and not every authority has been heard", now)
        elif event.higher_epoch and self.service is not None and event.epoch is not None:
            self._next_write_at = NEVER
            self._be("wrong", f"a later holder has written epoch {event.higher_epoch} there", now)
            self._actions.append(Outnamed(self.service, event.epoch, event.higher_epoch))
        else:
            self._tell("unnamed", event.text)
            self._next_write_at = now + self._retry_s
            self._retry_s = min(2 * self._retry_s, LONGEST_S)
            self._be("pending", event.text, now)
        return self._actions

    def answered(self, event: NameAnswered, now: float) -> list[Any]:
        """Every authority was asked."""
        self._actions = []
        if event.number != self._number:
            return self._actions
        self._asking, self._next_ask_at = False, now + LOOK_EVERY_S
        self.answers = event.answers
        if self.address is not None and self._written and event.answers:
            self._judge(event.answers, now)
        return self._actions

    def _judge(self, answers: tuple[Answer, ...], now: float) -> None:
        """Whether all say what was written."""
        trouble = [self._trouble(answer) for answer in answers if answer.addresses != (self.address,)]
        primary = answers[0].addresses
        if not trouble:
            self._ask_s = SOON_S
            took_s = now - self._wanted_at
            where = "its authority" if len(answers) == 1 else f"all {len(answers)} authorities"
            self._tell("converged", f"{self.fqdn} is {self.address} at {where}, {took_s:.3f} s after it was due", took_s)
            self._be("converged", "", now)
        elif primary is not None and primary != (self.address,):
            self._begin("wrong", trouble[0], now + self._again_s, now)
            self._tell("unnamed", trouble[0])
            self._again_s = min(max(FIRST_S, 2 * self._again_s), LONGEST_QUARREL_S)
        else:
            self._next_ask_at = now + self._ask_s
            self._ask_s = min(2 * self._ask_s, LOOK_EVERY_S)
            says_otherwise = any(answer.addresses not in (None, (self.address,)) for answer in answers)
            lost = "converged" in self._told and says_otherwise
            self._be("wrong" if lost else "pending", "; ".join(trouble), now)

    def _trouble(self, answer: Answer) -> str:
        if answer.addresses is None:
            return answer.trouble
        return f"{answer.authority} answers {', '.join(answer.addresses) or 'that there is no such name'}"

    # -- time

    def due(self, now: float) -> list[Any]:
        """Write and ask what is due."""
        actions: list[Any] = []
        if now >= self._next_write_at and not self._writing and self.address is not None:
            self._writing = True
            actions.append(WriteName(self.service, self.fqdn, self.address, self.epoch))
        if now >= self._next_ask_at and not self._asking:
            self._asking = True
            self._number += 1
            actions.append(AskName(self.service, self.fqdn, self._number))
        return actions

    def _tell(self, kind: str, text: str, took_s: float | None = None) -> None:
        """Once for each state that it comes into."""
        if kind in self._told:
            return
        self._told.add(kind)
        evidence: dict[str, Any] = {"fqdn": self.fqdn, "address": self.address}
        if took_s is not None:
            evidence |= {"took_s": round(took_s, 3), "authorities": [answer.authority for answer in self.answers]}
        happened = Happened(kind=kind, service=self.service, epoch=self.epoch, text=text[:TEXT_LIMIT], evidence=evidence)
        self._actions.append(ToHistory(happened))
