"""Whatever arrives, what passes the gate is sorted, unique, finite, positive and consistent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.bars import BarSize
from core.quality import Defect, inspect, is_sound
from core.quality.gate import inspect_fully
from core.series import BarSeries, merged, time_of
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
@given(damaged_series(), st.integers(0, 160), st.integers(0, 30))
def test_the_short_cut_for_sound_series_agrees_with_the_rules(
    pair: tuple[BarSeries, BarSeries], minutes: int, stored: int
) -> None:
    end, known = START + timedelta(minutes=minutes), pair[0].part(slice(0, stored))
    assert is_sound(pair[0].part(slice(0, 4)), START + timedelta(days=1))
    if is_sound(pair[1], end, known):
        inspection = inspect_fully(pair[1], end, known)
        assert (inspection.refused, inspection.out_of_order, inspection.repeated) == ((), 0, 0)


@st.composite
def walks(draw: st.DrawFn) -> BarSeries:
    """Forty to a hundred five-minute bars that wander by up to a fifth of a JUMP at a time."""
    chance = np.random.default_rng(draw(st.integers(0, 10**6)))
    series = steady_series("BTC-USD", BarSize.M5, START, draw(st.integers(40, 100)))
    closed = 100 * np.exp(np.cumsum(chance.normal(0, 0.01, len(series))))
    opened = np.concatenate([[100.0], closed[:-1]])
    wick = 1 + np.abs(chance.normal(0, 0.005, len(series)))
    high, low = np.maximum(opened, closed) * wick, np.minimum(opened, closed) / wick
    volume = chance.lognormal(5, 0.5, len(series))
    return replace(series, open=opened, high=high, low=low, close=closed, volume=volume)


@pytest.mark.feature("S2")
@settings(deadline=None)
@given(walks(), st.data(), st.floats(3, 500), st.booleans())
def test_a_bad_tick_is_refused_wherever_it_stands_and_nothing_else_is(
    series: BarSeries, data: st.DataObject, factor: float, upwards: bool
) -> None:
    """It may be one bar's close, with or without the next one's open, as a feed of quotes makes them."""
    row = data.draw(st.integers(1, len(series) - 3))
    spans_two = data.draw(st.booleans())
    bad = series.close[row] * (factor if upwards else 1 / factor)
    close, opened, high, low = (getattr(series, name).copy() for name in ("close", "open", "high", "low"))
    close[row] = bad
    if spans_two:
        opened[row + 1] = bad
    for each in (row, row + 1) if spans_two else (row,):
        high[each], low[each] = max(high[each], bad), min(low[each], bad)
    inspection = inspect(replace(series, close=close, open=opened, high=high, low=low))
    assert {refusal.defect for refusal in inspection.refused} == {Defect.SPIKE}
    expected = {series.closed_at[row], series.closed_at[row + 1]} if spans_two else {series.closed_at[row]}
    assert set(series.closed_at) - set(inspection.good.closed_at) == expected


@settings(deadline=None)
@given(walks(), st.data(), st.floats(1.3, 20), st.booleans())
def test_a_crash_is_taken_as_soon_as_the_next_bar_agrees(
    series: BarSeries, data: st.DataObject, factor: float, upwards: bool
) -> None:
    row = data.draw(st.integers(1, len(series) - 2))
    by = np.where(np.arange(len(series)) >= row, factor if upwards else 1 / factor, 1.0)
    crash = replace(series, open=series.open * by, high=series.high * by, low=series.low * by, close=series.close * by)
    at_once, later = (inspect(crash.part(slice(0, row + n)), time_of(crash.closed_at[row + n - 1])) for n in (1, 2))
    assert [refusal.defect for refusal in at_once.refused] == [Defect.UNCONFIRMED]
    assert len(at_once.good) == row
    assert later.refused == ()
    assert inspect(crash).refused == ()


@settings(deadline=None)
@given(walks(), st.integers(1, 20), st.integers(0, 10))
def test_bars_that_come_a_few_at_a_time_are_judged_by_what_is_stored(
    series: BarSeries, step: int, overlap: int
) -> None:
    """A bad tick in the middle never gets in, whichever way the series was cut."""
    row = len(series) // 2
    close, high = series.close.copy(), series.high.copy()
    close[row] = high[row] = close[row] * 40
    spoilt = replace(series, close=close, high=high)
    stored = BarSeries.empty("BTC-USD", BarSize.M5)
    for stop in range(1, len(series) + step, step):
        start = max(0, len(stored) - overlap)
        asked = spoilt.part(slice(max(0, start - 1), stop))
        good = inspect(asked, time_of(asked.closed_at[-1]), stored).good
        stored = merged(stored, good)
    assert stored.close.max() < 20 * series.close.max()
    assert len(stored) == len(series) - 1


@pytest.mark.feature("S2")
@settings(deadline=None)
@given(walks(), st.integers(1, 48), st.booleans())
def test_times_that_are_late_or_early_against_what_is_stored_are_found_out(
    series: BarSeries, halves: int, early: bool
) -> None:
    seconds = halves * 1_800 * (-1 if early else 1)
    shifted = replace(series, opened_at=series.opened_at + seconds, closed_at=series.closed_at + seconds)
    inspection = inspect(shifted.part(slice(-12, None)), known=series)
    assert {refusal.defect for refusal in inspection.refused} == {Defect.SHIFTED}
    assert f"for {halves / 2:g} hours {'later' if early else 'earlier'}" in inspection.refused[0].sentence
    assert inspect(series.part(slice(-12, None)), known=series).refused == ()
