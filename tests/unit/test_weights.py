"""The tick's shortcut gives what walking through the window gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.bars import BarSize
from core.series import BarSeries
from core.strategy.features import Smoothed, macd_histogram, rsi, sma
from core.strategy.signal import MIN_CONFIRM_BARS, confirmation


def series_of(closes):
    close = np.asarray(closes, np.float64)
    at = np.arange(1, len(close) + 1, dtype=np.int64) * 300
    return BarSeries("SPY", BarSize.M5, at - 300, at, close, close * 1.001, close * 0.999, close, np.ones(len(close)))


@given(st.integers(MIN_CONFIRM_BARS, 300), st.integers(0, 2**32 - 1), st.floats(0.01, 60_000))
def test_the_weighted_sums_equal_the_recursions(length, seed, level):
    bars = series_of(level * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, length))))
    found, smoothed = confirmation(bars, 300), Smoothed.of(bars)
    assert found.sma20 == pytest.approx(sma(bars.close, 20)[-1], rel=1e-12)
    assert found.sma50 == pytest.approx(sma(bars.close, 50)[-1], rel=1e-12)
    assert found.rsi14 == pytest.approx(rsi(smoothed, bars.close)[-1], abs=1e-8)
    assert found.histogram == pytest.approx(macd_histogram(smoothed)[-1], abs=1e-10 * bars.close.max())


def test_a_flat_line_is_neutral():
    assert confirmation(series_of([10.0] * 60), 300).rsi14 == 50.0


def test_a_nan_in_the_window_is_seen():
    closes = [10.0] * 60
    closes[30] = np.nan
    assert not np.isfinite(confirmation(series_of(closes), 300).histogram)
