"""What can be seen to be wrong with a bar by itself, or with two bars of one time."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from core.quality.defects import BarRule, Defect, ohlc
from core.series import BarSeries, Mask, seconds_of, time_of

# Vendors store prices as 32-bit floats or with four decimals: high and close of one trade then differ by this much.
FLOAT_NOISE = 1e-6


def not_finite(series: BarSeries) -> Mask:
    """NaN or infinity in any column."""
    columns = np.stack([series.open, series.high, series.low, series.close, series.volume])
    return np.asarray(~np.isfinite(columns).all(axis=0), np.bool_)


def not_positive(series: BarSeries) -> Mask:
    """A price of zero or less, or a volume below zero."""
    prices = np.stack([series.open, series.high, series.low, series.close])
    broken: Mask = (prices <= 0).any(axis=0) | (series.volume < 0)
    return broken


def inconsistent(series: BarSeries) -> Mask:
    """A high below, or a low above, the open or the close, beyond float noise."""
    noise = FLOAT_NOISE * np.abs(series.close)
    too_low = series.high < np.maximum(series.open, series.close) - noise
    too_high = series.low > np.minimum(series.open, series.close) + noise
    broken: Mask = too_low | too_high
    return broken


def impossible_times(series: BarSeries) -> Mask:
    """A bar that closes no later than it opens."""
    broken: Mask = series.closed_at <= series.opened_at
    return broken


ROW_RULES = (
    BarRule(
        Defect.TIMES, impossible_times, lambda s, i: f"opens {time_of(s.opened_at[i]):%Y-%m-%d %H:%MZ}, not before it"
    ),
    BarRule(Defect.NOT_FINITE, not_finite, lambda s, i: f"a value is missing or infinite ({ohlc(s, i)})"),
    BarRule(Defect.NOT_POSITIVE, not_positive, lambda s, i: f"a price is not above zero ({ohlc(s, i)})"),
    BarRule(Defect.INCONSISTENT, inconsistent, lambda s, i: f"high and low do not span open and close ({ohlc(s, i)})"),
)


def rows_are_sound(series: BarSeries) -> bool:
    """Whether no rule of this module has anything to say, and the bars ascend. NaN fails every comparison."""
    closed = series.closed_at
    return bool(
        (closed[1:] > closed[:-1]).all()
        and (series.opened_at < closed).all()
        and (series.low > 0).all()
        and (series.low <= np.minimum(series.open, series.close)).all()
        and (series.high >= np.maximum(series.open, series.close)).all()
        and (series.high < np.inf).all()
        and (series.volume >= 0).all()
        and (series.volume < np.inf).all()
    )


def closes_after(series: BarSeries, end: datetime) -> Mask:
    """A bar that was not closed yet at `end`."""
    late: Mask = series.closed_at > seconds_of(end)
    return late


def repeats(ordered: BarSeries) -> Mask:
    """Rows equal in every column to an earlier row of the same close."""
    same_time = ordered.closed_at[1:] == ordered.closed_at[:-1]
    found = np.zeros(len(ordered), np.bool_)
    for row in np.flatnonzero(same_time) + 1:
        first = int(np.searchsorted(ordered.closed_at, ordered.closed_at[row]))
        found[row] = any(_equal_rows(ordered, int(row), earlier) for earlier in range(first, int(row)))
    return found


def conflicts(ordered: BarSeries) -> Mask:
    """All rows that share their close with another row: nobody can tell which one is right."""
    same = ordered.closed_at[1:] == ordered.closed_at[:-1]
    shared = np.zeros(len(ordered), np.bool_)
    shared[1:] |= same
    shared[:-1] |= same
    return shared


def _equal_rows(series: BarSeries, one: int, other: int) -> bool:
    columns = (series.opened_at, series.open, series.high, series.low, series.close, series.volume)
    return all(column[one] == column[other] for column in columns)
