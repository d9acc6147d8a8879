"""The research account against figures worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from core.learning import rules
from core.learning.history import DAY, History
from core.learning.market import Market, market_of
from core.learning.portfolio import LEFT, STOP, TARGET, TIME, Plan, Result, Rules, simulate
from tests.series_builders import random_walk, series_of

pytestmark = pytest.mark.feature("S17")

FREE = Rules(equity=1000.0)
Prices = Sequence[tuple[float, float, float, float]]


def history(symbol: str, prices: Prices, dividend: Sequence[float] | None = None) -> History:
    bars = series_of(symbol, [each[3] for each in prices])
    first, high, low, last = np.array(prices, float).T
    paid = np.zeros(len(prices)) if dividend is None else np.array(dividend, float)
    return History(replace(bars, open=first, high=high, low=low, close=last), paid)


def grid(*histories: History, cost_factor: float = 0.0) -> Market:
    days = histories[0].days()
    return market_of(histories, int(days[0]), int(days[-1]), cost_factor)


def plan(market: Market, *, enter: Sequence[int], leave: Sequence[int] = (), weight: float = 0.2) -> Plan:
    shape = market.bar.shape
    enters, leaves = np.zeros(shape, bool), np.zeros(shape, bool)
    enters[list(enter)], leaves[list(leave)] = True, True
    return Plan(np.full(shape, weight), enters, leaves, np.zeros(shape))


FLAT = (100.0, 101.0, 99.0, 100.0)


def played(prices: Prices, enter: Sequence[int] = (0,), leave: Sequence[int] = (), **more: float) -> Result:
    market = grid(history("SPY", prices))
    return simulate(market, plan(market, enter=enter, leave=leave), replace(FREE, **more))


def test_an_entry_fills_at_the_next_open_and_an_exit_at_the_one_after_its_decision() -> None:
    result = played([FLAT, (102, 103, 101, 102), (104, 105, 103, 104), (106, 107, 105, 106)], leave=(2,))
    (trade,) = result.trades
    assert (trade.entered, trade.left, trade.why) == (1, 3, LEFT)
    # 200 USD at the close of 100 are 2 units: bought at 102, sold at 106.
    assert result.equity.tolist() == [1000.0, 1000.0, 1004.0, 1008.0]
    assert trade.gain == pytest.approx(4 / 102)


def test_a_stop_sells_at_its_level_and_a_gap_at_the_open() -> None:
    touched = played([FLAT, FLAT, (98, 99, 94, 97)])
    assert touched.trades[0].why == STOP
    assert touched.equity[-1] == pytest.approx(1000 - 2 * 5)
    gapped = played([FLAT, FLAT, (90, 120, 89, 118)])
    assert gapped.trades[0].why == STOP
    assert gapped.equity[-1] == pytest.approx(1000 - 2 * 10)


def test_levels_stand_where_the_decision_put_them_and_not_where_the_order_filled() -> None:
    """Decided at 100 and filled at 102: the stop is at 95, not at 96.90."""
    held = played([FLAT, (102, 103, 101, 102), (96, 97, 95.5, 96)])
    assert held.open_at_end == 1
    sold = played([FLAT, (102, 103, 101, 102), (96, 97, 94.9, 96)])
    assert sold.equity[-1] == pytest.approx(1000 - 2 * 7)


def test_a_target_sells_at_its_level_or_a_better_open_and_gives_way_to_the_stop_of_the_same_bar() -> None:
    assert played([FLAT, FLAT, (101, 116, 100, 110)]).equity[-1] == pytest.approx(1000 + 2 * 15)
    assert played([FLAT, FLAT, (120, 125, 119, 121)]).equity[-1] == pytest.approx(1000 + 2 * 20)
    both = played([FLAT, FLAT, (101, 116, 94, 110)])
    assert both.trades[0].why == STOP
    assert played([FLAT, (100, 116, 99.5, 115)]).trades[0].why == TARGET


def test_costs_are_paid_on_both_sides() -> None:
    prices = [FLAT] * 4
    market = grid(history("SPY", prices), cost_factor=1.0)
    result = simulate(market, plan(market, enter=(0,), leave=(2,)), FREE)
    assert result.costs == pytest.approx(2 * 200 * float(market.cost[0]))
    assert result.equity[-1] == pytest.approx(1000 - result.costs)


def test_no_more_than_the_caps_and_the_cash_is_ever_bought() -> None:
    prices = [FLAT] * 4
    coins = [history(symbol, prices) for symbol in ("BTC-USD", "ETH-USD", "ADA-USD")]
    market = grid(*coins)
    held = simulate(market, plan(market, enter=(0,), weight=0.9), FREE)
    assert held.equity[-1] - held.cash[-1] == pytest.approx(500)
    funds = [history(symbol, prices) for symbol in ("SPY", "QQQ", "IWM", "VTI", "DIA")]
    market = grid(*funds)
    held = simulate(market, plan(market, enter=(0,), weight=0.9), FREE)
    assert held.cash.min() == pytest.approx(0)
    assert held.open_at_end == 4
    dearer = grid(*(history(symbol, [FLAT, (130, 131, 129, 130)]) for symbol in ("SPY", "QQQ", "IWM", "VTI")))
    assert simulate(dearer, plan(dearer, enter=(0,), weight=0.25), FREE).cash.min() >= 0


def test_whole_shares_round_down_and_coins_in_their_steps() -> None:
    prices = [(150.0, 151.0, 149.0, 150.0)] * 3
    market = grid(history("SPY", prices), history("BTC-USD", prices))
    result = simulate(market, plan(market, enter=(0,), weight=0.2), replace(FREE, whole_units=True))
    # Of 200 USD each: one share, and 1.333333 coins.
    assert result.equity[-1] - result.cash[-1] == pytest.approx(150 + 1.333333 * 150)


def test_a_position_ends_after_the_bars_it_may_live() -> None:
    result = played([FLAT] * 8, bars=3)
    (trade,) = result.trades
    assert (trade.entered, trade.left) == (1, 4)
    assert TIME == "time" and trade.why == TIME


def test_dividends_belong_to_whoever_held_the_night_before() -> None:
    paying = history("SPY", [FLAT] * 4, [0, 3, 5, 0])
    market = grid(paying)
    result = simulate(market, plan(market, enter=(0,)), FREE)
    assert result.equity.tolist() == [1000, 1000, 1010, 1010]
    assert rules.buy_and_hold(market, 1000.0).equity.tolist() == [1000, 1030, 1080, 1080]


def test_an_order_that_waits_a_bar_longer_fills_a_bar_later() -> None:
    market = grid(history("SPY", [FLAT, FLAT, (110, 111, 109, 110), FLAT]))
    late = simulate(market, plan(market, enter=(0,)), FREE, delay=1)
    assert late.equity.tolist() == pytest.approx([1000, 1000, 1000, 1000 - 2 * 10])


def test_a_stock_waits_over_a_weekend_while_a_coin_does_not() -> None:
    coin = history("BTC-USD", [FLAT] * 4)
    stock = history("SPY", [FLAT] * 4)
    gap = stock.bars.part(np.array([0, 3]))
    market = grid(coin, History(gap, np.zeros(2)))
    result = simulate(market, plan(market, enter=(0,), leave=(3,)), FREE)
    assert result.open_at_end == 2
    spent = np.diff(result.cash)
    assert spent.tolist() == pytest.approx([-200, 0, -200])


def test_a_channel_is_entered_above_the_highest_high_and_left_below_the_lowest_low_of_half_as_many_bars() -> None:
    high = np.array([5, 5, 5, 5, 7, 7, 7, 7, 7.0])
    close = np.array([4, 4, 4, 4, 6, 6, 3.5, 2, 2.0])
    low = np.array([3, 3, 3, 3, 5, 5, 3, 2, 2.0])
    state = rules.donchian(close, high, low, 4)
    assert np.isnan(state[:4]).all()
    assert state[4:].tolist() == [1, 1, 0, 0, 0]


def test_weights_of_rules_keep_to_the_cap_and_know_nothing_of_later_bars() -> None:
    long = [
        History(random_walk(symbol, 500, seed=seed), np.zeros(500)) for symbol, seed in (("SPY", 1), ("ADA-USD", 2))
    ]
    cut = [History(each.bars.part(slice(0, 400)), np.zeros(400)) for each in long]
    first = int(long[0].days()[0])
    whole, part = market_of(long, first, first + 499), market_of(cut, first, first + 399)
    for name, rule in rules.RULES.items():
        weights = rule(whole, long)
        np.testing.assert_array_equal(weights[:400], rule(part, cut), err_msg=name)
        assert np.nanmax(weights) <= rules.ASSET_CAP
        assert np.nansum(weights) > 0


def test_equal_risk_aims_at_the_target_for_assets_that_move_as_assumed() -> None:
    walks = [History(random_walk(symbol, 1000, seed=9, swing=0.02), np.zeros(1000)) for symbol in ("SPY", "QQQ")]
    first = int(walks[0].days()[0])
    market = market_of(walks, first, first + 999, 0.0)
    returns = rules.play(market, rules.equal_risk(market, walks, 0.08), FREE).returns()
    assert float(np.std(returns[100:])) * np.sqrt(252) == pytest.approx(0.08, rel=0.1)


def test_a_history_file_is_read_with_the_close_times_of_its_class(tmp_path) -> None:
    import gzip

    from core.errors import DataFault
    from core.learning.history import read_history

    folder = tmp_path / "daily"
    folder.mkdir()
    for symbol in ("SPY", "BTC-USD"):
        with gzip.open(folder / f"{symbol}.csv.gz", "wt") as file:
            file.write("ts,open,high,low,close,volume,dividend\n")
            file.write("2024-07-03T00:00:00Z,1,3,1,2,10,0.5\n2024-07-05T00:00:00Z,2,3,1,2,10,0\n")
    stock, coin = (read_history(tmp_path, symbol) for symbol in ("SPY", "BTC-USD"))
    assert (stock.bars.closed_at - stock.bars.opened_at).tolist() == [21 * 3600] * 2
    assert (coin.bars.closed_at - coin.bars.opened_at).tolist() == [DAY] * 2
    assert stock.dividend.tolist() == [0.5, 0.0]
    with pytest.raises(DataFault, match="cannot be read"):
        read_history(tmp_path, "QQQ")
    with gzip.open(folder / "QQQ.csv.gz", "wt") as file:
        file.write("ts,open,high,low,close,volume\n2024-07-03T00:00:00Z,1,3,0,2,10\n")
    with pytest.raises(DataFault, match="no number above zero"):
        read_history(tmp_path, "QQQ")
