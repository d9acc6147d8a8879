"""Which bars are missing, against a count by hand: half days, holidays, closures, daylight saving, coins."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.adapters.calendars import ExchangeCalendar
from core.domain.bars import BarSize
from core.domain.instruments import AssetClass
from core.feed.gaps import Gap, expected_closes, gaps_in, missing_closes, windows, without
from core.series import seconds_of

CALENDAR = ExchangeCalendar()
STOCK, CRYPTO = AssetClass.STOCK, AssetClass.CRYPTO
ODD_DAYS = (
    date(2012, 10, 28),  # Sandy
    date(2021, 11, 26),  # half day
    date(2022, 3, 12),  # clocks forward
    date(2022, 11, 4),  # clocks back
    date(2024, 7, 3),  # half day
    date(2024, 12, 23),  # half day and Christmas
    date(2025, 1, 8),  # a day of mourning
)
DAYS = st.sampled_from(ODD_DAYS) | st.dates(date(2010, 1, 1), date(2026, 1, 1))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def by_hand(asset_class: AssetClass, size: BarSize, after: datetime, until: datetime) -> list[datetime]:
    """One bar after the other, session by session."""
    closes, day = [], after.date() - timedelta(days=1)
    while day <= until.date():
        bounds = CALENDAR.session_bounds(asset_class, day)
        day += timedelta(days=1)
        if bounds is None:
            continue
        opened, end = bounds
        while opened < end:
            close = CALENDAR.bar_close(asset_class, size, opened)
            closes += [close] if after < close <= until else []
            opened = close
    return closes


@pytest.mark.feature("S2")
@pytest.mark.feature("S9")
@settings(deadline=None, max_examples=60)
@given(
    asset_class=st.sampled_from([STOCK, CRYPTO]),
    size=st.sampled_from([BarSize.M5, BarSize.H1, BarSize.D1]),
    day=DAYS,
    second=st.integers(0, 86_399),
    span=st.integers(0, 6 * 86_400),
)
@example(STOCK, BarSize.M1, date(2024, 7, 3), 13 * 3600 + 30 * 60, 86_400)
@example(CRYPTO, BarSize.M1, date(2024, 3, 10), 0, 7_200)
def test_expected_bars_are_those_counted_by_hand(
    asset_class: AssetClass, size: BarSize, day: date, second: int, span: int
) -> None:
    after = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second)
    until = after + timedelta(seconds=span)
    found = expected_closes(CALENDAR, asset_class, size, seconds_of(after), seconds_of(until))
    assert found.tolist() == [seconds_of(close) for close in by_hand(asset_class, size, after, until)]


def test_a_half_day_a_holiday_and_the_night_of_the_clocks_are_as_long_as_they_were() -> None:
    def count(asset_class: AssetClass, size: BarSize, first: str, last: str) -> int:
        return len(expected_closes(CALENDAR, asset_class, size, seconds_of(at(first)), seconds_of(at(last))))

    assert count(STOCK, BarSize.M5, "2024-07-02", "2024-07-03") == 78
    assert count(STOCK, BarSize.M5, "2024-07-03", "2024-07-04") == 42
    assert count(STOCK, BarSize.M5, "2024-07-04", "2024-07-05") == 0
    assert count(STOCK, BarSize.H1, "2024-07-02", "2024-07-03") == 7
    assert count(STOCK, BarSize.D1, "2024-07-01", "2024-07-06") == 4
    assert count(STOCK, BarSize.M5, "2024-03-08", "2024-03-12") == 156
    assert count(CRYPTO, BarSize.M5, "2024-03-10", "2024-03-11") == 288
    assert count(STOCK, BarSize.D1, "2024-07-05", "2024-07-01") == 0


@st.composite
def holes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A week of bars and those of them that are stored, with others between them."""
    asset_class = draw(st.sampled_from([STOCK, CRYPTO]))
    start = draw(DAYS)
    after = seconds_of(datetime(start.year, start.month, start.day, tzinfo=UTC))
    expected = expected_closes(CALENDAR, asset_class, BarSize.H1, after, after + 6 * 86_400)
    kept = draw(st.lists(st.booleans(), min_size=len(expected), max_size=len(expected)))
    odd = draw(st.lists(st.integers(after, after + 6 * 86_400), max_size=5))
    return expected, np.unique(np.array([*expected[np.array(kept, np.bool_)], *odd], np.int64))


@pytest.mark.feature("S2")
@settings(deadline=None, max_examples=60)
@given(holes())
def test_gaps_are_the_runs_of_missing_bars_and_hold_each_of_them_once(pair: tuple[np.ndarray, np.ndarray]) -> None:
    expected, stored = pair
    missing = missing_closes(expected, stored)
    assert missing.tolist() == [close for close in expected.tolist() if close not in set(stored.tolist())]
    runs: list[Gap] = []
    for place, close in enumerate(expected.tolist()):
        if close not in missing:
            continue
        follows = runs and place and runs[-1].last == expected[place - 1]
        runs[len(runs) - bool(follows) :] = [Gap(runs[-1].first if follows else close, close, 0)]
    assert [(gap.first, gap.last) for gap in gaps_in(expected, missing)] == [(run.first, run.last) for run in runs]
    assert sum(gap.bars for gap in gaps_in(expected, missing)) == len(missing)


@pytest.mark.feature("S2")
@settings(deadline=None, max_examples=60)
@given(holes(), st.integers(1, 40))
def test_the_asks_are_as_few_as_can_be_and_none_is_longer_than_allowed(
    pair: tuple[np.ndarray, np.ndarray], most: int
) -> None:
    expected, stored = pair
    missing = missing_closes(expected, stored)
    asks = list(windows(expected, missing, most))
    held = [close for ask in asks for close in missing.tolist() if ask.first <= close <= ask.last]
    assert held == missing.tolist()
    place = {close: number for number, close in enumerate(expected.tolist())}
    assert all(place[ask.last] - place[ask.first] + 1 == ask.bars <= most for ask in asks)
    assert len(asks) == fewest([place[close] for close in missing.tolist()], most)


def fewest(places: list[int], most: int) -> int:
    """The least number of stretches, by trying every end of the first one."""
    best = [0] * (len(places) + 1)
    for row in range(len(places) - 1, -1, -1):
        ends = [end for end in range(row, len(places)) if places[end] - places[row] < most]
        best[row] = 1 + min(best[end + 1] for end in ends)
    return best[0]


def test_what_is_known_is_taken_out_with_both_its_ends() -> None:
    closes = np.array([10, 20, 30, 40, 50], np.int64)
    assert without(closes, [(20, 30), (50, 90)]).tolist() == [10, 40]
    assert without(closes, []).tolist() == closes.tolist()
