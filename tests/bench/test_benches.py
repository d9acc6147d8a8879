"""The benchmarks run, at sizes that measure nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from bot.price_sources import make_calendar
from core.domain.bars import BarSize
from core.learning.fitting import Grower, Pool
from core.learning.recipes import Recipe
from core.strategy.features import feature_matrix
from tests.bench import backtest, backtest_peers, bars, cycle, latency, walk_forward, write_ahead
from tests.bench import forest as forests
from tests.forest_builders import small_forest

T = TypeVar("T")


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


def here(task: Callable[..., T], *arguments: Any) -> T:
    """Instead of a process of its own."""
    return task(*arguments)


def test_stores_of_bars_that_are_compared_read_the_same_rows_and_compute_the_same_features() -> None:
    found = bars.measure_storage(900, 1, 200, 2, here)
    assert set(found) >= {"store", "pandas"}
    assert [len(result.reads) for results in found.values() for result in results] == [2] * len(found)
    lines = list(bars.storage_lines(found, 900, 200))
    assert lines[0].startswith("writing 900 bars")
    features = bars.measure_features(3, here)
    ours = features["store"].rows
    expected = [feature_matrix(bars.made_up(number, bars.HISTORY + bars.NEW_BARS))[-1] for number in range(3)]
    assert np.array_equal(ours, np.array(expected))
    assert np.allclose(ours, features["pandas"].rows, rtol=0, atol=1e-9)
    assert "they differ by" in list(bars.feature_lines(features, 3))[-1]


def test_a_contestant_that_read_something_else_is_not_compared() -> None:
    found = bars.measure_storage(300, 1, 100, 1, here)
    (odd,) = found["pandas"]
    found["pandas"] = [replace(odd, digest=odd.digest + 1)]
    with pytest.raises(AssertionError, match="did not read the same"):
        list(bars.storage_lines(found, 300, 100))


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


def test_the_forests_that_are_compared_answer_alike() -> None:
    estimator, flat, rows = forests.grown(trees=5, bars=320)
    for size in (1, 50):
        compared = forests.compare(estimator, flat, rows, size, 2)
        assert compared.difference < 1e-12
        assert min(compared.ours, compared.theirs, compared.unchecked) > 0
        assert "times" in next(forests.lines_of(compared))


def test_the_backtests_that_are_compared_trade_by_the_same_rule(tmp_path: Path) -> None:
    made = backtest.MadeUp(BarSize.D1, 150, make_calendar())
    trades, value = backtest_peers.loop(made.matrix(BarSize.D1))
    assert trades > 0
    assert value > 0
    mine = backtest.ours(BarSize.D1, made, tmp_path, small_forest())
    assert mine.trades > 0
    absent = backtest.Measured("vectorbt", missing="not installed: no network")
    lines = list(backtest.lines_of(BarSize.D1, 8 * 150, [mine, replace(mine, name="loop"), absent]))
    assert "ours is 1.00 times as fast" in lines[-2]
    assert lines[-1].endswith("not installed: no network")


def test_a_walk_forward_is_measured_against_its_fits(tmp_path: Path) -> None:
    grower = Grower(trees=5, trial_trees=3, leaves=(20,), jobs=1)
    past = walk_forward.past_of(700, Recipe("bench", "direction", Pool.POOLED, grower))
    spent = walk_forward.measured(past, walk_forward.dues_of(past, 1), tmp_path)
    assert spent.trainings == 1
    assert 0 < spent.fits < spent.whole
    wall = walk_forward.Wall([2.0], [1.0])
    lines = list(walk_forward.lines_of(spent, wall, (2**20, 2**20, False)))
    assert "2.00 times as fast" in lines[2]
