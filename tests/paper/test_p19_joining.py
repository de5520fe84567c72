"""P19: no pre-configuration by an administrator: a server that nobody has heard of comes in by one line, and is a candidate."""

from __future__ import annotations

import itertools
from typing import Any

from bus.config import Timing
from bus.messages import Issued, Join, Joined, Loadlevel, Message, Registration, Report, TokenRequest
from bus.step import Peer, Received, Tick
from bus.values import Owner, ServiceDefinition
from sds.admission import Admission, Book, BookWritten, Place, WriteBook
from sds.description import ServiceDescription

OPERATOR_KEY, TOKEN_KEY, OWN_KEY = ("o" * 40, "t" * 40, "n" * 40)
TIMING = Timing.calm()


class Sds:
    """An SDS that knows one operator, and no server at all."""

    def __init__(self) -> None:
        self.now = 100.0
        self.admission = Admission(Book(cluster="paper"), {OPERATOR_KEY: Owner("anna", "operator")}, Place(), self.now, 0.0)
        self.machine = ServiceDescription(
            cluster="paper",
            incarnation=1,
            timing=TIMING,
            servers=(),
            records=(),
            high_water={},
            public_key_of=lambda name: self.admission.key_of("server", name),
            draw=itertools.count(1).__next__,
            now=self.now,
            admission=self.admission,
        )

    def hear(self, key: str, part: Any, message: Message, incarnation: int = 1) -> list[Any]:
        """A message under this key, if the door lets it in; what is answered."""
        owner = self.admission.doors()[key]
        actions = self.machine.step(Received(Peer(owner.name, part, incarnation), message), self.now)
        if any(isinstance(action, WriteBook) for action in actions):
            actions += self.machine.step(BookWritten(), self.now)
        return [action.message for action in actions if hasattr(action, "message")]


def test_a_server_that_nobody_configured_is_a_candidate() -> None:
    """P19: what it can back up it found itself; its key came in by the token, its name by its own word."""
    sds = Sds()
    assert TOKEN_KEY not in sds.admission.doors() and OWN_KEY not in sds.admission.doors()
    (issued,) = sds.hear(OPERATOR_KEY, "operator", TokenRequest(public_key=TOKEN_KEY))
    assert isinstance(issued, Issued)
    (joined,) = sds.hear(TOKEN_KEY, "joiner", Join(public_key=OWN_KEY, name="newcomer"))
    assert isinstance(joined, Joined)
    sds.hear(OWN_KEY, "guard", Report(knows=1))
    www = ServiceDefinition(name="www", fqdn="www.test", port=80, home="newcomer", start=("httpd",))
    sds.hear(OWN_KEY, "runner", Registration(address="a", peer_port=1, services=(www,), able=("www",), lease_s=0.6, stop_s=0.4))
    sds.hear(OWN_KEY, "runner", Loadlevel(loadlevel=0.0, seq=0))
    sds.machine.step(Tick(), sds.now)
    assert sds.machine.why_not("newcomer", "www", sds.now) is None
    (row,) = sds.machine.rows(sds.now)[0].values()
    assert (row.state, row.public_key) == ("up", OWN_KEY), "its peers learn its key from the table"
