"""What was foreseen of a trade before it was made, beside what it brought.

Models learn from every day of every asset, traded or not: a closed trade teaches them nothing that the bars do not. The
link is for the owner, who sees what the forecast behind his money was worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.domain.decisions import RULE_GATE, Prediction
from core.domain.events import ClosedForecast
from core.domain.orders import Order, Purpose
from core.domain.round_trips import ClosedTrade
from core.ports import UnitOfWork

LONGEST_WAIT = timedelta(days=10)
"""An entry waits no longer for its fill, nor a card for its answer."""
MOST_ORDERS = 1_000


def closed_between(work: UnitOfWork, after: datetime, until: datetime) -> tuple[ClosedForecast, ...]:
    """Of all accounts, what was sold after `after` and by `until`, in order; a position sold in parts is several."""
    found = (trade for account in work.accounts() for trade in work.portfolio(account.id).closed)
    chosen = sorted((each for each in found if after < each.closed_at <= until), key=lambda each: each.closed_at)
    return tuple(_with_forecast(work, chosen))


def closed_of(work: UnitOfWork, symbol: str, most: int = 3) -> tuple[ClosedForecast, ...]:
    """The newest closed trades of a symbol, the newest first."""
    found = (trade for account in work.accounts() for trade in work.portfolio(account.id).closed)
    own = sorted((each for each in found if each.symbol == symbol), key=lambda each: each.closed_at, reverse=True)
    return tuple(_with_forecast(work, own[:most]))


def _with_forecast(work: UnitOfWork, trades: Sequence[ClosedTrade]) -> Iterator[ClosedForecast]:
    for trade in trades:
        fraction = trade.profit / trade.cost if trade.cost > 0 else None
        told = ClosedForecast(trade.account, trade.symbol, trade.profit, fraction, trade.closed_at, trade.purpose)
        made = _prediction_behind(work, trade)
        if made is not None:
            known = work.tracked(made)
            outcome = known.came_true if known is not None else None
            told = replace(told, probability=made.probability, event=made.event, came_true=outcome)
        yield told


def _prediction_behind(work: UnitOfWork, trade: ClosedTrade) -> Prediction | None:
    """That of the decision which made the entry; None where no forecast led to it."""
    entry = _entry_of(work, trade)
    signal = work.signal_behind(entry) if entry is not None else None
    if signal is None or any(verdict.gate == RULE_GATE for verdict in signal.verdicts):
        return None
    return signal.prediction


def _entry_of(work: UnitOfWork, trade: ClosedTrade) -> Order | None:
    """The newest entry that was ordered before the position was opened and has bought something."""
    orders = work.orders(trade.account, trade.opened_at - LONGEST_WAIT, MOST_ORDERS)
    return next(
        (
            order
            for order in sorted(orders, key=lambda each: each.created_at, reverse=True)
            if order.symbol == trade.symbol
            and order.purpose is Purpose.ENTRY
            and order.created_at <= trade.opened_at
            and order.filled_quantity > 0
        ),
        None,
    )
