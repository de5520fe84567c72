"""How a bug is planted in the real classes, and taken out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import msgspec

from simulation.bugs.seeds import SEEDS


class Put(Protocol):
    """Puts something else in the place of a class's attribute, for the time being."""

    def __call__(self, owner: type, attribute: str, instead: Any) -> None: ...


class Bug(msgspec.Struct, frozen=True):
    """Something left out of a rule."""

    name: str
    rule: str  # of section 4 of the design
    text: str  # what is left out
    first_seed: int  # of a life in which it is noticed
    plant: Callable[[Put], None]
    covered_by: str | None  # another bug, planted along with this one, without which this one shows nothing


BUGS: dict[str, Bug] = {}
"""All of them, by name."""


def bug(rule: str, text: str, covered_by: str | None = None) -> Callable[[Callable[[Put], None]], Callable[[Put], None]]:
    """Enter a bug; its name is that of the function which plants it."""

    def enter(plant: Callable[[Put], None]) -> Callable[[Put], None]:
        name = plant.__name__.replace("_", "-")
        BUGS[name] = Bug(name, rule, text, SEEDS.get(name, 0), plant, covered_by)
        return plant

    return enter


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The machines with this bug in them."""
    with ExitStack() as undo:

        def put(owner: type, attribute: str, instead: Any) -> None:
            undo.callback(setattr, owner, attribute, owner.__dict__[attribute])
            setattr(owner, attribute, instead)

        bug = BUGS[name]
        for part in filter(None, (bug.covered_by, name)):
            BUGS[part].plant(put)
        yield
