"""Larger bars made of smaller ones: as by hand, never of a part, and as the vendor's own where both are there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.adapters.calendars import ExchangeCalendar
from core.adapters.history_files import HistoryFiles
from core.domain.bars import Bar, BarSize
from core.domain.instruments import Instrument, instrument_for
from core.feed.aggregate import FINER, aggregate
from core.feed.gaps import expected_closes
from core.series import BarSeries, concatenated, seconds_of
from tests.fakes_bars import needs_shared_data
from tests.feed_builders import same_bars

CALENDAR = ExchangeCalendar()
SPY, BTC = instrument_for("SPY"), instrument_for("BTC-USD")
PAIRS = [(fine, size) for size, finer in FINER.items() for fine in finer]


def small_bars(instrument: Instrument, size: BarSize, day: date, days: int, seed: int) -> BarSeries:
    """Every bar of some days, at random prices in cents."""
    start = seconds_of(datetime(day.year, day.month, day.day, tzinfo=UTC))
    closed = expected_closes(CALENDAR, instrument.asset_class, size, start, start + days * 86_400)
    opened = np.array([open_of(instrument, size, close) for close in closed.tolist()], np.int64)
    draw = np.random.default_rng(seed)
    prices = draw.integers(9_000, 11_000, (2, len(closed))) / 100
    high, low = prices.max(axis=0) + 0.05, prices.min(axis=0) - 0.05
    volume = draw.integers(0, 1_000, len(closed)).astype(np.float64)
    return BarSeries(instrument.symbol, size, opened, closed, prices[0], high, low, prices[1], volume)


def open_of(instrument: Instrument, size: BarSize, close: int) -> int:
    """When the bar opens that closes then."""
    span = int(size.span.total_seconds())
    if instrument.is_crypto:
        return close - span
    bounds = CALENDAR.session_bounds(instrument.asset_class, datetime.fromtimestamp(close, UTC).date())
    assert bounds is not None
    first = seconds_of(bounds[0])
    return first if not size.is_intraday else first + (close - 1 - first) // span * span


def by_hand(instrument: Instrument, series: BarSeries, size: BarSize, first: int, last: int) -> BarSeries:
    """Every larger bar of the time of which the calendar's smaller ones are all there."""
    held, made = {seconds_of(bar.closed_at): bar for bar in series.bars()}, []
    for close in expected_closes(CALENDAR, instrument.asset_class, size, first, last).tolist():
        opened = open_of(instrument, size, close)
        wanted = expected_closes(CALENDAR, instrument.asset_class, series.size, opened, close).tolist()
        if opened < first or not set(wanted) <= held.keys():
            continue
        bars = [held[each] for each in wanted]
        high, low = max(bar.high for bar in bars), min(bar.low for bar in bars)
        volume = sum(bar.volume for bar in bars)
        times = datetime.fromtimestamp(opened, UTC), datetime.fromtimestamp(close, UTC)
        made.append(Bar(series.symbol, size, *times, bars[0].open, high, low, bars[-1].close, volume))
    return BarSeries.of(series.symbol, size, made)


@pytest.mark.feature("S2")
@settings(deadline=None, max_examples=60)
@given(
    pair=st.sampled_from([pair for pair in PAIRS if pair[0] is not BarSize.M1]),
    instrument=st.sampled_from([SPY, BTC]),
    day=st.sampled_from([date(2024, 7, 2), date(2024, 3, 8), date(2021, 11, 25), date(2025, 1, 8)])
    | st.dates(date(2015, 1, 1), date(2025, 12, 1)),
    lost=st.sets(st.integers(0, 900), max_size=12),
    cut=st.tuples(st.integers(0, 90), st.integers(0, 90)),
    off_grid=st.booleans(),
)
@example((BarSize.M1, BarSize.M5), SPY, date(2024, 7, 3), {7, 40}, (3, 1), False)
@example((BarSize.M1, BarSize.D1), BTC, date(2024, 7, 3), set(), (0, 0), True)
def test_larger_bars_are_what_they_are_by_hand_and_none_is_made_of_a_part(
    pair: tuple[BarSize, BarSize],
    instrument: Instrument,
    day: date,
    lost: set[int],
    cut: tuple[int, int],
    off_grid: bool,
) -> None:
    fine, size = pair
    series = small_bars(instrument, fine, day, 3, len(lost))
    kept = np.array([row for row in range(cut[0], len(series) - cut[1]) if row not in lost], np.int64)
    series = series.part(kept)
    if off_grid and len(series):
        # A live row, or a bar from before the session, beside the good ones.
        odd = series.part(slice(-1, None))
        odd = BarSeries(
            odd.symbol,
            odd.size,
            odd.opened_at + 61,
            odd.closed_at + 61,
            odd.open,
            odd.high,
            odd.low,
            odd.close,
            odd.volume,
        )
        given_bars = concatenated(series, odd)
    else:
        given_bars = series
    start = seconds_of(datetime(day.year, day.month, day.day, tzinfo=UTC))
    made = aggregate(CALENDAR, instrument.asset_class, given_bars, size)
    assert same_bars(made, by_hand(instrument, series, size, start, start + 3 * 86_400))


def test_a_size_is_not_made_of_a_larger_one() -> None:
    with pytest.raises(ValueError, match="5m bars are not made of 1h bars"):
        aggregate(CALENDAR, SPY.asset_class, BarSeries.empty("SPY", BarSize.H1), BarSize.M5)


@needs_shared_data
@pytest.mark.feature("S2")
def test_made_of_real_minutes_they_are_the_vendors_own_five_minutes() -> None:
    """Half days and the nights of the clocks among them, to the last bit."""
    files = HistoryFiles(needs_shared_data.folder, CALENDAR)
    end = datetime(2024, 12, 31, 22, tzinfo=UTC)
    minutes = files.bars(SPY, BarSize.M1, end, 1_000_000).after(datetime(2024, 3, 26, tzinfo=UTC))
    theirs = files.bars(SPY, BarSize.M5, end, 1_000_000).after(datetime(2024, 3, 26, tzinfo=UTC))
    ours = aggregate(CALENDAR, SPY.asset_class, minutes, BarSize.M5)
    assert len(minutes) == 75_120
    assert same_bars(ours, theirs)


@needs_shared_data
def test_made_of_real_five_minutes_a_coins_hours_are_the_exchanges_own() -> None:
    files = HistoryFiles(needs_shared_data.folder, CALENDAR)
    end = datetime(2024, 12, 31, 22, tzinfo=UTC)
    small = files.bars(BTC, BarSize.M5, end, 12 * 24 * 400)
    hours = files.bars(BTC, BarSize.H1, end, 24 * 400)
    made = aggregate(CALENDAR, BTC.asset_class, small, BarSize.H1)
    assert len(hours) == 9_600
    made = made.last(9_600)
    # A sum of coins is rounded in another order than the exchange's own.
    assert np.allclose(made.volume, hours.volume, rtol=1e-9)
    assert same_bars(replace(made, volume=hours.volume), hours)
