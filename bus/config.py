"""Frozen settings, checked once, passed whole.

Every duration is in seconds and ends in `_s`.  A file that is wrong gives one
`ConfigError` that names the file, the key and the remedy; nothing is started.
Reading the file is the caller's: this module gets its text.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from typing import Annotated, Literal, TypeVar

import msgspec

from bus.addresses import OwnAddress, literal, own_address, place
from bus.services import ServiceSection, complaints
from bus.values import Name, Port, ServiceDefinition


class ConfigError(Exception):
    """A setting cannot be used.  Nothing was started."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The durations on which safety rests (R1), and what they promise.

    A holder that fell silent is replaced after at most

        G + S + start                   (unplanned: `outage_bound_s`)
        S + G + max(G, 0.5) + start     (during a planned move: `move_bound_s`)

    where G is `promise_s`.  `needs` is what the host must give for the
    preset's S to be true (R3).
    """

    name: str
    needs: Literal["SCHED_FIFO", "SCHED_FIFO or nice -20", "nothing"]
    beat_s: float  # between two keep-alives
    lease_s: float  # H: how long one acknowledgement lets a holder serve, from its asking
    stop_s: float  # S: from "expired" to "provably stopped", the tether's kill included
    tick_s: float  # how finely a voter looks at its promises
    clock_error: float = 0.005  # rho: how wrong a clock's rate may be
    loadlevel_s: float = 0.5  # between two loadlevels, and between two reports
    runner_grace_s: float = 10.0  # a runner may be away this long

    @property
    def promise_s(self) -> float:
        """G: how long a voter that acknowledged will not help replace the holder."""
        return self.promise_for(self.lease_s, self.stop_s)

    def promise_for(self, lease_s: float, stop_s: float) -> float:
        """G for a holder whose H and S are these (R1)."""
        return (lease_s + stop_s) * (1 + self.clock_error) / (1 - self.clock_error) + self.tick_s

    @property
    def silent_s(self) -> float:
        """No word for this long makes a server `silent`: no candidate."""
        return 3 * self.loadlevel_s

    @property
    def guard_kill_s(self) -> float:
        """The part of S in which the guard must have killed; the rest is the tether's (R6)."""
        return self.stop_s / 2

    def outage_bound_s(self, start_s: float) -> float:
        """The longest outage after one fault, when a start takes `start_s`."""
        return self.promise_s + self.stop_s + start_s

    def move_bound_s(self, start_s: float) -> float:
        """The longest outage after one fault in the middle of a planned move."""
        return self.stop_s + self.promise_s + self.runner_answer_s + start_s

    @property
    def runner_answer_s(self) -> float:
        """A runner that does not begin a start within this is taken to hang: another server gets the service."""
        return max(self.promise_s, 0.5)

    @property
    def promises(self) -> str:
        """One line for people: what this timing promises."""
        unplanned, planned = self.outage_bound_s(0.0), self.move_bound_s(0.0)
        return (
            f"timing {self.name}: one fault costs a service at most {unplanned:.2f} s and its start, "
            f"in the middle of a planned move {planned:.2f} s and its start"
        )

    @classmethod
    def fast(cls) -> Timing:
        """Three beats in 60 ms; for hosts whose longest real-time gap is known."""
        return cls(name="fast", needs="SCHED_FIFO", beat_s=0.02, lease_s=0.06, stop_s=0.02, tick_s=0.005)

    @classmethod
    def lan(cls) -> Timing:
        """One machine room, guards in real time."""
        return cls(name="lan", needs="SCHED_FIFO or nice -20", beat_s=0.1, lease_s=0.25, stop_s=0.05, tick_s=0.007)

    @classmethod
    def calm(cls) -> Timing:
        """No privileges; loaded hosts."""
        return cls(name="calm", needs="nothing", beat_s=0.2, lease_s=0.6, stop_s=0.4, tick_s=0.01)

    @classmethod
    def wan(cls) -> Timing:
        """Between sites."""
        return cls(name="wan", needs="nothing", beat_s=0.5, lease_s=2.0, stop_s=1.0, tick_s=0.02, loadlevel_s=1.0)

    @classmethod
    def named(cls, name: PresetName) -> Timing:
        """The preset of that name, whatever this host can give: for parts to which it was handed down."""
        timing: Timing = getattr(cls, name)()
        return timing

    @classmethod
    def preset(cls, name: TimingName, scheduling: Scheduling) -> Timing:
        """The preset of that name; `auto` by the scheduling class in force (R3).

        `fast` is only for those who name it: its S of 20 ms is less than the
        longest gap (39 ms) that a busy two-core machine showed.
        """
        if name == "auto":
            name = "calm" if scheduling == "other" else "lan"
        timing = cls.named(name)
        if timing.needs == "SCHED_FIFO" and scheduling != "fifo":
            raise ConfigError(f'timing = "{name}" needs SCHED_FIFO, which is not to be had here: use "calm", or run as root')
        if timing.needs == "SCHED_FIFO or nice -20" and scheduling == "other":
            raise ConfigError(f'timing = "{name}" needs SCHED_FIFO or nice -20, neither is to be had here: use "calm", or run as root')
        return timing


PresetName = Literal["fast", "lan", "calm", "wan"]
TimingName = Literal["auto", PresetName]
Scheduling = Literal["fifo", "nice", "other"]


_DOMAIN = re.compile(r"(?=.{1,220}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


def is_domain(text: str) -> bool:
    """Whether this can be the domain in which an SDS is looked for."""
    return _DOMAIN.fullmatch(text) is not None


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a file: an unknown key is an error, since it is a misspelt one."""


class SdsAddress(_Section, frozen=True, kw_only=True):
    """Where the SDS listens, and the key by which it is known.

    Without an address it is found by DNS SRV: in `domain`, else in the zone of
    `[dns]`, else in the host's own search list.
    """

    address: str | None = None
    domain: str | None = None
    port: Port = 5750
    updates_port: Port = 5751
    public_key_file: str


class DnsSettings(_Section, frozen=True, kw_only=True):
    """The authority to which names are written (P5, RFC 2136), and its TSIG key (RFC 8945)."""

    server: str
    port: Port = 53
    also: tuple[str, ...] = ()  # further authorities of the zone, which are asked and never written to
    zone: str
    key_name: str
    key_algorithm: Literal["hmac-sha256", "hmac-sha512"] = "hmac-sha256"
    key_secret_file: str
    ttl_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 1
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 1.0

    @property
    def authorities(self) -> tuple[tuple[str, int], ...]:
        """Address and port of each, the one that takes updates first."""
        others = tuple(place(text, self.port) for text in self.also)
        return ((self.server, self.port), *others)


class AgentConfig(_Section, frozen=True, kw_only=True):
    """What `locum agent --config` reads."""

    cluster: Name
    name: Name
    address: str  # or where to find it: bus/addresses.py
    peer_port: Port = 5760
    state_dir: str
    key_file: str
    sds: SdsAddress
    dns: DnsSettings | None = None
    timing: TimingName = "auto"
    zone: str | None = None
    backs_up: tuple[Name, ...] | None = None  # names of services; all that it can if unset
    margin: Annotated[int, msgspec.Meta(ge=10, le=1_000)] = 20  # of priority, by which another secondary must be better ...
    dwell_s: Annotated[float, msgspec.Meta(ge=1, le=3_600)] = 5.0  # ... and for how long
    load: Literal["host", "agent", "none"] = "host"  # what is measured: the machine, only what this agent runs, nothing
    load_smoothing_s: Annotated[float, msgspec.Meta(ge=0, le=3_600)] = 5.0
    load_command: tuple[str, ...] = ()  # argument vector of a program that prints a loadlevel
    load_command_every_s: Annotated[float, msgspec.Meta(ge=0.1, le=3_600)] = 5.0
    service: tuple[ServiceSection, ...] = ()

    @property
    def own_address(self) -> OwnAddress:
        """What `address` means."""
        return own_address(self.address)

    @property
    def definitions(self) -> tuple[ServiceDefinition, ...]:
        """The services homed here."""
        return tuple(msgspec.convert(msgspec.to_builtins(s) | {"home": self.name}, ServiceDefinition) for s in self.service)


class JoinerSettings(_Section, frozen=True, kw_only=True):
    """What a server that joins by a token is given for its own file, secrets included."""

    dns: DnsSettings | None = None


class SdsConfig(_Section, frozen=True, kw_only=True):
    """What `locum sds --config` reads."""

    cluster: Name
    name: Name = "sds"
    address: str = "127.0.0.1"
    port: Port = 5750
    updates_port: Port = 5751
    state_dir: str
    key_file: str
    trust_file: str  # TOML: [servers], [operators], [viewers], each name = "Z85 public key"
    store: str = "embedded"  # or a Redis URL: redis://user:secret@host:6379/0
    timing: TimingName = "auto"
    history_limit: Annotated[int, msgspec.Meta(ge=100, le=10_000_000)] = 100_000
    joiners: JoinerSettings | None = None


Config = TypeVar("Config", AgentConfig, SdsConfig)


def parse(text: str, kind: type[Config], filename: str) -> Config:
    """The settings in `text`; raises `ConfigError` with one line: file, key, remedy."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{filename}: not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{filename}: nested too deeply for a file of settings: see docs/configuration.md") from None
    try:
        config = msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{filename}: {_explain(str(error), kind)}".replace("\n", "\\n")) from None
    _check(config, filename)
    return config


def _check(config: AgentConfig | SdsConfig, filename: str) -> None:
    """The relations between settings that types cannot hold."""
    _check_addresses(config, filename)
    if isinstance(config, SdsConfig):
        if config.port == config.updates_port:
            raise ConfigError(f"{filename}: updates_port: is {config.port}, the same as port: give the two different numbers")
        if config.store != "embedded" and not config.store.startswith(("redis://", "rediss://", "unix://")):
            raise ConfigError(f'{filename}: store: "{config.store}" is neither "embedded" nor a redis://, rediss:// or unix:// URL')
        return
    for complaint in complaints(config.service, config.name, config.dns.ttl_s if config.dns else None):
        raise ConfigError(f"{filename}: {complaint}")
    if config.load == "none" and not config.load_command:
        raise ConfigError(f'{filename}: load: is "none", and no load_command is given: one of the two must tell how busy this server is')
    if config.sds.address is not None and config.sds.domain is not None:
        raise ConfigError(f"{filename}: sds.domain: is where to look for an SDS whose address is not known, but address is given: drop one")
    if config.sds.domain is not None and not is_domain(config.sds.domain):
        raise ConfigError(f'{filename}: sds.domain: "{config.sds.domain}" is no domain: write it as shop.example')
    if config.name == "sds":
        raise ConfigError(f"{filename}: name: the SDS has this name: choose another")
    if config.sds.port == config.peer_port and config.sds.address == config.address:
        raise ConfigError(f"{filename}: peer_port: the SDS has this address and port: choose another")


def _check_addresses(config: AgentConfig | SdsConfig, filename: str) -> None:
    """Every address that has to be one is one."""
    if isinstance(config, SdsConfig):
        if literal(config.address) is None:
            raise ConfigError(f'{filename}: address: "{config.address}" is no address: write 192.0.2.10, 2001:db8::10, or "::" for all')
        return
    key = "address"
    try:
        own = config.own_address
        if own.follows and own.interface is None and config.sds.address is not None and literal(config.sds.address) is None:
            key = "sds.address"
            raise ValueError('with address = "auto" it must be an address, not a name: write it as 192.0.2.10')
        if config.dns is not None:
            key = "dns.also"
            places = config.dns.authorities
            if len(set(places)) < len(places):
                raise ValueError("names a server twice, or the one in dns.server: leave one out")
    except ValueError as error:
        raise ConfigError(f"{filename}: {key}: {error}") from None


def _explain(error: str, kind: type[msgspec.Struct]) -> str:
    """msgspec's words as: key, what is wrong, how to mend it."""
    message, _, path = error.partition(" - at `$")
    key = path.rstrip("`").lstrip(".")
    unknown = re.match(r"Object contains unknown field `(.*)`", message, re.DOTALL)
    missing = re.match(r"Object missing required field `(.*)`", message)
    found = unknown or missing
    where = ".".join(part for part in (key, found.group(1) if found else "") if part)
    if unknown:
        known = _known_keys(kind)
        close = difflib.get_close_matches(unknown.group(1), known, n=1)
        return f"{where}: unknown key: " + (f'did you mean "{close[0]}"?' if close else "remove it, or see docs/configuration.md")
    if missing:
        return f"{where}: is missing: add it (docs/configuration.md describes it)"
    return f"{where}: {message[0].lower()}{message[1:]}: see docs/configuration.md"


def _known_keys(kind: type[msgspec.Struct]) -> list[str]:
    nested: tuple[type[msgspec.Struct], ...] = (
        (SdsAddress, DnsSettings, ServiceSection) if kind is AgentConfig else (JoinerSettings, DnsSettings)
    )
    return [field for struct in (kind, *nested) for field in struct.__struct_fields__]
