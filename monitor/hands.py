"""What an operator has done from the page: orders to the SDS, and to the demo's parts."""

from __future__ import annotations

from pathlib import Path

from bus import demo_control
from bus.config import MonitorConfig
from bus.keys import load_public, load_secret
from bus.messages import Accepted, Order, Rejection
from bus.question import Sds, Silence, ask
from monitor.state import DemoWish, Outcome, Wish


def order(wish: Wish) -> Order:
    """The wish as the command line would give it."""
    if wish.action == "move":
        return Order(verb="move", service=wish.service, server=wish.to)
    return Order(verb=wish.action, server=wish.server)


class Hands:
    """Gives orders by the operator's key."""

    def __init__(self, config: MonitorConfig) -> None:
        """Raises `ConfigError` if a key cannot be used."""
        self._sds: Sds | None = None
        if config.operator_key_file is not None and config.sds.address is not None:
            public, secret = load_public(Path(config.sds.public_key_file)), load_secret(Path(config.operator_key_file))
            self._sds = Sds(config.cluster, config.sds.address, config.sds.port, public, secret, config.operator)
        self._demo_control = config.demo_control

    @property
    def can_order(self) -> bool:
        """Whether there is an operator's key."""
        return self._sds is not None

    def act(self, wish: Wish) -> Outcome:
        """Have the SDS do it; blocks for some seconds at most."""
        if self._sds is None:
            return Outcome(done=False, text="this monitor has no operator's key: set operator_key_file")
        try:
            reply = ask(self._sds, order(wish))
        except Silence as silence:
            return Outcome(done=False, text=str(silence))
        if isinstance(reply, Accepted):
            return Outcome(done=True, text=reply.text)
        return Outcome(done=False, text=reply.text if isinstance(reply, Rejection) else f"the SDS answered {type(reply).__name__}")

    def demo(self, wish: DemoWish) -> Outcome:
        """Have the demo do it; returns when it is done."""
        if self._demo_control is None:
            return Outcome(done=False, text="this cluster is no demo")
        try:
            reply = demo_control.order(self._demo_control, wish.verb, wish.part, wish.level)
        except demo_control.NoAnswer as silence:
            return Outcome(done=False, text=f"the demo does not answer: {silence}")
        return Outcome(done=not reply["code"], text=reply["text"] or f"{wish.verb} {wish.part}: done")
