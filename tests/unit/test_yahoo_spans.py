"""What is asked of Yahoo: the exact time of the wanted bars, in the fewest calls that its limits allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters.calendars import ExchangeCalendar
from core.adapters.yahoo_spans import MOST_PER_CALL, REACH, SETTLED, spans
from core.domain.bars import BarSize
from core.domain.instruments import Instrument, instrument_for
from core.feed.depth import first_open, newest_close
from core.feed.gaps import expected_closes
from core.series import seconds_of, time_of

SPY, BTC = instrument_for("SPY"), instrument_for("BTC-USD")
CALENDAR = ExchangeCalendar()
# Half days, both changes of the clocks, a year's turn: from March 2023 to the end of 2024.
MOMENTS = st.datetimes(datetime(2023, 3, 1), datetime(2024, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
SOME = settings(max_examples=60, deadline=None)


def closes_before(instrument: Instrument, size: BarSize, at: datetime, days: float) -> np.ndarray:
    after = seconds_of(at - timedelta(days=days))
    return expected_closes(CALENDAR, instrument.asset_class, size, after, seconds_of(at))


@pytest.mark.feature("S9")
@pytest.mark.parametrize("instrument", [SPY, BTC])
@pytest.mark.parametrize("size", list(BarSize))
@SOME
@given(at=MOMENTS)
def test_the_newest_close_is_the_one_that_the_session_calendar_names(
    instrument: Instrument, size: BarSize, at: datetime
) -> None:
    assert seconds_of(newest_close(CALENDAR, instrument, size, at)) == closes_before(instrument, size, at, 10)[-1]


@pytest.mark.feature("S9")
@pytest.mark.parametrize("instrument", [SPY, BTC])
@pytest.mark.parametrize("size", list(BarSize))
@SOME
@given(at=MOMENTS, count=st.integers(1, 400))
def test_the_span_of_the_newest_bars_holds_exactly_so_many(
    instrument: Instrument, size: BarSize, at: datetime, count: int
) -> None:
    end = newest_close(CALENDAR, instrument, size, at)
    start = first_open(CALENDAR, instrument, size, end, count, datetime(2000, 1, 1, tzinfo=UTC))
    closes = expected_closes(CALENDAR, instrument.asset_class, size, seconds_of(start), seconds_of(end))
    assert len(closes) == count


@SOME
@given(
    size=st.sampled_from(list(BarSize)),
    now=MOMENTS,
    age=st.integers(0, 60 * 24 * 40),
    minutes=st.integers(1, 60 * 24 * 40),
)
def test_the_calls_cover_the_span_as_far_as_yahoo_keeps_it_without_overlap_and_are_the_fewest(
    size: BarSize, now: datetime, age: int, minutes: int
) -> None:
    end = now.replace(second=0, microsecond=0) - timedelta(minutes=age)
    start = end - timedelta(minutes=minutes)
    made = spans(size, start, end, now)
    kept = max(start, now - REACH[size])
    if kept >= end - timedelta(minutes=1):
        assert len(made) <= 1
        return
    assert timedelta(0) <= made[0].start - kept <= timedelta(minutes=1)
    for one, following in pairwise(made):
        assert one.end == following.start
    assert made[-1].end == (None if end > now - SETTLED else end)
    most = MOST_PER_CALL.get(size, timedelta(days=10_000))
    assert all((span.end or end) - span.start <= most for span in made)
    assert len(made) == -(-(end - made[0].start) // most)


def test_the_floor_ends_the_search_for_bars_that_were_never_there() -> None:
    floor = datetime(2024, 10, 1, tzinfo=UTC)
    for instrument in (SPY, BTC):
        for size in BarSize:
            end = newest_close(CALENDAR, instrument, size, datetime(2024, 11, 27, 16, 2, tzinfo=UTC))
            assert first_open(CALENDAR, instrument, size, end, 10**7, floor) == floor
    assert first_open(CALENDAR, BTC, BarSize.D1, floor, 10**9, time_of(0)) == time_of(0)
