"""Entries that were decided on an older market: what is not filled within the entry's life is taken back."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from core.domain.orders import OrderState, Purpose
from core.execution.desk import Desk
from core.execution.exits import withdraw

WORKING = frozenset({OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED})


def cancel_stale_entries(desk: Desk, now: datetime, reachable: Collection[str]) -> int:
    """Cancels working entries older than the policy's entry life that the open market has not filled; returns how many.

    An entry that waits for an open is as old as that open. What was filled keeps its guard; the cancellation shows at
    the next reconciliation.
    """
    with desk.reading() as work:
        entries = [
            order
            for order in work.live_orders()
            if order.purpose is Purpose.ENTRY and order.account in reachable and order.state in WORKING
        ]
    stale = [order for order in entries if now - _began(desk, order.symbol, order.created_at) > desk.policy.entry_life]
    if stale:
        hours = desk.policy.entry_life.total_seconds() / 3600
        withdraw(desk, stale, now, reason=f"not filled within {hours:g} hours of the open market: taken back")
    return len(stale)


def _began(desk: Desk, symbol: str, created_at: datetime) -> datetime:
    """When the order could first be filled."""
    instrument = desk.instrument(symbol)
    return created_at if instrument is None else desk.calendar.next_open(instrument.asset_class, created_at)
