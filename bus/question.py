"""One question to the SDS, or one order, and its answer."""

from __future__ import annotations

from typing import NamedTuple

from bus.addresses import written
from bus.keys import Secret
from bus.messages import Accepted, History, Issued, Joined, Leave, Leaving, Message, Order, Rejection, Revoke, Status, TokenRequest
from bus.polling import Poller, wait_any
from bus.refusals import now
from bus.sockets import Dealer
from bus.values import Part
from bus.wire import Header

PATIENCE_S = 3.0
"""An SDS that says nothing for this long is taken for unreachable."""

_REPEAT_S = 0.7  # a question whose answer was lost is asked again; an order never is
_CONNECTING_S = 0.005  # between two attempts to send before the connection stands
_ANSWERS = (Status, History, Accepted, Rejection, Issued, Joined, Leaving)
_FOR_OPERATORS = (Order, TokenRequest, Leave, Revoke)


class Silence(Exception):
    """No answer came.  An order may have been carried out all the same."""


class Sds(NamedTuple):
    """An SDS, and who speaks to it."""

    cluster: str
    address: str
    port: int
    public_key: str
    secret: Secret
    name: str
    part: Part | None = None  # as which one speaks; none: an operator or viewer, as the message needs it

    def line(self, message: Message) -> Dealer:
        """A connection for this message: only an order needs an operator's key."""
        part = self.part or ("operator" if isinstance(message, _FOR_OPERATORS) else "viewer")
        return Dealer(self.address, self.port, self.public_key, self.secret, Header(self.cluster, self.name, part, 0))


class _Attempt:
    """When to say it, and when to give up."""

    def __init__(self, sds: Sds, message: Message, within_s: float) -> None:
        self.line = sds.line(message)
        self.message = message
        self.where = written(sds.address, sds.port)
        self.within_s = within_s
        self.until_at = now() + within_s
        self.repeat_at = 0.0
        self.said = False

    def wait_s(self) -> float:
        """Say it if it is due; how long to wait for the answer before calling again."""
        at = now()
        if at >= self.until_at:
            raise Silence(
                f"the SDS at {self.where} has not answered within {self.within_s:.0f} s: is it running there, and does it trust your key?"
                + (" The order may have reached it: look before you repeat it." if self.said and isinstance(self.message, Order) else "")
            )
        if at >= self.repeat_at and not (self.said and isinstance(self.message, Order)):
            if not self.line.send(self.message):
                return _CONNECTING_S
            self.said, self.repeat_at = True, at + _REPEAT_S
        return min(self.repeat_at if self.repeat_at > at else self.until_at, self.until_at) - at

    def answer(self) -> Message | None:
        """What came in, if it is an answer."""
        return next((message for _, message in self.line.receive() if isinstance(message, _ANSWERS)), None)


def ask(sds: Sds, message: Message, within_s: float = PATIENCE_S) -> Message:
    """The answer, a `Rejection` among them; raises `Silence`."""
    attempt = _Attempt(sds, message, within_s)
    poller = Poller()
    poller.register(attempt.line)
    try:
        while True:
            poller.wait(attempt.wait_s())
            reply = attempt.answer()
            if reply is not None:
                return reply
    finally:
        poller.unregister(attempt.line)
        attempt.line.close()


async def ask_meanwhile(sds: Sds, message: Message, within_s: float = PATIENCE_S) -> Message:
    """The same on asyncio's loop."""
    attempt = _Attempt(sds, message, within_s)
    try:
        while True:
            await wait_any([attempt.line], attempt.wait_s())
            reply = attempt.answer()
            if reply is not None:
                return reply
    finally:
        attempt.line.close()
