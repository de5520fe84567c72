"""What messages are made of: names, numbers, and the rows of the table."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

NOBODY = "-nobody"
"""In the place of a secondary: the SDS has recorded none (R10)."""

ALONE = "-alone"
"""In the place of a secondary: the SDS agreed that there is nobody (R12)."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")]
Backup = Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^(-nobody|-alone|[a-z0-9]([a-z0-9-]*[a-z0-9])?)\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=86_400.0)]
Level = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
TEXT_LIMIT = 2_000
"""Characters of a text that travels; who makes one of something foreign cuts it to this."""

Text = Annotated[str, msgspec.Meta(max_length=TEXT_LIMIT)]
OcfAgent = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^(|ocf:[A-Za-z0-9_][A-Za-z0-9_.-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*)\Z")]
Unit = Annotated[str, msgspec.Meta(max_length=255, pattern=r"^(|[A-Za-z0-9_][A-Za-z0-9_:.@\\-]*\.service)\Z")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Key = Annotated[str, msgspec.Meta(min_length=40, max_length=40)]
Part = Literal["guard", "runner", "sds", "operator", "viewer", "member", "joiner"]
Role = Literal["server", "operator", "viewer", "sds", "joiner"]


def is_server(name: str) -> bool:
    """Whether a recorded secondary is a server, not NOBODY or ALONE."""
    return not name.startswith("-")


def why_no_path(path: str) -> str | None:
    """Why this cannot be the path of a service's file, in words that follow it; None if it can."""
    if not path.startswith("/"):
        return "is not absolute: begin it with /"
    if path == "/" or path.endswith("/") or any(part in ("", ".", "..") for part in path[1:].split("/")):
        return "is no plain path: write it without a slash at the end, //, . and .."
    if any(ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) < 0xE000 for letter in path):
        return "has characters in it that are no text"
    if len(path) > 2_000 or any(len(part.encode()) > 255 for part in path.split("/")):
        return "is too long"
    return None


def within(path: str, roots: tuple[str, ...]) -> bool:
    """Whether this path is one of these, or lies below one."""
    return any(path == root or path.startswith(root + "/") for root in roots)


class Owner(msgspec.Struct, frozen=True):
    """Who holds a key, and as what."""

    name: str
    role: Role


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of what messages are made of."""


class ServiceDefinition(Value, frozen=True, kw_only=True):
    """A service as its home describes it.  The SDS's record is the one that counts (R15)."""

    name: Name
    fqdn: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    port: Port
    home: Name
    driver: Literal["command", "ocf", "systemd"] = "command"
    agent: OcfAgent = ""  # of the driver ocf: the resource agent, as in ocf:heartbeat:nginx
    parameters: dict[str, str] = {}  # of the driver ocf: what the agent finds as OCF_RESKEY_NAME
    unit: Unit = ""  # of the driver systemd: a .service of the system
    start: tuple[str, ...] = ()  # argument vector of the foreground program
    stop: tuple[str, ...] = ()  # empty: SIGTERM
    check: tuple[str, ...] = ()  # empty: the port accepts a connection
    standby: Literal["cold", "warm", "hot"] = "warm"  # what a secondary has ready
    prepare: tuple[str, ...] = ()  # run at a secondary, before it is needed: is all here that a start needs?
    activate: tuple[str, ...] = ()  # opens the door of the program that a hot secondary keeps started
    environment: dict[str, str] = {}
    exclusive: bool = True  # at most one server at any instant
    finish_s: Seconds = 6.0  # if not exclusive: how long the former holder serves on after a planned move (R22)
    alone: Literal["keep", "yield"] = "keep"  # R12
    failback: Literal["auto", "manual"] = "auto"
    failback_delay_s: Seconds = 30.0  # the home must have been up this long
    start_limit_s: Seconds = 10.0  # a start that takes longer has failed
    restart_limit: Count = 3  # within the window: restarts in place, and yields to a hot secondary
    restart_window_s: Seconds = 60.0
    on_move: Literal["restart", "keep"] = "restart"  # when its server's address changes (P20)
    files: tuple[str, ...] = ()  # absolute paths at its home, a directory means its tree; its stand-ins get them (P4)


class Hold(Value, frozen=True, kw_only=True):
    """What a guard says that it holds: R18."""

    service: Name
    epoch: Count
    grant_id: Count
    number: Count
    secondary: Backup


class NameState(Value, frozen=True, kw_only=True):
    """A name in the DNS, as the server that writes it sees it: P5."""

    fqdn: str
    state: Literal["converged", "pending", "wrong"]
    for_s: Seconds  # it has been so for this long
    why: Text = ""
    answers: dict[str, str | None] = {}  # what each authority answers now: addresses, empty if there is no such name; none: no answer


class FilesState(Value, frozen=True, kw_only=True):
    """How far the files of a service are on one server: P4."""

    version: Annotated[str, msgspec.Meta(max_length=64)] | None = None  # the last that is here completely; none: no version is
    trouble: Text | None = None  # why a newer one is not, or what else is wrong


Readiness = Literal["cold", "preparing", "warm", "hot"]
"""How far a secondary is prepared: not at all, being prepared, tested, started but shut."""


class ServerRow(Value, frozen=True, kw_only=True):
    """A server as the table shows it: P7, P8."""

    name: Name
    address: str
    peer_port: Port
    public_key: str  # Z85, of the key that registered
    incarnation: Count
    state: Literal["up", "silent", "draining", "left"]
    zone: str | None = None
    loadlevel: Level | None = None
    priority: int | None = None
    guards: tuple[str, ...] = ()  # which of R6 are in force
    able: tuple[Name, ...] = ()  # the services that it can run
    unable: dict[Name, Text] = {}  # the others, and why not


class ServiceRow(Value, frozen=True, kw_only=True):
    """A service as the table shows it."""

    definition: ServiceDefinition
    epoch: Count
    holder: Name | None = None
    secondary: Backup = NOBODY
    state: Literal["serving", "starting", "stopping", "unserved"] = "unserved"
    reason: Text | None = None
    move_to: Name | None = None  # a planned move under way: this server asks for the release
    standby: Readiness | None = None  # how far its secondary is prepared, if that is heard
