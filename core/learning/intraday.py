"""Whether confirming an entry on bars of 5 minutes adds or costs against confirming it on the daily bar.

Both ways foresee from the daily bars, buy at the open of a bar of 5 minutes, and sell at a stop of 5 % or a target of
15 % below or above that price, watched on bars of 5 minutes, the stop first. One position at a time in an instrument.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from types import MappingProxyType

import numpy as np

from core.domain.bars import BarSize
from core.learning import plans
from core.learning.history import History
from core.learning.market import side_cost
from core.series import VALUES, BarSeries, Floats, Mask, Seconds, seconds_of

SPAN = 300
STOP, TARGET = 0.05, 0.15
FILES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "SPY": ("SPY.5m.rth.202202-202306", "SPY.5m.rth.202402-202603"),
        "QQQ": ("QQQ.5m.rth.202202-202306", "QQQ.5m.rth.202408-202603"),
        "BTC-USD": ("BTCUSDT.5m.binance-spot.202208-202601",),
        "ETH-USD": ("ETHUSDT.5m.binance-spot.202208-202411",),
        "ADA-USD": ("ADAUSDT.5m.binance-spot.202208-202310", "ADAUSDT.5m.binance-spot.202401-202411"),
        "SOL-USD": ("SOLUSDT.5m.binance-spot.202208-202411",),
    }
)
"""The stretches of bars of 5 minutes that there are, by symbol."""

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "all": tuple(FILES),
        "funds": ("SPY", "QQQ"),
        "no ADA, SOL": ("SPY", "QQQ", "BTC-USD", "ETH-USD"),
    }
)


@dataclass(frozen=True, slots=True)
class Arm:
    """`trades` closed ones, with their `gain` each (mean, a fraction, net of costs) and that of all together (sum).
    `waiting` is how long after the daily close an entry was made, the mean in hours."""

    trades: int
    gain: float
    total: float
    waiting: float


def compared(
    folder: Path, histories: Mapping[str, History], probability: Mapping[str, Floats], threshold: float, end: int
) -> Mapping[str, Mapping[str, Arm]]:
    """By way of confirming, by symbol and for "all"; a way's entries are counted over the same stretches of bars.

    `probability` is what was foreseen at each daily bar. Bars that close after `end` (seconds) are left out.
    """
    gains: dict[str, dict[str, list[tuple[float, float]]]] = {"day": {}, "5 minutes": {}}
    for symbol, names in FILES.items():
        if symbol not in histories:
            continue
        for name in names:
            path = folder / "intraday" / f"{name}.csv.gz"
            if not path.exists():
                continue
            bars = _read(path, symbol, end)
            for way, signal, since in _signals(bars, histories[symbol], probability[symbol], threshold):
                gains[way].setdefault(symbol, []).extend(_played(bars, signal, since, side_cost(symbol)))
    return {
        way: {
            **{symbol: _arm(each) for symbol, each in found.items()},
            **{name: _arm(list(chain(*(found.get(symbol, []) for symbol in some)))) for name, some in GROUPS.items()},
        }
        for way, found in gains.items()
    }


def _signals(
    bars: BarSeries, history: History, probability: Floats, threshold: float
) -> Iterator[tuple[str, Mask, Seconds]]:
    """(way, at which bars of 5 minutes an entry is decided, when the daily bar behind it closed)."""
    # Decided after a bar and before the next one opens, which after a session's last bar is a night later.
    moments = np.append(bars.opened_at[1:], bars.closed_at[-1:])
    daily = np.searchsorted(history.bars.closed_at, moments, side="right") - 1
    known = np.maximum(daily, 0)
    since = history.bars.closed_at[known]
    with np.errstate(invalid="ignore"):
        likely: Mask = (daily >= 0) & (probability[known] > threshold)
    # A daily confirmation is judged once, at the first bar that its day's close is known.
    fresh = np.concatenate(([True], daily[1:] != daily[:-1]))
    yield "day", likely & plans.confirms(history)[known] & fresh, since
    yield "5 minutes", likely & plans.confirms(History(bars, np.zeros(len(bars)))), since


def _played(bars: BarSeries, signal: Mask, since: Seconds, cost: float) -> list[tuple[float, float]]:
    """(net gain, hours after the daily close) of each trade that ended within `bars`."""
    found, place = [], 0
    while place < len(bars) - 1:
        ahead = np.flatnonzero(signal[place:-1])
        if not len(ahead):
            break
        decided = place + int(ahead[0])
        bought = float(bars.open[decided + 1])
        low, high = bars.low[decided + 1 :], bars.high[decided + 1 :]
        ends = np.flatnonzero((low <= bought * (1.0 - STOP)) | (high >= bought * (1.0 + TARGET)))
        if not len(ends):
            break
        at = decided + 1 + int(ends[0])
        sold = _sold(bars, at, bought)
        net = sold * (1.0 - cost) / (bought * (1.0 + cost)) - 1.0
        found.append((net, float(bars.opened_at[decided + 1] - since[decided]) / 3600.0))
        place = at
    return found


def _sold(bars: BarSeries, at: int, bought: float) -> float:
    first = float(bars.open[at])
    if float(bars.low[at]) <= bought * (1.0 - STOP):
        return min(first, bought * (1.0 - STOP))
    return max(first, bought * (1.0 + TARGET))


def _arm(gains: Sequence[tuple[float, float]]) -> Arm:
    if not gains:
        return Arm(0, 0.0, 0.0, 0.0)
    net, waiting = np.array(gains).T
    return Arm(len(net), float(net.mean()), float(net.sum()), float(waiting.mean()))


def _read(path: Path, symbol: str, end: int) -> BarSeries:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    opened = np.array([seconds_of(datetime.fromisoformat(row["ts"]).astimezone(UTC)) for row in rows], np.int64)
    columns = {name: np.array([float(row[name]) for row in rows]) for name in VALUES}
    bars = BarSeries(symbol, BarSize.M5, opened, opened + SPAN, **columns)
    return bars.part(bars.closed_at <= end)
