"""The made-up market: consistent with itself at every size, and alike the real one in the statistics that matter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from core.adapters.calendars import ExchangeCalendar
from core.adapters.simulated_market import SimulatedMarket
from core.domain.bars import BarSize
from core.domain.instruments import DEFAULT_SYMBOLS, AssetClass, instrument_for
from core.quality import inspect
from core.series import BarSeries, Floats, seconds_of

END = datetime(2024, 12, 2, tzinfo=UTC)
SEEDS = (7, 8, 9)


@pytest.fixture(scope="module")
def calendar() -> ExchangeCalendar:
    return ExchangeCalendar()


@pytest.fixture(scope="module")
def market(calendar: ExchangeCalendar) -> SimulatedMarket:
    return SimulatedMarket(7, DEFAULT_SYMBOLS, calendar)


def daily(market: SimulatedMarket, symbol: str, count: int = 2_000, end: datetime = END) -> BarSeries:
    return market.bars(instrument_for(symbol), BarSize.D1, end, count)


def returns(series: BarSeries) -> Floats:
    return np.diff(np.log(series.close))


@pytest.mark.feature("S2")
@pytest.mark.parametrize("symbol", ["SPY", "ADA-USD"])
def test_daily_and_hourly_bars_are_exactly_the_five_minute_bars_put_together(
    market: SimulatedMarket, symbol: str
) -> None:
    instrument = instrument_for(symbol)
    five = market.bars(instrument, BarSize.M5, END, 9_000)
    for size, wanted in ((BarSize.D1, 20), (BarSize.H1, 140)):
        bars = market.bars(instrument, size, END, wanted)
        for row in range(len(bars)):
            inside = five.part((five.opened_at >= bars.opened_at[row]) & (five.closed_at <= bars.closed_at[row]))
            assert inside.opened_at[0] == bars.opened_at[row]
            assert inside.closed_at[-1] == bars.closed_at[row]
            whole = (inside.open[0], inside.high.max(), inside.low.min(), inside.close[-1], inside.volume.sum())
            assert whole == (bars.open[row], bars.high[row], bars.low[row], bars.close[row], bars.volume[row])


def test_stocks_have_bars_in_sessions_only_and_coins_always(
    market: SimulatedMarket, calendar: ExchangeCalendar
) -> None:
    half_day = datetime(2024, 11, 29, tzinfo=UTC)
    stock = market.bars(instrument_for("SPY"), BarSize.M5, half_day + timedelta(days=1), 42 + 78)
    assert stock.bar(len(stock) - 1).closed_at == half_day.replace(hour=18)
    assert stock.bar(len(stock) - 42).opened_at == half_day.replace(hour=14, minute=30)
    assert stock.bar(0).opened_at == datetime(2024, 11, 27, 14, 30, tzinfo=UTC)
    assert (calendar.bar_closes(AssetClass.STOCK, BarSize.M5, stock.opened_at) == stock.closed_at).all()
    coin = market.bars(instrument_for("BTC-USD"), BarSize.M5, END, 20_000)
    assert (np.diff(coin.opened_at) == 300).all()


def test_any_order_of_asking_and_any_choice_of_symbols_gives_the_same_prices(
    market: SimulatedMarket, calendar: ExchangeCalendar
) -> None:
    alone = SimulatedMarket(7, ["ETH-USD"], calendar)
    later = alone.bars(instrument_for("ETH-USD"), BarSize.M5, END + timedelta(days=400), 10)
    assert len(later) == 10
    mine = daily(alone, "ETH-USD", 500)
    theirs = daily(market, "ETH-USD", 500)
    assert (mine.close == theirs.close).all()
    assert (mine.volume == theirs.volume).all()
    assert (daily(SimulatedMarket(8, ["ETH-USD"], calendar), "ETH-USD", 500).close != theirs.close).any()


def test_every_bar_passes_the_quality_gate(market: SimulatedMarket) -> None:
    for symbol in DEFAULT_SYMBOLS:
        for size in (BarSize.D1, BarSize.H1, BarSize.M5):
            series = market.bars(instrument_for(symbol), size, END, 10_000)
            inspection = inspect(series, END)
            assert inspection.refused == ()
            assert len(inspection.good) == len(series)


@pytest.mark.parametrize("symbol", ["QQQ", "SOL-USD"])
def test_the_last_price_is_known_minute_by_minute_and_stays_inside_its_bar(
    market: SimulatedMarket, symbol: str
) -> None:
    instrument = instrument_for(symbol)
    series = market.bars(instrument, BarSize.M5, datetime(2024, 11, 27, 20, tzinfo=UTC), 30)
    for bar in series.bars():
        path = []
        for second in range(0, 300, 30):
            now = bar.opened_at + timedelta(seconds=second)
            quote = market.last([instrument], now)[symbol]
            assert quote.at == bar.opened_at + timedelta(minutes=second // 60)
            path.append(quote.price)
        assert path[0] == bar.open
        assert path[::2] == path[1::2]
        closing = market.last([instrument], bar.closed_at)[symbol]
        assert max(*path, bar.close) == bar.high
        assert min(*path, bar.close) == bar.low
        assert closing.at == bar.closed_at


def test_outside_sessions_the_last_price_is_the_last_close(market: SimulatedMarket) -> None:
    spy = instrument_for("SPY")
    sunday = datetime(2024, 12, 1, 5, tzinfo=UTC)
    friday = market.bars(spy, BarSize.D1, sunday, 1).bar(0)
    quote = market.last([spy], sunday)["SPY"]
    assert (quote.price, quote.at) == (friday.close, friday.closed_at)
    assert market.last([spy], datetime(2016, 1, 3, tzinfo=UTC)) == {}


def test_history_ends_at_both_ends_without_a_fault(market: SimulatedMarket) -> None:
    btc = instrument_for("BTC-USD")
    assert len(market.bars(btc, BarSize.M5, datetime(2015, 6, 1, tzinfo=UTC), 5)) == 0
    assert len(market.bars(btc, BarSize.D1, datetime(2016, 1, 3, tzinfo=UTC), 50)) == 2
    beyond = market.bars(btc, BarSize.M5, datetime(2040, 1, 1, tzinfo=UTC), 5)
    assert beyond.closed_at[-1] == seconds_of(datetime(2036, 1, 1, tzinfo=UTC))


def test_it_looks_like_a_market(calendar: ExchangeCalendar) -> None:
    """Averages over three seeds against the ranges in which the real assets lay from 2016 to 2024."""
    markets = [SimulatedMarket(seed, DEFAULT_SYMBOLS, calendar) for seed in SEEDS]

    def average(symbol: str, measure: object) -> float:
        assert callable(measure)
        return float(np.mean([measure(returns(daily(market, symbol))) for market in markets]))

    def correlation(one: str, other: str) -> float:
        pairs = [(returns(daily(market, one)), returns(daily(market, other))) for market in markets]
        return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs]))

    for symbol, steps, low, high in (("SPY", 252, 0.12, 0.20), ("QQQ", 252, 0.16, 0.26), ("IWM", 252, 0.16, 0.27)):
        assert low < average(symbol, np.std) * np.sqrt(steps) < high
    for symbol, low, high in (
        ("BTC-USD", 0.48, 0.72),
        ("ETH-USD", 0.58, 0.9),
        ("ADA-USD", 0.65, 1.0),
        ("SOL-USD", 0.7, 1.1),
    ):
        assert low < average(symbol, np.std) * np.sqrt(365) < high
    for symbol in DEFAULT_SYMBOLS:
        assert average(symbol, lambda r: np.mean((r - r.mean()) ** 4) / np.var(r) ** 2) > 3.5
        assert average(symbol, lambda r: np.corrcoef(np.abs(r[1:]), np.abs(r[:-1]))[0, 1]) > 0.08
        assert abs(average(symbol, lambda r: np.corrcoef(r[1:], r[:-1])[0, 1])) < 0.08
    assert 0.85 < correlation("SPY", "QQQ") < 0.95
    assert correlation("SPY", "VTI") > 0.97
    assert 0.75 < correlation("BTC-USD", "ETH-USD") < 0.90


def test_assets_of_a_class_move_together_within_the_day(market: SimulatedMarket) -> None:
    end = datetime(2024, 11, 27, 21, tzinfo=UTC)
    for one, other in (("SPY", "QQQ"), ("BTC-USD", "ETH-USD")):
        first, second = (market.bars(instrument_for(name), BarSize.M5, end, 3_000) for name in (one, other))
        assert np.corrcoef(returns(first), returns(second))[0, 1] > 0.7
