"""Who comes next, when nobody asked: R10, R14, R15 (docs/decisions/0005).

The recorded secondary if it is up, else the home, else the lowest priority; a
holder that came back empty before all of them, since returning moves nothing.
One that could not run it comes last, except as the recorded secondary: a
planned move to it is a new attempt.
"""

from __future__ import annotations

from bus.step import LONG_AGO
from sds.case import Case, Roster


def next_holder(case: Case, roster: Roster, now: float, settling: bool, besides: str | None = None) -> str | None:
    """The server to grant the service to, or None if there is none yet.

    `settling`: the SDS started a moment ago, and not everyone has had time to
    report.  `besides`: not to this one.
    """
    record = case.record
    live = [name for name in roster.ranked() if name != besides and roster.why_not(name, record.definition.name, now) is None]
    if record.state == "new":
        live = [name for name in live if name == record.definition.home]
    able = [name for name in live if case.may_try(name, now)]
    sound = [name for name in able if name not in case.failures] or sorted(able, key=lambda name: case.failures[name].retry_at)
    fresh = [name for name in sound if case.left_until.get(name, LONG_AGO) < now] or sound
    home = record.definition.home
    best = [name for name in (record.secondary,) if name in able] + [name for name in (home,) if name in fresh] + fresh
    just_left = case.left_until.get(record.holder or "", LONG_AGO) >= now
    if record.holder != besides and record.holder in fresh and not just_left:
        best.insert(0, record.holder)
    if settling and record.state == "unheld":
        best = [name for name in best if name in (home, record.holder)]
    return best[0] if best else None
