"""What is left of a coin that cannot be sold: venues keep coins finer than they trade them, take fees in coin, and sell
no less of one than is worth a smallest order."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from core.domain.accounts import AccountKind
from core.domain.instruments import instrument_for
from core.domain.portfolio import Position
from core.domain.values import ZERO

WITH_A_SMALLEST_SALE = frozenset({AccountKind.ALPACA_PAPER.value, AccountKind.ALPACA_LIVE.value})
"""The accounts whose venue asks of a coin's sale what it asks of a purchase: to be worth so much."""


def is_dust(symbol: str, quantity: Decimal) -> bool:
    """Whether `quantity` units of a coin are less than the smallest step that trades. Shares never are: a fraction of
    one can be sold by the owner."""
    instrument = instrument_for(symbol)
    return instrument.is_crypto and abs(quantity) < instrument.quantity_step


def is_left(position: Position) -> bool:
    """Whether the position is dust, or a coin in an account whose venue sells no so small a part of it.

    By what it cost, which does not waver as its price does; what came without a cost counts in full.
    """
    instrument = instrument_for(position.symbol)
    if not instrument.is_crypto:
        return False
    if abs(position.quantity) < instrument.quantity_step:
        return True
    return position.account in WITH_A_SMALLEST_SALE and ZERO < position.cost < instrument.min_order_value


def without_dust(positions: Mapping[str, Position]) -> dict[str, Position]:
    """The positions that can be sold, and so are guarded, counted and shown; dust still counts in every value."""
    return {symbol: held for symbol, held in positions.items() if not is_left(held)}
