"""What can be traded, and in which steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache


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


@lru_cache(maxsize=4096)
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


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source says of a symbol: `kind` in its own word (ETF, EQUITY), the last price in `currency` and when it
    was made, and the day of the oldest daily bar where that is known."""

    symbol: str
    name: str
    kind: str
    currency: str
    price: float
    at: datetime
    first: date | None


class Universe:
    """What is traded: the list in force at the time of asking, which the owner may change between two decisions."""

    def __init__(self, listed: Callable[[], Sequence[str]]) -> None:
        self._listed = listed
        self._known: tuple[Sequence[str], tuple[Instrument, ...], dict[str, Instrument]] = ((), (), {})

    @classmethod
    def of(cls, symbols: Iterable[str]) -> Universe:
        """One that never changes."""
        fixed = tuple(symbols)
        return cls(lambda: fixed)

    def all(self) -> tuple[Instrument, ...]:
        return self._now()[1]

    def find(self, symbol: str) -> Instrument | None:
        return self._now()[2].get(symbol)

    def _now(self) -> tuple[Sequence[str], tuple[Instrument, ...], dict[str, Instrument]]:
        listed = self._listed()
        if listed is not self._known[0]:
            instruments = tuple(instrument_for(symbol) for symbol in listed)
            self._known = (listed, instruments, {each.symbol: each for each in instruments})
        return self._known
