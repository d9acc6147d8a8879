"""What can be traded, and in which steps."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class AssetClass(StrEnum):
    STOCK = "stock"
    CRYPTO = "crypto"


@dataclass(frozen=True, slots=True)
class Instrument:
    """`symbol` is Yahoo's name (SPY, BTC-USD). Steps are in units and USD."""

    symbol: str
    asset_class: AssetClass
    quantity_step: Decimal
    price_tick: Decimal
    min_order_value: Decimal

    @property
    def is_crypto(self) -> bool:
        return self.asset_class is AssetClass.CRYPTO


def instrument_for(symbol: str) -> Instrument:
    """The instrument behind a Yahoo symbol; names ending in -USD are coins.

    Whole shares for stocks (DESIGN 8, direction); coins in steps of a millionth, prices in hundredths of a cent, which
    is what both venues we trade accept.
    """
    name = symbol.strip().upper()
    if name.endswith("-USD"):
        return Instrument(name, AssetClass.CRYPTO, Decimal("0.000001"), Decimal("0.0001"), Decimal(10))
    return Instrument(name, AssetClass.STOCK, Decimal(1), Decimal("0.01"), Decimal(1))


DEFAULT_SYMBOLS = ("SPY", "QQQ", "IWM", "VTI", "BTC-USD", "ETH-USD", "ADA-USD", "SOL-USD")
