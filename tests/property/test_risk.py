from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.accounts import Mode, World
from core.domain.bars import BarSize
from core.domain.decisions import Decision
from core.domain.orders import Order, Purpose, Side
from core.domain.portfolio import Fill, Position
from core.domain.values import ZERO
from core.strategy.decide import decide, enter
from core.strategy.policy import Policy
from core.strategy.screen import may_afford
from core.strategy.sizing import Purchase, size_entry
from core.strategy.snapshot import AccountView, MarketView, Snapshot
from core.strategy.stakes import Stakes
from tests.snapshot_builders import MANUAL, NOW, FixedPredictor, account_view, entry_order, market, position, snapshot

pytestmark = pytest.mark.feature("S8")

POLICY = Policy()
SYMBOLS = ("SPY", "QQQ", "IWM", "BTC-USD", "ADA-USD", "DIA")
TEMPLATES = {(symbol, size): market(symbol, size=size) for symbol in SYMBOLS for size in (BarSize.M5, BarSize.D1)}

prices = st.one_of(st.decimals("0.5", "90", places=4), st.decimals("0.0002", "90000", places=4))
cash = st.one_of(st.decimals("1000", "50000", places=2), st.decimals("-500", "50000", places=2))
quantities = st.one_of(st.decimals("0.000001", "9", places=6), st.decimals("0.000001", "300", places=6))
probabilities = st.floats(0, 1)
fractions = st.decimals("0.01", "1", places=2)
policies = st.builds(
    lambda asset, exposure, crypto, risk: replace(
        POLICY,
        max_asset_fraction=asset,
        max_exposure_fraction=exposure,
        max_crypto_fraction=crypto,
        daily_risk_fraction=risk / 100,
    ),
    fractions,
    fractions,
    fractions,
    fractions,
)


@st.composite
def markets(draw: st.DrawFn) -> MarketView:
    symbol = draw(st.sampled_from(SYMBOLS))
    template = TEMPLATES[symbol, draw(st.sampled_from((BarSize.M5, BarSize.D1)))]
    return replace(template, price=draw(prices), is_open=draw(st.booleans()))


@st.composite
def accounts(draw: st.DrawFn, *, manual: bool) -> AccountView:
    held: list[Position] = [
        position(symbol, str(draw(quantities)), str(draw(prices)))
        for symbol in draw(st.lists(st.sampled_from(SYMBOLS), unique=True, max_size=2))
    ]
    pending: list[Order] = [
        entry_order(symbol, str(draw(quantities)), str(draw(prices)))
        for symbol in draw(st.lists(st.sampled_from(SYMBOLS), unique=True, max_size=1))
    ]
    view = account_view(str(draw(cash)), *held, orders=pending)
    return replace(view, account=MANUAL) if manual else view


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    seen = draw(st.lists(markets(), min_size=1, max_size=6, unique_by=lambda view: view.instrument.symbol))
    views = [draw(accounts(manual=False)), draw(accounts(manual=True))]
    return snapshot(
        *seen,
        accounts=views,
        entry_account=draw(st.sampled_from(("simulated", "manual"))),
        mode=draw(st.sampled_from((Mode.AUTO, Mode.CONFIRM))),
    )


def decided(seen: Snapshot, likely: dict[str, float], policy: Policy = POLICY) -> Decision:
    return decide(seen, FixedPredictor({**dict.fromkeys(SYMBOLS, 0.9), **likely}), policy)


def bought(decision: Decision) -> list[Order]:
    return [order for order in decision.orders if order.purpose is Purpose.ENTRY]


def cash_after(view: AccountView, orders: list[Order], markets: dict[str, MarketView]) -> Decimal:
    """The account's cash when everything pending and `orders` fill as dear as the policy reckons with, fees paid."""
    book = view.portfolio
    for number, order in enumerate([*view.live_orders, *orders]):
        seen = markets.get(order.symbol)
        soon = seen is not None and seen.is_open and seen.confirm.size.is_intraday
        price = order.reference_price * (1 + (POLICY.band_fraction if soon else POLICY.gap_fraction))
        fee = order.quantity * price * POLICY.cost_fraction
        book = book.after(
            Fill(
                str(number), "any", "any", order.symbol, Side.BUY, order.quantity, price, fee, "USD", NOW, Purpose.ENTRY
            )
        )
    return book.cash


@settings(max_examples=80, deadline=None)
@given(snapshots(), st.dictionaries(st.sampled_from(SYMBOLS), probabilities))
def test_cash_never_goes_negative_whatever_the_portfolio_and_the_prices(
    seen: Snapshot, likely: dict[str, float]
) -> None:
    orders = bought(decided(seen, likely))
    markets = {view.instrument.symbol: view for view in seen.markets}
    for view in seen.accounts:
        own = [order for order in orders if order.account == view.account.id]
        if own:
            assert cash_after(view, own, markets) >= 0


def invested(
    views: Sequence[AccountView], orders: Sequence[Order], prices: Mapping[str, Decimal]
) -> dict[str, Decimal]:
    """USD by symbol: held at `prices` (at cost without one), and every live entry with `orders` as if filled."""
    found: dict[str, Decimal] = {}
    for view in views:
        for symbol, held in view.portfolio.positions.items():
            value = held.quantity * prices[symbol] if symbol in prices else held.cost
            found[symbol] = found.get(symbol, ZERO) + value
        for order in view.live_orders:
            price = max(order.reference_price, prices.get(order.symbol, ZERO))
            found[order.symbol] = found.get(order.symbol, ZERO) + order.remaining * price
    for order in orders:
        found[order.symbol] = found.get(order.symbol, ZERO) + order.quantity * order.reference_price
    return found


def broken_caps(seen: Snapshot, orders: list[Order], policy: Policy) -> list[str]:
    """Which caps the orders of one tick break, in the account that buys or in total."""
    prices = {view.instrument.symbol: view.price for view in seen.markets if view.price is not None}
    prices |= {order.symbol: order.reference_price for order in orders}
    found = []
    for account in {order.account for order in orders}:
        (own,) = (view for view in seen.accounts if view.account.id == account)
        for name, views in (("account", (own,)), ("total", seen.accounts)):
            equity = sum((view.portfolio.value(prices) for view in views), ZERO)
            stakes = invested(views, orders, prices)
            coins = sum((value for symbol, value in stakes.items() if symbol.endswith("-USD")), ZERO)
            bought = {order.symbol for order in orders}
            caps = [(symbol, stakes[symbol], policy.max_asset_fraction) for symbol in bought]
            caps.append(("all assets", sum(stakes.values(), ZERO), policy.max_exposure_fraction))
            if any(symbol.endswith("-USD") for symbol in bought):
                caps.append(("coins", coins, policy.max_crypto_fraction))
            found += [f"{what} in {name}: {value} of {equity}" for what, value, part in caps if value > part * equity]
    return found


@settings(max_examples=80, deadline=None)
@given(snapshots(), st.dictionaries(st.sampled_from(SYMBOLS), probabilities), policies)
def test_every_cap_holds_in_the_account_and_in_total_whatever_the_portfolio_and_the_prices(
    seen: Snapshot, likely: dict[str, float], policy: Policy
) -> None:
    assert broken_caps(seen, bought(decided(seen, likely, policy)), policy) == []


@settings(max_examples=60, deadline=None)
@given(snapshots(), st.dictionaries(st.sampled_from(SYMBOLS), probabilities), policies)
def test_no_position_moves_more_on_an_ordinary_day_than_the_policy_risks(
    seen: Snapshot, likely: dict[str, float], policy: Policy
) -> None:
    known = {view.instrument.symbol: view for view in seen.markets}
    prices = {symbol: view.price for symbol, view in known.items() if view.price is not None}
    for order in bought(decided(seen, likely, policy)):
        (own,) = (view for view in seen.accounts if view.account.id == order.account)
        closes = known[order.symbol].daily.close[-policy.volatility_bars - 1 :]
        sigma = Decimal(float(np.std(closes[1:] / closes[:-1], ddof=1)))
        moved = order.quantity * order.reference_price * sigma
        assert moved <= policy.daily_risk_fraction * own.portfolio.value(prices)


@settings(max_examples=40, deadline=None)
@given(snapshots(), policies, st.data())
def test_several_ticks_in_any_accounts_break_no_cap(seen: Snapshot, policy: Policy, draw: st.DataObject) -> None:
    """Prices stay, entries wait or fill between the ticks, and the account that buys changes."""
    for number in range(4):
        likely = draw.draw(st.dictionaries(st.sampled_from(SYMBOLS), probabilities))
        account = draw.draw(st.sampled_from(("simulated", "manual")))
        seen = replace(seen, origin=f"tick {number}", entry_account=account)
        orders = bought(decided(seen, likely, policy))
        assert broken_caps(seen, orders, policy) == []
        seen = replace(seen, accounts=tuple(after(view, orders, draw) for view in seen.accounts))


def after(view: AccountView, orders: list[Order], draw: st.DataObject) -> AccountView:
    """The account with its part of `orders`, each filled at its price or still waiting."""
    book, waiting = view.portfolio, list(view.live_orders)
    for order in orders:
        if order.account != view.account.id:
            continue
        if draw.draw(st.booleans()):
            waiting.append(order)
            continue
        fee = order.quantity * order.reference_price * POLICY.cost_fraction
        fill = Fill(
            order.client_order_id,
            order.account,
            order.client_order_id,
            order.symbol,
            Side.BUY,
            order.quantity,
            order.reference_price,
            fee,
            "USD",
            NOW,
            Purpose.ENTRY,
        )
        book = book.after(fill)
    return replace(view, portfolio=book, live_orders=tuple(waiting))


@settings(max_examples=60, deadline=None)
@given(snapshots(), st.dictionaries(st.sampled_from(SYMBOLS), probabilities))
def test_every_order_is_one_a_venue_could_take(seen: Snapshot, likely: dict[str, float]) -> None:
    decision = decided(seen, likely)
    instruments = {view.instrument.symbol: view.instrument for view in seen.markets}
    for order in bought(decision):
        instrument = instruments[order.symbol]
        assert order.quantity > 0
        assert order.quantity % instrument.quantity_step == 0
        assert order.quantity * order.reference_price >= instrument.min_order_value
        assert order.bracket is not None
        assert order.bracket.stop % instrument.price_tick == order.bracket.target % instrument.price_tick == 0
        assert 0 < order.bracket.stop < order.reference_price < order.bracket.target
        loss = (order.reference_price - order.bracket.stop) / order.reference_price
        assert loss <= POLICY.stop_fraction
    assert len({order.client_order_id for order in decision.orders}) == len(decision.orders)


@settings(max_examples=40, deadline=None)
@given(snapshots(), st.dictionaries(st.sampled_from(SYMBOLS), probabilities))
def test_an_order_exists_exactly_where_every_gate_passed_and_input_order_changes_nothing(
    seen: Snapshot, likely: dict[str, float]
) -> None:
    decision = decided(seen, likely)
    assert sorted(order.symbol for order in bought(decision)) == sorted(
        signal.symbol for signal in decision.signals if signal.is_buy
    )
    turned = decided(replace(seen, markets=seen.markets[::-1]), likely)
    assert turned.orders == decision.orders
    assert turned.signals == decision.signals[::-1]


@settings(max_examples=60, deadline=None)
@given(snapshots(), st.dictionaries(st.sampled_from(SYMBOLS), probabilities), policies)
def test_what_is_judged_briefly_is_bought_alike(seen: Snapshot, likely: dict[str, float], policy: Policy) -> None:
    predictor = FixedPredictor({**dict.fromkeys(SYMBOLS, 0.9), **likely})
    whole, brief = decide(seen, predictor, policy), enter(seen, predictor, policy, SYMBOLS)
    assert list(brief.orders) == bought(whole)
    assert {signal for signal in brief.signals if signal.is_buy} == {each for each in whole.signals if each.is_buy}
    assert set(brief.signals) <= set(whole.signals)


@settings(max_examples=80, deadline=None)
@given(markets(), prices, st.decimals("1", "50000", places=2), st.decimals("0", "1", places=6), policies)
def test_where_a_look_ahead_sees_no_room_nothing_is_bought(
    seen: MarketView, price: Decimal, equity: Decimal, share: Decimal, policy: Policy
) -> None:
    invested, coins = share * equity, share * equity / 2
    stakes = Stakes(World.REAL, equity, equity - invested, {}, invested, coins)
    sized = size_entry(Purchase(seen, price, stakes, (), policy))
    at, worth = np.array([float(price)]), np.array([float(equity)])
    left = may_afford(
        seen.instrument, at, worth, worth * float(share), worth * float(share) / 2, float(equity - invested), policy
    )
    assert left[0] or sized.quantity == 0
