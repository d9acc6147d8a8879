"""The gate every bar passes before anything is computed from it: bad rows are refused with a reason, a rule a function.

Real crashes and flash crashes pass: a rule may look at what a price is, never at how far it moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from core.series import BarSeries, seconds_of, time_of

Mask = NDArray[np.bool_]

# Vendors store prices as 32-bit floats or with four decimals: high and close of one trade then differ by this much.
FLOAT_NOISE = 1e-6


class Defect(StrEnum):
    NOT_FINITE = "not finite"
    NOT_POSITIVE = "not positive"
    INCONSISTENT = "inconsistent"
    TIMES = "impossible times"
    CONFLICT = "conflicting duplicates"
    FUTURE = "closes in the future"
    OFF_SESSION = "outside every session"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One bar that was not taken. `at` is its close where that is known, else its open; aware UTC."""

    at: datetime
    defect: Defect
    sentence: str


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """`good` is ascending, unique by close and finite. The counts say what was put right without a refusal."""

    good: BarSeries
    refused: tuple[Refusal, ...]
    out_of_order: int = 0
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class _Rule:
    defect: Defect
    breaks: Callable[[BarSeries], Mask]
    says: Callable[[BarSeries, int], str]


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


def _ohlc(series: BarSeries, row: int) -> str:
    return (
        f"open {series.open[row]:g}, high {series.high[row]:g}, low {series.low[row]:g}, "
        f"close {series.close[row]:g}, volume {series.volume[row]:g}"
    )


_RULES = (
    _Rule(
        Defect.TIMES, impossible_times, lambda s, i: f"opens {time_of(s.opened_at[i]):%Y-%m-%d %H:%MZ}, not before it"
    ),
    _Rule(Defect.NOT_FINITE, not_finite, lambda s, i: f"a value is missing or infinite ({_ohlc(s, i)})"),
    _Rule(Defect.NOT_POSITIVE, not_positive, lambda s, i: f"a price is not above zero ({_ohlc(s, i)})"),
    _Rule(Defect.INCONSISTENT, inconsistent, lambda s, i: f"high and low do not span open and close ({_ohlc(s, i)})"),
)


def inspect(series: BarSeries, end: datetime | None = None) -> Inspection:
    """Sorts by close, drops exact repetitions, and refuses each bar that breaks a rule, with the first rule it breaks.

    `end` is the moment of asking: a bar that closes later is refused (a live row, or shifted times).
    """
    if is_sound(series, end):
        return Inspection(series, ())
    out_of_order = int((np.diff(series.closed_at) < 0).sum())
    ordered = series.part(np.argsort(series.closed_at, kind="stable")) if out_of_order else series
    refused: list[Refusal] = []
    kept = ordered
    if end is not None:
        kept = _refuse(
            kept, closes_after(kept, end), Defect.FUTURE, lambda _s, _i: f"after {end:%Y-%m-%d %H:%MZ}", refused
        )
    for rule in _RULES:
        kept = _refuse(kept, rule.breaks(kept), rule.defect, rule.says, refused)
    distinct = kept.part(~repeats(kept))
    repeated = len(kept) - len(distinct)
    good = _refuse(
        distinct,
        conflicts(distinct),
        Defect.CONFLICT,
        lambda s, i: f"two bars of one time differ ({_ohlc(s, i)})",
        refused,
    )
    refused.sort(key=lambda refusal: refusal.at)
    return Inspection(good, tuple(refused), out_of_order, repeated)


def is_sound(series: BarSeries, end: datetime | None = None) -> bool:
    """Whether no rule has anything to say: the usual case, answered in microseconds. NaN fails every comparison."""
    closed = series.closed_at
    if not len(closed) or (end is not None and closed[-1] > seconds_of(end)):
        return not len(closed)
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


def _refuse(
    series: BarSeries,
    broken: Mask,
    defect: Defect,
    says: Callable[[BarSeries, int], str],
    refused: list[Refusal],
) -> BarSeries:
    if not broken.any():
        return series
    for row in np.flatnonzero(broken):
        at = time_of(series.closed_at[row])
        sentence = f"{series.symbol} {series.size} bar closing {at:%Y-%m-%d %H:%MZ}: {defect}: {says(series, int(row))}"
        refused.append(Refusal(at, defect, sentence))
    return series.part(~broken)
