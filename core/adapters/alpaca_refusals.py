"""What Alpaca's final no to an order means, in words that its owner understands, with Alpaca's own behind them.

Codes are few and coarse (40310000 stands for buying power, quantity and wash trades alike, 40010001 for a used id and
for a missing field), so that Alpaca's words decide.
"""

from __future__ import annotations

import re

from core.adapters.alpaca_transport import Declined
from core.domain.venue import OrderRequest

USED_ID = 40010001
_MEANINGS = (
    (r"buying power|insufficient (usd|cash|funds)|insufficient balance for usd", "not enough buying power for it"),
    (
        r"insufficient (qty|quantity)|insufficient balance|not enough (shares|qty)",
        "fewer units of {symbol} are free than it sells: other orders may hold them",
    ),
    (r"wash trade|opposite side", "an order for the other side of {symbol} rests there, so it might trade with itself"),
    (
        r"day.?trad|pattern|\bpdt\b|intraday margin|margin (deficit|call|requirement)",
        "the account is under a day-trade or intraday margin restriction",
    ),
    (r"halt", "trading in {symbol} is halted"),
    (r"not (active|tradable)|inactive|not currently tradable", "{symbol} cannot be traded at Alpaca at present"),
    (r"market (is )?(closed|not open)|outside .*(market|trading) hours|only during", "the market is closed"),
    (
        r"crypto.*(not (allowed|enabled|permitted|authorized|available)|agreement)|not .*enabled for crypto",
        "the account may not trade coins",
    ),
    (r"user request|suspend_trade", "trading is suspended in the account's own settings at Alpaca"),
    (r"\bshort", "it would sell more {symbol} than is held"),
    (
        r"account.*(block|restrict|suspend|not (allowed|authorized|active|eligible))|trading.*(block|suspend|disabled)"
        r"|not authorized to trade|liquidation only",
        "Alpaca takes no orders of this account: it is blocked or restricted",
    ),
    (r"(asset|symbol).*(not found|not exist|invalid)|not find asset", "Alpaca has no such instrument as {symbol}"),
    (r"notional|cost basis|minimal amount|min(imum)? order", "the order is smaller than Alpaca takes"),
    (r"stop.?price|stop_loss|base.?price", "its stop is too close to the price, or already passed by it"),
    (r"take_profit", "its target is too close to the price, or already passed by it"),
)


def may_be_a_used_id(no: Declined) -> bool:
    """Whether the order may be refused because Alpaca has one under its id; only a look-up tells."""
    return no.status == 422 and (no.code == USED_ID or "unique" in no.words.lower())


def words_of(no: Declined, request: OrderRequest) -> str:
    said = no.words.lower()
    meaning = next((words for pattern, words in _MEANINGS if re.search(pattern, said)), None)
    if meaning is None:
        return (
            f"Alpaca refused it: {no.words}" if no.words else f"Alpaca refused it without a reason (HTTP {no.status})"
        )
    return f"{meaning.format(symbol=request.symbol)} (Alpaca: {no.words})"
