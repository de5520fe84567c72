"""Whose keys are trusted: tokens, joining, leaving, revoking, the trust file (section 7, R15, R20)."""

from __future__ import annotations

from typing import Any

import pytest
from parts import WWW, Sds, said

from bus.messages import (
    Accepted,
    Appointment,
    Issued,
    Join,
    Joined,
    Leave,
    Leaving,
    Order,
    Registration,
    Rejection,
    Report,
    Revoke,
    TokenRequest,
)
from bus.step import Note, Peer
from bus.timeline import EVIDENCE
from bus.values import Owner, ServerRow
from sds.admission import KEPT_S, Admission, Book, BookNotWritten, BookWritten, Place, Relisted, TrustChanged, WriteBook
from sds.description import ServiceDescription

ANNA, BERT, EVE = (Peer(name, part, 1) for name, part in (("anna", "operator"), ("bert", "operator"), ("eve", "viewer")))  # type: ignore[arg-type]
LISTED = {"key-http": Owner("http", "server"), "key-anna": Owner("anna", "operator"), "key-bert": Owner("bert", "operator")}
PLACE = Place(name="sds", address="192.0.2.10", settings={"dns": {"server": "192.0.2.53"}}, secrets={"dns.key_secret_file": "s3cret"})
START, WALL = 500.0, 1_700_000_000.0


def key(word: str) -> str:
    return f"{word:-<40}"


class Door:
    """An admission whose disk is the test."""

    def __init__(self, book: Book | None = None, now: float = START, wall: float = WALL, listed: dict[str, Owner] | None = None) -> None:
        self.now = now
        self.fails = False
        self.book = book or Book(cluster="test")
        self.machine = Admission(self.book, LISTED if listed is None else listed, PLACE, now, wall)

    def written(self, actions: list[Any]) -> list[Any]:
        for action in list(actions):
            if isinstance(action, WriteBook):
                if self.fails:
                    actions += self.machine.not_written("the disk is full")
                else:
                    self.book = action.book
                    actions += self.machine.written()
        return actions

    def token(self, word: str = "token", sender: Peer = ANNA, **more: Any) -> Peer:
        """A token, and as whom its key speaks."""
        (issued,) = said(self.written(self.machine.token(sender, TokenRequest(public_key=key(word), **more), self.now)), Issued)
        return Peer(f"token-{issued.number}", "joiner", 1)

    def join(self, token: Peer, name: str = "extra", word: str = "mine", held: tuple[str, ...] = ()) -> list[Any]:
        return self.written(self.machine.join(token, Join(public_key=key(word), name=name), (WWW,), held, self.now))

    def revoke(self, role: Any, name: str) -> list[Any]:
        return self.written(self.machine.revoke(ANNA, Revoke(role=role, name=name), list))

    def after_restart(self, passed_s: float, wall: float) -> Door:
        """The next SDS, on a host that has been started meanwhile: its clock begins anew."""
        return Door(self.book, now=passed_s, wall=wall)


def refusal(actions: list[Any]) -> str:
    (rejection,) = said(actions, Rejection)
    assert not said(actions, Joined)
    return rejection.text


def test_a_newcomer_is_trusted_from_the_answer_on() -> None:
    """P19: nothing about it was configured."""
    door = Door()
    token = door.token()
    assert door.machine.doors()[key("token")] == Owner(token.name, "joiner")
    assert key("token") not in door.machine.owners(), "a token is no right to hear table updates"
    actions = door.join(token)
    (joined,) = said(actions, Joined)
    assert (joined.name, joined.role, joined.settings, joined.secrets, joined.services) == (
        "extra",
        "server",
        PLACE.settings,
        PLACE.secrets,
        (WWW,),
    )
    assert door.machine.owners()[key("mine")] == Owner("extra", "server")
    kinds = [type(action) for action in actions]
    assert kinds.index(WriteBook) < kinds.index(TrustChanged), "nobody is trusted before it is on disk"


def test_a_person_is_given_no_secrets() -> None:
    door = Door()
    (joined,) = said(door.join(door.token(role="viewer"), "clara"), Joined)
    assert (joined.settings, joined.secrets, joined.services) == ({}, {}, ())
    assert door.machine.owners()[key("mine")] == Owner("clara", "viewer")


def test_a_token_is_good_for_one_key_even_after_a_restart() -> None:
    door = Door()
    token = door.token()
    first = said(door.join(token), Joined)
    for later in (door, door.after_restart(3.0, WALL + 60)):
        assert said(later.join(token), Joined) == first, "an answer that was lost is given again"
        assert "used already, by extra" in refusal(later.join(token, "other", "another"))
        assert "used already" in refusal(later.join(token, "extra", "another"))
        assert "used already" in refusal(later.join(token, "other", "mine"))


def test_a_token_expires() -> None:
    door = Door()
    token = door.token(valid_s=600.0)
    door.now += 599.0
    assert said(door.join(token), Joined)
    late = door.token("second", valid_s=600.0)
    door.now += 601.0
    assert "has expired" in refusal(door.join(late, "late", "late"))
    assert said(door.join(token), Joined), "who has joined has joined"


@pytest.mark.parametrize(("wall", "good"), [(WALL + 599, True), (WALL + 601, False), (WALL - 86_400, True)])
def test_a_restart_neither_ends_nor_renews_a_token(wall: float, good: bool) -> None:
    """A clock that was set back gives it the time it had, and no more."""
    door = Door()
    token = door.token(valid_s=600.0)
    after = door.after_restart(3.0, wall)
    assert bool(said(after.join(token), Joined)) is good
    after = door.after_restart(3.0, wall)
    after.now += 601.0
    assert "has expired" in refusal(after.join(token))


def test_old_tokens_are_forgotten() -> None:
    door = Door()
    door.token()
    door.now += 3_600 + KEPT_S + 1
    door.token("second")
    assert [token.number for token in door.book.tokens] == [2]
    assert key("token") not in door.machine.doors()


def test_a_token_for_a_name_is_for_that_name() -> None:
    door = Door()
    token = door.token(name="extra")
    assert "for the name extra, not other" in refusal(door.join(token, "other"))
    assert said(door.join(token, "extra"), Joined)


@pytest.mark.parametrize(
    ("name", "word", "words"),
    [
        ("http", "mine", "there is a server http already"),
        ("sds", "mine", "the name of the SDS"),
        ("extra", "token", "this key is another's"),
    ],
)
def test_a_name_or_key_that_is_taken_is_refused_and_burns_nothing(name: str, word: str, words: str) -> None:
    door = Door()
    token = door.token()
    assert words in refusal(door.join(token, name, word))
    assert said(door.join(token), Joined)


def test_a_name_that_still_counts_as_a_holder_is_not_given_away() -> None:
    """R15: another machine under that name, which comes up empty, would pass for the holder come back empty."""
    door = Door()
    assert "still counts as the holder of www" in refusal(door.join(door.token(), held=("www",)))


def test_a_token_for_a_taken_name_is_not_made() -> None:
    door = Door()
    actions = door.machine.token(ANNA, TokenRequest(public_key=key("token"), name="http"), door.now)
    assert "there is a server http already" in refusal(actions)
    assert "locum leave http" in refusal(actions)


def test_what_cannot_be_written_has_not_happened() -> None:
    door = Door()
    token = door.token()
    door.fails = True
    assert "nothing was changed: the disk is full" in refusal(door.join(token))
    assert key("mine") not in door.machine.doors()
    assert "nothing was changed" in refusal(door.revoke("server", "http"))
    assert door.machine.key_of("server", "http") == "key-http"
    door.fails = False
    assert said(door.join(token), Joined)


def test_who_asks_during_a_write_is_answered_when_it_asks_again() -> None:
    door = Door()
    one, two = door.token(), door.token("second")
    write = door.machine.join(one, Join(public_key=key("mine"), name="extra"), (), (), door.now)
    assert door.machine.join(two, Join(public_key=key("other"), name="extra"), (), (), door.now) == []
    door.written(write)
    assert "there is a server extra already" in refusal(door.join(two, "extra", "other"))


def test_a_revoked_key_is_out_wherever_it_stands_and_its_name_is_free() -> None:
    door = Door()
    actions = door.revoke("server", "http")
    assert said(actions, Accepted)
    for later in (door, door.after_restart(1.0, WALL)):
        assert later.machine.key_of("server", "http") == ""
        assert "key-http" not in later.machine.doors()
        assert later.machine.left == {"http"}
        assert later.machine.complaints() == ["server http: this key is revoked: take the line out"]
    token = door.token()
    assert "this key was revoked" in refusal(
        door.written(door.machine.join(token, Join(public_key="key-http", name="http"), (), (), door.now))
    )
    assert said(door.join(token, "http", "new"), Joined)
    assert door.machine.key_of("server", "http") == key("new")
    assert door.machine.left == frozenset()


def test_last_words_come_before_the_sockets_are_shut() -> None:
    kinds = [type(getattr(action, "message", action)) for action in Door().revoke("operator", "bert")]
    assert kinds.index(Accepted) < kinds.index(TrustChanged)


def test_a_revoked_operators_unused_tokens_are_void() -> None:
    door = Door()
    used, unused = door.token(sender=BERT), door.token("second", sender=BERT)
    door.join(used)
    door.revoke("operator", "bert")
    assert door.machine.key_of("server", "extra") == key("mine")
    assert key("second") not in door.machine.doors()
    assert door.machine.join(unused, Join(public_key=key("other"), name="other"), (), (), door.now) == []


def test_the_last_operator_stays_and_strangers_cannot_be_revoked() -> None:
    door = Door()
    door.revoke("operator", "bert")
    assert "anna is the only operator" in refusal(door.revoke("operator", "anna"))
    assert "no key is trusted for viewer eve" in refusal(door.revoke("viewer", "eve"))


def test_the_trust_file_read_again_adds_and_takes_away() -> None:
    door = Door()
    door.join(door.token())
    listed = {k: o for k, o in LISTED.items() if o.name != "bert"} | {"key-ftp": Owner("ftp", "server"), "key-x": Owner("extra", "server")}
    actions = door.machine.relist(listed)
    (text,) = [action.transition.text for action in actions if hasattr(action, "transition")]
    assert "new: server ftp, server extra; trusted no more: operator bert, server extra" in text
    assert door.machine.key_of("server", "extra") == "key-x", "the operator's file counts"
    assert len(door.machine.complaints()) == 1


# -- the SDS as a whole


class Cluster(Sds):
    """An SDS with an admission, whose disk is the test too."""

    def __init__(self) -> None:
        super().__init__()
        self.door = Door(listed={f"key of {name}": Owner(name, "server") for name in ("http", "email", "ftp")} | LISTED)
        del self.door.machine._listed["key-http"]
        draw = iter(range(9_000, 10_000)).__next__
        self.machine = ServiceDescription(
            cluster="test",
            incarnation=1,
            timing=self.machine._timing,
            servers=(),
            records=(),
            high_water={},
            public_key_of=lambda name: self.door.machine.key_of("server", name),
            draw=draw,
            now=self.now,
            admission=self.door.machine,
        )
        self.wait(2.0)

    def step(self, event: Any) -> list[Any]:
        actions = super().step(event)
        for action in list(actions):
            if isinstance(action, WriteBook):
                self.door.book = action.book
                actions += self.step(BookNotWritten("full") if self.door.fails else BookWritten())
        return actions

    def row(self, name: str) -> ServerRow:
        return self.machine.rows(self.now)[0][name]

    def leave(self, name: str, sender: Peer = ANNA, force: bool = False) -> list[Any]:
        return self.hear(sender, Leave(server=name, force=force))


@pytest.fixture
def cluster() -> Cluster:
    """www at its home http, email able to run it."""
    cluster = Cluster()
    for name in ("http", "email"):
        cluster.join(name)
    cluster.wait(5.0, "http", "email")
    assert cluster.record.holder == "http"
    return cluster


def serve(cluster: Cluster, holder: str) -> None:
    """The holder says that it serves, so that planned moves may begin."""
    cluster.machine.membership.presence[holder].serving = {"www": cluster.record.epoch}


def test_a_server_that_holds_nothing_leaves_at_once(cluster: Cluster) -> None:
    actions = cluster.leave("email")
    (leaving,) = said(actions, Leaving)
    assert leaving.left
    assert [a.to.name for a in actions if isinstance(getattr(a, "message", None), Rejection)] == ["email"], "its guard gets the last word"
    assert (cluster.row("email").state, cluster.row("email").public_key) == ("left", "")
    assert cluster.machine.why_not("email", "www", cluster.now) == "it left the cluster"
    candidates = cluster.machine.status([], cluster.now)["services"][0]["candidates"]
    assert candidates == []
    assert said(cluster.leave("email"), Leaving) == [Leaving(left=True, text="email has left")], "said again, it is so already"


def test_a_holder_hands_over_before_it_leaves(cluster: Cluster) -> None:
    serve(cluster, "http")
    (leaving,) = said(cluster.leave("http"), Leaving)
    assert (leaving.left, leaving.text) == (False, "http hands over www first")
    assert cluster.row("http").state == "draining"
    assert cluster.machine.admission.key_of("server", "http")
    cluster.step(Relisted(dict(cluster.door.machine._listed)))  # any step: the table follows
    cluster.wait(1.0, "http", "email")
    assert cluster.machine.moves.wishes["www"].target == "email"


def test_a_holder_that_nobody_can_replace_stays_unless_forced(cluster: Cluster) -> None:
    serve(cluster, "http")
    cluster.leave("email")
    assert "nobody else can run that now: --force" in refusal(cluster.leave("http"))
    assert cluster.row("http").state == "up", "a refusal drains nothing"
    (leaving,) = said(cluster.leave("http", force=True), Leaving)
    assert leaving.left and cluster.row("http").state == "left"


def test_a_silent_holder_is_confirmed_dead_first(cluster: Cluster) -> None:
    """R13: with its secondary silent too, nobody knows whether it serves."""
    record = cluster.record
    appointment = Appointment(service="www", epoch=record.epoch, grant_id=record.grant_id, number=1, secondary="email")
    cluster.hear(Peer("http", "guard", 1), appointment)
    cluster.wait(5.0)
    assert (cluster.record.holder, cluster.record.secondary) == ("http", "email")
    assert "locum confirm-dead http first" in refusal(cluster.leave("http"))
    assert said(cluster.leave("http", force=True), Leaving)[0].left


def test_a_server_lets_itself_go_and_nobody_else(cluster: Cluster) -> None:
    assert said(cluster.leave("email", Peer("email", "member", 1)), Leaving)[0].left
    assert said(cluster.leave("http", Peer("ftp", "member", 1)), Rejection)[0].code == "not-allowed"


@pytest.mark.parametrize(
    "message", [Leave(server="http"), Revoke(name="http"), TokenRequest(public_key=key("t")), Order(verb="drain", server="http")]
)
@pytest.mark.parametrize("part", ["viewer", "joiner", "member"])
def test_only_operators_decide_about_others(cluster: Cluster, part: Any, message: Any) -> None:
    actions = cluster.hear(Peer("eve", part, 1), message)
    assert [rejection.code for rejection in said(actions, Rejection)] == ["not-allowed"]
    assert not said(actions, WriteBook)


def test_a_revoked_holder_is_replaced_by_the_ordinary_rules(cluster: Cluster) -> None:
    """It is heard no more; its lease at the SDS runs out, and another is granted the service."""
    epoch = cluster.record.epoch
    assert said(cluster.hear(ANNA, Revoke(name="http")), Accepted)
    assert cluster.record.holder == "http", "a promise that was given is kept"
    assert cluster.row("http").public_key == "", "peers trust the keys in the table"
    cluster.wait(5.0, "email")
    assert (cluster.record.holder, cluster.record.epoch) == ("email", epoch + 1)


def newcomer(cluster: Cluster, name: str) -> None:
    """Another key under this name, as by joining."""
    listed = {k: o for k, o in cluster.door.machine._listed.items() if o.name != name} | {f"new key of {name}": Owner(name, "server")}
    cluster.step(Relisted(listed))


def test_another_machine_under_a_holders_name_is_not_taken_for_it(cluster: Cluster) -> None:
    """R15: it comes up with a higher incarnation, holding nothing; the former may serve on its secondary's word."""
    newcomer(cluster, "http")
    report = Report(knows=1)
    actions = cluster.hear(Peer("http", "guard", 2), report)
    assert "another machine held www under the name http" in refusal(actions)
    assert (cluster.record.state, cluster.record.holder) == ("held", "http")


def test_once_the_former_is_confirmed_dead_or_replaced_the_newcomer_is_heard(cluster: Cluster) -> None:
    newcomer(cluster, "http")
    cluster.wait(5.0, "email")
    assert cluster.record.holder == "email"
    cluster.hear(Peer("http", "guard", 2), Report(knows=1))
    cluster.wait(5.0, "email")
    cluster.hear(Peer("http", "guard", 2), Report(knows=1))
    registration = Registration(address="http", peer_port=5760, able=("www",), lease_s=0.6, stop_s=0.4)
    cluster.hear(Peer("http", "runner", 2), registration)
    assert cluster.machine.membership.incarnation("http") == 2
    assert cluster.machine.membership.servers["http"].public_key == "new key of http"


def test_who_comes_back_under_another_key_is_not_drained_any_more(cluster: Cluster) -> None:
    cluster.machine.membership.drain("email", True)
    cluster.leave("email")
    newcomer(cluster, "email")
    assert not cluster.machine.membership.servers["email"].drained
    assert cluster.row("email").state != "left"


def test_a_service_of_a_home_that_left_may_find_another(cluster: Cluster) -> None:
    assert cluster.machine.membership.describes("http", "www")
    cluster.leave("http", force=True)
    assert not cluster.machine.membership.describes("http", "www")


@pytest.mark.parametrize("kind", ["token", "joined", "revoked"])
def test_what_is_told_of_keys_is_documented(kind: str) -> None:
    door = Door()
    issued = door.written(door.machine.token(ANNA, TokenRequest(public_key=key("other")), door.now))
    notes = [
        action.transition for action in [*issued, *door.join(door.token()), *door.revoke("server", "extra")] if isinstance(action, Note)
    ]
    told = next(note for note in notes if note.kind == kind)
    assert tuple(told.evidence) == EVIDENCE[kind]
