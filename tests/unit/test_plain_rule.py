"""The plain rule in the live decision: held above the mean of 200 days, in equal parts of one volatility target."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.render import render
from core.domain.accounts import Mode
from core.domain.bars import BarSize
from core.domain.decisions import Brake, BrakeKind, Decision
from core.domain.events import InstructionIssued, SignalRaised
from core.domain.instruments import instrument_for
from core.domain.orders import Purpose, Side
from core.learning import rules
from core.learning.history import History
from core.learning.market import market_of
from core.series import BarSeries
from core.strategy.decide import decide, exits
from core.strategy.plain_rule import part_of, share_of, standing, yearly_deviation
from core.strategy.policy import Policy, Strategy
from core.strategy.snapshot import AccountView, MarketView
from tests.builders import COIN, MONDAY, UNIVERSAL, Bench
from tests.series_builders import random_walk, series_of
from tests.snapshot_builders import NOW, FixedPredictor, account_view, guard, market, position, snapshot

pytestmark = pytest.mark.feature("S21")

RULE = replace(
    Policy(), strategy=Strategy.RULE, stop_fraction=Decimal("0.3"), target_fraction=Decimal(1), min_probability=0.99
)
UP = [100 + 0.1 * step + step % 3 for step in range(260)]
DOWN = [150 - 0.1 * step + step % 3 for step in range(260)]


def of_closes(symbol: str, closes: list[float], price: str | None = None) -> MarketView:
    start = NOW - timedelta(hours=16) - len(closes) * timedelta(days=1)
    known = price or f"{closes[-1]:.2f}"
    return replace(market(symbol, known), daily=series_of(symbol, closes, start=start))


def verdicts(decision: Decision, symbol: str = "SPY") -> dict[str, tuple[bool, str]]:
    (signal,) = (each for each in decision.signals if each.symbol == symbol)
    return {verdict.gate: (verdict.passed, verdict.reason) for verdict in signal.verdicts}


def test_above_its_mean_an_asset_is_bought_without_any_model_and_the_order_says_why() -> None:
    decision = decide(snapshot(of_closes("SPY", UP)), None, RULE)
    (order,) = decision.orders
    told = verdicts(decision)
    assert order.side is Side.BUY and order.bracket is not None
    assert not {"probability", "sma", "rsi", "macd"} & told.keys()
    assert told["rule"] == (True, "daily close 126.90 is above its mean of 200 days, 116.94 (+8.5 %)")
    assert order.reason == told["rule"][1]
    assert "an equal part of 12 % a year for 1 stock or fund" in told["volatility"][1]


def test_a_doubtful_forest_is_heard_for_the_record_alone() -> None:
    decision = decide(snapshot(of_closes("SPY", UP)), FixedPredictor({"SPY": 0.1}), RULE)
    assert len(decision.orders) == 1
    assert decision.signals[0].prediction is not None


def test_below_its_mean_nothing_is_bought_and_what_is_held_is_sold_in_every_account_that_answers() -> None:
    held = account_view("5000", position("SPY", "10", "1300"), guards=[guard("SPY", "91", "260")])
    decision = decide(snapshot(of_closes("SPY", DOWN), accounts=[held]), None, RULE)
    (order,) = decision.orders
    assert (order.side, order.purpose, order.quantity, order.tags) == (Side.SELL, Purpose.EXIT, Decimal(10), ("rule",))
    assert order.reason == "daily close 125.10 is not above its mean of 200 days, 135.04 (-7.4 %)"
    assert verdicts(decision)["rule"] == (False, order.reason)
    assert exits(snapshot(of_closes("SPY", DOWN), accounts=[held]), Policy()) == ()


def test_a_sale_by_the_rule_waits_for_no_pause_brake_fault_or_mode() -> None:
    held = account_view("5000", position("SPY", "10", "1300"), guards=[guard("SPY", "91", "260")])
    everything = [Brake(kind, "*", "for the test", NOW) for kind in BrakeKind if kind is not BrakeKind.FLATTEN]
    seen = snapshot(replace(of_closes("SPY", DOWN), excluded="a fault"), accounts=[held], brakes=everything)
    assert [order.tags for order in exits(seen, RULE)] == [("rule",)]


@pytest.mark.parametrize("count", [0, 1, 60, 199])
def test_with_fewer_than_200_days_nothing_is_bought_and_nothing_is_sold_for_that(count: int) -> None:
    held = account_view("5000", position("QQQ", "10", "1300"), guards=[guard("QQQ", "91", "260")])
    seen = snapshot(of_closes("SPY", UP[:count], "100"), of_closes("QQQ", DOWN[:count], "130"), accounts=[held])
    decision = decide(seen, None, RULE)
    assert decision.orders == ()
    assert verdicts(decision)["rule"] == (False, f"{count} daily bars, 200 valid ones needed")


def test_a_bar_that_closes_later_is_not_looked_at() -> None:
    falls = [*UP, 1.0]
    start = NOW + timedelta(hours=1) - len(falls) * timedelta(days=1)
    seen = replace(market("SPY", "126"), daily=series_of("SPY", falls, start=start))
    assert [order.side for order in decide(snapshot(seen), None, RULE).orders] == [Side.BUY]


def test_each_of_a_class_gets_the_same_part_and_the_calmer_is_bought_first_and_larger() -> None:
    calm = of_closes("SPY", [100 * 1.001**step * (1 + 0.002 * (step % 2)) for step in range(260)])
    wild = of_closes("QQQ", [100 * 1.001**step * (1 + 0.02 * (step % 2)) for step in range(260)])
    coin = of_closes("BTC-USD", [100 * 1.001**step * (1 + 0.02 * (step % 2)) for step in range(260)])
    free = replace(RULE, max_asset_fraction=Decimal(1), volatility_target=Decimal("0.02"))
    decision = decide(snapshot(wild, calm, coin, accounts=[account_view("10000")]), None, free)
    value = {order.symbol: float(order.quantity * order.reference_price) / 10_000 for order in decision.orders}
    assert next(order.symbol for order in decision.orders) == "SPY"
    deviation = yearly_deviation(coin)
    assert deviation is not None
    assert value["BTC-USD"] == pytest.approx(0.02 / np.sqrt(2) / deviation, rel=0.01)
    assert "2 stocks and funds and 1 coin" in verdicts(decision, "QQQ")["volatility"][1]


def test_a_whole_life_by_the_rule_is_bought_told_guarded_and_sold_without_a_model(tmp_path: Path) -> None:
    bench = Bench(tmp_path, policy=RULE).start()
    bench.predictor = None
    assert bench.tick().submitted == 1
    (signal,) = bench.events(SignalRaised)
    assert (signal.probability, signal.event, signal.model_version) == (None, "", "")
    told = render(signal, UNIVERSAL).text
    assert "BTC-USD buy signal" in told and "The plain rule wants it; no forecast was asked." in told
    bench.bar(100.0)
    assert bench.tick().fills == 1
    (levels,) = bench.read(lambda work: list(work.guards()))
    assert (levels.stop, levels.target) == (Decimal(70), Decimal(200))
    bench.bar(80.0)
    assert bench.tick().submitted == 0, "the price alone sells nothing"
    a_day_later = series_of(COIN, [80.0], start=MONDAY - timedelta(days=1) + timedelta(minutes=15))
    bench.bars.write(a_day_later, "test")
    bench.bar(80.0)
    assert bench.tick().submitted == 1
    (sale,) = bench.read(lambda work: [each for each in work.orders("simulated") if each.purpose is Purpose.EXIT])
    assert sale.tags == ("rule",) and "is not above its mean of 200 days" in sale.reason
    bench.bar(80.0)
    bench.tick()
    assert not bench.read(lambda work: work.portfolio("simulated")).positions
    assert not bench.read(lambda work: list(work.live_orders())), "its stop and target went with it"


@pytest.mark.parametrize(("hours", "again"), [(-17, True), (-15, False), (-2, False)])
def test_after_a_trade_the_rule_waits_for_the_next_daily_close(hours: int, again: bool) -> None:
    """The newest daily bar of these markets closed 16 hours ago."""
    view = account_view("10000", last_trade_at={"SPY": NOW + timedelta(hours=hours)})
    decision = decide(snapshot(of_closes("SPY", UP), accounts=[view]), None, RULE)
    assert verdicts(decision)["gap"][0] is again
    assert bool(decision.orders) is again
    assert decide(
        snapshot(accounts=[view]), FixedPredictor({"SPY": 0.995}), replace(RULE, strategy=Strategy.FOREST)
    ).orders


def test_in_manual_mode_the_card_names_the_rule_and_no_confidence(tmp_path: Path) -> None:
    bench = Bench(tmp_path, policy=RULE, mode=Mode.MANUAL).start()
    bench.declare_cash()
    bench.tick()
    (card,) = bench.events(InstructionIssued)
    assert card.probability is None and "above its mean of 200 days" in card.why
    assert "– (no forecast)" in render(card, UNIVERSAL).text


walks = st.builds(
    lambda seed, count, drift: random_walk(count=count, seed=seed, drift=drift, swing=0.02).close.tolist(),
    st.integers(0, 10_000),
    st.integers(190, 270),
    st.sampled_from([-0.002, 0.0, 0.002]),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(walks, min_size=1, max_size=3), st.booleans(), st.booleans())
def test_whatever_prices_do_it_never_buys_below_the_mean_never_keeps_what_is_and_obeys_caps_and_brakes(
    closes: list[list[float]], braked: bool, holds: bool
) -> None:
    names = ("SPY", "QQQ", "BTC-USD")
    markets = [of_closes(name, each) for name, each in zip(names, closes, strict=False)]
    view = holding(names[0], markets[0]) if holds else account_view("10000")
    brakes = [Brake(BrakeKind.DRAWDOWN, "*", "for the test", NOW)] if braked else []
    decision = decide(snapshot(*markets, accounts=[view], brakes=brakes), None, RULE)
    above = {each.instrument.symbol: standing(each.daily) for each in markets}
    bought = [order for order in decision.orders if order.side is Side.BUY]
    sold = [order.symbol for order in decision.orders if order.side is Side.SELL]
    assert not (braked and bought)
    for order in bought:
        found = above[order.symbol]
        assert found is not None and found.is_above
        assert order.quantity * order.reference_price <= Decimal("0.25") * 10_000
        assert order.bracket is not None
    first = above[names[0]]
    assert sold == ([names[0]] if holds and first is not None and not first.is_above else [])


def holding(symbol: str, seen: MarketView) -> AccountView:
    price = Decimal(str(round(float(seen.daily.close[-1]), 2)))
    levels = guard(symbol, str(price / 2), str(price * 3))
    return account_view("9000", position(symbol, "10", str(10 * price)), guards=[levels])


def test_gate_and_size_are_those_of_the_rule_that_research_measured() -> None:
    """Day by day over the same bars, with instruments of which one begins later."""
    names = ("SPY", "QQQ", "BTC-USD")
    walked = [random_walk(name, 420, seed=place, swing=0.01 + 0.01 * place) for place, name in enumerate(names)]
    walked[1] = walked[1].part(slice(120, None))
    histories = [History(each, np.zeros(len(each))) for each in walked]
    grid = market_of(histories, 0, 40_000)
    weight = rules.held_above_average(grid, histories)
    checked = 0
    for row in range(205, len(grid), 9):
        views = [view_of(each, int(walked[0].closed_at[row])) for each in walked]
        seen = snapshot(*views)
        for place, view in enumerate(views):
            found, deviation = standing(view.daily), yearly_deviation(view)
            if found is None or deviation is None:
                assert np.isnan(weight[row, place])
                continue
            share = min(share_of(part_of(seen, view, RULE), deviation), rules.ASSET_CAP) if found.is_above else 0.0
            assert share == pytest.approx(weight[row, place], rel=1e-9)
            checked += 1
    assert checked > 50


def view_of(whole: BarSeries, closed_at: int) -> MarketView:
    known = whole.part(whole.closed_at <= closed_at)
    template = market(whole.symbol, "100", size=BarSize.D1)
    return replace(template, instrument=instrument_for(whole.symbol), daily=known, confirm=known)
