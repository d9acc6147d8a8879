"""What is traded at the Alpaca of the tests, and what it does one way or another."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from uuid import NAMESPACE_URL, uuid5

from tests.servers.alpaca_trading_rules import PaperAsset

ARCA, NASDAQ = ("SPY", "DIA", "IWM", "GLD", "TLT"), ("QQQ", "AAPL", "MSFT", "NVDA", "AMZN", "TSLA")
COINS = ("BTC/USD", "ETH/USD", "SOL/USD")


def known_assets() -> dict[str, PaperAsset]:
    return {symbol: listed(symbol) for symbol in (*ARCA, *NASDAQ, *COINS)}


def listed(symbol: str) -> PaperAsset:
    """A stock or a coin that can be traded; coins are named as in BTC/USD."""
    is_coin = "/" in symbol
    return PaperAsset(
        id=str(uuid5(NAMESPACE_URL, f"asset/{symbol}")),
        symbol=symbol,
        asset_class="crypto" if is_coin else "us_equity",
        exchange="CRYPTO" if is_coin else ("ARCA" if symbol in ARCA else "NASDAQ"),
        name=f"{symbol} of the tests",
        marginable=not is_coin,
        shortable=not is_coin,
    )


@dataclass
class Habits:
    """What Alpaca does one way or another. `cancels_slowly`: a cancel rests as pending_cancel until the next price.
    `frozen`: symbols in which nothing trades. `portions`: how much each next execution of an order fills, by its client
    order id or symbol; what is left waits for the next price. `tells_ended_legs`: the stream tells of a leg that ended
    because of the other (alpaca-py issue 198: it does not). `stop_replaces_target`: a target whose stop was met ends as
    replaced, not as canceled (the same issue). `open_shows_filled_parents`: a nested list of open orders shows filled
    purchases whose legs work (alpaca-trade-api-js issue 87: it does not). `refusals`: what the next orders are refused
    with: status, code, words; `standing_refusal` all of them; `patch_refusals` the next replacements. What is replaced
    while Alpaca `replaces_slowly` rests on as pending_replace until the next price; then the exchange may have the new
    order or, where it `rejects_replacements`, not."""

    cancels_slowly: bool = False
    replaces_slowly: bool = False
    rejects_replacements: bool = False
    tells_ended_legs: bool = False
    stop_replaces_target: bool = False
    open_shows_filled_parents: bool = False
    frozen: set[str] = field(default_factory=set)
    portions: dict[str, list[Decimal]] = field(default_factory=dict)
    refusals: list[tuple[int, int, str]] = field(default_factory=list)
    standing_refusal: tuple[int, int, str] | None = None
    patch_refusals: list[tuple[int, int, str]] = field(default_factory=list)
