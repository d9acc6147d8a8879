"""The nine indicators that the forest sees, each scaled so that assets and price levels compare.

    sma20_distance, sma50_distance    close / SMA(n) - 1
    rsi14                             RSI(14) / 100: Wilder, New Concepts in Technical Trading Systems (1978)
    macd, macd_histogram              MACD(12, 26) and its distance from its EMA(9), by the close: Appel, Technical
                                      Analysis: Power Tools for Active Investors (2005), chapter 8
    bollinger_b                       %b of bands of 20 bars and 2 deviations: Bollinger on Bollinger Bands (2001)
    atr_ratio                         ATR(14) / close: Wilder (1978)
    roc10                             close / close 10 bars before - 1
    volume_z                          deviations of the volume from its mean of 20 bars

SMA, EMA, change and deviation are as Murphy, Technical Analysis of the Financial Markets (1999), and every textbook has
them; each function states its formula. TA-Lib computes the same values, as the tests show.

Every value at bar t is computed from bars 0..t in one fixed order of additions, so that a series cut off after t gives
the same bits as the whole. Rows before WARM_UP are NaN: by then the seeds of the recursive averages weigh less than
half a percent. Input must be validated bars; a NaN in them spreads and is refused by the predictor.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from core.series import BarSeries, Floats

FEATURE_NAMES = (
    "sma20_distance",
    "sma50_distance",
    "rsi14",
    "macd",
    "macd_histogram",
    "bollinger_b",
    "atr_ratio",
    "roc10",
    "volume_z",
)
FEATURE_VERSION = 1
WARM_UP = 100
LONGEST_WINDOW = 50
FAST, SLOW, SIGNAL = 12, 26, 9

# A spread below this share of the level is rounding noise of a flat line, not a measurement.
FLAT = 1e-12


def sma(values: Floats, period: int) -> Floats:
    """Simple moving average: the mean of the last `period` values, NaN for the first period - 1. Shape as given."""
    out = np.full(len(values), np.nan)
    valid = len(values) - period + 1
    if valid <= 0:
        return out
    total = values[:valid].copy()
    for shift in range(1, period):
        total += values[shift : shift + valid]
    out[period - 1 :] = total / period
    return out


def deviation(values: Floats, period: int) -> Floats:
    """Population standard deviation of the last `period` values, NaN for the first period - 1; two passes."""
    out = np.full(len(values), np.nan)
    valid = len(values) - period + 1
    if valid <= 0:
        return out
    mean = sma(values, period)[period - 1 :]
    squares = np.zeros(valid)
    for shift in range(period):
        squares += (values[shift : shift + valid] - mean) ** 2
    out[period - 1 :] = np.sqrt(squares / period)
    return out


def _recursive_average(values: Floats, first: int, period: int, weight: float, known: Floats | None = None) -> Floats:
    """y[t] = y[t-1] + weight * (x[t] - y[t-1]), seeded at `first` with the mean of the `period` values that end there.

    `known` is this average of an earlier, shorter state of the same values: only what follows it is computed.
    """
    out = np.full(len(values), np.nan)
    if len(values) <= first:
        return out
    if known is not None and len(known) > first:
        out[: len(known)] = known
        start, seed = len(known) - 1, float(known[-1])
    else:
        start, seed = first, float(sma(values[first - period + 1 : first + 1], period)[-1])
    rest: list[float] = values[start + 1 :].tolist()
    out[start:] = list(accumulate(rest, lambda y, x: y + weight * (x - y), initial=seed))
    return out


def ema(values: Floats, period: int, first: int | None = None, known: Floats | None = None) -> Floats:
    """Exponential moving average with weight 2 / (period + 1), seeded with a simple mean at index `first`.

    `first` defaults to period - 1, the earliest possible.
    """
    return _recursive_average(values, period - 1 if first is None else first, period, 2.0 / (period + 1), known)


def wilder(values: Floats, period: int, known: Floats | None = None) -> Floats:
    """Wilder's smoothing (New Concepts in Technical Trading Systems, 1978): weight 1 / period.

    Seeded at index `period` with the mean of values 1..period: value 0 has no bar before it to compare with.
    """
    return _recursive_average(values, period, period, 1.0 / period, known)


@dataclass(frozen=True, slots=True, eq=False)
class Smoothed:
    """The recursive averages behind the indicators, one value a bar; a later state continues an earlier one."""

    gain: Floats
    loss: Floats
    fast: Floats
    slow: Floats
    signal: Floats
    true_range: Floats

    @classmethod
    def of(cls, bars: BarSeries, earlier: Smoothed | None = None) -> Smoothed:
        """`earlier` must stem from the first bars of the same series: the result has the same bits with and without."""
        known: dict[str, Floats] = {} if earlier is None else {name: getattr(earlier, name) for name in cls.__slots__}
        moves = np.diff(bars.close, prepend=bars.close[:1])
        fast = ema(bars.close, FAST, SLOW - 1, known.get("fast"))
        slow = ema(bars.close, SLOW, None, known.get("slow"))
        return cls(
            wilder(np.maximum(moves, 0.0), 14, known.get("gain")),
            wilder(np.maximum(-moves, 0.0), 14, known.get("loss")),
            fast,
            slow,
            ema(fast - slow, SIGNAL, SLOW + SIGNAL - 2, known.get("signal")),
            wilder(true_range(bars), 14, known.get("true_range")),
        )

    def since(self, first: int) -> Smoothed:
        return Smoothed(*(getattr(self, name)[first:] for name in self.__slots__))


def rsi(smoothed: Smoothed, close: Floats) -> Floats:
    """Wilder's relative strength index of 14 bars, 0 to 100: 100 * gain / (gain + loss) of the smoothed moves.

    A line that never moved is neutral, 50.
    """
    total = smoothed.gain + smoothed.loss
    return np.where(total <= FLAT * close, 50.0, 100.0 * _ratio(smoothed.gain, total))


def macd(smoothed: Smoothed) -> Floats:
    """Appel's MACD line in price units: the average of 12 bars minus that of 26.

    Both averages begin at bar 25, so that the line is never one average against the other's seed.
    """
    return smoothed.fast - smoothed.slow


def macd_histogram(smoothed: Smoothed) -> Floats:
    """The MACD line minus its own average of 9 bars, in price units: above zero while the trend gains speed."""
    return macd(smoothed) - smoothed.signal


def bollinger_b(close: Floats, period: int = 20, width: float = 2.0) -> Floats:
    """Bollinger's %b: where the close lies between the bands of `width` deviations, 0 lower to 1 upper; 0.5 if flat."""
    mean, spread = sma(close, period), deviation(close, period)
    flat = spread <= FLAT * mean
    return np.where(flat, 0.5, 0.5 + _ratio(close - mean, 2.0 * width * spread))


def true_range(bars: BarSeries) -> Floats:
    """Wilder's true range in price units: from the close before a bar to the farther end of the bar."""
    before = np.concatenate((bars.close[:1], bars.close[:-1]))
    return np.maximum(bars.high, before) - np.minimum(bars.low, before)


def atr_ratio(smoothed: Smoothed, close: Floats) -> Floats:
    """Wilder's average true range of 14 bars as a fraction of the close."""
    return _ratio(smoothed.true_range, close)


def rate_of_change(close: Floats, period: int = 10) -> Floats:
    """The close as a fraction of the close `period` bars before, minus one."""
    out = np.full(len(close), np.nan)
    out[period:] = _ratio(close[period:], close[:-period]) - 1.0
    return out


def volume_z(volume: Floats, period: int = 20) -> Floats:
    """How many deviations the volume lies from its mean over `period` bars; 0 where it never changed (crypto zeros)."""
    mean, spread = sma(volume, period), deviation(volume, period)
    flat = spread <= FLAT * np.abs(mean)
    return np.where(flat, 0.0, _ratio(volume - mean, spread))


def feature_matrix(series: BarSeries) -> Floats:
    """One row per bar, one column per name in FEATURE_NAMES: shape (len(series), 9); NaN before WARM_UP bars.

    Distances, MACD, range and change are fractions of price; RSI is scaled to 0..1. Pure and causal.
    """
    return _rows(series, Smoothed.of(series), 0)


class FeatureTrack:
    """The newest row of one growing series: a new bar costs the work of one bar, with the bits of `feature_matrix`."""

    def __init__(self) -> None:
        self._seen: BarSeries | None = None
        self._smoothed: Smoothed | None = None

    def newest(self, series: BarSeries) -> Floats:
        """The last row of feature_matrix(series), shape (9,); all NaN for an empty series."""
        if len(series) == 0:
            return np.full(len(FEATURE_NAMES), np.nan)
        earlier = self._smoothed if self._seen is not None and _begins_with(series, self._seen) else None
        self._smoothed = Smoothed.of(series, earlier)
        self._seen = series
        row: Floats = _rows(series, self._smoothed, len(series) - 1)[-1]
        return row


def _begins_with(series: BarSeries, earlier: BarSeries) -> bool:
    """Whether `earlier` is the unchanged beginning of `series`; a split or correction rewrites history."""
    count = len(earlier)
    return (
        count <= len(series)
        and np.array_equal(series.closed_at[:count], earlier.closed_at)
        and np.array_equal(series.close[:count], earlier.close)
        and np.array_equal(series.high[:count], earlier.high)
        and np.array_equal(series.low[:count], earlier.low)
    )


def _rows(series: BarSeries, smoothed: Smoothed, first: int) -> Floats:
    """The feature rows of bars `first` and later, computed from them and the longest window before them."""
    begin = max(0, first - LONGEST_WINDOW)
    tail, part = series.part(slice(begin, None)), smoothed.since(begin)
    close = tail.close
    rows = np.column_stack(
        (
            _ratio(close, sma(close, 20)) - 1.0,
            _ratio(close, sma(close, 50)) - 1.0,
            rsi(part, close) / 100.0,
            _ratio(macd(part), close),
            _ratio(macd_histogram(part), close),
            bollinger_b(close),
            atr_ratio(part, close),
            rate_of_change(close),
            volume_z(tail.volume),
        )
    )
    rows[: max(0, WARM_UP - 1 - begin)] = np.nan
    return rows[first - begin :]


def _ratio(above: Floats, below: Floats) -> Floats:
    """above / below; a zero divisor gives inf or NaN, which the predictor refuses."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Floats = above / below
    return ratio
