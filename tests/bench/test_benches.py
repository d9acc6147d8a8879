"""The benchmarks run, at sizes that measure nothing."""

from __future__ import annotations

import pytest

from tests.bench import cycle, write_ahead
from tests.forest_builders import small_forest


@pytest.fixture(scope="module")
def forest() -> bytes:
    return small_forest().to_bytes()


def test_the_cycle_is_measured_stage_by_stage(forest: bytes) -> None:
    measured = cycle.measure(3, 6, forest)
    assert len(measured.cycles) == len(measured.processor) == 5
    assert set(measured.stages) == set(cycle.STAGES)
    assert all(measured.stages[name] > 0 for name in measured.stages)
    assert 0 < sum(measured.stages.values()) < sum(measured.cycles)
    assert "3 instruments, 5 cycles" in next(cycle.lines_of(measured, measured))


def test_the_engines_compared_do_the_same_work_and_send_orders(forest: bytes) -> None:
    compared = write_ahead.compare(8, 8, forest)
    assert len(set(compared.heads.values())) == 1
    assert sum(compared.sent) > 0
    assert list(write_ahead.lines_of(compared))[-1].endswith("the same")
