"""P6, P19: what a server can run, and what protects it, reaches the SDS, whatever is lost on the way."""

from __future__ import annotations

from typing import Any

from stage import HOMES, Stage

from agent import channel
from agent.running import KERNEL_GATE, Ability, FromGuard
from bus.messages import Message, Registration, Table
from bus.wire import Header


def test_an_answer_to_an_earlier_registration_is_not_taken_for_the_newest_ones() -> None:
    """The one that first tells of the others' services is lost, and the answer to the one before comes late."""
    stage = Stage()
    stage.boot("ftp", "email")
    stage.run(3.0)
    to_sds, to_http = stage.world.doors["sds"], stage.world.doors["http"]
    lost: list[Registration] = []
    late: list[tuple[Header, Message, Any]] = []

    def sds_door(header: Header, message: Message, to: Any) -> None:
        if isinstance(message, Registration) and header.sender == "http" and len(message.able) > 1 and not lost:
            lost.append(message)
            for again in late:
                stage.world.after(0.02, to_http, *again)
        else:
            to_sds(header, message, to)

    def http_door(header: Header, message: Message, to: Any) -> None:
        if isinstance(message, Table):
            late.append((header, message, to))
        to_http(header, message, to)

    stage.world.doors |= {"sds": sds_door, "http": http_door}
    stage.hosts["http"].ability = Ability(("www",), {})
    stage.boot("http")
    stage.run(0.6)
    stage.hosts["http"]._to_runner(Ability(tuple(HOMES), {}))
    stage.run(2.0)
    assert lost, "the test lost nothing"
    assert {entry["server"] for entry in stage.service("mail")["candidates"] if entry["ok"]} >= {"http"}


def test_r6_the_others_see_whether_the_kernel_gate_is_in_force() -> None:
    stage = Stage()
    stage.boot("http", "ftp", "email")
    stage.run(3.0)

    def guards() -> list[str]:
        return next(list(row["guards"]) for row in stage.status()["servers"] if row["name"] == "http")

    assert KERNEL_GATE not in guards()
    for in_force in (True, True, False):
        stage.hosts["http"]._to_runner(FromGuard(channel.Gate(in_force=in_force, reason="" if in_force else "it broke")))
        stage.run(1.0)
        assert guards().count(KERNEL_GATE) == in_force
