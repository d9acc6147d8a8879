"""What accounts have at stake: their worth, and what is invested or about to be, at the prices of a snapshot. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from core.domain.accounts import World
from core.domain.instruments import instrument_for
from core.domain.orders import Order, Purpose, Side
from core.domain.values import ONE, ZERO
from core.strategy.policy import Policy
from core.strategy.snapshot import AccountView, MarketView, Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class Stakes:
    """Of one account, in USD. An entry that waits counts as bought, at its own price or the market's if that is higher.

    `free_cash` is what no waiting entry can claim even at worst; it may be negative. `of_symbol` is what is invested
    in each symbol, `invested` in all, `in_coins` in the coins among them.
    """

    world: World
    equity: Decimal
    free_cash: Decimal
    of_symbol: Mapping[str, Decimal]
    invested: Decimal
    in_coins: Decimal

    def buying(self, symbol: str, value: Decimal, reserve: Decimal) -> Stakes:
        """These stakes once a purchase for `value`, which may cost `reserve` at worst, is on its way."""
        return replace(
            self,
            free_cash=self.free_cash - reserve,
            of_symbol={**self.of_symbol, symbol: self.of_symbol.get(symbol, ZERO) + value},
            invested=self.invested + value,
            in_coins=self.in_coins + (value if instrument_for(symbol).is_crypto else ZERO),
        )


def stakes_of(snapshot: Snapshot, policy: Policy) -> dict[str, Stakes]:
    """By account id."""
    markets = {market.instrument.symbol: market for market in snapshot.markets}
    prices = prices_of(snapshot)
    return {view.account.id: _stakes(view, markets, prices, policy) for view in snapshot.accounts}


def prices_of(snapshot: Snapshot) -> Mapping[str, Decimal]:
    return snapshot.once(
        "prices",
        lambda: {market.instrument.symbol: market.price for market in snapshot.markets if market.price is not None},
    )


def worst_case(market: MarketView | None, policy: Policy) -> Decimal:
    """By which factor a purchase may become dearer than its price, costs included.

    An order that fills at the very next moment stays within its entry band; one that waits for an open may meet a gap.
    """
    soon = market is not None and market.is_open and market.confirm.size.is_intraday
    slack = policy.band_fraction if soon else policy.gap_fraction
    return (ONE + slack) * (ONE + policy.cost_fraction)


def _stakes(
    view: AccountView, markets: Mapping[str, MarketView], prices: Mapping[str, Decimal], policy: Policy
) -> Stakes:
    portfolio = view.portfolio
    held = {
        symbol: max(ZERO, position.quantity * prices[symbol] if symbol in prices else position.cost)
        for symbol, position in portfolio.positions.items()
    }
    coins = sum((value for symbol, value in held.items() if instrument_for(symbol).is_crypto), ZERO)
    spendable = portfolio.cash if view.buying_power is None else min(portfolio.cash, view.buying_power)
    stakes = Stakes(view.account.world, portfolio.value(prices), spendable, held, sum(held.values(), ZERO), coins)
    for order in filter(_is_entry, view.live_orders):
        price = max(order.reference_price, order.limit_price or ZERO)
        value = order.remaining * max(price, prices.get(order.symbol, price))
        reserve = order.remaining * price * worst_case(markets.get(order.symbol), policy)
        stakes = stakes.buying(order.symbol, value, reserve)
    return stakes


def _is_entry(order: Order) -> bool:
    return order.purpose is Purpose.ENTRY and order.side is Side.BUY and order.is_live
