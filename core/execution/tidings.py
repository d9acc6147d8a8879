"""The events of orders and fills, built from what the ledger says about them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from core.domain.accounts import Badge
from core.domain.decisions import Signal
from core.domain.events import EntryUndone, OrderFilled, OrderRefused, OrderUncertain, SignalRaised
from core.domain.orders import Order, Purpose, Side
from core.domain.portfolio import Booking, CashMovement, Fill, Guard, Portfolio, PositionAdjustment
from core.domain.values import ZERO, nearest, plain
from core.execution.desk import MANUAL, Desk

EXACT = Decimal("0.00000001")


def signal_raised(desk: Desk, signal: Signal, account: str, quantity: Decimal) -> SignalRaised | None:
    """None for a signal without a price, or without a prediction where one is asked: it can be no buy signal."""
    asked = None if signal.is_by_rule else signal.prediction
    if signal.price is None or (asked is None and not signal.is_by_rule):
        return None
    return SignalRaised(
        account=account,
        symbol=signal.symbol,
        at=signal.at,
        price=signal.price,
        probability=signal.confidence,
        event=asked.event if asked is not None else "",
        model_version=asked.model_version if asked is not None else "",
        reasons=signal.verdicts,
        quantity=quantity,
        badges=desk.badges(account),
    )


def order_filled(
    desk: Desk,
    fills: Sequence[Fill],
    order: Order | None,
    before: Portfolio,
    guard: Guard | None,
    so_far: Decimal | None = None,
) -> OrderFilled:
    """The event of `fills`, all of one order and with one fee's currency, booked on `before`; a sale carries its profit
    after fees. `so_far` is what they fill the order up to; without it they are told as one that filled it altogether.
    An exit that we sent because the price reached the stop or the target is told as what it is."""
    after = before
    for fill in fills:
        after = after.after(fill)
    newest = fills[-1]
    quantity = sum((fill.quantity for fill in fills), ZERO)
    closed = after.closed[len(before.closed) :] if newest.side is Side.SELL else ()
    profit = sum((trade.profit for trade in closed), ZERO) if closed else None
    cost = sum((trade.cost for trade in closed), ZERO)
    is_part = order is not None and so_far is not None and quantity < order.quantity
    return OrderFilled(
        account=newest.account,
        symbol=newest.symbol,
        side=newest.side,
        purpose=_told_purpose(newest, order),
        quantity=quantity,
        price=average_price(fills),
        fee=sum((fill.fee for fill in fills), ZERO),
        at=newest.at,
        stop=guard.stop if guard else None,
        target=guard.target if guard else None,
        guard=guard.kind if guard else None,
        profit=profit,
        profit_fraction=profit / cost if profit is not None and cost > 0 else None,
        cash=after.cash,
        badges=desk.badges(newest.account),
        fee_currency=newest.fee_currency,
        ordered=order.quantity if order is not None and is_part else None,
        filled=so_far if is_part else None,
    )


def average_price(fills: Sequence[Fill]) -> Decimal:
    """USD for a unit, weighted by quantity, to eight decimals; the very price where all fills had the same."""
    if all(fill.price == fills[0].price for fill in fills):
        return fills[0].price
    value = sum((fill.quantity * fill.price for fill in fills), ZERO)
    return nearest(value / sum((fill.quantity for fill in fills), ZERO), EXACT)


def _told_purpose(fill: Fill, order: Order | None) -> Purpose:
    causes = [Purpose(tag) for tag in order.tags if tag in (Purpose.STOP, Purpose.TARGET)] if order else []
    return causes[0] if causes and fill.purpose is Purpose.EXIT else fill.purpose


def order_refused(desk: Desk, order: Order, reason: str) -> OrderRefused:
    """Of an order of which a part was filled, the rest."""
    if order.filled_quantity:
        reason = f"{reason}; {plain(order.filled_quantity)} of {plain(order.quantity)} were filled"
    return OrderRefused(
        order.account, order.symbol, order.side, order.purpose, order.remaining, reason, desk.badges(order.account)
    )


def order_uncertain(desk: Desk, order: Order, reason: str) -> OrderUncertain:
    return OrderUncertain(order.account, order.symbol, order.side, order.quantity, reason, desk.badges(order.account))


def scope_badges(desk: Desk, scope: str) -> tuple[Badge, ...]:
    """What a message about a brake must show: the account's badges where it is one account's."""
    account = scope.partition("/")[0]
    return desk.badges(account if account in desk.brokers else desk.broker_account or MANUAL)


def fill_words(fill: Fill) -> str:
    """One phrase for a settled card."""
    return f"filled {fill.quantity.normalize():f} at {fill.price.normalize():f} USD"


def booking_words(booking: Booking) -> str:
    """One phrase for a booking of the owner: `bought 10 SPY at 512.3 USD, fee 1 USD`, `deposit of 500.00 USD`."""
    if isinstance(booking, CashMovement):
        return f"{booking.kind.value.replace('_', ' ')} of {abs(booking.amount):.2f} USD"
    if isinstance(booking, PositionAdjustment):
        return f"{booking.kind} of {booking.symbol}: {booking.quantity:+f} units"
    verb = "bought" if booking.side is Side.BUY else "sold"
    fee = f", fee {plain(booking.fee)} {booking.fee_currency}" if booking.fee else ""
    return f"{verb} {plain(booking.quantity)} {booking.symbol} at {plain(booking.price)} USD{fee}"


def entry_undone(desk: Desk, undone: Booking, instead: Booking | None, cash: Decimal) -> EntryUndone:
    """The event of a booking that was taken back, or that another one replaced."""
    return EntryUndone(
        account=undone.account,
        symbol="" if isinstance(undone, CashMovement) else undone.symbol,
        what=booking_words(undone),
        instead=booking_words(instead) if instead is not None else "",
        cash=cash,
        badges=desk.badges(undone.account),
    )
