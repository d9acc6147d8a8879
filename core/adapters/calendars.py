"""Sessions: US stocks by the XNYS calendar of exchange_calendars, coins without end.

The library is asked once for a long range and answers are looked up in plain lists and arrays: its own methods cost
pandas objects on every call. Left to itself it ends about a year ahead; the rules it computes holidays from reach
further, so the range is given explicitly and renewed when somebody asks beyond it.
"""

from __future__ import annotations

import warnings
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from exchange_calendars.exchange_calendar_xnys import XNYSExchangeCalendar

from core.domain.bars import BarSize
from core.domain.instruments import AssetClass
from core.series import Seconds, seconds_of, time_of

DAY = 86_400
REPORT_DELAY = 15 * 60
NO_CLOSE = -1
FIRST_DAY = date(1927, 1, 1)
LAST_DAY = date(2037, 12, 31)
SANE_DAYS = (date(1895, 1, 1), date(2105, 1, 1))
EXTENSION = timedelta(days=3_660)


@dataclass(frozen=True, slots=True, eq=False)
class _Sessions:
    """XNYS sessions in ascending order, in whole seconds since 1970; `days` are 00:00Z of the session's date."""

    covers: tuple[int, int]
    days: list[int]
    opens: list[int]
    closes: list[int]
    day_column: Seconds
    open_column: Seconds
    close_column: Seconds


@lru_cache(maxsize=8)
def _build_sessions(first: date, last: date) -> _Sessions:
    """Made once for each range: it takes the library a fifth of a second, and nobody changes what it made."""
    with warnings.catch_warnings():
        # exchange_calendars 4.13 reads Series.values of zoned columns, which pandas 3 announces as changing.
        warnings.filterwarnings("ignore", message="Series.values", category=DeprecationWarning)
        library: Any = XNYSExchangeCalendar(start=first.isoformat(), end=last.isoformat())
    days = library.sessions.as_unit("s").asi8.astype(np.int64)
    opens = library.opens.dt.as_unit("s").astype("int64").to_numpy()
    closes = library.closes.dt.as_unit("s").astype("int64").to_numpy()
    for column in (days, opens, closes):
        column.flags.writeable = False
    covers = (_midnight(first), _midnight(last) + DAY)
    return _Sessions(covers, days.tolist(), opens.tolist(), closes.tolist(), days, opens, closes)


def _midnight(day: date) -> int:
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * DAY


def _day_of(seconds: int) -> date:
    return date.fromordinal(seconds // DAY + date(1970, 1, 1).toordinal())


class ExchangeCalendar:
    """The Calendar port. A session includes its open and excludes its close. All times aware UTC."""

    def __init__(self, first: date = FIRST_DAY, last: date = LAST_DAY) -> None:
        self._day = (0.0, 0.0, time_of(0))
        self._sessions = _build_sessions(first, last)

    def is_open(self, asset_class: AssetClass, at: datetime) -> bool:
        if asset_class is AssetClass.CRYPTO:
            return True
        second = at.timestamp()
        sessions = self._reach(second)
        index = bisect_right(sessions.opens, second) - 1
        return index >= 0 and second < sessions.closes[index]

    def next_open(self, asset_class: AssetClass, at: datetime) -> datetime:
        """The first moment at or after `at` at which orders of the class can fill; `at` itself when open."""
        if asset_class is AssetClass.CRYPTO or self.is_open(asset_class, at):
            return at
        sessions = self._reach(at.timestamp())
        return time_of(sessions.opens[bisect_left(sessions.opens, at.timestamp())])

    def next_close(self, asset_class: AssetClass, at: datetime) -> datetime:
        """The first session close after `at`; for coins the next 24:00Z."""
        if asset_class is AssetClass.CRYPTO:
            return time_of((seconds_of(at) // DAY + 1) * DAY)
        sessions = self._reach(at.timestamp())
        return time_of(sessions.closes[bisect_right(sessions.closes, at.timestamp())])

    def session_of(self, asset_class: AssetClass, at: datetime) -> date:
        """The session that `at` belongs to, or the last one before it; for coins the UTC date."""
        if asset_class is AssetClass.CRYPTO:
            return at.astimezone(UTC).date()
        sessions = self._reach(at.timestamp())
        return _day_of(sessions.days[bisect_right(sessions.opens, at.timestamp()) - 1])

    def session_bounds(self, asset_class: AssetClass, session: date) -> tuple[datetime, datetime] | None:
        """Open and close of a session; None where there is none on that date."""
        midnight = _midnight(session)
        if asset_class is AssetClass.CRYPTO:
            return time_of(midnight), time_of(midnight + DAY)
        sessions = self._reach(midnight)
        index = bisect_left(sessions.days, midnight)
        if index == len(sessions.days) or sessions.days[index] != midnight:
            return None
        return time_of(sessions.opens[index]), time_of(sessions.closes[index])

    def bar_close(self, asset_class: AssetClass, size: BarSize, opened_at: datetime) -> datetime:
        """When the bar that opened then closes (DESIGN 8, close times).

        A daily bar may be named by its session date (00:00Z) or by its real open; both fall on the same UTC date.
        Raises ValueError where no session of the class holds such a bar.
        """
        opened = seconds_of(opened_at)
        end = opened + int(size.span.total_seconds()) if size.is_intraday else (opened // DAY + 1) * DAY
        if asset_class is AssetClass.CRYPTO:
            return time_of(end)
        sessions = self._reach(opened)
        index = bisect_right(sessions.opens if size.is_intraday else sessions.days, opened) - 1
        close = sessions.closes[index]
        if opened >= close if size.is_intraday else sessions.days[index] != opened // DAY * DAY:
            raise ValueError(f"no XNYS session holds a {size} bar that opens at {opened_at:%Y-%m-%d %H:%MZ}")
        return time_of(min(end, close))

    def bar_opens(self, asset_class: AssetClass, size: BarSize, labels: Seconds) -> Seconds:
        """When bars named by `labels` really open: a stock's day with its session, all others at the label itself."""
        if size.is_intraday or not len(labels):
            return labels
        if asset_class is AssetClass.CRYPTO:
            return labels // DAY * DAY
        sessions, index, held = self._sessions_by_day(labels)
        return np.where(held, sessions.open_column[index], labels)

    def bar_closes(self, asset_class: AssetClass, size: BarSize, opened_at: Seconds) -> Seconds:
        """`bar_close` for a whole column of seconds since 1970; -1 where no session holds the bar."""
        span = int(size.span.total_seconds())
        if asset_class is AssetClass.CRYPTO:
            return opened_at + span if size.is_intraday else (opened_at // DAY + 1) * DAY
        if not len(opened_at):
            return opened_at
        if not size.is_intraday:
            sessions, index, held = self._sessions_by_day(opened_at)
            return np.where(held, sessions.close_column[index], NO_CLOSE)
        sessions = self._reach_all(opened_at)
        index = np.maximum(np.searchsorted(sessions.open_column, opened_at, side="right") - 1, 0)
        ends = sessions.close_column[index]
        inside = (opened_at >= sessions.open_column[index]) & (opened_at < ends)
        return np.where(inside, np.minimum(opened_at + span, ends), NO_CLOSE)

    def sessions_between(self, first: date, last: date) -> tuple[Seconds, Seconds, Seconds]:
        """XNYS sessions dated from `first` to `last`, both included: their dates (00:00Z), opens and closes."""
        bounds = np.array([_midnight(first), _midnight(last)], np.int64)
        sessions = self._reach_all(bounds)
        low, high = np.searchsorted(sessions.day_column, [bounds[0], bounds[1] + 1])
        return sessions.day_column[low:high], sessions.open_column[low:high], sessions.close_column[low:high]

    def day_end(self, at: datetime) -> datetime:
        """The next end of a trading day strictly after `at`: XNYS close + 15 minutes, or 24:00Z without a session."""
        second = at.timestamp()
        since, until, answer = self._day
        # Asked several times a tick, of the same day for hours.
        if since <= second < until:
            return answer
        midnight = int(second // DAY) * DAY
        while True:
            bounds = self.session_bounds(AssetClass.STOCK, _day_of(midnight))
            end = seconds_of(bounds[1]) + REPORT_DELAY if bounds else midnight + DAY
            if end > second:
                self._day = second, end, time_of(end)
                return self._day[2]
            midnight += DAY

    def _sessions_by_day(self, labels: Seconds) -> tuple[_Sessions, Seconds, np.ndarray[Any, np.dtype[np.bool_]]]:
        sessions = self._reach_all(labels)
        midnights = labels // DAY * DAY
        index = np.minimum(np.searchsorted(sessions.day_column, midnights), len(sessions.days) - 1)
        return sessions, index, sessions.day_column[index] == midnights

    def _reach_all(self, seconds: Seconds) -> _Sessions:
        self._reach(int(seconds.min()))
        return self._reach(int(seconds.max()))

    def _reach(self, second: float) -> _Sessions:
        """The sessions, with at least a month to spare around `second`; a new range replaces the old one at once."""
        sessions = self._sessions
        low, high = sessions.covers
        margin = 30 * DAY
        if low + margin <= second <= high - margin:
            return sessions
        asked = _day_of(int(second))
        if not SANE_DAYS[0] <= asked <= SANE_DAYS[1]:
            raise ValueError(f"no sessions are known for {asked}")
        first, last = min(_day_of(low), asked - EXTENSION), max(_day_of(high - DAY), asked + EXTENSION)
        self._sessions = _build_sessions(first, last)
        return self._sessions
