"""From Alpaca's answers to bars, quotes and corporate actions. An answer is believed as a whole or not at all.

A bar of Alpaca is named by its start, a stock's day by midnight in New York. Two of its sizes do not fit ours and are
put together from smaller ones: a stock's hours, which begin on the clock's hour and not with the session, and a coin's
days, which until mid-2025 began at midnight in Chicago.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from core.adapters.bar_rows import series_of
from core.adapters.calendars import DAY, NO_CLOSE, ExchangeCalendar
from core.domain.bars import BarSize
from core.domain.corporate import CorporateAction
from core.domain.instruments import AssetClass, Instrument
from core.domain.values import ONE, ZERO, exact
from core.errors import MalformedAnswer
from core.feed.aggregate import aggregate
from core.series import BarSeries, Floats, Seconds

LETTERS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
HOUR, HALF = 3_600, 1_800


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Starts of bars in seconds, ascending, and open, high, low, close, volume; NaN for null."""

    times: Seconds
    columns: Mapping[str, Floats]


def rows_of(answer: Any, name: str) -> Rows:
    """The bars of `name` in an answer about it alone. Raises MalformedAnswer."""
    if not isinstance(answer, Mapping) or not set(answer) <= {name}:
        raise MalformedAnswer(f"gave bars that are not those of {name}")
    rows = answer.get(name) or []
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise MalformedAnswer(f"gave bars of {name} in no known form")
    times = _times([row.get("t") for row in rows], name)
    order = np.argsort(times, kind="stable")
    columns = {column: _numbers(rows, letter, name)[order] for column, letter in LETTERS.items()}
    return Rows(times[order], columns)


def joined(parts: Sequence[Rows]) -> Rows:
    """All rows of several answers about one span after another; at least one."""
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in LETTERS}
    return Rows(np.concatenate([part.times for part in parts]), columns)


def _numbers(rows: Sequence[Mapping[str, Any]], letter: str, name: str) -> Floats:
    values = [row.get(letter, "") for row in rows]
    if not all(value is None or type(value) in (int, float) for value in values):
        raise MalformedAnswer(f"gave a bar of {name} whose {letter} is no number")
    return np.array([math.nan if value is None else value for value in values], np.float64)


def _times(told: Sequence[Any], name: str) -> Seconds:
    try:
        if not all(isinstance(each, str) and each.endswith("Z") for each in told):
            raise ValueError
        stamps = pd.to_datetime(list(told), utc=True, format="ISO8601")
    except (ValueError, OverflowError):
        raise MalformedAnswer(f"gave a bar of {name} without a time") from None
    return np.asarray(stamps.as_unit("s").asi8, np.int64) if len(told) else np.empty(0, np.int64)


def bars_of(rows: Rows, instrument: Instrument, size: BarSize, calendar: ExchangeCalendar) -> BarSeries:
    """Ascending bars of regular sessions, one in progress among them. `rows` are of `size`, or of what it is put
    together from: half hours for a stock's hour, hours for a coin's day."""
    if size is BarSize.H1 and not instrument.is_crypto:
        return _hours_of_sessions(rows, instrument, calendar)
    if size is BarSize.D1 and instrument.is_crypto:
        return aggregate(calendar, AssetClass.CRYPTO, series_of(rows, instrument, BarSize.H1, calendar), size)
    return series_of(rows, instrument, size, calendar)


def _hours_of_sessions(rows: Rows, instrument: Instrument, calendar: ExchangeCalendar) -> BarSeries:
    """Hours counted from the session's open, the last one cut by its close; none of which a half is missing."""
    times = rows.times
    sessions = calendar.bar_opens(AssetClass.STOCK, BarSize.D1, times // DAY * DAY)
    # Of a half hour told twice the later telling counts; one that begins outside its session has no close.
    kept = np.append(times[1:] != times[:-1], True) if len(times) else np.empty(0, np.bool_)
    kept &= (calendar.bar_closes(AssetClass.STOCK, BarSize.M5, times) != NO_CLOSE) & ((times - sessions) % HALF == 0)
    times = times[kept]
    if not len(times):
        return BarSeries.empty(instrument.symbol, BarSize.H1)
    opened = sessions[kept] + (times - sessions[kept]) // HOUR * HOUR
    closes = calendar.bar_closes(AssetClass.STOCK, BarSize.H1, opened)
    first = np.flatnonzero(np.diff(opened, prepend=-1) != 0)
    last = np.append(first[1:], len(opened)) - 1
    whole = (last - first + 1) * HALF == closes[first] - opened[first]
    columns = {name: column[kept] for name, column in rows.columns.items()}
    hours = BarSeries(
        instrument.symbol,
        BarSize.H1,
        opened[first],
        closes[first],
        columns["open"][first],
        np.maximum.reduceat(columns["high"], first),
        np.minimum.reduceat(columns["low"], first),
        columns["close"][last],
        np.add.reduceat(columns["volume"], first),
    )
    return hours.part(whole)


def actions_of(answer: Any, symbol: str, calendar: ExchangeCalendar) -> Sequence[CorporateAction]:
    """Dividends in USD and splits, ascending, each at the open of its ex-date's session. Raises MalformedAnswer."""
    if not isinstance(answer, Mapping):
        raise MalformedAnswer(f"gave corporate actions of {symbol} in no known form")
    dividends: dict[datetime, Decimal] = {}
    ratios: dict[datetime, Decimal] = {}
    try:
        for row in answer.get("cash_dividends", ()):
            at = _session_open(row, calendar)
            if row.get("currency") in (None, "", "USD") and at is not None:
                dividends[at] = dividends.get(at, ZERO) + exact(float(row["rate"]))
        for row in (*answer.get("forward_splits", ()), *answer.get("reverse_splits", ())):
            at = _session_open(row, calendar)
            if at is not None:
                ratios[at] = ratios.get(at, ONE) * exact(float(row["new_rate"])) / exact(float(row["old_rate"]))
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
        raise MalformedAnswer(f"gave a corporate action of {symbol} in no known form") from None
    times = sorted(dividends.keys() | ratios.keys())
    found = [CorporateAction(symbol, at, dividends.get(at, ZERO), ratios.get(at, ONE)) for at in times]
    if any(action.ratio <= 0 or action.dividend < 0 for action in found):
        raise MalformedAnswer(f"gave a corporate action of {symbol} that cannot be")
    return found


def _session_open(row: Mapping[str, Any], calendar: ExchangeCalendar) -> datetime | None:
    bounds = calendar.session_bounds(AssetClass.STOCK, date.fromisoformat(row["ex_date"]))
    return bounds[0] if bounds is not None else None
