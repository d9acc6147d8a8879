"""Missing bars come back: in the fewest calls, a few at a time, and what a source does not have is not asked for at
every turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters.calendars import ExchangeCalendar
from core.collect import Collector
from core.domain.bar_records import BarNotes, GapsFound, Seam, SeamKind
from core.domain.bars import BarSize
from core.domain.instruments import Instrument, instrument_for
from core.errors import Unreachable
from core.feed.backfill import BackFiller, Filled
from core.feed.depth import bars_in, wanted_closes
from core.feed.gaps import expected_closes, missing_closes, windows
from core.feed.overlap import rescaled
from core.feed.standing import Rules
from core.series import BarSeries, seconds_of
from tests.fakes_bars import MemoryBarStore
from tests.feed_builders import Feed, same_bars

CALENDAR = ExchangeCalendar()
M5, D1 = BarSize.M5, BarSize.D1
SPY, BTC = instrument_for("SPY"), instrument_for("BTC-USD")
EIGHT = tuple(map(instrument_for, ("SPY", "QQQ", "IWM", "VTI", "BTC-USD", "ETH-USD", "ADA-USD", "SOL-USD")))
NOW = datetime(2024, 7, 8, 18, 2, tzinfo=UTC)
TEN_DAYS = {M5: timedelta(days=10), D1: timedelta(days=100)}
DAY = timedelta(days=1)
START = NOW - 20 * DAY


def truth(instrument: Instrument, size: BarSize, days: int, seed: int = 1) -> BarSeries:
    """What the calendar has of the last days, half days and holidays included."""
    until = seconds_of(NOW)
    closed = expected_closes(CALENDAR, instrument.asset_class, size, until - days * 86_400, until)
    steps = np.random.default_rng(seed).normal(0, 0.001, len(closed))
    close = 100 * np.exp(np.cumsum(steps))
    before = close * np.exp(-steps)
    high, low = np.maximum(close, before) * 1.001, np.minimum(close, before) * 0.999
    opened = closed - (300 if size is M5 else 86_400 if instrument.is_crypto else 23_400)
    return BarSeries(
        instrument.symbol, size, opened, closed, before, high, low, close, 1_000.0 + np.arange(len(closed))
    )


SPY_5M, BTC_5M = truth(SPY, M5, 12), truth(BTC, M5, 12)


def stored_without(series: BarSeries, lost: np.ndarray, source: str = "yahoo") -> MemoryBarStore:
    store = MemoryBarStore()
    store.write(series.part(~lost), source)
    return store


def filler(store: MemoryBarStore, *feeds: Feed, budget: int = 8) -> BackFiller:
    return BackFiller(feeds, store, CALENDAR, depth=TEN_DAYS, budget=budget)


def rows(series: BarSeries, *which: slice) -> np.ndarray:
    mask = np.zeros(len(series), np.bool_)
    for part in which:
        mask[part] = True
    return mask


def all_of(store: MemoryBarStore, symbol: str, size: BarSize = M5) -> BarSeries:
    return store.read(symbol, size, NOW + 90 * DAY, 1_000_000)


@pytest.mark.feature("S2")
def test_neighbouring_gaps_are_filled_by_one_call_and_nothing_else_is_asked() -> None:
    store = stored_without(SPY_5M, rows(SPY_5M, slice(200, 203), slice(250, 251), slice(400, 460)))
    feed = Feed("yahoo", [SPY_5M])
    done = filler(store, feed).fill([SPY], [M5], NOW)
    assert done == Filled(calls=1, bars=64)
    assert feed.asked == [("SPY", M5, 460 - 200 + 6)]
    assert same_bars(all_of(store, "SPY"), SPY_5M)


def test_an_unbroken_series_costs_no_call_and_one_without_bars_is_left_to_the_collection() -> None:
    feed = Feed("yahoo", [SPY_5M, BTC_5M])
    assert filler(stored_without(SPY_5M, rows(SPY_5M)), feed).fill([SPY, BTC], [M5], NOW) == Filled()
    assert feed.asked == []


@pytest.mark.feature("S2")
def test_what_the_source_does_not_have_is_remembered_with_its_reason_and_asked_for_ever_more_rarely() -> None:
    lost = rows(BTC_5M, slice(700, 709))
    store = stored_without(BTC_5M, lost)
    feed = Feed("yahoo", [BTC_5M])
    feed.loses("BTC-USD", M5, lambda series: lost)
    asked = []
    for hour in range(24 * 8):
        before = len(feed.asked)
        # Each restart begins with what is written down.
        done = filler(store, feed).fill([BTC], [M5], NOW + timedelta(hours=hour))
        asked += [hour] if len(feed.asked) > before else []
        assert (done.left, done.at_no_source) == (0, 9)
    assert asked == [0, 24, 72, 168]
    (gap,) = store.known_gaps("BTC-USD", M5)
    assert (gap.source, gap.bars, gap.reason, gap.tries) == ("yahoo", 9, "it gave none", 4)
    assert seconds_of(gap.first) == BTC_5M.closed_at[700]
    # The exchange has found them after all.
    assert filler(store, Feed("yahoo", [BTC_5M])).fill([BTC], [M5], NOW + 16 * DAY).bars == 9
    assert store.known_gaps("BTC-USD", M5) == []


def test_bars_refused_at_first_are_known_by_their_defect_and_come_a_day_later_when_the_source_has_mended_them() -> None:
    spoiled = replace(SPY_5M, open=SPY_5M.open.copy())
    spoiled.open[300:304] = np.nan
    store, feed = MemoryBarStore(), Feed("yahoo", [spoiled])
    collector = Collector([feed], store, CALENDAR, depth=TEN_DAYS, rules=Rules())
    collector.collect([SPY], [M5], NOW)
    (gap,) = (each for each in store.known_gaps("SPY", M5) if each.bars == 4)
    assert gap.reason == "what it gave was refused: not finite"
    feed.held["SPY", M5] = SPY_5M
    assert filler(store, feed).fill([SPY], [M5], NOW + timedelta(hours=20)).bars == 0
    assert filler(store, feed).fill([SPY], [M5], NOW + timedelta(hours=25)).bars == 4


def test_a_gap_of_the_last_hour_is_left_to_close_by_itself() -> None:
    lost = rows(SPY_5M, slice(-8, -2))
    store = stored_without(SPY_5M, lost)
    feed = Feed("yahoo", [SPY_5M])
    assert filler(store, feed).fill([SPY], [M5], NOW).calls == 0
    assert filler(store, feed).fill([SPY], [M5], NOW + timedelta(hours=1)).bars == 6


def test_what_lies_beyond_the_reach_of_the_source_is_not_asked_for() -> None:
    lost = rows(BTC_5M, slice(600, 610), slice(2_000, 2_010))
    store = stored_without(BTC_5M, lost)
    feed = Feed("yahoo", [BTC_5M], reach=timedelta(days=8))
    done = filler(store, feed).fill([BTC], [M5], NOW)
    assert (done.calls, done.bars, done.at_no_source) == (1, 10, 10)
    assert feed.asked == [("BTC-USD", M5, 16)]


@pytest.mark.feature("S2")
def test_what_does_not_fit_the_bars_beside_it_is_not_taken() -> None:
    lost = rows(SPY_5M, slice(200, 210))
    store = stored_without(SPY_5M, lost)
    done = filler(store, Feed("yahoo", [rescaled(SPY_5M, 4.0)])).fill([SPY], [M5], NOW)
    assert (done.calls, done.bars, done.at_no_source) == (1, 0, 10)
    assert store.known_gaps("SPY", M5)[0].reason == "what it gave counts other units than the stored bars"


def test_a_gap_is_filled_by_the_source_that_the_bars_around_it_come_from() -> None:
    store = stored_without(SPY_5M, rows(SPY_5M, slice(200, 205), slice(430, 440)))
    later = SPY_5M.part(slice(400, None))
    store.write(later.part(~rows(later, slice(30, 40))), "alpaca")
    at = datetime.fromtimestamp(int(SPY_5M.closed_at[400]), UTC)
    seam = Seam("SPY", M5, at, SeamKind.SOURCE, "yahoo", "alpaca", 12, 0.0, at, volume_ratio=0.02)
    store.write_all([], BarNotes(seams=(seam,)))
    yahoo, alpaca = Feed("yahoo", [SPY_5M]), Feed("alpaca", [SPY_5M], volume=0.02)
    assert filler(store, yahoo, alpaca).fill([SPY], [M5], NOW).bars == 15
    assert (len(yahoo.asked), len(alpaca.asked)) == (1, 1)
    sources = dict(store.sources_of("SPY", M5))
    assert sources[int(SPY_5M.closed_at[202])] == "yahoo"
    assert sources[int(SPY_5M.closed_at[435])] == "alpaca"
    # In the unit of volume of the series.
    assert all_of(store, "SPY").volume == pytest.approx(SPY_5M.volume)


@pytest.mark.feature("S2")
def test_what_the_source_does_not_have_another_one_fills_with_a_seam_on_both_sides() -> None:
    lost = rows(SPY_5M, slice(300, 310), slice(320, 321))
    store = stored_without(SPY_5M, lost)
    yahoo, alpaca = Feed("yahoo", [SPY_5M]), Feed("alpaca", [SPY_5M], off=0.0005, volume=0.03)
    yahoo.loses("SPY", M5, lambda series: lost)
    alpaca.loses("SPY", M5, lambda series: rows(series, slice(305, 306)))
    first = filler(store, yahoo, alpaca).fill([SPY], [M5], NOW)
    assert (first.bars, first.at_no_source, len(alpaca.asked)) == (0, 11, 0)
    second = filler(store, yahoo, alpaca).fill([SPY], [M5], NOW + timedelta(hours=2))
    assert (second.calls, second.bars, second.at_no_source) == (1, 10, 1)
    assert len(yahoo.asked) == 1
    third = filler(store, yahoo, alpaca).fill([SPY], [M5], NOW + timedelta(hours=4))
    assert (third.calls, third.at_no_source) == (0, 1)
    found = [(int(seam.at.timestamp()), seam.source_from, seam.source_to) for seam in store.seams()]
    at = SPY_5M.closed_at.tolist()
    assert found == [
        (at[300], "yahoo", "alpaca"),
        (at[310], "alpaca", "yahoo"),
        (at[320], "yahoo", "alpaca"),
        (at[321], "alpaca", "yahoo"),
    ]
    sources = dict(store.sources_of("SPY", M5))
    assert {sources[at[row]] for row in (300, 304, 306, 309, 320)} == {"alpaca"}
    assert {sources[at[row]] for row in (299, 310, 319, 321)} == {"yahoo"}
    # In the unit of volume of the series.
    kept = all_of(store, "SPY")
    there = np.searchsorted(SPY_5M.closed_at, kept.closed_at)
    assert kept.volume == pytest.approx(SPY_5M.volume[there], rel=1e-6)
    assert {seam.kind for seam in store.seams()} == {SeamKind.FILLED}


def test_what_has_come_by_now_is_taken_where_the_stretch_around_it_is_asked_for_anyhow() -> None:
    lost = rows(SPY_5M, slice(300, 303), slice(310, 312), slice(320, 323))
    store = stored_without(SPY_5M, rows(SPY_5M, slice(310, 312)))
    feed = Feed("yahoo", [SPY_5M])
    feed.loses("SPY", M5, lambda series: lost)
    assert filler(store, feed).fill([SPY], [M5], NOW).at_no_source == 2
    again = stored_without(SPY_5M, lost)
    again.write_all([], BarNotes((GapsFound("SPY", M5, "yahoo", START, NOW, tuple(store.known_gaps("SPY", M5))),)))
    feed = Feed("yahoo", [SPY_5M])
    done = filler(again, feed).fill([SPY], [M5], NOW + timedelta(hours=2))
    assert (done.calls, done.bars, done.at_no_source) == (1, 8, 0)
    assert same_bars(all_of(again, "SPY"), SPY_5M)


def test_another_source_whose_bars_do_not_fit_fills_nothing() -> None:
    lost = rows(SPY_5M, slice(300, 310))
    store = stored_without(SPY_5M, lost)
    yahoo, alpaca = Feed("yahoo", [SPY_5M]), Feed("alpaca", [SPY_5M], off=0.05)
    yahoo.loses("SPY", M5, lambda series: lost)
    for hours in (0, 2):
        assert filler(store, yahoo, alpaca).fill([SPY], [M5], NOW + timedelta(hours=hours)).bars == 0
    reasons = {gap.source: gap.reason for gap in store.known_gaps("SPY", M5)}
    assert reasons["yahoo"] == "it gave none"
    assert reasons["alpaca"].startswith("its closes lie up to ")
    assert store.seams() == []


def test_a_run_makes_no_more_calls_than_it_may_and_stops_where_nobody_answers() -> None:
    lost = {each.symbol: rows(series := truth(each, M5, 11, n), slice(300, 310)) for n, each in enumerate(EIGHT)}
    everything = [truth(each, M5, 11, n) for n, each in enumerate(EIGHT)]
    store, feed = MemoryBarStore(), Feed("yahoo", everything)
    del series
    for each in everything:
        store.write(each.part(~lost[each.symbol]), "yahoo")
    slow = filler(store, feed, budget=3)
    feed.is_up = False
    down = slow.fill(EIGHT, [M5], NOW)
    assert (down.calls, down.failed, down.bars, down.left, down.left_calls) == (1, 1, 0, 80, 8)
    feed.is_up = True
    left = [slow.fill(EIGHT, [M5], NOW).left for _ in range(3)]
    assert left == [50, 20, 0]
    assert slow.fill(EIGHT, [M5], NOW).words == "no gaps to fill"


def test_what_is_not_traded_any_more_is_not_asked_for() -> None:
    store, feed = stored_without(SPY_5M, rows(SPY_5M, slice(300, 310))), Feed("yahoo", [SPY_5M])
    feed.is_up = False
    slow = filler(store, feed)
    assert slow.fill([SPY], [M5], NOW).left == 10
    assert slow.fill([BTC], [M5], NOW) == Filled()
    feed.is_up = True
    assert slow.fill([SPY], [M5], NOW).bars == 10


@pytest.mark.feature("S2")
@settings(deadline=None, max_examples=20)
@given(
    holes=st.lists(st.tuples(st.integers(0, 700), st.integers(1, 40)), min_size=1, max_size=6),
    failing=st.sets(st.integers(0, 12), max_size=6),
    restarts=st.sets(st.integers(0, 12), max_size=4),
    budget=st.integers(1, 4),
)
def test_whatever_is_missing_and_whatever_fails_the_series_end_complete_to_the_last_bit(
    holes: list[tuple[int, int]], failing: set[int], restarts: set[int], budget: int
) -> None:
    lost = rows(SPY_5M, *(slice(at, at + count) for at, count in holes))
    lost[-1] = False
    store, feed = stored_without(SPY_5M, lost), Feed("yahoo", [SPY_5M])

    def meets(_instrument: Instrument, _size: BarSize) -> None:
        if len(feed.asked) - 1 in failing:
            raise Unreachable("for now")

    feed.meets = meets
    now, slow, calls = NOW + timedelta(hours=2), filler(store, feed, budget=budget), 0
    for run in range(30):
        slow = filler(store, feed, budget=budget) if run in restarts else slow
        done = slow.fill([SPY], [M5], now + run * timedelta(minutes=5))
        assert done.calls <= budget
        calls += done.calls
    kept = SPY_5M.closed_at >= horizon(SPY_5M)
    assert same_bars(all_of(store, "SPY").part(all_of(store, "SPY").closed_at >= horizon(SPY_5M)), SPY_5M.part(kept))
    needed = 1 if lost[kept].any() else 0
    assert needed <= calls <= needed + len(failing)


def horizon(series: BarSeries) -> int:
    return int(wanted_closes(CALENDAR, SPY, M5, TEN_DAYS, int(series.closed_at[-1]))[0])


@pytest.mark.feature("S2")
def test_sixty_days_of_eight_assets_with_a_tenth_of_the_calls_failing_end_as_the_clean_run_in_few_calls() -> None:
    depth = {M5: timedelta(days=60)}
    everything = {each.symbol: truth(each, M5, 60, n) for n, each in enumerate(EIGHT)}
    chance = np.random.default_rng(3)
    store, feed = MemoryBarStore(), Feed("yahoo", list(everything.values()))
    least = 0
    for each in EIGHT:
        series = everything[each.symbol]
        lost = chance.random(len(series)) < 0.02
        lost[-20:] = False
        store.write(series.part(~lost), "yahoo")
        wanted = wanted_closes(CALENDAR, each, M5, depth, int(series.closed_at[-1]))
        least += len(list(windows(wanted, missing_closes(wanted, series.closed_at[~lost]), 20_000)))
        assert len(wanted) <= bars_in(each, M5, depth[M5])

    def meets(_instrument: Instrument, _size: BarSize) -> None:
        if chance.random() < 0.1:
            raise Unreachable("for now")

    feed.meets = meets
    run = BackFiller([feed], store, CALENDAR, depth=depth)
    calls, failed = 0, 0
    for turn in range(6):
        done = run.fill(EIGHT, [M5], NOW + turn * timedelta(minutes=5))
        calls, failed = calls + done.calls, failed + done.failed
    print(f"\n{calls} calls, {failed} of them failed; the least for what was missing: {least}")
    assert done.left == 0
    assert calls == least + failed
    for each in EIGHT:
        assert same_bars(all_of(store, each.symbol), everything[each.symbol])
