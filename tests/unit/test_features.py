from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import talib

from core.series import BarSeries, Floats
from core.strategy import features
from core.strategy.features import FEATURE_NAMES, WARM_UP, FeatureTrack, feature_matrix
from tests.series_builders import random_walk, real_daily, series_of

pytestmark = pytest.mark.feature("S4")


def oracle(bars: BarSeries) -> Floats:
    """The same nine columns by TA-Lib, an independent implementation in C."""
    close = bars.close
    line, _, histogram = talib.MACD(close, 12, 26, 9)
    upper, _, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    volume_spread = talib.STDDEV(bars.volume, 20)
    return np.column_stack(
        (
            close / talib.SMA(close, 20) - 1,
            close / talib.SMA(close, 50) - 1,
            talib.RSI(close, 14) / 100,
            line / close,
            histogram / close,
            (close - lower) / (upper - lower),
            talib.ATR(bars.high, bars.low, close, 14) / close,
            talib.ROC(close, 10) / 100,
            (bars.volume - talib.SMA(bars.volume, 20)) / volume_spread,
        )
    )


def test_every_indicator_agrees_with_talib_on_a_generated_series() -> None:
    bars = random_walk(count=1500, seed=4)
    ours, theirs = feature_matrix(bars)[WARM_UP:], oracle(bars)[WARM_UP:]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8)


@pytest.mark.shared_data
@pytest.mark.parametrize("symbol", ["SPY", "QQQ", "BTC-USD", "ADA-USD"])
def test_every_indicator_agrees_with_talib_on_real_bars(symbol: str) -> None:
    bars = real_daily(symbol)
    ours, theirs = feature_matrix(bars)[WARM_UP:], oracle(bars)[WARM_UP:]
    assert np.isfinite(ours).all()
    # TA-Lib's running sums of squares lose digits where volumes are large, hence the wider bound of the last column.
    np.testing.assert_allclose(ours[:, :8], theirs[:, :8], rtol=0, atol=1e-8)
    np.testing.assert_allclose(ours[:, 8], theirs[:, 8], rtol=0, atol=1e-4)


def test_the_recursive_averages_agree_with_talib_from_their_first_value() -> None:
    bars = random_walk(count=200, seed=5)
    smoothed = features.Smoothed.of(bars)
    theirs = talib.MACD(bars.close, 12, 26, 9)
    np.testing.assert_allclose(features.rsi(smoothed, bars.close), talib.RSI(bars.close, 14), rtol=1e-12)
    np.testing.assert_allclose(smoothed.true_range, talib.ATR(bars.high, bars.low, bars.close, 14), rtol=1e-12)
    np.testing.assert_allclose(features.macd(smoothed)[33:], theirs[0][33:], atol=1e-12)
    np.testing.assert_allclose(features.macd_histogram(smoothed), theirs[2], atol=1e-12)


def test_rows_before_the_warm_up_are_nan_and_all_later_ones_are_finite() -> None:
    rows = feature_matrix(random_walk(count=WARM_UP + 5))
    assert rows.shape == (WARM_UP + 5, len(FEATURE_NAMES))
    assert np.isnan(rows[: WARM_UP - 1]).all()
    assert np.isfinite(rows[WARM_UP - 1 :]).all()
    assert np.isnan(feature_matrix(random_walk(count=WARM_UP - 1))).all()
    assert feature_matrix(random_walk(count=0)).shape == (0, len(FEATURE_NAMES))


def test_zero_volume_gives_finite_features() -> None:
    bars = random_walk(count=300)
    silent = replace(bars, volume=np.zeros(300))
    patchy = replace(bars, volume=np.where(np.arange(300) % 3 == 0, 0.0, bars.volume))
    assert (feature_matrix(silent)[WARM_UP:, 8] == 0).all()
    assert np.isfinite(feature_matrix(patchy)[WARM_UP:]).all()


def test_a_price_that_never_moves_is_neutral() -> None:
    row = feature_matrix(series_of("SPY", [0.1] * 200, spread=0.0))[-1]
    np.testing.assert_allclose(row, [0, 0, 0.5, 0, 0, 0.5, 0, 0, 0], atol=1e-12)


@pytest.mark.parametrize("factor", [1e-4, 0.37, 1e5])
def test_features_do_not_depend_on_the_price_level_or_the_unit_of_volume(factor: float) -> None:
    bars = random_walk(count=400, seed=9)
    scaled = replace(
        bars,
        open=bars.open * factor,
        high=bars.high * factor,
        low=bars.low * factor,
        close=bars.close * factor,
        volume=bars.volume * factor,
    )
    np.testing.assert_allclose(feature_matrix(scaled), feature_matrix(bars), atol=1e-10)


def test_a_series_cut_off_anywhere_gives_the_same_bits_as_the_whole() -> None:
    bars = random_walk(count=700, seed=2)
    whole = feature_matrix(bars)
    for count in (WARM_UP, WARM_UP + 1, 257, 512, 699):
        np.testing.assert_array_equal(feature_matrix(bars.part(slice(0, count))), whole[:count])


def test_following_a_growing_series_gives_the_same_bits_as_computing_it_whole() -> None:
    bars = random_walk(count=260, seed=3)
    whole = feature_matrix(bars)
    track = FeatureTrack()
    for count in (0, 1, 20, 40, *range(98, 130), 130, 190, 150, 260):
        newest = track.newest(bars.part(slice(0, count)))
        np.testing.assert_array_equal(newest, whole[count - 1] if count else np.full(9, np.nan))


def test_a_rewritten_history_is_noticed_while_following() -> None:
    bars = random_walk(count=300, seed=3)
    track = FeatureTrack()
    track.newest(bars.part(slice(0, 299)))
    halved = replace(bars, open=bars.open / 2, high=bars.high / 2, low=bars.low / 2, close=bars.close / 2)
    moved = replace(bars, close=np.where(np.arange(300) == 200, bars.close * 1.1, bars.close))
    for changed in (halved, moved):
        np.testing.assert_array_equal(track.newest(changed), feature_matrix(changed)[-1])
