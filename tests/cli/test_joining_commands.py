"""token, join, leave, revoke: what goes where, and one clear line for everything that can be wrong."""

from __future__ import annotations

import os
import shlex
import socket
import stat
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Answering, begin, locum

from bus import keys
from bus.config import AgentConfig, parse
from bus.keys import Secret, Trust
from bus.messages import Accepted, Issued, Join, Joined, Leave, Leaving, Message, Rejection, Revoke, TokenRequest
from bus.polling import Poller
from bus.sockets import Router
from bus.token import JoinToken, read, write
from bus.values import Owner, ServiceDefinition
from bus.wire import Header

HERE = ServiceDefinition(name="www", fqdn="www.test", port=1, home="http", start=("/bin/sh",))
NOT_HERE = ServiceDefinition(name="mail", fqdn="mail.test", port=1, home="http", start=("/nonexistent/mailer",))
DNS = {"server": "127.0.0.1", "port": 10053, "zone": "test", "key_name": "locum.", "ttl_s": 1, "timeout_s": 1.0}


def one_line(text: str) -> str:
    lines = text.splitlines()
    assert len(lines) == 1, text
    return lines[0]


class Sds:
    """A router that knows one token, and answers a `Join` as it is told."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.secret, self.token_secret = Secret.new(), Secret.new()
        trust = Trust({self.token_secret.public: Owner("token-7", "joiner")})
        self.router = Router("127.0.0.1", 0, self.secret, trust, Header("test", "sds", "sds", 1))
        self.poller = Poller()
        self.poller.register(self.router)
        self.heard: list[Message] = []
        self.reply: Message = Joined(
            name="extra",
            role="server",
            sds="sds",
            settings={"dns": DNS},
            secrets={"dns.key_secret_file": "c2VjcmV0\n"},
            services=(HERE, NOT_HERE),
        )

    def token(self, **changed: Any) -> str:
        values: dict[str, Any] = {"cluster": "test", "number": 7, "address": "127.0.0.1", "port": self.router.port, "updates_port": 5751}
        values |= {"sds_key": self.secret.public, "secret": self.token_secret.z85, "role": "server", "name": None}
        return write(JoinToken(**(values | {"expires_at": time.time() + 3600} | changed)))

    def join(self, token: str | None = None, *words: str) -> subprocess.CompletedProcess[str]:
        """`locum join` into this test's directory."""
        place = ["--config", str(self.directory / "agent.toml"), "--state-dir", str(self.directory / "state"), "--name", "extra"]
        process = begin("join", token or self.token(), *place, *words)
        while process.poll() is None:
            self.poller.wait(0.05)
            for connection, _, message in self.router.receive():
                self.heard.append(message)
                self.router.send(connection, self.reply)
        out, err = process.communicate(timeout=10)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def files(self) -> set[str]:
        return {str(path.relative_to(self.directory)) for path in self.directory.rglob("*") if path.is_file()}


@pytest.fixture
def sds(tmp_path: Path) -> Iterator[Sds]:
    sds = Sds(tmp_path)
    yield sds
    sds.poller.unregister(sds.router)
    sds.router.close()


# -- token


def test_a_token_is_one_line_that_says_all(answering: Answering) -> None:
    issued = Issued(number=7, address="192.0.2.10", port=5750, updates_port=5751)
    done = answering.answer(["token", "--name", "http", "--valid", "10m"], lambda _: issued)
    assert (done.returncode, done.stderr) == (0, "")
    token = read(one_line(done.stdout))
    request = answering.heard[0][1]
    assert isinstance(request, TokenRequest)
    assert (request.name, request.role, request.valid_s) == ("http", "server", 600.0)
    assert request.public_key == Secret(token.secret).public, "the secret stays with the operator"
    assert (token.cluster, token.number, token.address, token.port, token.name) == ("test", 7, "192.0.2.10", 5750, "http")
    assert token.sds_key == keys.load_public(answering.directory / "sds.key.pub")


def test_an_sds_that_listens_everywhere_is_reached_where_the_operator_reached_it(answering: Answering) -> None:
    def issued(_: Message) -> Message:
        return Issued(number=7, address="0.0.0.0", port=5750, updates_port=5751)

    assert read(answering.answer(["token"], issued).stdout).address == "127.0.0.1"
    assert read(answering.answer(["token", "--reach", "192.0.2.9"], issued).stdout).address == "192.0.2.9"


@pytest.mark.parametrize("valid", ["10", "0m", "10 m", "-1h", "31d", "1w", ""])
def test_a_bad_duration_is_2(answering: Answering, valid: str) -> None:
    done = answering.answer(["token", "--valid", valid], lambda _: None)
    assert (done.returncode, done.stdout, answering.heard) == (2, "", [])
    assert "write a number and its unit" in done.stderr


def test_a_viewer_makes_no_tokens(answering: Answering) -> None:
    done = answering.answer(["token"], lambda _: None, who="viewer")
    assert (done.returncode, done.stdout) == (1, "")
    assert "may not speak as operator" in one_line(done.stderr)


# -- join


def test_joining_is_all_the_set_up(sds: Sds) -> None:
    """P19: the settings are complete and good, whoever may read a secret is the owner."""
    done = sds.join(None, "--address", "127.0.0.1")
    assert done.returncode == 0, done.stderr
    config = parse((sds.directory / "agent.toml").read_text(), AgentConfig, "agent.toml")
    assert (config.cluster, config.name, config.address, config.sds.port) == ("test", "extra", "127.0.0.1", sds.router.port)
    assert config.dns is not None and config.dns.port == 10053
    assert Path(config.dns.key_secret_file).read_text() == "c2VjcmV0\n"
    assert keys.load_public(Path(config.sds.public_key_file)) == sds.secret.public
    (join,) = sds.heard
    assert join == Join(public_key=keys.load_secret(Path(config.key_file)).public, name="extra")
    for secret in (config.key_file, config.dns.key_secret_file):
        assert stat.S_IMODE(os.stat(secret).st_mode) == 0o600
    assert locum("agent", "--config", str(sds.directory / "agent.toml"), "--check").returncode == 0
    assert "it can back up: www" in done.stdout
    assert "it cannot back up mail: its start program /nonexistent/mailer is not here" in done.stdout
    assert f"agent --config {sds.directory / 'agent.toml'}" in done.stdout, "how to start it"


@pytest.mark.parametrize("address", ["auto", "interface:lo"])
def test_an_address_may_be_left_to_the_host(sds: Sds, address: str) -> None:
    """P20: then the server may move, and nobody edits a file."""
    done = sds.join(None, "--address", address)
    assert done.returncode == 0, done.stderr
    assert parse((sds.directory / "agent.toml").read_text(), AgentConfig, "agent.toml").own_address.follows
    assert "it can back up: www" in done.stdout


def test_what_is_not_sent_is_not_written_and_said(sds: Sds) -> None:
    sds.reply = Joined(name="extra", role="server", sds="sds")
    done = sds.join()
    assert done.returncode == 0 and "names: no name server came with the answer" in done.stdout
    assert "dns" not in tomllib.loads((sds.directory / "agent.toml").read_text())
    assert "there are no services yet" in done.stdout


def test_settings_of_a_later_sds_that_this_release_does_not_know_are_refused_whole(sds: Sds) -> None:
    """Nothing is half applied: a newer Locum here, and the same command again, mend it."""
    sds.reply = Joined(name="extra", role="server", sds="sds", settings={"teleport": {"speed": 9}})
    done = sds.join()
    assert done.returncode == 1 and "teleport" in one_line(done.stderr) and "give this command again" in done.stderr
    assert "agent.toml" not in sds.files()
    sds.reply = Joined(name="extra", role="server", sds="sds")
    assert sds.join().returncode == 0
    assert sds.heard[0] == sds.heard[1], "the same key joins again"


def test_settings_that_exist_are_never_overwritten(sds: Sds) -> None:
    (sds.directory / "agent.toml").write_text("precious")
    done = sds.join()
    assert done.returncode == 2 and "is there already" in one_line(done.stderr)
    assert (sds.directory / "agent.toml").read_text() == "precious"
    assert (sds.heard, sds.files()) == ([], {"agent.toml"}), "nobody was asked, nothing was made"


def test_a_unit_is_written_and_another_is_left_alone(sds: Sds) -> None:
    unit = sds.directory / "locum agent%.service"
    done = sds.join(None, "--unit", str(unit))
    assert "systemctl enable --now" in done.stdout, done.stderr
    start = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    assert shlex.split(start.partition("=")[2])[1:] == ["agent", "--config", str(sds.directory / "agent.toml")]
    assert "KillMode=mixed" in unit.read_text()
    (sds.directory / "agent.toml").unlink()
    unit.write_text("mine\n")
    done = sds.join(None, "--unit", str(unit))
    assert done.returncode == 0 and "was left as it is" in done.stdout
    assert unit.read_text() == "mine\n"


@pytest.mark.parametrize(
    "text",
    [
        "this token has expired: let an operator make another (locum token)",
        "this token was used already, by other: let an operator make another (locum token)",
        "there is a server extra already: choose another name",
    ],
)
def test_a_refusal_is_1_with_the_sdss_line_and_the_command_can_be_given_again(sds: Sds, text: str) -> None:
    good, sds.reply = sds.reply, Rejection(code="bad-request", text=text)
    done = sds.join()
    assert (done.returncode, done.stdout, one_line(done.stderr)) == (1, "", f"locum: {text}")
    assert "agent.toml" not in sds.files()
    sds.reply = good
    assert sds.join().returncode == 0


def test_another_cluster_is_1(sds: Sds) -> None:
    done = sds.join(sds.token(cluster="elsewhere"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "this is cluster 'test', not 'elsewhere'" in one_line(done.stderr)


@pytest.mark.parametrize(("expires_at", "words"), [(0.0, "it expired on 1970-01-01"), (2e9, "withdrawn, or made by another SDS")])
def test_a_token_that_the_sds_no_longer_knows_is_1(sds: Sds, expires_at: float, words: str) -> None:
    done = sds.join(sds.token(secret=Secret.new().z85, expires_at=expires_at))
    assert (done.returncode, done.stdout, sds.heard) == (1, "", [])
    assert words in one_line(done.stderr)


def test_an_sds_that_cannot_be_reached_is_3(sds: Sds) -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        done = sds.join(sds.token(port=door.getsockname()[1]))
    assert (done.returncode, done.stdout) == (3, "")
    assert "Nothing was changed." in one_line(done.stderr)
    assert "agent.toml" not in sds.files()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--address", "nonsense"), '"nonsense" is no address: write an address'),
        (("--address", "192.0.2.77"), "is no address of this host"),
        (("--address", "0.0.0.0"), "is no address at which others reach one server"),
        (("--name", "Extra"), "is no name: use small letters"),
        (("--state-dir", "/dev/null/state"), "/dev/null/state: cannot be written: Not a directory"),
        (("--config", "/dev/null/x/agent.toml"), "/dev/null/x: cannot be written: Not a directory"),
    ],
)
def test_what_cannot_be_done_here_asks_nobody(sds: Sds, words: tuple[str, ...], line: str) -> None:
    done = sds.join(None, *words)
    assert done.returncode in (1, 2) and done.stdout == ""
    assert line in done.stderr.splitlines()[-1]
    assert sds.heard == [] and "agent.toml" not in sds.files()


@pytest.mark.parametrize(("cut", "words"), [(-1, "damaged or cut short"), (-40, "damaged or cut short"), (5, "no join token")])
def test_a_bad_token_is_2_in_one_line(sds: Sds, cut: int, words: str) -> None:
    done = sds.join(sds.token()[:cut])
    assert (done.returncode, done.stdout, sds.heard, sds.files()) == (2, "", [], set())
    assert words in one_line(done.stderr)


def test_a_token_for_another_name_is_2(sds: Sds) -> None:
    done = sds.join(sds.token(name="http"))
    assert done.returncode == 2 and "for the name http, not extra" in one_line(done.stderr)


def test_a_token_may_come_by_standard_input(sds: Sds) -> None:
    done = sds.join("-")
    assert done.returncode == 2 and "no join token" in one_line(done.stderr), "an empty input is no token"


def test_a_person_gets_a_file_for_the_shell(sds: Sds) -> None:
    sds.reply = Joined(name="extra", role="operator", sds="sds")
    done = sds.join(sds.token(role="operator"), "--config", str(sds.directory / "it's.env"))
    assert done.returncode == 0, done.stderr
    shown = subprocess.run(["sh", "-c", f'. "{sds.directory}/it\'s.env"; env'], capture_output=True, text=True, env={}, check=True).stdout
    said = dict(line.split("=", 1) for line in shown.splitlines() if line.startswith("LOCUM_"))
    assert said["LOCUM_SDS"] == f"127.0.0.1:{sds.router.port}" and said["LOCUM_AS"] == "extra" and said["LOCUM_CLUSTER"] == "test"
    (join,) = sds.heard
    assert isinstance(join, Join) and keys.load_secret(Path(said["LOCUM_KEY"])).public == join.public_key
    assert keys.load_public(Path(said["LOCUM_SDS_KEY"])) == sds.secret.public


# -- leave and revoke


def test_leave_asks_until_it_is_done_and_says_how_far_it_is(answering: Answering) -> None:
    answers = [Leaving(left=False, text="http hands over www first")] * 2 + [Leaving(left=True, text="http has left")]
    done = answering.answer(["leave", "http"], lambda _: answers.pop(0))
    assert (done.returncode, done.stdout) == (0, "http hands over www first\nhttp has left\n"), done.stderr
    assert [(header.part, message) for header, message in answering.heard] == [("operator", Leave(server="http"))] * 3


def test_leave_that_does_not_come_about_is_1(answering: Answering) -> None:
    done = answering.answer(["leave", "http", "--within", "1"], lambda _: Leaving(left=False, text="http hands over www first"))
    assert done.returncode == 1 and "still holds something after 1 s" in one_line(done.stderr)


def test_a_server_leaves_with_its_own_key(answering: Answering) -> None:
    keys.make(answering.directory / "http.key")
    answering.router.trust = Trust.of({"server": {"http": keys.load_public(answering.directory / "http.key.pub")}})
    settings = answering.directory / "agent.toml"
    settings.write_text(
        f'cluster = "test"\nname = "http"\naddress = "127.0.0.1"\nstate_dir = "{answering.directory}"\n'
        f'key_file = "{answering.directory}/http.key"\n'
        f'[sds]\naddress = "127.0.0.1"\nport = {answering.router.port}\npublic_key_file = "{answering.directory}/sds.key.pub"\n'
    )
    process = begin("leave", "--config", str(settings))
    while process.poll() is None:
        answering.poller.wait(0.05)
        for connection, header, message in answering.router.receive():
            answering.heard.append((header, message))
            answering.router.send(connection, Leaving(left=True, text="http has left"))
    out, err = process.communicate(timeout=10)
    assert process.returncode == 0, err
    assert "http has left" in out and "stop the agent here" in out
    assert [(header.sender, header.part, message) for header, message in answering.heard] == [("http", "member", Leave(server="http"))]


def test_leave_where_there_is_no_server_is_2() -> None:
    done = locum("leave", "--config", "/nonexistent.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "elsewhere name the SERVER" in one_line(done.stderr)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["http"], Revoke(name="http")),
        (["--operator", "anna"], Revoke(role="operator", name="anna")),
        (["--viewer", "eve"], Revoke(role="viewer", name="eve")),
    ],
)
def test_revoke_names_one(answering: Answering, words: list[str], message: Message) -> None:
    done = answering.answer(["revoke", *words], lambda _: Accepted(text="no longer trusted"))
    assert (done.returncode, done.stdout) == (0, "no longer trusted\n"), done.stderr
    assert answering.heard[0][1] == message


@pytest.mark.parametrize("words", [[], ["http", "--viewer", "eve"], ["--viewer", "eve", "--operator", "anna"]])
def test_revoke_of_none_or_two_is_2(answering: Answering, words: list[str]) -> None:
    done = answering.answer(["revoke", *words], lambda _: None)
    assert (done.returncode, done.stdout, answering.heard) == (2, "", [])
