"""The benchmarks run, at sizes that measure nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.bench import cycle, latency, write_ahead
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


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")
async def test_answers_and_stalls_of_the_real_process_are_measured_idle_and_busy(tmp_path: Path) -> None:
    idle, busy = await latency.compare(tmp_path, 1, explain=False)
    for phase in (idle, busy):
        assert set(phase.waits) == {what for what, _ in latency.ASKED}
        assert all(0 < wait < latency.ANSWER_LIMIT for waits in phase.waits.values() for wait in waits)
        assert len(phase.late) == len(phase.stalls) > 100
    assert busy.cycles > idle.cycles == idle.trainings
    assert list(latency.lines_of(busy))[-1].startswith("  of the aims: p99 ")
