"""What Alpaca's final no to an order means, in words that its owner understands, with Alpaca's own behind them.

Codes are few and coarse (40310000 stands for buying power, quantity and wash trades alike, 40010001 for a used id and
for a missing field), so that Alpaca's words decide.
"""

from __future__ import annotations

import re

from core.adapters.alpaca_transport import Declined
from core.domain.venue import Refusal, Refused

USED_ID = 40010001
_R = Refusal
_MEANINGS = (
    (
        r"buying power|insufficient (usd|cash|funds)|insufficient balance for usd",
        "not enough buying power for it",
        _R.BUYING_POWER,
    ),
    (
        r"insufficient (qty|quantity)|insufficient balance|not enough (shares|qty)",
        "fewer units of {symbol} are free than it sells: other orders may hold them",
        _R.OTHER,
    ),
    (
        r"wash trade|opposite side",
        "an order for the other side of {symbol} rests there, so it might trade with itself",
        _R.OTHER,
    ),
    (
        r"day.?trad|pattern|\bpdt\b|intraday margin|margin (deficit|call|requirement)",
        "the account is under a day-trade or intraday margin restriction",
        _R.RESTRICTED,
    ),
    (r"halt", "trading in {symbol} is halted", _R.HALTED),
    (
        r"not (active|tradable)|inactive|not currently tradable",
        "{symbol} cannot be traded at Alpaca at present",
        _R.UNTRADABLE,
    ),
    (
        r"market (is )?(closed|not open)|outside .*(market|trading) hours|only during",
        "the market is closed",
        _R.CLOSED,
    ),
    (
        r"crypto.*(not (allowed|enabled|permitted|authorized|available)|agreement)|not .*enabled for crypto",
        "the account may not trade coins",
        _R.UNTRADABLE,
    ),
    (
        r"user request|suspend_trade",
        "trading is suspended in the account's own settings at Alpaca",
        _R.BLOCKED,
    ),
    (r"\bshort", "it would sell more {symbol} than is held", _R.OTHER),
    (
        r"account.*(block|restrict|suspend|not (allowed|authorized|active|eligible))|trading.*(block|suspend|disabled)"
        r"|not authorized to trade|liquidation only",
        "Alpaca takes no orders of this account: it is blocked or restricted",
        _R.BLOCKED,
    ),
    (
        r"(asset|symbol).*(not found|not exist|invalid)|not find asset",
        "Alpaca has no such instrument as {symbol}",
        _R.UNTRADABLE,
    ),
    (
        r"notional|cost basis|minimal amount|min(imum)? order",
        "the order is smaller than Alpaca takes",
        _R.OTHER,
    ),
    (
        r"stop.?price|stop_loss|base.?price",
        "its stop is too close to the price, or already passed by it",
        _R.OTHER,
    ),
    (r"take_profit", "its target is too close to the price, or already passed by it", _R.OTHER),
)


_UNMOVABLE = re.compile(
    r"order is(n't| not) (open|sent)|in \w+ (status|state)|pending|(cannot|can't|can not) be replaced"
    r"|not replaceable|replac.*not (allowed|supported|permitted)|notional|fractional"
)


def is_unmovable(no: Declined) -> bool:
    """Whether an order cannot be moved for what it is, or for its state, and not for where it would rest."""
    said = no.words.lower()
    return bool(_UNMOVABLE.search(said)) and "price" not in said


def may_be_a_used_id(no: Declined) -> bool:
    """Whether the order may be refused because Alpaca has one under its id; only a look-up tells."""
    return no.status == 422 and (no.code == USED_ID or "unique" in no.words.lower())


def refused(no: Declined, symbol: str) -> Refused:
    """What the no means, in words and for what is tried next."""
    said = no.words.lower()
    for pattern, words, kind in _MEANINGS:
        if re.search(pattern, said):
            return Refused(f"{words.format(symbol=symbol)} (Alpaca: {no.words})", kind)
    if no.words:
        return Refused(f"Alpaca refused it: {no.words}")
    return Refused(f"Alpaca refused it without a reason (HTTP {no.status})")
