"""What is wrong with the network, and the packet filter's rules that make it so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vagrant.bed.plan import Host, Plan

TABLE = "locum_failures"


class Wire(NamedTuple):
    """The faults in force: which way is cut, which host is apart from all, who loses how many packets in a hundred."""

    cut: frozenset[tuple[str, str]] = frozenset()  # (from, to)
    apart: frozenset[str] = frozenset()
    lost: tuple[tuple[str, int], ...] = ()

    def with_cut(self, one: str, other: str, one_way: bool) -> Wire:
        """Nothing of `one` reaches `other` any more, and the other way round unless `one_way`."""
        return self._replace(cut=self.cut | ({(one, other)} if one_way else {(one, other), (other, one)}))

    def with_apart(self, host: str) -> Wire:
        """A host as if its cable were out."""
        return self._replace(apart=self.apart | {host})

    def with_lost(self, host: str, percent: int) -> Wire:
        """Of the packets to and from a host so many in a hundred are lost."""
        lost = dict(self.lost) | {host: percent}
        return self._replace(lost=tuple(sorted((name, share) for name, share in lost.items() if share)))

    def text(self) -> str:
        """As it is kept in a file."""
        return json.dumps({"cut": sorted(self.cut), "apart": sorted(self.apart), "lost": self.lost})

    def words(self) -> list[str]:
        """For people."""
        cuts = [f"{one} does not reach {other}" for one, other in sorted(self.cut)]
        losses = [f"{host} loses {percent} % of its packets" for host, percent in self.lost]
        return cuts + [f"{host} is isolated" for host in sorted(self.apart)] + losses


def read(path: Path) -> Wire:
    """The faults that are on file: none if there is no such file."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return Wire()
    cut = frozenset((one, other) for one, other in found["cut"])
    return Wire(cut, frozenset(found["apart"]), tuple((host, percent) for host, percent in found["lost"]))


def at_the_switch(wire: Wire) -> str:
    """The rules of a bridge whose ports bear the hosts' names, as one transaction.

    Address resolution passes a cut: without it a link that is cut one way
    would soon be cut both ways.
    """
    rules = [f'iifname "{one}" oifname "{other}" ether type != arp drop' for one, other in sorted(wire.cut)]
    for host in sorted(wire.apart):
        rules += [f'iifname "{host}" drop', f'oifname "{host}" drop']
    for host, percent in wire.lost:
        rules += [f'{way} "{host}" {_by_chance(percent)}' for way in ("iifname", "oifname")]
    return _table("bridge", {"forward": rules})


def at_a_host(wire: Wire, host: Host, plan: Plan) -> str:
    """The same at one end of the wire, for machines whose switch is not ours.  Only the private network is touched."""
    network = f"{host.address.rpartition('.')[0]}.0/24"
    incoming, outgoing = [], []
    for one, other in sorted(wire.cut):
        if other == host.name:
            incoming.append(f"ip saddr {plan.host(one).address} drop")
    if host.name in wire.apart:
        incoming.append(f"ip saddr {network} ip saddr != {host.address} drop")
        outgoing.append(f"ip daddr {network} ip daddr != {host.address} drop")
    for percent in (share for name, share in wire.lost if name == host.name):
        incoming.append(f"ip saddr {network} ip saddr != {host.address} {_by_chance(percent)}")
        outgoing.append(f"ip daddr {network} ip daddr != {host.address} {_by_chance(percent)}")
    return _table("inet", {"input": incoming, "output": outgoing})


def _by_chance(percent: int) -> str:
    return "drop" if percent >= 100 else f"numgen random mod 100 < {percent} drop"


def _table(family: str, chains: dict[str, Sequence[str]]) -> str:
    """A table with these chains in place of the former one."""
    body = "".join(
        f"  chain {name} {{ type filter hook {name} priority -200;\n" + "".join(f"    {rule}\n" for rule in rules) + "  }\n"
        for name, rules in chains.items()
    )
    return f"table {family} {TABLE}\ndelete table {family} {TABLE}\ntable {family} {TABLE} {{\n{body}}}\n"
