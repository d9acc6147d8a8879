"""Small bar series for tests: generated from a seed, written by hand, or real ones where the market data is at hand."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from core.domain.bars import BarSize
from core.series import BarSeries, Floats, seconds_of

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
START = datetime(2020, 1, 1, tzinfo=UTC)


def series_of(
    symbol: str,
    close: Sequence[float] | Floats,
    *,
    size: BarSize = BarSize.D1,
    start: datetime = START,
    spread: float = 0.01,
    volume: Sequence[float] | Floats | None = None,
) -> BarSeries:
    """Bars back to back from `start` with the given closes; each opens at the close before it."""
    closes = np.asarray(close, np.float64)
    opens = np.concatenate((closes[:1], closes[:-1]))
    step = int(size.span.total_seconds())
    opened = seconds_of(start) + step * np.arange(len(closes), dtype=np.int64)
    return BarSeries(
        symbol,
        size,
        opened,
        opened + step,
        opens,
        np.maximum(opens, closes) * (1 + spread),
        np.minimum(opens, closes) * (1 - spread),
        closes,
        np.full(len(closes), 1000.0) if volume is None else np.asarray(volume, np.float64),
    )


def random_walk(
    symbol: str = "SPY",
    count: int = 400,
    *,
    seed: int = 1,
    size: BarSize = BarSize.D1,
    start: datetime = START,
    drift: float = 0.0005,
    swing: float = 0.01,
) -> BarSeries:
    """A geometric random walk with random volumes, the same for the same arguments."""
    draw = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(draw.normal(drift, swing, count)))
    return series_of(symbol, close, size=size, start=start, volume=draw.uniform(500, 5000, count))


def rising(
    symbol: str = "SPY", count: int = 300, *, size: BarSize = BarSize.D1, end: datetime | None = None
) -> BarSeries:
    """Closes that confirm an entry at the last bar: above SMA 20 above SMA 50, RSI in the band, MACD turning up."""
    step = np.arange(count)
    close = 100.0 * (1 + 0.0004 * step + 0.02 * np.sin((step - count + 12) / 4.0))
    first = START if end is None else end - count * size.span
    return series_of(symbol, close, size=size, start=first)


def poisoned_after(series: BarSeries, at: datetime) -> BarSeries:
    """The same bars up to `at`; wild prices and volumes in every bar that closes later."""
    later = series.closed_at > seconds_of(at)
    wild = np.where(later, 3.0 + np.arange(len(series)) % 5, 1.0)
    return replace(
        series,
        open=series.open * wild,
        high=series.high * wild,
        low=series.low * wild,
        close=series.close * wild,
        volume=series.volume * wild,
    )


@cache
def real_daily(symbol: str) -> BarSeries:
    """Real daily bars. Stock sessions are taken to close at 21:00Z, coins at 24:00Z; skips where the data is absent."""
    path = SHARED_DATA / "daily" / f"{symbol}.csv.gz"
    if not path.exists():
        pytest.skip(f"no real market data at {path}")
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    opened = np.array([seconds_of(datetime.fromisoformat(row["ts"])) for row in rows], np.int64)
    length = timedelta(hours=24 if symbol.endswith("-USD") else 21)
    columns = (np.array([float(row[name]) for row in rows]) for name in ("open", "high", "low", "close", "volume"))
    return BarSeries(symbol, BarSize.D1, opened, opened + int(length.total_seconds()), *columns)
