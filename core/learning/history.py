"""Past daily bars as research reads them: one file a symbol, as the project's own CSV files have them.

A row of such a file carries the session's or the UTC date, not the close time. Here a stock's day closes at 21:00Z, the
latest that a regular session ends, and a coin's at 24:00Z: of one date the stocks are known before the coins, and
nothing is known earlier than it was. Research only orders days; the trading engine has the exchange's own calendar.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.errors import DataFault
from core.series import VALUES, BarSeries, Floats, Seconds, seconds_of

DAY = 86_400
STOCK_CLOSE = 21 * 3600


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Daily bars of one symbol, split-adjusted, and what a unit paid on each bar's day: USD, shape as the bars."""

    bars: BarSeries
    dividend: Floats

    def __len__(self) -> int:
        return len(self.bars)

    @property
    def symbol(self) -> str:
        return self.bars.symbol

    def until(self, end: datetime) -> History:
        """The bars closed at or before `end`."""
        kept = self.bars.until(end)
        return History(kept, self.dividend[: len(kept)])

    def days(self) -> Seconds:
        """The date of each bar, in whole days since 1970."""
        days: Seconds = self.bars.opened_at // DAY
        return days


def read_history(folder: Path, symbol: str) -> History:
    """Reads `folder`/daily/`symbol`.csv.gz. Raises DataFault where it is absent, unsorted or holds a bar that no market
    can have made."""
    path = folder / "daily" / f"{symbol}.csv.gz"
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise DataFault(symbol, f"{path.name} cannot be read: {error}") from error
    dates = [datetime.fromisoformat(row["ts"]).astimezone(UTC) for row in rows]
    opened = np.array([seconds_of(date) for date in dates], np.int64) // DAY * DAY
    length = DAY if instrument_for(symbol).is_crypto else STOCK_CLOSE
    columns = {name: np.array([float(row[name]) for row in rows]) for name in VALUES}
    dividend = np.array([float(row.get("dividend") or 0.0) for row in rows])
    history = History(BarSeries(symbol, BarSize.D1, opened, opened + length, **columns), dividend)
    _check(history)
    return history


def read_histories(folder: Path, symbols: Sequence[str], end: datetime) -> Mapping[str, History]:
    """The histories of `symbols` up to `end`, by symbol."""
    return {symbol: read_history(folder, symbol).until(end) for symbol in symbols}


def _check(history: History) -> None:
    bars = history.bars
    prices = np.column_stack((bars.open, bars.high, bars.low, bars.close))
    if len(bars) == 0 or np.any(np.diff(bars.opened_at) <= 0):
        raise DataFault(history.symbol, "daily bars must be there and rise in time")
    if not np.isfinite(prices).all() or prices.min() <= 0:
        raise DataFault(history.symbol, "a daily bar has a price that is no number above zero")
