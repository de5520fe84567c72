"""Which questions were asked, refused and granted, as anyone could read them off the wire: R9.

A question is named by who asked it, in which incarnation, about which service,
and its number.
"""

from __future__ import annotations

from collections.abc import Callable

from bus.messages import Grant, Refusal, Takeover

Asker = tuple[str, int, str]
"""Server, incarnation, service."""


class Questions:
    """The books of all questions of one life."""

    def __init__(self, accuse: Callable[[str, str], None]) -> None:
        self._accuse = accuse
        self._asked: dict[Asker, dict[int, int]] = {}  # by number: the incarnation of W that was asked
        self._newest: dict[Asker, int] = {}
        self._closed: dict[Asker, int] = {}
        self._refused: dict[tuple[int, Asker], int] = {}  # by incarnation of W
        self._void: set[tuple[Asker, int]] = set()
        self._good: set[tuple[Asker, int]] = set()

    def asked(self, server: str, incarnation: int, question: Takeover) -> None:
        """A guard asks."""
        asker = (server, incarnation, question.service)
        self._asked.setdefault(asker, {})[question.question] = question.knows
        self._newest[asker] = question.question

    def refused(self, witness: int, server: str, incarnation: int, refusal: Refusal) -> None:
        """This incarnation of W refuses."""
        key = (witness, (server, incarnation, refusal.service))
        self._refused[key] = max(self._refused.get(key, 0), refusal.question)

    def granted(self, witness: int, server: str, grant: Grant) -> None:
        """This incarnation of W grants, for the first time."""
        asker = (server, grant.to_incarnation, grant.service)
        what = f"question {grant.question} of {server} about {grant.service}"
        knows = self._asked.get(asker, {}).get(grant.question)
        if knows != witness:
            self._accuse("R9 stale question", f"{what} went to incarnation {knows} of the SDS, and {witness} granted it")
        if grant.question <= self._refused.get((witness, asker), 0):
            self._accuse("R9 refused question", f"{what} was granted, though it or a later one was refused")

    def hears_refusal(self, server: str, incarnation: int, refusal: Refusal) -> None:
        """A guard reads a refusal: that of the latest question closes all."""
        asker = (server, incarnation, refusal.service)
        newest = self._newest.get(asker, 0)
        if refusal.question >= newest:
            self._closed[asker] = newest

    def hears_grant(self, server: str, incarnation: int, grant: Grant) -> None:
        """A guard reads a grant: void for good if it answers a closed question."""
        asker = (server, incarnation, grant.service)
        if grant.question and grant.question <= self._closed.get(asker, 0):
            self._void.add((asker, grant.grant_id))
        else:
            self._good.add((asker, grant.grant_id))

    def started(self, server: str, incarnation: int, service: str, grant_id: int) -> None:
        """A service starts under this grant."""
        key = ((server, incarnation, service), grant_id)
        if key in self._void and key not in self._good:
            self._accuse("R9 void grant", f"{service} starts on {server} under a grant that answered a closed question")
