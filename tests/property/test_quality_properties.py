"""Whatever arrives, what passes the gate is sorted, unique, finite, positive and consistent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.bars import BarSize
from core.quality import inspect, is_sound
from core.series import BarSeries, time_of
from tests.fakes_bars import steady_series

START = datetime(2024, 6, 3, tzinfo=UTC)
WEIRD = [float("nan"), float("inf"), -float("inf"), 0.0, -3.0, 1e-9, 1e12]
COLUMNS = ("open", "high", "low", "close", "volume")


@st.composite
def damaged_series(draw: st.DrawFn) -> tuple[BarSeries, BarSeries]:
    """A good series, and the same with rows shuffled, repeated and spoilt."""
    good = steady_series("BTC-USD", BarSize.M5, START, draw(st.integers(1, 30)))
    rows = draw(st.lists(st.integers(0, len(good) - 1), max_size=60))
    series = good.part(np.array(rows, np.int64))
    for _ in range(draw(st.integers(0, 8))):
        if len(series):
            column = getattr(series, draw(st.sampled_from(COLUMNS)))
            column[draw(st.integers(0, len(series) - 1))] = draw(st.sampled_from(WEIRD))
    return good, series


@pytest.mark.feature("S2")
@settings(deadline=None)
@given(damaged_series(), st.integers(0, 160))
def test_only_sound_bars_pass_and_every_other_row_is_accounted_for(
    pair: tuple[BarSeries, BarSeries], minutes: int
) -> None:
    _, series = pair
    end = START + timedelta(minutes=minutes)
    inspection = inspect(series, end)
    good = inspection.good
    assert (np.diff(good.closed_at) > 0).all()
    assert (good.closed_at <= end.timestamp()).all()
    for column in COLUMNS:
        assert np.isfinite(getattr(good, column)).all()
    assert (good.low > 0).all()
    assert (good.volume >= 0).all()
    assert (good.high >= np.maximum(good.open, good.close) * (1 - 2e-6)).all()
    assert (good.low <= np.minimum(good.open, good.close) * (1 + 2e-6)).all()
    assert len(good) + len(inspection.refused) + inspection.repeated == len(series)


@settings(deadline=None)
@given(damaged_series())
def test_inspecting_what_passed_changes_nothing(pair: tuple[BarSeries, BarSeries]) -> None:
    good = inspect(pair[1]).good
    again = inspect(good)
    assert (len(again.good), again.refused, again.out_of_order, again.repeated) == (len(good), (), 0, 0)


@settings(deadline=None)
@given(st.integers(1, 40), st.randoms(use_true_random=False))
def test_order_and_repetition_alone_cost_no_bar(count: int, order: object) -> None:
    good = steady_series("BTC-USD", BarSize.M5, START, count)
    rows = [*range(count), *range(0, count, 3)]
    order.shuffle(rows)  # type: ignore[attr-defined]  # Hypothesis hands over a random.Random
    inspection = inspect(good.part(np.array(rows)))
    assert inspection.refused == ()
    assert [time_of(at) for at in inspection.good.closed_at] == [time_of(at) for at in good.closed_at]
    assert np.array_equal(inspection.good.close, good.close)


@settings(deadline=None)
@given(damaged_series(), st.integers(0, 160))
def test_the_short_cut_for_sound_series_agrees_with_the_rules(pair: tuple[BarSeries, BarSeries], minutes: int) -> None:
    end = START + timedelta(minutes=minutes)
    inspection = inspect(pair[1], end)
    untouched = not (inspection.refused or inspection.out_of_order or inspection.repeated)
    assert is_sound(inspection.good, end)
    assert is_sound(pair[1], end) == untouched
