"""What Alpaca says of the account and of an instrument, in our terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from core.adapters.alpaca_names import our_symbol
from core.adapters.alpaca_wire import Row, flag, number, number_or_none, text, word
from core.domain.values import ZERO
from core.domain.venue import VenueAccount, VenueAsset

ACTIVE = frozenset({"ACTIVE", "PAPER_ONLY", "ACCOUNT_UPDATED"})
"""Alpaca's words for accounts that may trade; one whose owner's particulars are being updated may for the most part."""
DOLLARS = "USD"


def state_of(account: Row, positions: Iterable[Row], fees_due: Mapping[str, Decimal]) -> VenueAccount:
    """Raises MalformedAnswer."""
    held = dict[str, Decimal]()
    for row in positions:
        symbol = our_symbol(text(row, "symbol"), word(row, "asset_class"))
        held[symbol] = held.get(symbol, ZERO) + held_of(row)
    return VenueAccount(
        cash=number(account, "cash"),
        positions={symbol: quantity for symbol, quantity in held.items() if quantity},
        number=word(account, "account_number"),
        equity=number_or_none(account, "equity"),
        buying_power=number_or_none(account, "buying_power"),
        currency=word(account, "currency") or DOLLARS,
        status=word(account, "status"),
        restrictions=_restrictions(account),
        fees_due=fees_due,
        trades_coins=word(account, "crypto_status") in ("", *ACTIVE),
    )


def held_of(position: Row) -> Decimal:
    """Units, below zero where they were sold short. Raises MalformedAnswer."""
    quantity = number(position, "qty")
    return -abs(quantity) if word(position, "side") == "short" else quantity


def _restrictions(account: Row) -> tuple[str, ...]:
    status, currency = word(account, "status"), word(account, "currency") or DOLLARS
    found = (
        (flag(account, "account_blocked"), "Alpaca has blocked the account"),
        (flag(account, "trading_blocked"), "Alpaca has blocked trading in the account"),
        (flag(account, "trade_suspended_by_user"), "trading is suspended in the account's own settings at Alpaca"),
        (bool(status) and status not in ACTIVE, f"the account is not active: Alpaca says {status}"),
        (currency != DOLLARS, f"the account is kept in {currency}, and only USD is traded here"),
    )
    return tuple(words for holds, words in found if holds)


def asset_of(row: Row, symbol: str) -> VenueAsset:
    """Raises MalformedAnswer."""
    return VenueAsset(
        symbol=symbol,
        tradable=flag(row, "tradable") and word(row, "status") == "active",
        fractionable=flag(row, "fractionable"),
        min_quantity=number_or_none(row, "min_order_size"),
        quantity_step=number_or_none(row, "min_trade_increment"),
        price_tick=number_or_none(row, "price_increment"),
    )
