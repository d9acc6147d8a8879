"""What was foreseen of a trade before it was made, beside what it brought.

Models learn from every day of every asset, traded or not: a closed trade teaches them nothing that the bars do not. The
link is for the owner, who sees what the forecast behind his money was worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from core.domain.decisions import RULE_GATE, Prediction
from core.domain.events import ClosedForecast
from core.domain.orders import Side
from core.domain.portfolio import Fill
from core.domain.round_trips import ClosedTrade
from core.ports import UnitOfWork


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
    openings = {account: _openings(work, account) for account in {trade.account for trade in trades}}
    for trade in trades:
        fraction = trade.profit / trade.cost if trade.cost > 0 else None
        told = ClosedForecast(trade.account, trade.symbol, trade.profit, fraction, trade.closed_at, trade.purpose)
        made = _prediction_behind(work, openings[trade.account].get((trade.symbol, trade.opened_at)))
        if made is not None:
            known = work.tracked(made)
            outcome = known.came_true if known is not None else None
            told = replace(told, probability=made.probability, event=made.event, came_true=outcome)
        yield told


def _openings(work: UnitOfWork, account: str) -> Mapping[tuple[str, datetime], str]:
    """The order of each purchase, by symbol and time: of two at once the first, which opened the position."""
    found = dict[tuple[str, datetime], str]()
    for entry in work.entries(account):
        if isinstance(entry, Fill) and entry.side is Side.BUY:
            found.setdefault((entry.symbol, entry.at), entry.client_order_id)
    return found


def _prediction_behind(work: UnitOfWork, order_id: str | None) -> Prediction | None:
    """That of the decision which made the order; None where no forecast led to it."""
    order = work.order(order_id) if order_id else None
    signal = work.signal_behind(order) if order is not None else None
    if signal is None or any(verdict.gate == RULE_GATE for verdict in signal.verdicts):
        return None
    return signal.prediction
