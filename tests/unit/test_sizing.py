"""The limits on the size of a purchase, one by one: what passes, what is refused, the exact boundary, the words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from core.domain.accounts import Account, AccountKind, World
from core.domain.decisions import Verdict
from core.domain.instruments import instrument_for
from core.domain.orders import OrderState
from core.series import BarSeries
from core.strategy.decide import decide
from core.strategy.policy import Policy
from core.strategy.sizing import (
    Limit,
    Purchase,
    asset_cap,
    bracket_for,
    cash,
    coin_cap,
    daily_deviation,
    exposure_cap,
    size_entry,
    smallest_purchase,
    volatility,
)
from core.strategy.snapshot import AccountView
from core.strategy.stakes import stakes_of
from tests.series_builders import series_of
from tests.snapshot_builders import (
    MANUAL,
    NOW,
    FixedPredictor,
    account_view,
    entry_order,
    exit_order,
    market,
    position,
    snapshot,
)

pytestmark = pytest.mark.feature("S8")

EXACT = replace(
    Policy(),
    band_fraction=Decimal(0),
    cost_fraction=Decimal(0),
    gap_fraction=Decimal(0),
    daily_risk_fraction=Decimal("0.0075"),
)
"""Without slack, so that a boundary is where the rule says."""


def swinging(move: float, symbol: str = "SPY", count: int = 21, end: int = 100) -> BarSeries:
    """Daily closes that rise and fall by the fraction `move` in turn, all closed before now."""
    closes = [float(end)]
    for number in range(count - 1):
        closes.append(closes[-1] * (1 + move if number % 2 else 1 - move))
    return series_of(symbol, closes, start=NOW - timedelta(days=count + 1))


def asked(
    symbol: str = "SPY",
    price: str = "100",
    views: Sequence[AccountView] = (),
    policy: Policy = EXACT,
    daily: BarSeries | None = None,
) -> Purchase:
    """A purchase in the first of `views`."""
    seen = market(symbol, price)
    if daily is not None:
        seen = replace(seen, daily=daily)
    accounts = tuple(views) or (account_view(),)
    own, *others = stakes_of(snapshot(seen, accounts=accounts), policy).values()
    return Purchase(seen, Decimal(price), own, tuple(others), policy)


def answer(limit: Limit) -> tuple[object, ...]:
    return limit.verdict.passed, limit.quantity, limit.verdict.reason


def test_a_quarter_of_equity_may_go_into_one_asset() -> None:
    assert answer(asset_cap(asked())) == (True, 25, "25 % of equity leaves room for 2,500.00 USD")
    assert answer(asset_cap(asked(views=[account_view("399.99")]))) == (
        False,
        0,
        "25 % of equity leaves 100.00 USD, the smallest order is 100.00 USD",
    )
    assert asset_cap(asked(views=[account_view("400")])).quantity == 1


def test_what_is_held_and_what_waits_counts_toward_the_cap_at_the_higher_price() -> None:
    held = account_view("9000", position("SPY", "10", "900"))
    assert asset_cap(asked(views=[held])).quantity == 15
    cheap = account_view("10000", orders=[entry_order("SPY", "10", "80")])
    dear = account_view("10000", orders=[entry_order("SPY", "10", "120")])
    assert asset_cap(asked(views=[cheap])).quantity == 15
    assert asset_cap(asked(views=[dear])).quantity == 13


@pytest.mark.parametrize("state", [OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED])
def test_an_entry_that_is_over_and_an_exit_count_for_nothing(state: OrderState) -> None:
    over = account_view("10000", orders=[entry_order("SPY", "10", "100", state), exit_order("SPY", "5")])
    assert asset_cap(asked(views=[over])).quantity == 25


@pytest.mark.feature("S20")
def test_the_cap_counts_over_all_accounts_of_the_same_world() -> None:
    small = account_view("4000")
    full = account_view("2000", position("SPY", "45", "4500"), account=MANUAL)
    assert answer(asset_cap(asked(views=[small, full]))) == (
        False,
        0,
        "25 % of all accounts' equity leaves 0.00 USD, the smallest order is 100.00 USD",
    )
    pretended = Account("manual", AccountKind.MANUAL, World.SIMULATED)
    other_world = replace(full, account=pretended)
    decision = decide(snapshot(accounts=[small, other_world]), FixedPredictor({"SPY": 0.7}), Policy())
    assert next(verdict for verdict in decision.signals[0].verdicts if verdict.gate == "cap").passed


def test_all_assets_together_stay_below_their_cap() -> None:
    policy = replace(EXACT, max_exposure_fraction=Decimal("0.6"))
    view = account_view("5000", position("DIA", "40", "4000"), orders=[entry_order("IWM", "10", "100")])
    assert answer(exposure_cap(asked(views=[view], policy=policy))) == (
        True,
        4,
        "60 % of equity in all assets together leaves room for 400.00 USD",
    )


def test_the_cap_on_all_assets_says_no_where_less_than_the_smallest_order_is_left() -> None:
    policy = replace(EXACT, max_exposure_fraction=Decimal("0.5"))
    at_the_brim = account_view("5100", position("DIA", "49", "4900"))
    beyond = account_view("5099", position("DIA", "49", "4900"))
    assert answer(exposure_cap(asked(views=[at_the_brim], policy=policy))) == (
        True,
        1,
        "50 % of equity in all assets together leaves room for 100.00 USD",
    )
    assert answer(exposure_cap(asked(views=[beyond], policy=policy))) == (
        False,
        0,
        "50 % of equity in all assets together leaves 99.50 USD, the smallest order is 100.00 USD",
    )


@pytest.mark.feature("S20")
def test_the_cap_on_all_assets_counts_over_all_accounts() -> None:
    policy = replace(EXACT, max_exposure_fraction=Decimal("0.5"))
    views = [account_view("10000"), account_view("0", position("DIA", "60", "6000"), account=MANUAL)]
    limit = exposure_cap(asked(views=views, policy=policy))
    assert answer(limit) == (
        True,
        20,
        "50 % of all accounts' equity in all assets together leaves room for 2,000.00 USD",
    )


def test_coins_together_have_a_cap_of_their_own() -> None:
    view = account_view("6000", position("ETH-USD", "40", "3000"), orders=[entry_order("SOL-USD", "10", "50")])
    limit = coin_cap(asked("BTC-USD", "50000", [view]))
    assert (limit.verdict.passed, limit.quantity) == (True, Decimal("0.02"))
    assert limit.verdict.reason == "50 % of equity in coins leaves room for 1,000.00 USD"
    full = account_view("5000", position("ETH-USD", "40", "5000"))
    assert answer(coin_cap(asked("BTC-USD", "50000", [full]))) == (
        False,
        0,
        "50 % of equity in coins leaves 0.00 USD, the least that its stop can guard is 10.74 USD",
    )


def test_a_coin_is_not_bought_for_so_little_that_no_stop_could_rest_for_it() -> None:
    """Ten USD at the limit of a stop that lies 5 % under the price, two per cent under that, and after the costs."""
    policy = replace(EXACT, cost_fraction=Decimal("0.0035"))
    least = smallest_purchase(instrument_for("BTC-USD"), policy)
    assert least * Decimal("0.9965") * Decimal("0.95") * Decimal("0.98") == pytest.approx(Decimal(10))
    for cash_held, passed in ((least * Decimal("1.0036"), True), (least, False)):
        limit = cash(asked("BTC-USD", "100", [account_view(f"{cash_held:.4f}")], policy=policy))
        assert limit.verdict.passed is passed
    assert smallest_purchase(instrument_for("SPY"), policy) == instrument_for("SPY").min_order_value


def test_the_cap_on_coins_limits_no_stock_and_can_forbid_all_coins() -> None:
    full = account_view("5000", position("ETH-USD", "40", "5000"))
    assert answer(coin_cap(asked("SPY", views=[full]))) == (True, None, "SPY is no coin")
    none = replace(EXACT, max_crypto_fraction=Decimal(0))
    assert not coin_cap(asked("BTC-USD", "50000", policy=none)).verdict.passed


def test_a_restless_asset_is_bought_smaller() -> None:
    calm, wild = (asked(daily=swinging(move)) for move in (0.01, 0.06))
    assert volatility(calm).quantity == 73
    limit = volatility(wild)
    sigma = daily_deviation(swinging(0.06), 20)
    assert sigma is not None
    assert limit.quantity == int(75 / sigma / 100) == 12
    assert limit.verdict.reason == (
        "6.16 % on an ordinary day (20 days): 0.75 % of equity at risk leaves room for 1,218.35 USD"
    )


def test_volatility_shrinks_a_purchase_and_never_enlarges_it() -> None:
    sizes = [size_entry(asked(daily=swinging(move))).quantity for move in (0.0001, 0.01, 0.06, 0.2)]
    assert sizes == [25, 25, 12, 3]


def test_an_asset_that_is_too_wild_for_the_smallest_order_is_not_bought() -> None:
    limit = volatility(asked(views=[account_view("800")], daily=swinging(0.06)))
    assert not limit.verdict.passed
    assert limit.verdict.reason.endswith("leaves 97.47 USD, the smallest order is 100.00 USD")


def test_volatility_that_cannot_be_measured_forbids_and_a_flat_line_limits_nothing() -> None:
    assert answer(volatility(asked(daily=swinging(0.01, count=20)))) == (
        False,
        0,
        "cannot be measured: 20 daily returns are needed, 19 are known",
    )
    assert answer(volatility(asked(daily=swinging(0.0)))) == (True, None, "0.00 % on an ordinary day (20 days)")


def test_volatility_is_the_sample_deviation_of_the_newest_daily_returns() -> None:
    bars = series_of("SPY", [50.0, 100.0, 102.0, 99.0, 101.0])
    returns = np.array([102 / 100, 99 / 102, 101 / 99]) - 1
    assert daily_deviation(bars, 3) == pytest.approx(np.std(returns, ddof=1), rel=1e-12)
    assert daily_deviation(bars, 5) is None


def test_cash_pays_for_the_worst_price_and_the_costs() -> None:
    policy = replace(EXACT, band_fraction=Decimal("0.01"), cost_fraction=Decimal("0.01"))
    assert cash(asked(views=[account_view("1020.09")], policy=policy)).quantity == 9
    assert cash(asked(views=[account_view("1020.10")], policy=policy)).quantity == 10
    waiting = account_view("1020.10", orders=[entry_order("IWM", "9", "100")])
    assert answer(cash(asked(views=[waiting], policy=policy))) == (True, 1, "111.10 USD free after pending entries")


def test_cash_that_is_short_says_what_a_unit_costs() -> None:
    assert answer(cash(asked(views=[account_view("-5")]))) == (
        False,
        0,
        "-5.00 USD free after pending entries, the smallest order is 100.00 USD (100.00 USD a unit at worst)",
    )


def test_a_quantity_is_whole_steps_worth_at_least_the_smallest_order() -> None:
    coin = instrument_for("BTC-USD")
    sizing = size_entry(asked("BTC-USD", "66123.4567"))
    assert sizing.quantity % coin.quantity_step == 0 and sizing.quantity > 0
    assert not cash(asked("SPY", "50", [account_view("49.99")])).verdict.passed
    assert cash(asked("SPY", "50", [account_view("50")])).verdict.passed


def test_stop_and_target_are_rounded_toward_safety() -> None:
    bracket = bracket_for(Decimal("101.237"), Decimal("0.01"), Policy())
    assert (bracket.stop, bracket.target) == (Decimal("96.18"), Decimal("116.42"))


def test_the_size_names_the_limit_that_set_it() -> None:
    def last(purchase: Purchase) -> Verdict:
        return size_entry(purchase).verdicts[-1]

    assert last(asked()) == Verdict("size", True, "25 units for 2,500.00 USD, as many as the cap on one asset allows")
    wild = last(asked(daily=swinging(0.06)))
    assert wild.reason == "12 units for 1,200.00 USD, as many as its volatility allows"
    poor = account_view("310", position("DIA", "90", "9000"))
    assert last(asked(views=[poor])).reason == "3 units for 300.00 USD, as many as the cap on all assets allows"


def test_a_purchase_that_any_limit_refuses_has_no_size() -> None:
    sizing = size_entry(asked(views=[account_view("399")]))
    assert sizing.quantity == sizing.reserve == 0
    assert [verdict.gate for verdict in sizing.verdicts if not verdict.passed] == ["cap"]
    assert "size" not in {verdict.gate for verdict in sizing.verdicts}


def test_entries_of_one_tick_count_against_each_other_in_every_cap() -> None:
    coins = [market(symbol, "100") for symbol in ("BTC-USD", "ETH-USD", "SOL-USD")]
    sure = FixedPredictor({"BTC-USD": 0.9, "ETH-USD": 0.8, "SOL-USD": 0.7})
    tight = replace(Policy(), max_crypto_fraction=Decimal("0.3"))
    decision = decide(snapshot(*coins), sure, tight)
    spent = [order.quantity * order.reference_price for order in decision.orders]
    assert [order.symbol for order in decision.orders] == ["BTC-USD", "ETH-USD"]
    assert sum(spent) <= 3000
    (third,) = (signal for signal in decision.signals if signal.symbol == "SOL-USD")
    assert third.veto is not None and third.veto.gate == "crypto"
    narrow = replace(Policy(), max_exposure_fraction=Decimal("0.4"))
    orders = decide(snapshot(*coins), sure, narrow).orders
    assert sum(order.quantity * order.reference_price for order in orders) <= 4000
    assert len(orders) == 2
