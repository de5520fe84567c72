"""The kernel gate: one nftables table of this agent, through libnftables (R6).

    client --> prerouting: destination ours, port gated, and not in the set `open` --> dropped
    service --> output:    source ours,      port gated, and not in the set `open` --> dropped

Both directions, so that an answer to what came in before the door was shut does
not leave after it.  The elements of `open` have the lease as their time-out.  The
library is the only thing here that waits: for the kernel's lock on nftables,
which another's large transaction may hold.  So a thread of its own calls it
(agent/porter.py).
"""

from __future__ import annotations

import ctypes
import re
from binascii import crc32
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from agent.doors import KNOCKS_FROM
from agent.scheduling import capable
from bus.config import AgentConfig

LIBRARY = "libnftables.so.1"
_STATELESS = 1 << 2  # NFT_CTX_OUTPUT_STATELESS: no counters, no time left
_CAP_NET_ADMIN = 12
_NOT_THERE = "No such file or directory"
_OPEN = re.compile(r"(\tset open \{[^{}]*?)\n\t\telements = \{[^}]*\}")
_SIDES = (("inbound", "prerouting", "iif", "d"), ("outbound", "output", "oif", "s"))


class GateError(Exception):
    """The kernel, or its library, did not take it.  Nothing was changed."""


class Table:
    """The names of an agent's table: of its own, and of those that an agent before it may have left."""

    def __init__(self, config: AgentConfig, agent_id: str) -> None:
        """Two agents of one host differ in address or port; one that was set up anew, in its identity."""
        self._prefix = f"locum.{config.cluster}.{config.name}."
        self._door = f".{crc32(f'{config.address} {config.peer_port}'.encode()):08x}"
        self._identity = f"{crc32(agent_id.encode()):08x}"
        self.name = f"{self._prefix}{self._identity}{self._door}"

    def is_left(self, name: str) -> bool:
        """Whether this table can only be ours, or a dead agent's whose place we take."""
        rest = name.removeprefix(self._prefix)
        return rest != name and (rest.startswith(f"{self._identity}.") or rest.endswith(self._door))


class Gate:
    """The table in the kernel.  Every method raises `GateError`."""

    def __init__(self, table: Table) -> None:
        self._names = table
        self._table = f"inet {table.name}"
        self._run = _library()
        self._as_left = ""

    def build(self, addresses: tuple[str, ...], gated: tuple[int, ...], open_s: Mapping[int, float | None]) -> None:
        """Make the table anew, whatever was there, in one transaction."""
        versions: dict[int, list[str]] = {4: [], 6: []}
        for address in addresses:
            plain = ip_address(address.partition("%")[0])
            versions[plain.version].append(str(plain))
        sets = "".join(f"set here{number} {{ type ipv{number}_addr; {_elements(here)} }}\n" for number, here in versions.items())
        sets += f"set gated {{ type inet_service; {_elements(map(str, gated))} }}\n"
        sets += f"set open {{ type inet_service; flags timeout; {_elements(_timed(open_s))} }}\n"
        self._run(f"add table {self._table}\ndelete table {self._table}\ntable {self._table} {{\n{sets}{_chains()}}}\n")
        self._as_left = self._listed()

    def refresh(self, open_s: Mapping[int, float | None], shut: tuple[int, ...]) -> None:
        """Without a gap for who passes: an element is replaced within one transaction; added first, since only what is there can go."""
        ports = f"{{ {', '.join(map(str, (*open_s, *shut)))} }}"
        again = f"add element {self._table} open {{ {', '.join(_timed(open_s))} }}\n" if open_s else ""
        self._run(f"add element {self._table} open {ports}\ndelete element {self._table} open {ports}\n{again}")

    def intact(self) -> bool:
        """Whether the table is as we left it, but for what is open."""
        return self._listed() == self._as_left

    def remove(self) -> None:
        """Take away this table, and what agents before left of theirs."""
        for name in self._left():
            self._run(f"delete table inet {name}\n")

    def _left(self) -> list[str]:
        names = re.findall(r"^table inet (locum\.\S+)$", self._run("list tables inet\n"), re.MULTILINE)
        return [name for name in names if self._names.is_left(name)]

    def _listed(self) -> str:
        try:
            return _OPEN.sub(r"\1", self._run(f"list table {self._table}\n"))
        except GateError as error:
            if _NOT_THERE in str(error):
                return "gone"
            raise


def remove_left(config: AgentConfig, agent_id: str) -> None:
    """Once nothing of an agent runs any more: leave no table of it.  Where that cannot be, there is none."""
    try:
        Gate(Table(config, agent_id)).remove()
    except GateError:
        pass


def _elements(elements: Iterable[str]) -> str:
    listed = ", ".join(elements)
    return f"elements = {{ {listed} }}" if listed else ""


def _timed(open_s: Mapping[int, float | None]) -> list[str]:
    return [str(port) if rest_s is None else f"{port} timeout {max(1, int(rest_s * 1000))}ms" for port, rest_s in open_s.items()]


def _chains() -> str:
    """Before connections are tracked or redirected, so that what is forwarded into a container is met too."""
    text = ""
    for chain, hook, interface, end in _SIDES:
        knock = {"d": "s", "s": "d"}[end]
        rules = "".join(f"{interface} lo {ip} {knock}addr {KNOCKS_FROM[number]} accept\n" for number, ip in ((4, "ip"), (6, "ip6")))
        for number, ip in ((4, "ip"), (6, "ip6")):
            rules += f"{ip} {end}addr @here{number} meta l4proto {{ tcp, udp }} th {end}port @gated th {end}port != @open drop\n"
        text += f"chain {chain} {{ type filter hook {hook} priority raw; policy accept;\n{rules}}}\n"
    return text


class _Library:
    """One context of libnftables: commands in, what it says out."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        for name, arguments, answer in (
            ("nft_ctx_new", [ctypes.c_uint32], pointer),
            ("nft_ctx_buffer_output", [pointer], ctypes.c_int),
            ("nft_ctx_buffer_error", [pointer], ctypes.c_int),
            ("nft_ctx_output_set_flags", [pointer, ctypes.c_uint], None),
            ("nft_run_cmd_from_buffer", [pointer, text], ctypes.c_int),
            ("nft_ctx_get_output_buffer", [pointer], text),
            ("nft_ctx_get_error_buffer", [pointer], text),
        ):
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, answer
        self._context = library.nft_ctx_new(0)
        if not self._context or library.nft_ctx_buffer_output(self._context) or library.nft_ctx_buffer_error(self._context):
            raise GateError(f"{LIBRARY} makes no context: out of memory")
        library.nft_ctx_output_set_flags(self._context, _STATELESS)

    def __call__(self, commands: str) -> str:
        status = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        said = self._library.nft_ctx_get_output_buffer(self._context) or b""
        error = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if status != 0:
            lines = [line for line in error.decode(errors="replace").splitlines() if line.strip()]
            raise GateError((lines or [f"status {status}"])[0].removeprefix("Error: "))
        return str(said.decode(errors="replace"))


def _library() -> _Library:
    if not capable(_CAP_NET_ADMIN):
        raise GateError("it needs root (CAP_NET_ADMIN)")
    try:
        return _Library(ctypes.CDLL(LIBRARY))
    except (OSError, AttributeError) as error:
        raise GateError(f"{LIBRARY} cannot be used: {error}: install nftables") from None
