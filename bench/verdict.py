"""What a scenario's probers saw: when a service was lost and back, who served, and whether two ever did at once.

python -m bench.verdict DIR [--host NAME=ADDRESS]... [--since INSTANT] [--unharmed SERVICE]...

DIR holds, for each service, SERVICE.client (asked by its name) and
SERVICE.direct (all hosts asked directly), as bench.prober prints them.
Instants are of CLOCK_MONOTONIC.  Exit 0 if all is well; 1 if two hosts served one service at the
same instant, if a service was not back at the end, or if one that was to be
unharmed was not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.asking import Answer
from bench.watch import failed, overlaps

SOONEST_RETURN_S = 0.25
"""No service goes from one host to another and back within a lease of `lan`: sooner than that, both served."""


class Outage(NamedTuple):
    """One time without answers; `back_at` is None if it lasted to the end."""

    lost_at: float  # the first request that failed was asked then
    back_at: float | None
    failures: int
    before: str
    after: str


class TwoAtOnce(NamedTuple):
    """A proof that two hosts served at one instant: the first answered before and after the second did."""

    first: Answer
    other: Answer
    again: Answer


def outages(answers: Iterable[Answer]) -> list[Outage]:
    """From the first failed request to the end of the next good one, and who answered before and after."""
    found: list[Outage] = []
    before, lost_at, failures = "", None, 0
    for answer in sorted(answers):
        if not answer.server:
            lost_at = answer.asked_at if lost_at is None else lost_at
            failures += 1
        else:
            if lost_at is not None:
                found.append(Outage(lost_at, answer.ended_at, failures, before, answer.server))
            before, lost_at, failures = answer.server, None, 0
    if lost_at is not None:
        found.append(Outage(lost_at, None, failures, before, ""))
    return found


def two_at_once(answers: Iterable[Answer]) -> list[TwoAtOnce]:
    """Proofs by answers that name no epoch: one host, another, and the first again, sooner than any service returns.

    Each of the three must have been over before the next was asked.
    """
    heard = sorted((answer for answer in answers if answer.server and not answer.epoch), key=lambda answer: answer.ended_at)
    proofs = []
    for place, other in enumerate(heard):
        first = _latest_of_another(heard, place)
        if first is None:
            continue
        again = _next_of(heard, place, first)
        if again is not None:
            proofs.append(TwoAtOnce(first, other, again))
    return proofs


def _latest_of_another(heard: list[Answer], place: int) -> Answer | None:
    other = heard[place]
    for before in range(place - 1, -1, -1):
        answer = heard[before]
        if other.asked_at - answer.ended_at > SOONEST_RETURN_S:
            return None
        if answer.server != other.server and answer.ended_at <= other.asked_at:
            return answer
    return None


def _next_of(heard: list[Answer], place: int, first: Answer) -> Answer | None:
    other = heard[place]
    for after in range(place + 1, len(heard)):
        answer = heard[after]
        if answer.ended_at - first.ended_at > SOONEST_RETURN_S:
            return None
        if answer.server == first.server and answer.asked_at >= other.ended_at:
            return answer
    return None


def spells(answers: Iterable[Answer]) -> list[Answer]:
    """The first answer of each host that served after another."""
    found: list[Answer] = []
    for answer in sorted(answer for answer in answers if answer.server):
        if not found or answer.server != found[-1].server:
            found.append(answer)
    return found


class Service(NamedTuple):
    """What was seen of one service."""

    name: str
    client: list[Answer]
    direct: list[Answer]

    def wrongs(self, unharmed: bool) -> Iterator[str]:
        """What must not be, in words."""
        everything = [*self.client, *self.direct]
        for proof in [*two_at_once(everything)[:3], *overlaps(answer for answer in everything if answer.epoch)[:3]]:
            hosts = " and ".join(sorted({answer.server for answer in proof}))
            yield f"{self.name}: {hosts} served at the same instant: {', '.join(map(str, proof))}"
        if not any(answer.server for answer in self.client):
            yield f"{self.name}: no request was ever answered"
        elif not sorted(self.client)[-1].server:
            yield f"{self.name}: it did not come back"
        if unharmed and failed(self.client):
            yield f"{self.name}: {len(failed(self.client))} of {len(self.client)} requests failed, and none was to"

    def told(self, since: float) -> Iterator[str]:
        """The story, with times since the fault."""
        for outage in outages(self.client):
            back = "never back" if outage.back_at is None else f"back at {outage.back_at - since:+.3f} s by {outage.after}"
            length = "" if outage.back_at is None else f" ({outage.back_at - outage.lost_at:.3f} s, {outage.failures} failed requests)"
            yield f"{self.name}: lost at {outage.lost_at - since:+.3f} s ({outage.before or 'nobody'}), {back}{length}"
        served = ", ".join(f"{answer.server} from {answer.ended_at - since:+.3f} s" for answer in spells(self.client))
        yield f"{self.name}: served by {served or 'nobody'}; {len(self.client)} requests, {len(failed(self.client))} failed"


def _read(path: Path, hosts: Mapping[str, str]) -> list[Answer]:
    """A prober's answers; servers known by their address get their names.  A last line cut short is left out."""
    answers = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            answer = Answer(*json.loads(line))
        except ValueError:
            continue
        answers.append(answer._replace(server=hosts.get(answer.server, answer.server)))
    return answers


def read(directory: Path, hosts: Mapping[str, str]) -> list[Service]:
    """All services that were asked for.  Raises ValueError if there are none."""
    names = sorted(path.stem for path in directory.glob("*.client"))
    if not names:
        raise ValueError(f"{directory}: no SERVICE.client here: start the probers first")
    return [Service(name, _read(directory / f"{name}.client", hosts), _read(directory / f"{name}.direct", hosts)) for name in names]


def judge(services: Iterable[Service], since: float, unharmed: Iterable[str]) -> tuple[list[str], list[str]]:
    """The story, and what must not be."""
    told: list[str] = []
    wrongs: list[str] = []
    for service in services:
        told += service.told(since)
        wrongs += service.wrongs(service.name in unharmed)
    return told, wrongs


def _host(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not (name and equals and address):
        raise argparse.ArgumentTypeError(f"{text!r}: NAME=ADDRESS is wanted, as in http=10.77.0.13")
    return address, name


def main() -> int:
    """Print the story; 0 if all was well, 1 if not, 2 if there is nothing to judge."""
    parser = argparse.ArgumentParser(prog="python -m bench.verdict", description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--host", type=_host, action="append", default=[], metavar="NAME=ADDRESS")
    parser.add_argument("--since", type=float, default=0.0, help="the instant of the fault")
    parser.add_argument("--unharmed", action="append", default=[], metavar="SERVICE", help="no request to it may fail; may be repeated")
    wanted = parser.parse_args()
    try:
        services = read(wanted.directory, dict(wanted.host))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    told, wrongs = judge(services, wanted.since, wanted.unharmed)
    print("\n".join(told))
    for wrong in wrongs:
        print(f"WRONG {wrong}")
    return 1 if wrongs else 0


if __name__ == "__main__":
    sys.exit(main())
