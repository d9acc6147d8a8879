"""What is left of a coin that cannot be sold: venues keep coins finer than they trade them, and take fees in coin."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from core.domain.instruments import instrument_for
from core.domain.portfolio import Position


def is_dust(symbol: str, quantity: Decimal) -> bool:
    """Whether `quantity` units of a coin are less than the smallest step that trades. Shares never are: a fraction of
    one can be sold by the owner."""
    instrument = instrument_for(symbol)
    return instrument.is_crypto and abs(quantity) < instrument.quantity_step


def without_dust(positions: Mapping[str, Position]) -> dict[str, Position]:
    """The positions that can be sold, and so are guarded, counted and shown; dust still counts in every value."""
    return {symbol: held for symbol, held in positions.items() if not is_dust(symbol, held.quantity)}
