"""Confirming on bars of 5 minutes against confirming on the daily bar, on made-up bars."""

from __future__ import annotations

import gzip
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from core.domain.bars import BarSize
from core.learning import intraday, plans
from core.learning.delaying import an_hour_later
from core.learning.history import DAY, History
from core.learning.market import market_of
from core.series import BarSeries, time_of
from tests.series_builders import START, random_walk, rising, series_of

pytestmark = pytest.mark.feature("S7")

FIRST_DAY = START + timedelta(days=120)


def write(folder: Path, name: str, bars: BarSeries) -> None:
    (folder / "intraday").mkdir(exist_ok=True)
    with gzip.open(folder / "intraday" / f"{name}.csv.gz", "wt") as file:
        file.write("ts,open,high,low,close,volume\n")
        for bar in bars.bars():
            numbers = ",".join(f"{each:.8f}" for each in (bar.open, bar.high, bar.low, bar.close, bar.volume))
            file.write(f"{bar.opened_at:%Y-%m-%dT%H:%M:%SZ},{numbers}\n")


def daily(confirmed: bool) -> History:
    bars = rising("BTC-USD", 140) if confirmed else random_walk("BTC-USD", 140, drift=-0.004, swing=0.001)
    return History(bars, np.zeros(140))


def found(folder: Path, history: History, probability: float) -> dict[str, dict[str, intraday.Arm]]:
    said = {"BTC-USD": np.full(len(history), probability)}
    end = int(history.bars.closed_at[-1]) + DAY
    return {way: dict(arms) for way, arms in intraday.compared(folder, {"BTC-USD": history}, said, 0.6, end).items()}


def test_a_daily_confirmation_buys_at_midnight_and_one_of_five_minutes_when_they_confirm(tmp_path: Path) -> None:
    history = daily(confirmed=True)
    confirmed = int(history.bars.closed_at[100 + np.flatnonzero(plans.confirms(history)[100:])[0]])
    start = time_of(confirmed - 3600)
    close = 100 + 0.05 * np.arange(5 * 288)
    bars = series_of("BTC-USD", close, size=BarSize.M5, start=start, spread=0.0)
    write(tmp_path, intraday.FILES["BTC-USD"][0], bars)
    told = found(tmp_path, history, 0.7)
    day = told["day"]["BTC-USD"]
    assert day.trades >= 1
    assert day.waiting == pytest.approx(0.0)
    assert day.gain == pytest.approx(1.15 * (1 - 0.0035) / (1 + 0.0035) - 1, abs=0.001)
    assert told["day"]["all"] == day
    assert found(tmp_path, history, 0.6)["day"]["all"].trades == 0


def test_what_the_day_does_not_confirm_the_five_minutes_may(tmp_path: Path) -> None:
    walk = random_walk("BTC-USD", 4 * 288, seed=3, size=BarSize.M5, start=FIRST_DAY, drift=0.0003, swing=0.002)
    write(tmp_path, intraday.FILES["BTC-USD"][0], walk)
    told = found(tmp_path, daily(confirmed=False), 0.7)
    assert told["day"]["all"].trades == 0
    assert told["5 minutes"]["all"].trades >= 1
    assert told["5 minutes"]["BTC-USD"].waiting > 0


def test_a_stop_goes_before_a_target_and_an_open_trade_is_not_counted() -> None:
    bars = series_of("BTC-USD", [100.0, 100.0, 100.0, 100.0], size=BarSize.M5, spread=0.2)
    signal = np.array([True, False, False, False])
    since = bars.closed_at - 300
    ((gain, waited),) = intraday._played(bars, signal, since, 0.0)
    assert gain == pytest.approx(-0.05)
    assert waited == pytest.approx(300 / 3600)
    calm = series_of("BTC-USD", [100.0] * 4, size=BarSize.M5, spread=0.001)
    assert intraday._played(calm, signal, since, 0.0) == []


def test_an_hours_delay_moves_the_open_of_coins_by_the_first_hour_of_the_day(tmp_path: Path) -> None:
    coin, stock = (History(random_walk(name, 5, seed=2), np.zeros(5)) for name in ("BTC-USD", "SPY"))
    first = int(coin.days()[0])
    market = market_of([coin, stock], first, first + 4)
    hours = series_of("BTC-USD", np.full(48, 100.0), size=BarSize.H1, start=START)
    hours.close[24] = 100.2
    write(tmp_path, "BTCUSDT.1h.binance-spot", hours)
    late = an_hour_later(market, tmp_path)
    assert late.open[1, 0] == pytest.approx(market.open[1, 0] * 1.002)
    np.testing.assert_array_equal(late.open[[0, 2, 3, 4], 0], market.open[[0, 2, 3, 4], 0])
    np.testing.assert_array_equal(late.open[:, 1], market.open[:, 1])
