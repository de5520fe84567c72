"""A server joins a running cluster by a token, leaves it, is revoked; the trust file is read again (section 7)."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from small_cluster import SOON_S, Part, SmallCluster, command, environment
from waiting import until

from bus import keys
from bus.keys import Secret
from bus.messages import Join, Leave, Message, Order, Registration, Rejection, StatusRequest, TableRequest, TokenRequest
from bus.sockets import Dealer, Subscriber
from bus.token import JoinToken, read
from bus.wire import Header

MakeCluster = Callable[..., SmallCluster]


def token(cluster: SmallCluster, *words: str) -> str:
    made = cluster.locum("token", *words)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def join(cluster: SmallCluster, line: str, name: str, place: str = "") -> subprocess.CompletedProcess[str]:
    """`locum join` on a machine of its own: a directory and an address."""
    cluster.servers.setdefault(name, f"{cluster.net}.{50 + len(cluster.servers)}")
    home = cluster.directory / (place or f"host-{name}")
    words = ["join", line, "--name", name, "--address", cluster.servers[name]]
    words += ["--config", str(home / "agent.toml"), "--state-dir", str(home / "state")]
    return subprocess.run(
        command(*words), env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def start(cluster: SmallCluster, name: str, place: str = "") -> Part:
    return cluster.start("agent", cluster.directory / (place or f"host-{name}") / "agent.toml")


def state_of(cluster: SmallCluster, name: str) -> str | None:
    return next((row["state"] for row in cluster.status()["servers"] if row["name"] == name), None)


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> SmallCluster:
    """www at home on one, two its secondary."""
    cluster = make_cluster("one", "two")
    cluster.begin()
    cluster.settled("one", "two")
    return cluster


def test_a_newcomer_is_a_candidate_serves_and_leaves(cluster: SmallCluster) -> None:
    """P19: nothing was configured anywhere but for the token."""
    done = join(cluster, token(cluster), "extra")
    assert done.returncode == 0, done.stderr
    assert "it can back up: www" in done.stdout
    start(cluster, "extra")
    until(lambda: cluster.candidate("extra").get("ok"), within_s=SOON_S, every_s=0.1)
    before = cluster.service()
    assert (before["holder"], before["secondary"]) == ("one", "two"), "joining moves nothing"
    assert cluster.locum("move", "www", "extra").returncode == 0
    cluster.settled("extra")
    cluster.served("extra")
    left = cluster.locum("leave", "extra")
    assert (left.returncode, left.stdout.splitlines()[0]) == (0, "extra hands over www first"), left.stderr
    assert cluster.whoami("extra") is None, "it has left only when it holds nothing"
    after = cluster.service()
    assert after["holder"] != "extra" and "extra" not in [row["server"] for row in after["candidates"]]
    assert state_of(cluster, "extra") == "left"
    assert [event["kind"] for event in cluster.history() if event["kind"] in ("token", "joined", "left")] == ["token", "joined", "left"]


def test_a_token_is_burned_for_good_and_a_lost_answer_is_given_again(cluster: SmallCluster) -> None:
    line = token(cluster)
    assert join(cluster, line, "extra").returncode == 0
    sds = next(part for part in cluster.parts if part.name == "sds")
    sds.process.kill()
    sds.process.wait()
    cluster.start("sds", cluster.sds_settings())
    until(lambda: cluster.locum("status").returncode == 0, within_s=SOON_S)
    other = join(cluster, line, "other")
    assert (other.returncode, other.stdout) == (1, "")
    assert "used already, by extra" in other.stderr
    settings = cluster.directory / "host-extra" / "agent.toml"
    text = settings.read_text()
    settings.unlink()  # as if the answer, or what followed from it, had been lost
    again = join(cluster, line, "extra")
    assert again.returncode == 0, again.stderr
    assert settings.read_text() == text
    start(cluster, "extra")
    until(lambda: state_of(cluster, "extra") == "up", within_s=SOON_S, every_s=0.1)


def test_a_token_expires(cluster: SmallCluster) -> None:
    line = token(cluster, "--valid", "1s")
    over_at = read(line).expires_at
    until(lambda: time.time() > over_at, within_s=SOON_S)
    late = join(cluster, line, "late")
    assert (late.returncode, late.stdout) == (1, "")
    assert "this token has expired" in late.stderr
    assert not (cluster.directory / "host-late" / "agent.toml").exists()


def ask(cluster: SmallCluster, holder: JoinToken, message: Message, part: str = "joiner") -> Message:
    """Say this under a token's key; the answer."""
    header = Header("small", f"token-{holder.number}", part, 0)  # type: ignore[arg-type]
    dealer = Dealer(holder.address, holder.port, holder.sds_key, Secret(holder.secret), header)
    try:
        until(lambda: dealer.send(message), within_s=SOON_S)
        ((_, answer),) = until(dealer.receive, within_s=SOON_S)
    finally:
        dealer.close()
    return answer


@pytest.mark.parametrize(
    "message",
    [
        StatusRequest(),
        TableRequest(),
        TokenRequest(public_key="x" * 40),
        Order(verb="drain", server="one"),
        Leave(server="one"),
        Registration(address="127.0.0.1", peer_port=1, lease_s=1, stop_s=1),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_tokens_key_is_good_for_joining_alone(cluster: SmallCluster, message: Message) -> None:
    """Nothing unauthenticated changes anything, and who may join may do nothing else."""
    holder = read(token(cluster))
    for part in ("joiner", "operator", "runner"):
        answer = ask(cluster, holder, message, part)
        assert isinstance(answer, Rejection) and answer.code == "not-allowed", answer
    updates = Subscriber(
        holder.address, holder.updates_port, holder.sds_key, Secret(holder.secret), Header("small", "token-1", "joiner", 0)
    )
    sds = cluster.parts[0]
    until(lambda: f"port {holder.updates_port}: refused" in sds.said(), within_s=SOON_S)
    assert updates.receive() == [], "a token's key hears no table updates"
    updates.close()
    assert cluster.service()["holder"] == "one"


def test_a_key_that_is_none_is_refused(cluster: SmallCluster) -> None:
    answer = ask(cluster, read(token(cluster)), Join(public_key="#" * 40, name="extra"))
    assert isinstance(answer, Rejection) and "a key is 40 characters of Z85" in answer.text


def test_a_revoked_holder_is_silenced_and_replaced(cluster: SmallCluster) -> None:
    """Its connections stand, and are heard no more: the ordinary rules replace it, and its name is free."""
    assert join(cluster, token(cluster), "extra").returncode == 0
    agent = start(cluster, "extra")
    until(lambda: cluster.candidate("extra").get("ok"), within_s=SOON_S, every_s=0.1)
    assert cluster.locum("move", "www", "extra").returncode == 0
    epoch = cluster.settled("extra")["epoch"]
    done = cluster.locum("revoke", "extra")
    assert (done.returncode, done.stdout) == (0, "the key of server extra is no longer trusted\n"), done.stderr
    row = until(lambda: (row := cluster.service())["holder"] in ("one", "two") and row["state"] == "serving" and row, within_s=SOON_S)
    assert row["epoch"] > epoch
    until(lambda: cluster.whoami("extra") is None, within_s=SOON_S)
    assert state_of(cluster, "extra") == "left"
    agent.process.send_signal(signal.SIGTERM)
    agent.ended()
    line = token(cluster)
    old = join(cluster, line, "extra", "host-extra-again")
    assert old.returncode == 0, old.stderr
    start(cluster, "extra", "host-extra-again")
    until(lambda: cluster.candidate("extra").get("ok"), within_s=SOON_S, every_s=0.1)


def test_a_revoked_server_that_is_stopped_meanwhile_gets_nothing_back(cluster: SmallCluster) -> None:
    """It never hears that it was revoked: leases alone see to it, and its old key opens no door."""
    one = next(part for part in cluster.parts if part.name.startswith("one"))
    tether = psutil.Process(one.process.pid)
    everything = [tether, *tether.children(recursive=True)]
    for process in everything:
        process.suspend()
    try:
        assert cluster.locum("revoke", "one").returncode == 0
        cluster.settled_without_secondary("two")
    finally:
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
    until(lambda: cluster.whoami("one") is None, within_s=SOON_S)
    refused = f"key {keys.load_public(cluster.directory / 'one.key.pub')}"
    until(lambda: refused in cluster.parts[0].said() or "its key is no longer trusted" in one.said(), within_s=SOON_S)
    assert (cluster.service()["holder"], state_of(cluster, "one")) == ("two", "left")
    assert "this key is revoked: take the line out" not in cluster.parts[0].said()
    cluster.parts[0].process.send_signal(signal.SIGHUP)
    until(lambda: "server one: this key is revoked: take the line out" in cluster.parts[0].said(), within_s=SOON_S)


def test_a_person_joins_and_is_revoked(cluster: SmallCluster, tmp_path: Path) -> None:
    line = token(cluster, "--role", "operator", "--name", "anna")
    done = subprocess.run(
        command("join", line, "--config", str(tmp_path / "anna.env")),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    def as_anna(words: str) -> subprocess.CompletedProcess[str]:
        script = f'. {tmp_path / "anna.env"}; exec "$@"'
        whole = ["sh", "-c", script, "sh", *command(*words.split())]
        return subprocess.run(whole, env=environment(), capture_output=True, text=True, timeout=60, check=False)

    drained = as_anna("drain two")
    assert drained.returncode == 0, drained.stderr
    assert as_anna("resume two").returncode == 0
    assert cluster.locum("revoke", "--operator", "anna").returncode == 0
    assert as_anna("status").returncode == 3
    assert "operator is the only operator" in cluster.locum("revoke", "--operator", "operator").stderr


def test_the_trust_file_is_read_again_on_sighup(cluster: SmallCluster) -> None:
    """A server added by hand is let in; leases are not touched, and a mistake changes nothing."""
    sds, before = cluster.parts[0], cluster.service()
    good = cluster.trust.read_text()
    cluster.trust.write_text(good.replace("[servers]", '[servers]\nbroken = "short"'))
    sds.process.send_signal(signal.SIGHUP)
    until(lambda: "everything stays as it was" in sds.said(), within_s=SOON_S)
    stranger = cluster.directory / "stranger.key.pub"
    cluster.trust.write_text(good.replace("[servers]", f'[servers]\nstranger = "{keys.load_public(stranger)}"'))
    sds.process.send_signal(signal.SIGHUP)
    cluster.servers["stranger"] = f"{cluster.net}.66"
    cluster.start("agent", cluster.agent_settings("stranger"))
    until(lambda: state_of(cluster, "stranger") == "up", within_s=SOON_S, every_s=0.1)
    cluster.trust.write_text(good)
    sds.process.send_signal(signal.SIGHUP)
    until(lambda: state_of(cluster, "stranger") == "silent", within_s=SOON_S, every_s=0.1)
    after = cluster.settled("one", "two")
    assert (after["epoch"], after["holder"], sds.process.poll()) == (before["epoch"], "one", None)
    texts = [event["text"] for event in cluster.history() if event["kind"] == "trust"]
    assert ["new: server stranger" in text for text in texts] == [True, False]


def test_two_with_one_token_and_one_name(cluster: SmallCluster) -> None:
    """Whoever comes first; the other gets a line, and nothing of it is left half done at the SDS."""
    first, second = token(cluster), token(cluster)
    assert join(cluster, first, "extra").returncode == 0
    done = join(cluster, second, "extra", "elsewhere")
    assert done.returncode == 1 and "there is a server extra already" in done.stderr
    book = json.loads((cluster.directory / "sds" / "joined.json").read_text())
    assert [member["name"] for member in book["joined"]] == ["extra"]
    assert join(cluster, second, "third").returncode == 0, "a refusal burns no token"


def test_an_sds_whose_record_is_damaged_does_not_start(make_cluster: MakeCluster) -> None:
    cluster = make_cluster("one")
    settings = cluster.sds_settings()
    (cluster.directory / "sds").mkdir()
    (cluster.directory / "sds" / "joined.json").write_text("{")
    sds = cluster.start("sds", settings)
    assert sds.ended() == 1
    assert "joined.json: the record of who joined is damaged: restore it" in sds.said() and "Traceback" not in sds.said()
