"""One zone as a value: what it answers, and what an update makes of it (RFC 1034, RFC 2136).

    query(name, type)               -> answer, with the SOA where there is none (RFC 2308)
    update(prerequisites, updates)  -> rcode, and the zone as it then is

No sockets, files or clocks.  An update yields a new zone or the very same one,
never half of a change.  Held are A, AAAA, SRV and TXT anywhere, SOA and NS at the
apex; there are no aliases, wildcards or delegations, and what would make one is
refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import dns.exception
import dns.name
import dns.rdata
import dns.rdatatype
import dns.rrset
import dns.serial
import dns.wire
import dns.zone
from dns.name import Name
from dns.rcode import Rcode
from dns.rdata import Rdata
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

DEFAULT_TTL_S = 1
"""Of what a new zone begins with: in a demo a name moves within a second."""

_ANYWHERE = frozenset((RdataType.A, RdataType.AAAA, RdataType.SRV, RdataType.TXT))
_AT_APEX = frozenset((RdataType.SOA, RdataType.NS))


class ZoneError(Exception):
    """A text describes no zone, or no record of one.  Nothing was made of it."""


class Records(NamedTuple):
    """All records of one name and type."""

    ttl: int
    data: frozenset[Rdata]


class Clause(NamedTuple):
    """One line of an update message; what it asks for is in its class (RFC 2136, 2.4 and 2.5)."""

    name: Name
    rdtype: RdataType
    rdclass: RdataClass
    ttl: int
    rdata: Rdata | None


class Answer(NamedTuple):
    """What a query gets."""

    rcode: Rcode
    answer: list[dns.rrset.RRset]
    authority: list[dns.rrset.RRset]


class _RejectedError(Exception):
    def __init__(self, rcode: Rcode) -> None:
        self.rcode = rcode


Nodes = Mapping[Name, Mapping[RdataType, Records]]


class Zone:
    """All names of a zone.  It never changes; `update` makes another."""

    def __init__(self, origin: Name, nodes: Nodes) -> None:
        """`nodes` holds an SOA and an NS at `origin`, and no empty node."""
        self.origin = origin
        self._nodes = nodes

    @classmethod
    def first(cls, origin: Name, address: str, lines: Iterable[str]) -> Zone:
        """A zone served at `address`, with further records given as "name TYPE value"."""
        server = dns.name.from_text("ns", origin)
        family = "AAAA" if ":" in address else "A"
        soa = f"{server} {dns.name.from_text('hostmaster', origin)} 1 3600 600 86400 {DEFAULT_TTL_S}"
        own = [
            f"{origin} {DEFAULT_TTL_S} SOA {soa}",
            f"{origin} {DEFAULT_TTL_S} NS {server}",
            f"{server} {DEFAULT_TTL_S} {family} {address}",
        ]
        return cls.from_text("\n".join(own + [_dated(origin, line) for line in lines]), origin)

    @classmethod
    def from_text(cls, text: str, origin: Name) -> Zone:
        """The zone that a master file describes (RFC 1035, 5); raises `ZoneError`."""
        nodes: dict[Name, dict[RdataType, Records]] = {}
        try:
            parsed = dns.zone.from_text(text, origin=origin, relativize=False)
            for name, rdataset in parsed.iterate_rdatasets():
                if not _may_hold(origin, name, rdataset.rdtype):
                    raise ZoneError(f"{name}: no {dns.rdatatype.to_text(rdataset.rdtype)} record can stand here: take it out")
                nodes.setdefault(name, {})[rdataset.rdtype] = Records(rdataset.ttl, frozenset(rdataset))
        except (dns.exception.DNSException, ValueError) as error:
            raise ZoneError(f"not a zone {origin}: {error or type(error).__name__}") from None
        return cls(origin, nodes)

    def text(self) -> str:
        """The zone as a master file, SOA first."""
        lines = [
            f"{name} {records.ttl} IN {dns.rdatatype.to_text(rdtype)} {rdata.to_text()}"
            for name in sorted(self._nodes)
            for rdtype, records in sorted(self._nodes[name].items(), key=lambda item: (item[0] != RdataType.SOA, item[0]))
            for rdata in sorted(records.data)
        ]
        return "\n".join(lines) + "\n"

    @property
    def serial(self) -> int:
        """The SOA's serial number."""
        return _serial(self._nodes[self.origin])

    def query(self, name: Name, rdtype: RdataType) -> Answer:
        """What this authority knows of a name.  Names compare without case (RFC 4343)."""
        if not name.is_subdomain(self.origin):
            return Answer(Rcode.REFUSED, [], [])
        node = self._nodes.get(name, {})
        found = [kind for kind in node if rdtype in (kind, RdataType.ANY)]
        if found:
            return Answer(Rcode.NOERROR, [_rrset(name, kind, node[kind]) for kind in found], [])
        soa = self._nodes[self.origin][RdataType.SOA]
        (rdata,) = soa.data
        absence = _rrset(self.origin, RdataType.SOA, Records(min(soa.ttl, rdata.minimum), soa.data))  # type: ignore[attr-defined]  # an SOA
        exists = bool(node) or any(other.is_subdomain(name) for other in self._nodes)
        return Answer(Rcode.NOERROR if exists else Rcode.NXDOMAIN, [], [absence])

    def update(self, prerequisites: Iterable[Clause], updates: Iterable[Clause]) -> tuple[Rcode, Zone]:
        """All of it or nothing (RFC 2136, 3.2 to 3.4); the serial rises if anything changed (3.6)."""
        updates = list(updates)
        try:
            self._require(prerequisites)
            self._scan(updates)
        except _RejectedError as rejected:
            return rejected.rcode, self
        draft = {name: dict(node) for name, node in self._nodes.items()}
        for clause in updates:
            self._apply(draft, clause)
        draft = {name: node for name, node in draft.items() if node}
        if draft == self._nodes:
            return Rcode.NOERROR, self
        apex = draft[self.origin]
        if _serial(apex) == self.serial:
            soa = apex[RdataType.SOA]
            (rdata,) = soa.data
            following = (self.serial + 1) % 2**32 or 1
            apex[RdataType.SOA] = Records(soa.ttl, frozenset([rdata.replace(serial=following)]))
        return Rcode.NOERROR, Zone(self.origin, draft)

    def _require(self, prerequisites: Iterable[Clause]) -> None:
        """RFC 2136, 3.2."""
        exact: dict[tuple[Name, RdataType], set[Rdata]] = {}
        for clause in prerequisites:
            if clause.ttl != 0:
                raise _RejectedError(Rcode.FORMERR)
            if not clause.name.is_subdomain(self.origin):
                raise _RejectedError(Rcode.NOTZONE)
            if clause.rdclass == RdataClass.IN and clause.rdata is not None:
                exact.setdefault((clause.name, clause.rdtype), set()).add(clause.rdata)
            elif clause.rdclass in (RdataClass.ANY, RdataClass.NONE) and clause.rdata is None:
                self._require_existence(clause)
            else:
                raise _RejectedError(Rcode.FORMERR)
        for (name, rdtype), wanted in exact.items():
            held = self._nodes.get(name, {}).get(rdtype)
            if held is None or held.data != wanted:
                raise _RejectedError(Rcode.NXRRSET)

    def _require_existence(self, clause: Clause) -> None:
        """The four prerequisites that do not look at values (RFC 2136, 2.4.1 and 2.4.3 to 2.4.5)."""
        wanted = clause.rdclass == RdataClass.ANY
        node = self._nodes.get(clause.name, {})
        if clause.rdtype == RdataType.ANY:
            if bool(node) != wanted:
                raise _RejectedError(Rcode.NXDOMAIN if wanted else Rcode.YXDOMAIN)
        elif (clause.rdtype in node) != wanted:
            raise _RejectedError(Rcode.NXRRSET if wanted else Rcode.YXRRSET)

    def _scan(self, updates: Iterable[Clause]) -> None:
        """RFC 2136, 3.4.1, and what this zone does not hold."""
        for clause in updates:
            if not clause.name.is_subdomain(self.origin):
                raise _RejectedError(Rcode.NOTZONE)
            meta = dns.rdatatype.is_metatype(clause.rdtype)
            if clause.rdclass == RdataClass.IN:
                wrong = meta or clause.rdata is None
            elif clause.rdclass == RdataClass.ANY:
                wrong = (meta and clause.rdtype != RdataType.ANY) or clause.ttl != 0 or clause.rdata is not None
            elif clause.rdclass == RdataClass.NONE:
                wrong = meta or clause.ttl != 0 or clause.rdata is None
            else:
                wrong = True
            if wrong:
                raise _RejectedError(Rcode.FORMERR)
            if (
                clause.rdclass == RdataClass.IN
                and not _may_hold(self.origin, clause.name, clause.rdtype)
                and clause.rdtype != RdataType.SOA
            ):
                raise _RejectedError(Rcode.REFUSED)

    def _apply(self, draft: dict[Name, dict[RdataType, Records]], clause: Clause) -> None:
        """RFC 2136, 3.4.2: the apex never loses its SOA or its last NS."""
        node = draft.setdefault(clause.name, {})
        kept = _AT_APEX if clause.name == self.origin else frozenset()
        held = node.get(clause.rdtype)
        if clause.rdclass == RdataClass.ANY:
            doomed = list(node) if clause.rdtype == RdataType.ANY else [clause.rdtype]
            for rdtype in doomed:
                if rdtype not in kept:
                    node.pop(rdtype, None)
        elif clause.rdclass == RdataClass.NONE:
            rest = held.data - {clause.rdata} if held else frozenset()
            if held and rest:
                node[clause.rdtype] = Records(held.ttl, rest)
            elif held and clause.rdtype not in kept:
                del node[clause.rdtype]
        elif clause.rdtype == RdataType.SOA:
            self._replace_soa(node, clause)
        elif clause.rdata is not None:
            node[clause.rdtype] = Records(clause.ttl, (held.data if held else frozenset()) | {clause.rdata})

    @staticmethod
    def _replace_soa(node: dict[RdataType, Records], clause: Clause) -> None:
        """An SOA with a lower serial, or elsewhere than at the apex, is ignored without a word (RFC 2136, 3.4.2.2)."""
        if RdataType.SOA not in node or clause.rdata is None:
            return
        offered = dns.serial.Serial(clause.rdata.serial)  # type: ignore[attr-defined]  # an SOA
        if offered >= dns.serial.Serial(_serial(node)):
            node[RdataType.SOA] = Records(clause.ttl, frozenset([clause.rdata]))


def clauses(wire: bytes) -> tuple[list[Clause], list[Clause]]:
    """Prerequisites and updates of an update message.

    dnspython's own reading of it forgets the TTL of lines without data, which
    RFC 2136 wants to see checked.
    """
    parser = dns.wire.Parser(wire)
    _, _, zones, prerequisites, updates, _ = parser.get_struct("!6H")
    for _ in range(zones):
        parser.get_name(decompress=True)
        parser.get_struct("!HH")
    return [_clause(parser) for _ in range(prerequisites)], [_clause(parser) for _ in range(updates)]


def _clause(parser: dns.wire.Parser) -> Clause:
    name = parser.get_name(decompress=True)
    rdtype, rdclass, ttl, length = parser.get_struct("!HHIH")
    rdata = None
    if length or rdclass == RdataClass.IN:
        with parser.restrict_to(length):
            rdata = dns.rdata.from_wire_parser(RdataClass.IN, rdtype, parser)
    # RFC 2181, 8: a TTL with its highest bit set counts as zero
    ttl = ttl if ttl < 2**31 else 0
    return Clause(name, RdataType.make(rdtype), RdataClass.make(rdclass), ttl, rdata)


def _may_hold(origin: Name, name: Name, rdtype: RdataType) -> bool:
    return rdtype in _ANYWHERE or (rdtype in _AT_APEX and name == origin)


def _serial(apex: Mapping[RdataType, Records]) -> int:
    (rdata,) = apex[RdataType.SOA].data
    serial: int = rdata.serial  # type: ignore[attr-defined]  # an SOA
    return serial


def _rrset(name: Name, rdtype: RdataType, records: Records) -> dns.rrset.RRset:
    rrset: dns.rrset.RRset = dns.rrset.from_rdata_list(name, records.ttl, sorted(records.data))
    return rrset


def _dated(origin: Name, line: str) -> str:
    """A record as a command line gives it, its name with or without the zone's, as a master file has it."""
    parts = line.split(None, 2)
    if len(parts) != 3:
        raise ZoneError(f'"{line}" is not of the form "name TYPE value"')
    try:
        name = dns.name.from_text(parts[0])
        if not name.is_subdomain(origin) and not parts[0].endswith("."):
            name = dns.name.from_text(parts[0], origin)
    except (dns.exception.DNSException, ValueError) as error:
        raise ZoneError(f'"{line}": the name cannot be: {error}') from None
    if not name.is_subdomain(origin):
        raise ZoneError(f'"{line}": the name is not in zone {origin}')
    return f"{name} {DEFAULT_TTL_S} {parts[1]} {parts[2]}"
