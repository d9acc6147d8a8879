"""How much of an instrument may be bought: within the cap per asset, and never with money that is not there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from core.domain.decisions import Verdict
from core.domain.instruments import Instrument
from core.domain.orders import Bracket, Order, Purpose, Side
from core.domain.values import ONE, ZERO, ceil_to, floor_to
from core.strategy.policy import Policy
from core.strategy.snapshot import AccountView, MarketView, Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class Sizing:
    """`quantity` in units, a multiple of the instrument's step, zero when any verdict says no.

    `price` is what it was sized at, `reserve` what the purchase may cost at worst, both in USD; `bracket` its stop-loss
    and take-profit.
    """

    account: AccountView
    price: Decimal
    quantity: Decimal
    reserve: Decimal
    bracket: Bracket
    verdicts: tuple[Verdict, ...]


def bracket_for(price: Decimal, tick: Decimal, policy: Policy) -> Bracket:
    """Stop rounded up and target rounded down to the tick: a smaller loss, a target more surely reached."""
    return Bracket(
        ceil_to(price * (ONE - policy.stop_fraction), tick), floor_to(price * (ONE + policy.target_fraction), tick)
    )


def size_entry(
    snapshot: Snapshot, market: MarketView, account: AccountView, price: Decimal, policy: Policy, committed: Decimal
) -> Sizing:
    """The largest purchase at `price` (USD) in `account` that keeps cap and cash.

    `committed` is the USD that earlier entries of the same tick have already taken.
    """
    instrument = market.instrument
    bracket = bracket_for(price, instrument.price_tick, policy)
    room = _cap_room(snapshot, account, instrument.symbol, price, policy)
    by_cap = floor_to(room / (price * (ONE + policy.band_fraction)), instrument.quantity_step)
    free = free_cash(snapshot, account, policy) - committed
    unit_reserve = price * worst_case(market, policy)
    by_cash = floor_to(max(free, ZERO) / unit_reserve, instrument.quantity_step)
    verdicts = (
        _bracket_verdict(bracket, price),
        _cap_verdict(by_cap, room, price, instrument, policy),
        _cash_verdict(by_cash, free, unit_reserve, price, instrument),
    )
    quantity = min(by_cap, by_cash) if all(verdict.passed for verdict in verdicts) else ZERO
    return Sizing(account, price, quantity, quantity * unit_reserve, bracket, verdicts)


def worst_case(market: MarketView | None, policy: Policy) -> Decimal:
    """By which factor a purchase may become dearer than its price, costs included.

    An order that fills at the very next moment stays within its entry band; one that waits for an open may meet a gap.
    """
    soon = market is not None and market.is_open and market.confirm.size.is_intraday
    slack = policy.band_fraction if soon else policy.gap_fraction
    return (ONE + slack) * (ONE + policy.cost_fraction)


def free_cash(snapshot: Snapshot, account: AccountView, policy: Policy) -> Decimal:
    """Cash of `account` in USD, less what its live entry orders may still take; may be negative."""
    return snapshot.once(("free cash", account.account.id, policy), lambda: _free_cash(snapshot, account, policy))


def _free_cash(snapshot: Snapshot, account: AccountView, policy: Policy) -> Decimal:
    markets = {market.instrument.symbol: market for market in snapshot.markets}
    pending = (
        order.remaining * _order_price(order) * worst_case(markets.get(order.symbol), policy)
        for order in account.live_orders
        if _is_entry(order)
    )
    return account.portfolio.cash - sum(pending, ZERO)


def prices_of(snapshot: Snapshot) -> Mapping[str, Decimal]:
    return snapshot.once(
        "prices",
        lambda: {market.instrument.symbol: market.price for market in snapshot.markets if market.price is not None},
    )


def _cap_room(snapshot: Snapshot, account: AccountView, symbol: str, price: Decimal, policy: Policy) -> Decimal:
    """USD that may still go into `symbol`: the cap counts per account and in total (DESIGN 8), pending entries too."""

    def room(views: tuple[AccountView, ...]) -> Decimal:
        equity = sum((_equity(snapshot, view, symbol, price) for view in views), ZERO)
        exposed = sum((_exposure(view, symbol, price) for view in views), ZERO)
        return policy.max_asset_fraction * equity - exposed

    return max(ZERO, min(room((account,)), room(snapshot.accounts)))


def _equity(snapshot: Snapshot, view: AccountView, symbol: str, price: Decimal) -> Decimal:
    """What the account is worth in USD at the snapshot's prices, but `symbol` at `price`."""
    prices = prices_of(snapshot)
    if symbol in view.portfolio.positions and prices.get(symbol) != price:
        return view.portfolio.value({**prices, symbol: price})
    return snapshot.once(("equity", view.account.id), lambda: view.portfolio.value(prices))


def _exposure(view: AccountView, symbol: str, price: Decimal) -> Decimal:
    pending = (
        order.remaining * max(_order_price(order), price) for order in view.orders_in(symbol) if _is_entry(order)
    )
    return view.portfolio.quantity(symbol) * price + sum(pending, ZERO)


def _is_entry(order: Order) -> bool:
    return order.purpose is Purpose.ENTRY and order.side is Side.BUY and order.is_live


def _order_price(order: Order) -> Decimal:
    return max(order.reference_price, order.limit_price or ZERO)


def _bracket_verdict(bracket: Bracket, price: Decimal) -> Verdict:
    passed = ZERO < bracket.stop < price < bracket.target
    return Verdict("bracket", passed, f"stop {bracket.stop:f}, target {bracket.target:f} around {price:f}")


def _cap_verdict(quantity: Decimal, room: Decimal, price: Decimal, instrument: Instrument, policy: Policy) -> Verdict:
    share = f"{100 * policy.max_asset_fraction:.0f} %"
    if _is_worth(quantity, price, instrument):
        return Verdict("cap", True, f"{share} of equity leaves room for {room:,.2f} USD")
    return Verdict("cap", False, f"{share} of equity leaves {room:,.2f} USD, {_least(price, instrument)}")


def _cash_verdict(
    quantity: Decimal, free: Decimal, unit_reserve: Decimal, price: Decimal, instrument: Instrument
) -> Verdict:
    passed = _is_worth(quantity, price, instrument)
    reason = f"{free:,.2f} USD free after pending entries"
    if not passed:
        reason += f", {_least(price, instrument)} ({unit_reserve:,.2f} USD a unit at worst)"
    return Verdict("cash", passed, reason)


def _is_worth(quantity: Decimal, price: Decimal, instrument: Instrument) -> bool:
    return quantity > 0 and quantity * price >= instrument.min_order_value


def _least(price: Decimal, instrument: Instrument) -> str:
    least = max(instrument.min_order_value, instrument.quantity_step * price)
    return f"the smallest order is {least:,.2f} USD"
