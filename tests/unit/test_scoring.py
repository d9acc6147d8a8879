"""Predictions become hits and misses when their day has come, once each, and the daily report counts them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.domain.decisions import Prediction, Signal
from core.domain.events import DailyReport
from core.execution.views import publish_daily_report, report
from core.series import time_of
from core.storage.store import Database
from jobs.scoring import score_predictions
from tests.builders import COIN, MONDAY, Bench
from tests.fakes_bars import MemoryBarStore
from tests.ledger_builders import a_decision, ledger
from tests.series_builders import series_of

pytestmark = pytest.mark.feature("S6")

HORIZON = 3
EVENT = "close higher after 3 bars"
PRICES = (100, 101, 102, 103, 101, 100, 102, 104)
DAILY = series_of("SPY", PRICES)
DAY = timedelta(days=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = ledger(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def bars() -> MemoryBarStore:
    store = MemoryBarStore()
    store.write(DAILY, "test")
    return store


def closed(number: int) -> datetime:
    """When the daily bar of that index closed."""
    return time_of(DAILY.closed_at[number])


def foresee(database: Database, *made: tuple[int, float], event: str = EVENT, symbol: str = "SPY") -> None:
    """Records decisions that foresee, from the daily bar of an index, a probability."""
    for number, probability in made:
        prediction = Prediction(symbol, probability, event, "m1", closed(number))
        signal = Signal(symbol, closed(number), None, prediction, ())
        with database.unit_of_work() as work:
            work.record_decision(a_decision(at=signal.at, signals=(signal,)), recorded_at=signal.at)
            work.commit()


def scores(database: Database) -> tuple[int, int]:
    with database.reading() as work:
        return work.prediction_scores(closed(0) - DAY)


def waiting(database: Database) -> Sequence[datetime]:
    with database.reading() as work:
        return [each.bar_closed_at for each in work.unscored_predictions(closed(0) - DAY)]


@pytest.mark.parametrize(
    ("number", "probability", "hits"),
    [
        (0, 0.51, 1),  # 100 -> 103: rose, as foreseen
        (0, 0.50, 0),  # one half is no yes
        (1, 0.51, 0),  # 101 -> 101: did not rise
        (1, 0.50, 1),
        (2, 0.10, 1),  # 102 -> 100: fell, as foreseen
        (2, 0.90, 0),
    ],
)
def test_a_hit_is_a_yes_that_came_or_a_no_that_did_not(
    database: Database, bars: MemoryBarStore, number: int, probability: float, hits: int
) -> None:
    foresee(database, (number, probability))
    assert score_predictions(closed(7), database.unit_of_work, bars, HORIZON) == 1
    assert scores(database) == (hits, 1)


def test_a_prediction_waits_until_its_day_has_closed_and_is_counted_once(
    database: Database, bars: MemoryBarStore
) -> None:
    foresee(database, (0, 0.7), (3, 0.7))
    due = closed(HORIZON)
    assert score_predictions(due - timedelta(seconds=1), database.unit_of_work, bars, HORIZON) == 0
    assert score_predictions(due, database.unit_of_work, bars, HORIZON) == 1
    assert score_predictions(due, database.unit_of_work, bars, HORIZON) == 0
    assert scores(database) == (1, 1)
    assert waiting(database) == [closed(3)]


def test_the_first_prediction_of_a_bar_counts_however_often_the_bar_is_judged(
    database: Database, bars: MemoryBarStore
) -> None:
    foresee(database, (0, 0.7), (0, 0.2), (0, 0.3))
    assert score_predictions(closed(7), database.unit_of_work, bars, HORIZON) == 1
    assert scores(database) == (1, 1)


def test_what_cannot_be_judged_is_not_counted(database: Database, bars: MemoryBarStore) -> None:
    foresee(database, (0, 0.7), event="close higher after 10 bars")
    foresee(database, (0, 0.7), symbol="GONE")
    assert score_predictions(closed(7), database.unit_of_work, bars, HORIZON) == 0
    assert score_predictions(closed(7) + 90 * DAY, database.unit_of_work, bars, HORIZON) == 0
    assert scores(database) == (0, 0)


def test_the_daily_report_counts_the_cycles_own_predictions(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start()
    bench.tick()
    (made,) = bench.read(lambda work: work.unscored_predictions(MONDAY - 90 * DAY))
    horizon = bench.desk.policy.label_horizon
    later = series_of(COIN, [50.0] * 30, start=made.bar_closed_at)
    bench.bars.write(later, "test")
    now = made.bar_closed_at + horizon * DAY
    assert report(bench.desk, now).model_scored == 0
    assert score_predictions(now, bench.database.unit_of_work, bench.bars, horizon) == 1
    assert publish_daily_report(bench.desk, now)
    (told,) = bench.events(DailyReport)
    assert (told.model_hits, told.model_scored) == (0, 1)
    bench.close()


def test_scoring_needs_no_learning_library() -> None:
    seen = "import sys, jobs.scoring; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", seen], check=False, cwd=Path(__file__).parents[2]).returncode == 0
