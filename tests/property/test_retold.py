"""A split, or a dividend taken out of past prices: whenever it comes and whenever the source tells of it, the stored
series end as a clean fetch gives them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.adapters.calendars import ExchangeCalendar
from core.collect import Collector, CollectReport
from core.domain.bar_records import SeamKind
from core.domain.bars import BarSize
from core.domain.instruments import Instrument, instrument_for
from core.feed.gaps import expected_closes
from core.feed.overlap import rescaled
from core.feed.refresh import count_alike
from core.feed.standing import Rules
from core.series import COLUMNS, BarSeries, concatenated, seconds_of
from tests.fakes_bars import MemoryBarStore

CALENDAR = ExchangeCalendar()
SPY = instrument_for("SPY")
M5, D1 = BarSize.M5, BarSize.D1
FIRST, LAST = datetime(2024, 6, 3, tzinfo=UTC), datetime(2024, 6, 15, tzinfo=UTC)
OPENS = CALENDAR.sessions_between(date(2024, 6, 6), date(2024, 6, 13))[1]


def history(size: BarSize, first: datetime) -> BarSeries:
    """A quiet walk on the five-minute grid, or its days."""
    closed = expected_closes(CALENDAR, SPY.asset_class, size, seconds_of(first), seconds_of(LAST))
    steps = np.random.default_rng(5).normal(0, 0.0008, len(closed))
    level = 400 * np.exp(np.cumsum(steps))
    opened = closed - (300 if size is M5 else 23_400)
    before = level * np.exp(-steps)
    prices = before, np.maximum(level, before) * 1.001, np.minimum(level, before) * 0.998, level
    return BarSeries("SPY", size, opened, closed, *prices, 1_000.0 + np.arange(len(closed)))


class Vendor:
    """Tells the shares of today: a split divides what it told before, from `tells_at` on."""

    name = "vendor"

    def __init__(self, ratio: float, split_at: int, tells_at: int) -> None:
        days = history(D1, FIRST - timedelta(days=400))
        minutes = history(M5, FIRST)
        # Each day's bar ends where its last five minutes do.
        _, rows, last = np.intersect1d(days.closed_at, minutes.closed_at, return_indices=True)
        factor = np.ones(len(days))
        factor[rows] = minutes.close[last] / days.close[rows]
        days = replace(days, **{name: getattr(days, name) * factor for name in ("open", "high", "low", "close")})
        self.truth = {D1: days, M5: minutes}
        self.ratio, self.split_at, self.tells_at = ratio, split_at, tells_at

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        series = self.truth[size]
        if seconds_of(end) < self.tells_at:
            old = series.opened_at < self.split_at
            series = concatenated(rescaled(series.part(old), 1 / self.ratio), series.part(~old))
        return series.until(end).last(count)

    def reach(self, size: BarSize) -> timedelta | None:
        return None


@pytest.mark.feature("S2")
@pytest.mark.feature("M14")
@settings(deadline=None, max_examples=15)
@given(
    ratio=st.sampled_from([4.0, 2.0, 1.5, 0.125, 10.0, 1.1, 1.003]),
    split=st.integers(0, len(OPENS) - 2),
    late=st.sampled_from([0, 5, 35, 180, 60 * 24, 60 * 30]),
    restarts=st.sets(st.integers(0, 80), max_size=3),
)
@example(ratio=4.0, split=2, late=0, restarts=set())
@example(ratio=4.0, split=2, late=180, restarts={30})
@example(ratio=1.003, split=0, late=60 * 24 * 6, restarts=set())
def test_any_split_told_at_any_tick_ends_with_the_series_of_a_clean_fetch(
    ratio: float, split: int, late: int, restarts: set[int]
) -> None:
    split_at = int(OPENS[split])
    vendor, store = Vendor(ratio, split_at, split_at + 60 * late), MemoryBarStore()
    collector = Collector([vendor], store, CALENDAR, rules=Rules())
    reports: list[CollectReport] = []
    for number, now in enumerate(ticks()):
        if number in restarts:
            collector = Collector([vendor], store, CALENDAR, rules=Rules())
        reports.append(collector.collect([SPY], [D1, M5], now))
    for size in (D1, M5):
        stored, clean = store.read("SPY", size, LAST, 10_000), vendor.bars(SPY, size, LAST, 10_000)
        clean = clean.last(len(stored))
        assert all(np.array_equal(getattr(stored, name), getattr(clean, name)) for name in COLUMNS), size
        told = [seam for seam in store.seams() if seam.kind is SeamKind.RESCALED and seam.size is size]
        assert [seam.ratio for seam in told] == [pytest.approx(ratio, rel=1e-4)]
    assert not any(entry.error for entry in reports[-1].entries)


def ticks() -> list[datetime]:
    """A few in each session: at the open, on and off through the day, at and after the close."""
    found = []
    for opened, closed in zip(*CALENDAR.sessions_between(date(2024, 6, 5), date(2024, 6, 14))[1:], strict=True):
        moments = [opened + 300, opened + 600, *range(opened + 2400, closed, 4800), closed, closed + 300, closed + 4800]
        found += [datetime.fromtimestamp(int(moment), UTC) for moment in moments]
    return found


def test_while_only_one_size_was_told_anew_the_symbol_takes_no_entries() -> None:
    split_at = int(OPENS[2])
    vendor, store = Vendor(4.0, split_at, split_at), MemoryBarStore()
    slow = Vendor(4.0, split_at, split_at + 86_400)
    day_bars = vendor.bars

    def bars(instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        return (slow.bars if size is D1 else day_bars)(instrument, size, end, count)

    vendor.bars = bars  # type: ignore[method-assign]
    collector = Collector([vendor], store, CALENDAR, rules=Rules())
    errors = {}
    for now in ticks():
        report = collector.collect([SPY], [D1, M5], now)
        errors[seconds_of(now)] = {entry.error for entry in report.entries}
    words = {"was split: its bars of other sizes still count old units"}
    assert [at for at, said in errors.items() if said == words] == [
        at for at in errors if split_at < at < split_at + 86_400
    ]


def test_a_revision_of_single_bars_is_no_split_and_replaces_them() -> None:
    vendor, store = Vendor(1.0, 0, 0), MemoryBarStore()
    collector = Collector([vendor], store, CALENDAR, rules=Rules())
    now = datetime(2024, 6, 10, 15, tzinfo=UTC)
    collector.collect([SPY], [M5], now)
    row = int(np.searchsorted(vendor.truth[M5].closed_at, seconds_of(now)))
    vendor.truth[M5].close[row] *= 1.0009
    collector.collect([SPY], [M5], now + timedelta(minutes=5))
    assert store.read("SPY", M5, now, 1).close[-1] == vendor.truth[M5].close[row]
    assert store.seams() == []


def test_a_split_told_hours_later_is_noticed_at_the_next_tick() -> None:
    split_at = int(OPENS[2])
    vendor, store = Vendor(4.0, split_at, split_at + 3 * 3_600), MemoryBarStore()
    collector = Collector([vendor], store, CALENDAR, rules=Rules())
    for now in ticks():
        collector.collect([SPY], [D1, M5], now)
        if store.seams():
            break
    assert now == min(each for each in ticks() if seconds_of(each) >= vendor.tells_at)
    assert {seam.size for seam in store.seams()} == {M5, D1}


def test_a_past_that_is_told_anew_only_in_part_is_waited_for() -> None:
    split_at = int(OPENS[3])
    vendor, store = Vendor(4.0, split_at, split_at), MemoryBarStore()
    whole, done_at = vendor.bars, split_at + 3 * 3_600

    def bars(instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        series = whole(instrument, size, end, count)
        not_yet = (series.opened_at < OPENS[1]) & (split_at <= seconds_of(end) < done_at)
        return concatenated(rescaled(series.part(not_yet), 1 / 4.0), series.part(~not_yet))

    vendor.bars = bars  # type: ignore[method-assign]
    collector = Collector([vendor], store, CALENDAR, rules=Rules())
    for now in ticks():
        (entry,) = collector.collect([SPY], [M5], now).entries
        if split_at < seconds_of(now) < done_at:
            assert entry.error == "vendor: tells only a part of its past in new units so far"
            assert store.seams() == []
            assert seconds_of(entry.newest or now) < split_at
    clean = whole(SPY, M5, LAST, 10_000)
    stored = store.read("SPY", M5, LAST, 10_000)
    assert all(np.array_equal(getattr(stored, name), getattr(clean.last(len(stored)), name)) for name in COLUMNS)


def test_units_are_compared_by_the_last_bar_of_the_day_that_is_there() -> None:
    vendor = Vendor(1.0, 0, 0)
    days, minutes = vendor.truth[D1], vendor.truth[M5]
    assert count_alike(days, minutes)
    assert not count_alike(days, rescaled(minutes, 4.0))
    gone = minutes.part(minutes.closed_at < days.closed_at[-1] - 1_800)
    assert count_alike(days, gone)
    assert not count_alike(days, rescaled(gone, 0.25))
    assert count_alike(days, rescaled(minutes.part(slice(0, 5)), 4.0)), "nothing of that day"
    assert count_alike(days, minutes.part(slice(0, 0)))
