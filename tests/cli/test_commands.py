"""Exit codes, and what goes to which stream (DESIGN section 9)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from command_line import CHECKOUT, Answering, begin, locum

from bus.messages import Accepted, History, HistoryRequest, Message, Order, Rejection, Status, StatusRequest
from cli import VERSION

STATUS: dict[str, Any] = {
    "cluster": "test",
    "seq": 41,
    "sds": [{"name": "sds", "role": "active", "address": "127.0.1.10"}],
    "servers": [
        {
            "name": "http",
            "address": "127.0.1.11",
            "state": "up",
            "loadlevel": 0.25,
            "priority": 12,
            "incarnation": 7,
            "last_seen_s": 0.2,
            "zone": None,
            "guards": ["tether"],
        }
    ],
    "services": [
        {
            "name": "www",
            "fqdn": "www.demo.locum.test",
            "port": 8081,
            "home": "http",
            "holder": None,
            "epoch": 3,
            "secondary": None,
            "state": "unserved",
            "reason": "nobody can run it",
            "since_s": 71.0,
            "dns_address": None,
            "exclusive": True,
            "candidates": [],
        }
    ],
}
EVENT = {
    "at": "2026-01-02T03:04:05.678+00:00",
    "id": "1-0",
    "kind": "granted",
    "service": "www",
    "server": "email",
    "epoch": 2,
    "text": "http silent 0.31 s",
    "evidence": {},
}


def one_line(text: str) -> str:
    """The only line of it."""
    lines = text.splitlines()
    assert len(lines) == 1, text
    return lines[0]


def test_version_is_that_of_the_project() -> None:
    assert locum("--version").stdout == f"locum {VERSION}\n"
    assert tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"] == VERSION


COMMANDS = ["demo", "sds", "agent", "monitor", "status", "history", "explain", "drain", "resume", "move", "confirm-dead", "test"]
COMMANDS += ["token", "join", "leave", "revoke", "simulate", "files"]


def test_every_command_is_listed() -> None:
    listed = locum("--help").stdout.partition("Commands:")[2]
    assert {line.split()[0] for line in listed.splitlines() if line.strip()} == set(COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, *(f"demo {verb}" for verb in ("kill", "pause", "continue", "stop", "start", "load", "ps"))])
def test_help_teaches_by_example(command: str) -> None:
    shown = locum(*command.split(), "--help")
    assert shown.returncode == 0
    assert "Example" in shown.stdout
    assert f"./locum {command}" in shown.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["status", "--nonsense"],
        ["drain"],
        ["drain", "HTTP"],
        ["move", "my_service"],
        ["confirm-dead", "a.b"],
        ["history", "--limit", "0"],
        ["history", "--since", "yesterday"],
        ["explain"],
        ["demo", "kill", "toaster"],
        ["demo", "kill"],
        ["demo", "load", "http"],
        ["demo", "load", "http", "1.5"],
        ["demo", "load", "toaster", "off"],
        ["status", "--sds", "127.0.0.1"],
        ["status", "--sds", "127.0.0.1:what", "--key", "a", "--sds-key", "b"],
        ["status", "--sds", "tcp://127.0.0.1", "--key", "a", "--sds-key", "b"],
        ["status", "--sds", "127.0.0.1", "--key", "/nonexistent", "--sds-key", "/nonexistent"],
        ["status", "--config", "/nonexistent.toml"],
        ["sds"],
    ],
)
def test_wrong_usage_is_2_and_silent_on_stdout(words: list[str]) -> None:
    done = locum(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip()


def test_status_of_an_unreachable_cluster_is_3(answering: Answering) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        where = f"127.0.0.1:{mute.getsockname()[1]}"
        options = answering.options()
        options[1] = where
        for words in (["status"], ["status", "--json"], ["history"], ["explain", "www"], ["drain", "http"]):
            done = locum(*words, *options)
            assert (done.returncode, done.stdout) == (3, ""), words
            assert where in one_line(done.stderr)


def test_a_stranger_reaches_nothing(answering: Answering) -> None:
    done = answering.answer(["status"], lambda _: Status(status=STATUS), who="stranger")
    assert (done.returncode, done.stdout) == (3, "")
    assert "trust your key" in one_line(done.stderr)
    assert answering.heard == []


def test_status_json_is_what_the_sds_said(answering: Answering) -> None:
    done = answering.answer(["status", "--json"], lambda _: Status(status=STATUS), who="viewer")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == STATUS
    assert isinstance(answering.heard[0][1], StatusRequest)


def test_status_shows_servers_services_and_what_is_wrong(answering: Answering) -> None:
    done = answering.answer(["status"], lambda _: Status(status=STATUS))
    assert done.returncode == 0, done.stderr
    assert "127.0.1.11" in done.stdout
    assert "www.demo.locum.test:8081" in done.stdout
    assert "! www is served by nobody: nobody can run it" in done.stdout


def test_a_question_is_asked_again_but_an_order_never(answering: Answering) -> None:
    asked: list[Message] = []

    def second(message: Message) -> Message | None:
        asked.append(message)
        return Status(status=STATUS) if len(asked) == 2 else None

    assert answering.answer(["status", "--json"], second).returncode == 0
    asked.clear()
    done = answering.answer(["drain", "http"], second)
    assert (done.returncode, done.stdout, len(asked)) == (3, "", 1)
    assert "may have reached it" in one_line(done.stderr)


def test_history_as_lines_and_as_json(answering: Answering) -> None:
    def reply(message: Message) -> Message:
        assert message == HistoryRequest(limit=5)
        return History(events=(EVENT, EVENT | {"id": "2-0"}))

    lines = answering.answer(["history", "--json", "--limit", "5"], reply).stdout.splitlines()
    assert [json.loads(line) for line in lines] == [EVENT, EVENT | {"id": "2-0"}]
    text = answering.answer(["history", "--limit", "5"], reply).stdout.splitlines()
    assert len(text) == 2
    assert ":05.678" in text[0]
    assert "granted" in text[0] and "http silent 0.31 s" in text[0]


@pytest.mark.parametrize(
    ("words", "order"),
    [
        (["drain", "http"], Order(verb="drain", server="http")),
        (["resume", "http"], Order(verb="resume", server="http")),
        (["move", "www"], Order(verb="move", service="www")),
        (["move", "www", "email"], Order(verb="move", service="www", server="email")),
        (["confirm-dead", "ftp"], Order(verb="confirm-dead", server="ftp")),
        (["confirm-dead", "ftp", "--yes"], Order(verb="confirm-dead", server="ftp")),
    ],
)
def test_orders_are_given_and_their_answer_is_shown(answering: Answering, words: list[str], order: Order) -> None:
    done = answering.answer(words, lambda _: Accepted(text="it is under way"))
    assert (done.returncode, done.stdout) == (0, "it is under way\n"), done.stderr
    header, heard = answering.heard[0]
    assert (header.part, heard) == ("operator", order)


def test_a_refused_order_is_1_with_the_reason_on_stderr(answering: Answering) -> None:
    done = answering.answer(["drain", "toaster"], lambda _: Rejection(code="unknown", text="there is no server toaster"))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "locum: there is no server toaster\n")


def test_confirm_dead_warns_a_script_and_goes_on(answering: Answering) -> None:
    done = answering.answer(["confirm-dead", "ftp"], lambda _: Accepted(text="ftp counts as dead"))
    assert done.returncode == 0 and "two servers may run one service" in one_line(done.stderr)


@pytest.mark.parametrize(("reply", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("\x04", 1)])
def test_confirm_dead_asks_at_a_terminal(answering: Answering, reply: str, code: int) -> None:
    ours, theirs = os.openpty()
    try:
        process = begin("confirm-dead", "ftp", *answering.options(), stdin=theirs)
        os.write(ours, reply.encode())
        while process.poll() is None:
            answering.poller.wait(0.05)
            for connection, header, heard in answering.router.receive():
                answering.heard.append((header, heard))
                answering.router.send(connection, Accepted(text="ftp counts as dead"))
    finally:
        os.close(ours)
        os.close(theirs)
    said, asked = process.communicate(timeout=20)
    assert process.returncode == code and "Is ftp powered off" in asked
    assert said == ("ftp counts as dead\n" if code == 0 else "") and len(answering.heard) == (code == 0)
    assert code == 0 or "nothing was ordered" in asked


def test_a_viewer_may_look_and_not_order(answering: Answering) -> None:
    done = answering.answer(["drain", "http"], lambda _: Accepted(text="never said"), who="viewer")
    assert (done.returncode, done.stdout) == (1, "")
    assert "may not speak as operator" in done.stderr
    assert answering.heard == []


def test_another_cluster_is_refused_by_name(answering: Answering) -> None:
    process = begin("status", *answering.options(), "--cluster", "elsewhere")
    while process.poll() is None:
        answering.poller.wait(0.05)
        answering.router.receive()
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, "")
    assert "'test'" in err and "'elsewhere'" in err


def test_a_reader_that_leaves_is_no_error(answering: Answering) -> None:
    events = tuple(EVENT | {"id": f"{number}-0", "text": "x" * 1_000} for number in range(2_000))
    process = begin("history", *answering.options(), stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    while process.poll() is None:
        answering.poller.wait(0.05)
        for connection, _, _ in answering.router.receive():
            answering.router.send(connection, History(events=events))
    assert process.stderr is not None
    assert (process.returncode, process.stderr.read()) == (0, "")
    process.stderr.close()


def test_it_runs_from_anywhere_whatever_lies_there(tmp_path: Path) -> None:
    for name in ("cli", "bus", "demo"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert locum("status", "--help").returncode == 0
    finally:
        os.chdir(here)


def told(message: Message) -> Message | None:
    """What an SDS that knows www answers."""
    return Status(status=STATUS) if isinstance(message, StatusRequest) else History(events=(EVENT,))


def test_explain_asks_for_the_status_and_for_the_history_of_that_service(answering: Answering) -> None:
    done = answering.answer(["explain", "www"], told)
    assert done.returncode == 0, done.stderr
    assert [type(message) for _, message in answering.heard] == [StatusRequest, HistoryRequest]
    asked = answering.heard[-1][1]
    assert isinstance(asked, HistoryRequest) and asked.service == "www"
    assert done.stdout.startswith("www is served by nobody; its home is http, its last epoch 3\n")
    assert "What is wrong:\n  www is served by nobody: nobody can run it\n" in done.stdout


def test_explain_as_json(answering: Answering) -> None:
    done = answering.answer(["explain", "www", "--json"], told)
    found = json.loads(done.stdout)
    assert list(found) == ["service", "holder", "epoch", "secondary", "now", "why", "change", "since", "next", "others", "moves", "wrong"]
    assert (found["service"], found["holder"], found["epoch"]) == ("www", None, 3)


def test_explain_an_unknown_service_is_1(answering: Answering) -> None:
    done = answering.answer(["explain", "toaster"], told)
    assert (done.returncode, done.stdout) == (1, "")
    assert one_line(done.stderr) == "locum: there is no service 'toaster': the services are www"


def test_history_filters_are_asked_of_the_sds_and_kept_though_it_does_not_know_them(answering: Answering) -> None:
    """N and N-1 must talk: an older SDS ignores the new fields and sends everything."""
    words = ["history", "--json", "--service", "mail", "--server", "http", "--since", "10m"]
    done = answering.answer(words, told)
    assert (done.returncode, done.stdout) == (0, ""), "the event is about www"
    assert answering.heard[-1][1] == HistoryRequest(service="mail", server="http", since_s=600.0)
    done = answering.answer(["history", "--service", "www", "--since", "2020-01-01T00:00:00"], told)
    assert "granted" in done.stdout
    asked = answering.heard[-1][1]
    assert isinstance(asked, HistoryRequest) and asked.since_s is not None and asked.since_s > 1e8


def test_a_name_that_cannot_be_one_is_2(answering: Answering) -> None:
    done = answering.answer(["history", "--service", "No Name"], told)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--service No Name: no name" in done.stderr and answering.heard == []


def test_explain_without_a_history_says_what_it_knows(answering: Answering) -> None:
    """The store is away just when people ask why."""
    rejection = Rejection(code="store", text="the history cannot be read: the store is away")
    done = answering.answer(["explain", "www"], lambda message: rejection if isinstance(message, HistoryRequest) else told(message))
    assert done.returncode == 0
    assert "the history does not reach back to when epoch 3 was granted" in done.stdout
    assert one_line(done.stderr) == f"locum: {rejection.text}"
