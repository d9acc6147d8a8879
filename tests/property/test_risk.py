from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.accounts import Mode
from core.domain.bars import BarSize
from core.domain.decisions import Decision
from core.domain.orders import Order, Purpose, Side
from core.domain.portfolio import Fill, Position
from core.domain.values import ZERO
from core.strategy.decide import decide
from core.strategy.policy import Policy
from core.strategy.snapshot import AccountView, MarketView, Snapshot
from tests.snapshot_builders import MANUAL, NOW, FixedPredictor, account_view, entry_order, market, position, snapshot

pytestmark = pytest.mark.feature("S8")

POLICY = Policy()
SYMBOLS = ("SPY", "QQQ", "IWM", "BTC-USD", "ADA-USD", "DIA")
TEMPLATES = {(symbol, size): market(symbol, size=size) for symbol in SYMBOLS for size in (BarSize.M5, BarSize.D1)}

prices = st.one_of(st.decimals("0.5", "90", places=4), st.decimals("0.0002", "90000", places=4))
cash = st.one_of(st.decimals("1000", "50000", places=2), st.decimals("-500", "50000", places=2))
quantities = st.one_of(st.decimals("0.000001", "9", places=6), st.decimals("0.000001", "300", places=6))
probabilities = st.floats(0, 1)


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


def decided(seen: Snapshot, likely: dict[str, float]) -> Decision:
    return decide(seen, FixedPredictor({**dict.fromkeys(SYMBOLS, 0.9), **likely}), POLICY)


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


@settings(max_examples=150, deadline=None)
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


@settings(max_examples=150, deadline=None)
@given(snapshots(), st.dictionaries(st.sampled_from(SYMBOLS), probabilities))
def test_the_cap_holds_in_the_account_and_in_total_whatever_the_portfolio_and_the_prices(
    seen: Snapshot, likely: dict[str, float]
) -> None:
    known = {view.instrument.symbol: view.price for view in seen.markets if view.price is not None}
    for order in bought(decided(seen, likely)):
        (account,) = (view for view in seen.accounts if view.account.id == order.account)
        for views in ((account,), seen.accounts):
            at_reference = {**known, order.symbol: order.reference_price}
            equity = sum((view.portfolio.value(at_reference) for view in views), ZERO)
            exposed = sum((view.portfolio.quantity(order.symbol) for view in views), ZERO) * order.reference_price
            spent = order.quantity * order.reference_price
            assert exposed + spent <= POLICY.max_asset_fraction * equity


@settings(max_examples=100, deadline=None)
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


@settings(max_examples=60, deadline=None)
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
