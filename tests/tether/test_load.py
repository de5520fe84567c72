"""The loadlevel (P9)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.load import SMOOTHING_S, Load, LoadError, Reading, level, read_host

PART = st.floats(0, 1)
QUEUE = st.floats(0, 1000)


@given(PART, QUEUE, PART)
def test_a_level_is_between_nothing_and_all(cpu: float, queue: float, available: float) -> None:
    assert 0.0 <= level(cpu, queue, available) <= 1.0


@given(PART, PART, QUEUE, QUEUE, PART, PART)
def test_more_of_anything_is_never_less(cpu: float, cpu2: float, queue: float, queue2: float, free: float, free2: float) -> None:
    low = level(min(cpu, cpu2), min(queue, queue2), max(free, free2))
    assert low <= level(max(cpu, cpu2), max(queue, queue2), min(free, free2))


def test_the_corners() -> None:
    assert level(0, 0, 1.0) == 0.0
    assert level(0, 0, 0.5) == 0.0 and level(0, 0, 0.05) == 1.0
    assert level(1, 1, 1.0) == 0.75
    assert level(1, 9, 1.0) > level(1, 2, 1.0)  # both full, one has more waiting


def readings(cpu: float, count: int) -> list[Reading]:
    return [Reading(busy_s=cpu * n, total_s=float(n), runnable=0, cores=2, available=1.0) for n in range(count)]


def test_a_step_arrives_exponentially() -> None:
    idle, full = readings(0.0, 2), [Reading(float(n), 1.0 + n, 0, 2, 1.0) for n in range(1, 400)]
    values = iter(idle + full)
    load = Load(read=lambda: next(values))
    assert load.sample(0.0) == 0.0 and load.sample(0.5) == 0.0
    levels = [load.sample(0.5 + 0.5 * n) for n in range(1, 100)]
    assert levels == sorted(levels)
    assert abs(levels[int(SMOOTHING_S / 0.5) - 1] - 0.5 * 0.632) < 0.01 and abs(levels[-1] - 0.5) < 0.001


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
