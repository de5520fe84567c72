"""R6: what the kernel gate is told, with a kernel in memory: doors open under leases, and shut by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from agent.doors import LOOK_EVERY_S, RETRY_S, Build, Done, Doors, Failed, Look, Looked, Refresh, Remove, Wanted
from agent.gate import GateError
from agent.gate_twin import GateTwin
from bus.step import LONG_AGO, NEVER, Tick

HERE, WWW, MAIL = "192.0.2.11", 8081, 2525
H = 0.25


class Porch:
    """Doors and a kernel, at a time that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.kernel = GateTwin(lambda: self.now)
        self.doors = Doors()
        self.orders: list[Any] = []

    def step(self, event: Any) -> list[Any]:
        """One event; the orders that were carried out."""
        orders: list[Any] = []
        order = self.doors.step(event, self.now)
        while order is not None:
            orders.append(order)
            order = self.doors.step(self._perform(order), self.now)
        return orders

    def _perform(self, order: Any) -> Any:
        try:
            match order:
                case Build():
                    self.kernel.build(order.addresses, order.gated, order.open_s)
                case Refresh():
                    self.kernel.refresh(order.open_s, order.shut)
                case Look():
                    return Looked(self.kernel.intact())
                case Remove():
                    self.kernel.remove()
        except GateError as error:
            return Failed(str(error))
        return Done()

    def want(self, doors: dict[int, float], address: str | None = HERE) -> list[Any]:
        return self.step(Wanted(address, doors))

    def wait(self, seconds: float) -> list[Any]:
        """Time passes, and every alarm rings."""
        end, orders = self.now + seconds, []
        while self.doors.wake_at <= end:
            self.now = max(self.now, self.doors.wake_at)
            orders += self.step(Tick())
        self.now = end
        return orders

    def passes(self, port: int = WWW, address: str = HERE) -> bool:
        return self.kernel.passes(address, port)


def in_force() -> Porch:
    porch = Porch()
    assert isinstance(porch.want({})[0], Build) and porch.doors.in_force
    return porch


def test_a_standby_is_shut_a_lease_opens_and_the_kernel_shuts_by_itself() -> None:
    porch = in_force()
    assert porch.passes(), "nothing of ours runs there: it is none of our business"
    porch.want({WWW: LONG_AGO})
    assert not porch.passes() and porch.doors.gated == {WWW}
    (order,) = porch.want({WWW: porch.now + H})
    assert isinstance(order, Refresh) and porch.passes()
    porch.now += H - 0.01
    assert porch.passes()
    porch.now += 0.02
    assert not porch.passes(), "and nobody had to do anything"


def test_each_acknowledgement_prolongs_and_the_same_lease_is_not_told_twice() -> None:
    porch = in_force()
    porch.want({WWW: porch.now + H})
    for _ in range(5):
        porch.now += 0.1
        porch.want({WWW: porch.now + H})
        assert not [order for order in porch.want({WWW: porch.now + H}) if isinstance(order, Refresh)]
    assert porch.passes() and porch.kernel.builds == 2


def test_a_lease_that_is_taken_back_shuts_and_one_that_is_over_opens_nothing() -> None:
    porch = in_force()
    porch.want({WWW: porch.now + H})
    (order,) = porch.want({WWW: LONG_AGO})
    assert order.shut == (WWW,) and not porch.passes()
    assert not [order for order in porch.want({WWW: porch.now - 1}) if isinstance(order, Refresh)]
    assert not porch.passes()


def test_alone_has_no_time_out_and_gets_one_again() -> None:
    """R12: free of leases, so there is no instant at which it must be shut; infinity is no number of milliseconds."""
    porch = in_force()
    (build,) = porch.want({WWW: NEVER})
    assert build.open_s == {WWW: None}
    porch.now += 1_000_000
    assert porch.passes()
    porch.want({WWW: porch.now + H})
    porch.now += 2 * H
    assert not porch.passes()


def test_what_is_gone_is_not_gated_any_more() -> None:
    porch = in_force()
    porch.want({WWW: porch.now + H, MAIL: LONG_AGO})
    porch.want({MAIL: LONG_AGO})
    assert porch.passes(WWW) and not porch.passes(MAIL)


def test_another_service_does_not_shut_this_one() -> None:
    porch = in_force()
    porch.want({WWW: porch.now + H})
    porch.now += H / 2
    (build,) = porch.want({WWW: porch.now + H / 2, MAIL: LONG_AGO})
    assert build.open_s == {WWW: pytest.approx(H / 2)} and porch.passes()


def test_p20_both_addresses_are_gated_until_nothing_runs_any_more() -> None:
    porch = in_force()
    porch.want({WWW: LONG_AGO})
    porch.want({WWW: LONG_AGO}, "2001:db8::11")
    assert not porch.passes() and not porch.passes(address="2001:db8::11")
    porch.want({}, "2001:db8::11")
    assert porch.kernel.addresses == ("2001:db8::11",)


def test_a_flushed_table_is_noticed_and_made_anew_as_it_was() -> None:
    porch = in_force()
    porch.want({WWW: NEVER, MAIL: LONG_AGO})
    porch.kernel.flush()
    assert porch.passes(MAIL)
    porch.wait(LOOK_EVERY_S)
    assert porch.doors.mended == 1 and porch.doors.in_force
    assert not porch.passes(MAIL) and porch.passes(WWW)


def test_a_flushed_table_is_noticed_by_the_next_acknowledgement_too() -> None:
    porch = in_force()
    porch.want({WWW: porch.now + H, MAIL: LONG_AGO})
    porch.kernel.flush()
    orders = porch.want({WWW: porch.now + 2 * H, MAIL: LONG_AGO})
    assert [type(order) for order in orders][:2] == [Refresh, Build] and not porch.passes(MAIL)


def test_a_kernel_that_refuses_from_the_first_is_not_asked_again() -> None:
    porch = Porch()
    porch.kernel.refuses = "Operation not permitted"
    porch.want({WWW: LONG_AGO})
    assert (porch.doors.state, porch.doors.reason, porch.doors.wake_at) == ("refused", "Operation not permitted", NEVER)
    assert not porch.want({WWW: porch.now + H}) and not porch.doors.gated


def test_a_gate_that_cannot_be_mended_is_given_up_then_removed_then_tried_again() -> None:
    """It is not in force at once; its table goes a moment later, when what is behind it without a lease was killed."""
    porch = in_force()
    porch.want({WWW: porch.now + H, MAIL: LONG_AGO})
    removed = porch.kernel.remove
    porch.kernel.refuses = "Cannot allocate memory"
    porch.want({WWW: porch.now + 2 * H, MAIL: LONG_AGO})
    assert not porch.doors.in_force and porch.kernel.stands and not porch.passes(MAIL)
    orders = porch.wait(LOOK_EVERY_S)
    assert [type(order) for order in orders] == [Build, Remove]
    porch.kernel.refuses = ""
    removed()
    assert porch.passes(), "better a door without a gate than a lease without a door"
    porch.wait(RETRY_S)
    assert porch.doors.in_force and not porch.passes(MAIL)
