"""The minute job: every position has its guard, and what has reached its stop or target is sold."""

from __future__ import annotations

from datetime import datetime

from core.execution import stops
from core.execution.desk import Desk
from core.execution.exits import SoldOut, sell_out
from core.execution.picture import take_picture
from core.execution.protect import protect
from core.execution.reconcile import reconcile
from core.execution.stale import cancel_stale_entries
from core.strategy.decide import exits
from core.strategy.stakes import prices_of


def guard(desk: Desk, now: datetime, scheduled_at: datetime | None = None) -> str:
    """Reconciles, protects and sells what has reached its stop or target. Returns what it did, in words.

    Never held back by a pause, a missing model or a closed chat (DESIGN 3).
    """
    reconciled = reconcile(desk, now)
    protect(desk, now, reconciled.reachable)
    cancel_stale_entries(desk, now, reconciled.reachable)
    if not _holds_any(desk):
        return "no position needs watching"
    origin = f"guard {(scheduled_at or now).isoformat()}"
    sold, raised, placed = look_after(desk, now, origin, reconciled.reachable)
    words = [
        f"{count} {what}"
        for count, what in (
            (sold.sent, "exits sent"),
            (sold.instructed, "handed to the owner"),
            (sold.waiting, "wait for the venue"),
            (raised, "stops raised"),
            (placed, "stops placed"),
        )
        if count
    ]
    return ", ".join(words) or "no stop or target reached"


def look_after(desk: Desk, now: datetime, origin: str, reachable: frozenset[str]) -> tuple[SoldOut, int, int]:
    """What every minute and every tick does for open positions: (sold, stops raised, stops placed)."""
    snapshot = take_picture(desk, now, origin, reachable, only_held=True)
    prices = prices_of(snapshot)
    wanted = exits(snapshot)
    sold = sell_out(desk, now, origin, wanted, reachable) if wanted else SoldOut()
    raised = stops.follow(desk, now, prices)
    placed = stops.place_missing(desk, now, reachable, prices)
    return sold, raised, placed


def _holds_any(desk: Desk) -> bool:
    with desk.reading() as work:
        return any(work.portfolio(account.id).positions for account in work.accounts())
