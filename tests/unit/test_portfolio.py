"""Cash and positions as they follow from entries, by hand-computed cases."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.orders import Purpose, Side
from core.domain.portfolio import (
    AdjustmentKind,
    CashKind,
    CashMovement,
    Entry,
    Fill,
    Portfolio,
    PositionAdjustment,
    portfolio_of,
)
from tests.ledger_builders import START, a_deposit, a_fill

LATER = START + timedelta(days=1)
D = Decimal


def holding(*entries: Entry) -> Portfolio:
    return portfolio_of("simulated", entries)


def bought(quantity: str, price: str, fee: str = "0", **changes: object) -> Fill:
    return a_fill(quantity=D(quantity), price=D(price), fee=D(fee), **changes)


def sold(quantity: str, price: str, fee: str = "0", **changes: object) -> Fill:
    return bought(quantity, price, fee, side=Side.SELL, purpose=Purpose.EXIT, at=LATER, **changes)


COIN = {"symbol": "BTC-USD", "fee_currency": "BTC"}


def test_a_buy_takes_cash_and_counts_its_fee_as_cost() -> None:
    after = holding(a_deposit(), bought("4", "500.25", "1.10"))
    position = after.positions["SPY"]
    assert after.cash == D("7997.90")
    assert (position.quantity, position.cost, position.average_cost) == (4, D("2002.10"), D("500.525"))
    assert (after.fees, after.turnover, after.net_deposits) == (D("1.10"), D("2001.00"), 10_000)
    assert after.last_trade_at == {"SPY": START}


def test_two_buys_are_held_at_average_cost_since_the_first() -> None:
    after = holding(bought("4", "500"), bought("1", "550", at=LATER))
    assert after.positions["SPY"].average_cost == 510
    assert after.positions["SPY"].opened_at == START


def test_a_sale_of_all_closes_the_trade_with_both_fees_in_its_profit() -> None:
    after = holding(a_deposit(), bought("4", "500", "1"), sold("4", "575", "2"))
    (trade,) = after.closed
    assert (trade.cost, trade.proceeds, trade.profit) == (2001, 2298, 297)
    assert (trade.quantity, trade.opened_at, trade.closed_at, trade.purpose) == (4, START, LATER, Purpose.EXIT)
    assert after.cash == 10_297
    assert after.positions == {}
    assert trade.left == 0


def test_a_sale_of_a_part_closes_that_part_at_average_cost() -> None:
    after = holding(bought("4", "500"), sold("1", "600"))
    assert (after.closed[0].profit, after.closed[0].left) == (100, 3)
    assert (after.positions["SPY"].quantity, after.positions["SPY"].cost) == (3, 1500)


def test_a_buying_fee_in_coin_shrinks_the_position_and_not_the_cash() -> None:
    after = holding(a_deposit(), bought("0.1", "60000", "0.00025", **COIN))
    assert after.cash == 4000
    assert (after.positions["BTC-USD"].quantity, after.positions["BTC-USD"].cost) == (D("0.09975"), 6000)
    assert after.fees == 15


def test_what_is_held_after_a_coin_fee_can_be_sold_to_the_last_unit() -> None:
    after = holding(bought("0.1", "60000", "0.00025", **COIN), sold("0.09975", "66000", symbol="BTC-USD"))
    assert after.positions == {}
    assert after.closed[0].profit == D("0.09975") * 66_000 - 6000


def test_a_selling_fee_in_coin_leaves_the_position_with_what_was_sold() -> None:
    after = holding(bought("0.1", "60000", symbol="BTC-USD"), sold("0.0998", "60000", "0.0002", **COIN))
    assert after.positions == {}
    assert after.cash == -6000 + D("0.0998") * 60_000
    assert after.closed[0].quantity == D("0.1")
    assert after.closed[0].profit == -12


def test_more_sold_than_held_closes_what_was_held_and_shows_the_rest_as_short() -> None:
    after = holding(bought("4", "500"), sold("5", "600"))
    (trade,) = after.closed
    assert (trade.quantity, trade.cost, trade.proceeds) == (4, 2000, 2400)
    short = after.positions["SPY"]
    assert (short.quantity, short.cost, short.opened_at) == (-1, -600, LATER)
    assert after.cash == 1000


def test_a_split_multiplies_the_units_and_keeps_the_cost() -> None:
    split = PositionAdjustment("a", "simulated", "SPY", AdjustmentKind.SPLIT, D(4), D(0), LATER)
    after = holding(bought("4", "500"), split)
    assert (after.positions["SPY"].quantity, after.positions["SPY"].average_cost) == (8, 250)
    assert after.cash == -2000


def test_an_adopted_position_has_its_cost_without_touching_cash() -> None:
    adopted = PositionAdjustment("a", "simulated", "QQQ", AdjustmentKind.ADOPTION, D(2), D(800), START)
    after = holding(a_deposit(), adopted)
    assert (after.cash, after.positions["QQQ"].average_cost) == (10_000, 400)


@pytest.mark.parametrize(
    ("kind", "amount", "deposits", "fees"),
    [
        (CashKind.DEPOSIT, "100", "100", "0"),
        (CashKind.WITHDRAWAL, "-40", "-40", "0"),
        (CashKind.DIVIDEND, "3.21", "0", "0"),
        (CashKind.INTEREST, "0.07", "0", "0"),
        (CashKind.FEE, "-1.5", "0", "1.5"),
    ],
)
def test_only_money_moved_in_or_out_counts_as_deposit(kind: CashKind, amount: str, deposits: str, fees: str) -> None:
    after = holding(CashMovement("c", "simulated", kind, D(amount), START))
    assert (after.cash, after.net_deposits, after.fees) == (D(amount), D(deposits), D(fees))


def test_a_position_without_a_price_counts_at_cost() -> None:
    after = holding(a_deposit("5000"), bought("4", "500"), bought("1", "400", symbol="QQQ"))
    assert after.value({"SPY": D(510)}) == 5000 - 2400 + 2040 + 400


def test_a_portfolio_is_not_changed_by_what_follows_from_it() -> None:
    before = holding(bought("4", "500"))
    before.after(sold("4", "600"))
    assert before.quantity("SPY") == 4
    assert before.quantity("QQQ") == 0
    assert before.closed == ()


amounts = st.decimals(min_value="0.0001", max_value=5000, places=4)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(Side), amounts, amounts, st.decimals(0, "0.0001", places=6), st.sampled_from(["USD", "BTC"])
        ),
        max_size=20,
    )
)
def test_cash_is_exact_and_no_money_is_made_or_lost_by_booking(
    fills: list[tuple[Side, Decimal, Decimal, Decimal, str]],
) -> None:
    after = holding(
        *(
            a_fill(side=side, quantity=quantity, price=price, fee=fee, fee_currency=currency, symbol="BTC-USD")
            for side, quantity, price, fee, currency in fills
        )
    )
    signed = [(1 if side is Side.SELL else -1, *rest) for side, *rest in fills]
    cash = sum((way * q * p - (fee if currency == "USD" else 0) for way, q, p, fee, currency in signed), D(0))
    units = sum((-way * q - (fee if currency == "BTC" else 0) for way, q, p, fee, currency in signed), D(0))
    assert after.cash == cash
    assert after.quantity("BTC-USD") == units


@given(st.lists(st.tuples(st.booleans(), amounts, amounts), max_size=20))
def test_what_was_paid_is_either_still_held_at_cost_or_closed_at_a_profit_or_loss(
    trades: list[tuple[bool, Decimal, Decimal]],
) -> None:
    after = holding()
    for buys, quantity, price in trades:
        if buys:
            after = after.after(a_fill(quantity=quantity, price=price))
        elif after.quantity("SPY"):
            after = after.after(a_fill(side=Side.SELL, quantity=min(quantity, after.quantity("SPY")), price=price))
    held = sum((position.cost for position in after.positions.values()), D(0))
    profit = sum((trade.profit for trade in after.closed), D(0))
    assert abs(after.cash + held - profit) < D("1e-12")
    assert all(position.quantity > 0 for position in after.positions.values())
