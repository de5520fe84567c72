"""The loadlevel (P9)."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.load import Load, LoadError, read_host, stalled_s
from agent.loadlevel import SMOOTHING_S, STALLED_FULLY, Link, Reading, Smoothed, Use, at_first, between, processor, scarcity

PART = st.floats(0, 1)
QUEUE = st.floats(0, 1000)
IDLE = Reading(busy_s=0.0, total_s=0.0, runnable=0, cores=2, available=1.0)


@given(PART, PART, QUEUE, QUEUE, PART, PART)
def test_more_of_anything_is_never_less(cpu: float, cpu2: float, queue: float, queue2: float, free: float, free2: float) -> None:
    assert 0.0 <= processor(cpu, queue) <= 1.0 and 0.0 <= scarcity(free) <= 1.0
    assert processor(min(cpu, cpu2), min(queue, queue2)) <= processor(max(cpu, cpu2), max(queue, queue2))
    assert scarcity(max(free, free2)) <= scarcity(min(free, free2))


def test_the_corners() -> None:
    assert processor(0, 0) == scarcity(1.0) == 0.0
    assert scarcity(0.5) == 0.0 and scarcity(0.05) == 1.0
    assert processor(1, 1) == 0.75
    assert processor(1, 9) > processor(1, 2)  # both full, one has more waiting


def test_whichever_runs_out_first_makes_the_level() -> None:
    for field in Use.__struct_fields__:
        assert Use(**({"cpu": 0.1, "memory": 0.2} | {field: 0.7})).level == 0.7


def later(**changed: object) -> Reading:
    """One second after IDLE, in which nothing happened but this."""
    return msgspec.structs.replace(IDLE, **({"total_s": 2.0} | changed))


def test_memory_pressure_is_the_time_in_which_processes_waited() -> None:
    before = msgspec.structs.replace(IDLE, stalled_s=40.0)
    assert between(before, later(stalled_s=40.0 + STALLED_FULLY / 2), 1.0).memory == pytest.approx(0.5)
    assert between(before, later(stalled_s=41.0), 1.0).memory == 1.0
    assert between(before, later(stalled_s=40.0, available=0.05), 1.0).memory == 1.0, "nobody waits yet, and there is no room"


def test_without_pressure_figures_room_is_all_that_counts() -> None:
    assert between(IDLE, later(stalled_s=9.0), 1.0).memory == 0.0
    assert between(IDLE, later(available=0.05), 1.0).memory == 1.0


def test_a_disk_counts_by_its_busy_time_and_the_busiest_of_them() -> None:
    before = msgspec.structs.replace(IDLE, disks={"sda": 10.0, "sdb": 0.0})
    assert between(before, later(disks={"sda": 10.25, "sdb": 0.5, "new": 99.0}), 1.0).disk == 0.5
    assert between(before, later(disks={"sda": 1.0}), 1.0).disk == 0.0, "a counter that began anew tells nothing"


def test_a_link_counts_by_its_busier_direction_against_its_speed() -> None:
    before = msgspec.structs.replace(IDLE, links={"eth0": Link(0, 0, 1000.0), "tun0": Link(0, 0, 0.0)})
    passed = {"eth0": Link(250, 750, 1000.0), "tun0": Link(10**9, 10**9, 0.0)}
    assert between(before, later(links=passed), 1.0).network == 0.75
    assert between(before, later(links={"tun0": passed["tun0"]}), 1.0).network == 0.0, "nobody knows what tun0 could carry"


def test_two_readings_at_one_moment_tell_nothing() -> None:
    before = msgspec.structs.replace(IDLE, disks={"sda": 1.0}, stalled_s=1.0)
    assert between(before, msgspec.structs.replace(before, disks={"sda": 2.0}, stalled_s=2.0), 0.0).level == 0.0


def test_one_reading_goes_by_queue_and_room() -> None:
    assert at_first(IDLE).level == 0.0
    assert at_first(later(runnable=4)).level == pytest.approx(2 / 3)


def test_pressure_is_read_where_there_is_some(tmp_path: Path) -> None:
    file = tmp_path / "memory"
    assert stalled_s(file) is None
    file.write_text("some avg10=0.01 avg60=0.10 avg300=0.47 total=16507721\nfull avg10=0.00 avg60=0.02 avg300=0.41 total=11948310\n")
    assert stalled_s(file) == 16.507721
    for nonsense in ("", "some total=\n", "full avg10=0.00 total=1\n", "\x00"):
        file.write_text(nonsense)
        assert stalled_s(file) is None


def test_no_smoothing_follows_at_once() -> None:
    smoothed = Smoothed(0.0)
    assert [smoothed.follow(level, now) for now, level in enumerate((0.0, 1.0, 0.25))] == [0.0, 1.0, 0.25]


def readings(cpu: float, count: int) -> list[Reading]:
    return [Reading(busy_s=cpu * n, total_s=float(n), runnable=0, cores=2, available=1.0) for n in range(count)]


def test_a_step_arrives_exponentially() -> None:
    """After a long calm: to 63 per cent in the smoothing time."""
    idle, full = readings(0.0, 2), [Reading(float(n), 1.0 + n, 0, 2, 1.0) for n in range(1, 1_000)]
    values = iter(idle + full)
    load = Load(read=lambda: next(values))
    calm_s = 20 * SMOOTHING_S
    assert load.sample(0.0) == 0.0 and load.sample(calm_s) == 0.0
    levels = [load.sample(calm_s + 0.5 * n) for n in range(1, int(20 * SMOOTHING_S))]
    assert levels == sorted(levels)
    assert abs(levels[int(SMOOTHING_S / 0.5) - 1] - 0.5 * 0.632) < 0.01 and abs(levels[-1] - 0.5) < 0.001


def test_the_first_moment_is_not_remembered_for_longer_than_others() -> None:
    """Full at the start by chance, idle ever since: half forgotten in a sixth of the smoothing time."""
    smoothed = Smoothed(20.0)
    assert smoothed.follow(1.0, 0.0) == 1.0
    levels = [smoothed.follow(0.0, 0.5 * n) for n in range(1, 100)]
    assert 0.7 < levels[0] < 1.0 and levels[6] < 0.5 and levels == sorted(levels, reverse=True)


def test_no_time_between_two_levels_changes_nothing() -> None:
    smoothed = Smoothed(20.0)
    assert [smoothed.follow(level, now) for level, now in ((0.5, 3.0), (1.0, 3.0), (1.0, 2.0))] == [0.5, 0.5, 0.5]


def test_it_does_not_matter_how_often_it_is_asked() -> None:
    def after(step_s: float) -> float:
        cpus = iter([Reading(0.0, 0.0, 0, 2, 1.0), *(Reading(n * step_s, n * step_s, 0, 2, 1.0) for n in range(1, 100))])
        load = Load(read=lambda: next(cpus))
        result = 0.0
        for n in range(int(5 / step_s) + 1):
            result = load.sample(n * step_s)
        return result

    assert abs(after(0.5) - after(0.1)) < 1e-9


def test_a_host_that_cannot_be_read_keeps_its_level() -> None:
    values = iter(readings(1.0, 2))

    def read() -> Reading:
        try:
            return next(values)
        except StopIteration:
            raise LoadError("gone") from None

    load = Load(read=read)
    load.sample(0.0)
    last = load.sample(1.0)
    assert last > 0 and load.sample(2.0) == last


def test_this_host_has_a_level() -> None:
    reading = read_host()
    assert 0 < reading.busy_s <= reading.total_s and reading.cores >= 1 and 0 < reading.available <= 1 and reading.runnable >= 0
    load = Load()
    assert all(0.0 <= load.sample(float(n)) <= 1.0 for n in range(3))
