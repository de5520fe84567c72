"""One experiment of one model: 24 hours of one primary, two backups and their clients (P26).

    the primary serves --dies--> nobody --takeover--> the stand-in serves --the primary is back--> handing back --> ...

Chance is drawn from the seed in the same order whatever the model, so that both
see the same loads, failures and requests, and differ by their choices alone.
What a client waits is counted from its first asking: an outage is waited out,
and whoever was being served when the server stopped asks again.
"""

from __future__ import annotations

from math import inf
from random import Random

import msgspec

from simulation.figure3.failures import Absence, absences
from simulation.figure3.loads import Course, courses
from simulation.figure3.machines import Outages
from simulation.figure3.requests import Requests, requests
from simulation.figure3.setting import PRIMARY, SERVERS, Setting
from simulation.figure3.sharing import Sharing
from simulation.figure3.standins import StandIn, stand_in


class Weather(msgspec.Struct, frozen=True):
    """What is the same for both models."""

    setting: Setting
    courses: tuple[Course, ...]
    absences: list[Absence]
    requests: Requests


class Day(msgspec.Struct, frozen=True):
    """How it went."""

    mean_s: float
    percentiles_s: tuple[float, ...]  # of PERCENTILES
    away: float  # the part of the time in which the service was not at the primary
    outage_s: float  # in which it was nowhere
    changes: int  # of secondary


PERCENTILES = (50.0, 95.0, 99.0)


def weather(setting: Setting, outages: Outages, seed: int) -> Weather:
    """Everything that chance decides."""
    loads = courses(setting, Random(f"loads {seed}"))
    gone = absences(setting, loads[0], outages.takeover_s, outages.failback_s, Random(f"failures {seed}"))
    return Weather(setting, loads, gone, requests(setting, Random(f"requests {seed}")))


def live(weather: Weather, model: str) -> Day:
    """The same day under one of the models."""
    return live_with(weather, stand_in(model, weather.setting, weather.courses))


class Stretch(msgspec.Struct, frozen=True):
    """One server serves without a change."""

    server: str
    begin: float
    end: float


def stretches(weather: Weather, standing_in: StandIn) -> list[Stretch]:
    """Who serves when."""
    found: list[Stretch] = []
    end, failback_s = weather.setting.duration_s, weather.setting.failback_s
    begin, gone = 0.0, weather.absences
    index = 0
    while index < len(gone):
        absence = gone[index]
        found.append(Stretch(PRIMARY, begin, absence.died_at))
        standing = standing_in.at_death(begin, absence.died_at)
        # A primary that dies again before it has its service back has missed its turn.
        while index + 1 < len(gone) and gone[index + 1].died_at <= gone[index].returned_at + failback_s + gone[index].failback_s:
            index += 1
        back_at = min(end, gone[index].returned_at + failback_s)
        taken_at = absence.died_at + absence.takeover_s
        found.append(Stretch(standing, min(taken_at, end), max(min(taken_at, end), back_at)))
        begin = max(back_at, taken_at) + gone[index].failback_s
        index += 1
    if begin < end:
        found.append(Stretch(PRIMARY, begin, end))
    return found


def live_with(weather: Weather, standing_in: StandIn) -> Day:
    """The same day with this stand-in."""
    setting = weather.setting
    loads = dict(zip(SERVERS, weather.courses, strict=True))
    sharing = Sharing(weather.requests)
    served = stretches(weather, standing_in)
    for stretch in served:
        for begin, end, load in loads[stretch.server].pieces(stretch.begin, stretch.end) if stretch.end > stretch.begin else ():
            sharing.serve(begin, end, load)
        if stretch is not served[-1]:
            sharing.lose()
    sharing.serve(max(setting.duration_s, served[-1].end), inf, loads[served[-1].server].at(setting.duration_s))
    waits = sorted(took for _, took in sharing.responses)
    serving_s = sum(stretch.end - stretch.begin for stretch in served)
    home_s = sum(stretch.end - stretch.begin for stretch in served if stretch.server == PRIMARY)
    return Day(
        mean_s=sum(waits) / len(waits) if waits else 0.0,
        percentiles_s=tuple(waits[min(len(waits) - 1, int(len(waits) * part / 100))] if waits else 0.0 for part in PERCENTILES),
        away=1 - home_s / setting.duration_s,
        outage_s=setting.duration_s - serving_s,
        changes=standing_in.changes,
    )
