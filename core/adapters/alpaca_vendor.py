"""alpaca-py's clients for prices and the questions put to them. Imported when the first one is asked: that costs half a
second and nine megabytes, which nobody without keys should pay."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from core.adapters.alpaca_transport import AlpacaKeys, AlpacaTransport
from core.domain.bars import BarSize

with warnings.catch_warnings():
    # alpaca-py 0.44 stands on the older half of websockets, which says that it will go.
    warnings.filterwarnings("ignore", message=r"websockets\.legacy", category=DeprecationWarning)
    from alpaca.data.enums import Adjustment, CorporateActionsType, DataFeed
    from alpaca.data.historical.corporate_actions import CorporateActionsClient
    from alpaca.data.historical.crypto import CryptoHistoricalDataClient
    from alpaca.data.historical.stock import StockHistoricalDataClient
    from alpaca.data.requests import (
        CorporateActionsRequest,
        CryptoBarsRequest,
        CryptoLatestQuoteRequest,
        CryptoLatestTradeRequest,
        StockBarsRequest,
        StockLatestQuoteRequest,
        StockLatestTradeRequest,
    )
    from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

# All it has to say arrives as an exception or as a message; its log lines would only repeat it.
logging.getLogger("alpaca").setLevel(logging.CRITICAL)

Kind = Literal["quotes", "trades"]
STOCK_FRAMES = {
    BarSize.M1: TimeFrame(1, TimeFrameUnit.Minute),
    BarSize.M5: TimeFrame(5, TimeFrameUnit.Minute),
    BarSize.H1: TimeFrame(30, TimeFrameUnit.Minute),
    BarSize.D1: TimeFrame(1, TimeFrameUnit.Day),
}
COIN_FRAMES = STOCK_FRAMES | {size: TimeFrame(1, TimeFrameUnit.Hour) for size in (BarSize.H1, BarSize.D1)}
"""What fits our sizes, or what ours are put together from (see alpaca_rows)."""
ACTIONS = [CorporateActionsType.CASH_DIVIDEND, CorporateActionsType.FORWARD_SPLIT, CorporateActionsType.REVERSE_SPLIT]


@dataclass(frozen=True, slots=True)
class Vendor:
    """alpaca-py's clients; they hand on what Alpaca said as it was said. Names are Alpaca's."""

    stocks: StockHistoricalDataClient
    coins: CryptoHistoricalDataClient
    corporate: CorporateActionsClient
    feed: DataFeed

    def bars(self, name: str, size: BarSize, start: datetime, end: datetime) -> Any:
        """All pages together."""
        span: dict[str, Any] = {"symbol_or_symbols": name, "start": start, "end": end}
        if _is_coin(name):
            return self.coins.get_crypto_bars(CryptoBarsRequest(timeframe=COIN_FRAMES[size], **span))
        return self.stocks.get_stock_bars(
            StockBarsRequest(timeframe=STOCK_FRAMES[size], adjustment=Adjustment.SPLIT, feed=self.feed, **span)
        )

    def latest(self, kind: Kind, names: Sequence[str]) -> Any:
        """The latest quote or trade of each; `names` are of stocks alone or of coins alone."""
        wanted = list(names)
        if _is_coin(wanted[0]):
            if kind == "quotes":
                return self.coins.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols=wanted))
            return self.coins.get_crypto_latest_trade(CryptoLatestTradeRequest(symbol_or_symbols=wanted))
        if kind == "quotes":
            return self.stocks.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols=wanted, feed=self.feed))
        return self.stocks.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols=wanted, feed=self.feed))

    def actions(self, name: str, first: date, last: date) -> Any:
        """Those that Alpaca booked between the two days."""
        return self.corporate.get_corporate_actions(
            CorporateActionsRequest(symbols=[name], types=ACTIONS, start=first, end=last)
        )


def connect(keys: AlpacaKeys, transport: AlpacaTransport, address: str | None, feed: str) -> Vendor:
    """Clients whose requests travel by `transport`. `address` is where Alpaca is, if not at its own."""
    how: dict[str, Any] = {
        "api_key": keys.key_id,
        "secret_key": keys.secret,
        "raw_data": True,
        "url_override": address,
    }
    vendor = Vendor(
        StockHistoricalDataClient(**how),
        CryptoHistoricalDataClient(**how),
        CorporateActionsClient(**how),
        DataFeed(feed),
    )
    for client in (vendor.stocks, vendor.coins, vendor.corporate):
        transport.serve(client)
    return vendor


def _is_coin(name: str) -> bool:
    return "/" in name
