"""Stored bars after a split: what still counts old shares is divided, what the source has told anew already is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.bars import BarSize
from core.domain.venue import Split
from core.execution import activities
from core.series import BarSeries
from tests.builders import MONDAY, Bench
from tests.fakes_venue import bar_of

SHARE, DAY = "AAPL", timedelta(days=1)
SPLIT_AT = MONDAY + 5 * DAY


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path).start()
    bench.clock.move_to(SPLIT_AT + 2 * DAY)
    yield bench
    bench.close()


def store(bench: Bench, *closes: float) -> None:
    """One bar a day from Monday on, the sixth being the first after the split."""
    bars = [bar_of(SHARE, MONDAY + number * DAY, (close,) * 4, BarSize.D1) for number, close in enumerate(closes)]
    bench.bars.write(BarSeries.of(SHARE, BarSize.D1, bars), "test")


def divide(bench: Bench, ratio: str) -> list[float]:
    """The stored closes after the split is booked and the bars are divided, twice as after a crash."""
    split = Split("split", "simulated", SHARE, Decimal(ratio), Decimal(0), SPLIT_AT)
    with bench.database.unit_of_work() as work:
        assert activities.book(work, bench.desk, split, bench.clock.now())
        waiting = work.value(activities.RESCALING)
        work.commit()
    activities.rescale_bars(bench.desk)
    with bench.database.unit_of_work() as work:
        work.set_value(activities.RESCALING, waiting)
        work.commit()
    activities.rescale_bars(bench.desk)
    closes: list[float] = bench.bars.read(SHARE, BarSize.D1, bench.clock.now(), 99).close.tolist()
    return closes


@pytest.mark.feature("M14")
@pytest.mark.parametrize(
    "stored",
    [
        (400.0, 404.0, 408.0, 400.0, 396.0),
        (400.0, 404.0, 408.0, 400.0, 396.0, 100.0),
        (400.0, 404.0, 408.0, 100.0, 99.0, 100.0),
        (400.0, 404.0, 408.0, 100.0, 99.0),
        (100.0, 101.0, 102.0, 100.0, 99.0, 100.0),
    ],
    ids=["nothing after it yet", "all old", "the newest told anew", "told anew, nothing after it", "all told anew"],
)
def test_only_what_still_counts_old_shares_is_divided(bench: Bench, stored: tuple[float, ...]) -> None:
    store(bench, *stored)
    assert divide(bench, "4") == [100.0, 101.0, 102.0, 100.0, 99.0, 100.0][: len(stored)]


@pytest.mark.feature("M14")
def test_a_reverse_split_multiplies(bench: Bench) -> None:
    store(bench, 2.0, 2.1, 2.0, 1.9, 16.8, 17.0)
    assert divide(bench, "0.125") == [16.0, 16.8, 16.0, 15.2, 16.8, 17.0]


@pytest.mark.feature("M14")
def test_a_split_too_small_to_be_told_from_a_night_is_divided_as_the_venue_says(bench: Bench) -> None:
    store(bench, 105.0, 105.0, 105.0, 105.0, 105.0, 100.0)
    assert divide(bench, "1.05") == [100.0, 100.0, 100.0, 100.0, 100.0, 100.0]
