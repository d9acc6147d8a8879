"""The minute job: every position has its guard, and what has reached its stop or target is sold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.dust import without_dust
from core.execution import alerts, loss_brakes, stops
from core.execution.desk import Desk
from core.execution.exits import SoldOut, sell_out
from core.execution.oversized import cancel_oversized
from core.execution.picture import take_picture
from core.execution.protect import protect
from core.execution.reconcile import reconcile
from core.execution.stale import cancel_stale_entries
from core.strategy.decide import exits
from core.strategy.stakes import prices_of


@dataclass(frozen=True, slots=True)
class LookedAfter:
    """What was sold, and how many brakes were set, stops raised and stops placed."""

    sold: SoldOut
    braked: int
    raised: int
    placed: int


def guard(desk: Desk, now: datetime, scheduled_at: datetime | None = None) -> str:
    """Reconciles, protects and sells what has reached its stop or target. Returns what it did, in words.

    Never held back by a pause, a missing model or a closed chat (DESIGN 3).
    """
    reconciled = reconcile(desk, now)
    protect(desk, now, reconciled.reachable)
    reachable = clear_up(desk, now, reconciled.reachable)
    if not _holds_any(desk):
        alerts.look_at_stops(desk, now, {})
        braked = loss_brakes.check(desk, now, {})
        return f"{braked} brakes set" if braked else "no position needs watching"
    origin = f"guard {(scheduled_at or now).isoformat()}"
    done = look_after(desk, now, origin, reachable)
    words = [
        f"{count} {what}"
        for count, what in (
            (done.sold.sent, "exits sent"),
            (done.sold.instructed, "handed to the owner"),
            (done.sold.waiting, "wait for the venue"),
            (done.braked, "brakes set"),
            (done.raised, "stops raised"),
            (done.placed, "stops placed"),
        )
        if count
    ]
    return ", ".join(words) or "no stop or target reached"


def clear_up(desk: Desk, now: datetime, reachable: frozenset[str]) -> frozenset[str]:
    """Takes back what fits no longer: entries of an older market, and sales of more than is held. Returns the accounts
    that answer."""
    cancel_stale_entries(desk, now, reachable)
    if not cancel_oversized(desk, now, reachable):
        return reachable
    # Gone by now, for the most part: what is still held is sold or protected within this very minute.
    reachable = reconcile(desk, now).reachable
    protect(desk, now, reachable)
    return reachable


def look_after(desk: Desk, now: datetime, origin: str, reachable: frozenset[str]) -> LookedAfter:
    """What every minute and every tick does for open positions, and against losses."""
    sold, prices = _sell_what_is_due(desk, now, origin, reachable)
    braked = loss_brakes.check(desk, now, prices)
    followed = stops.follow(desk, now, prices)
    if followed.withdrawn:
        # The old stops are gone by now: seen at once, so that the new ones rest within this very minute.
        reachable = reconcile(desk, now).reachable
        protect(desk, now, reachable)
    alerts.look_at_stops(desk, now, prices)
    placed, refused = stops.place_missing(desk, now, reachable, prices)
    if refused:
        # A stop that cannot rest is a reason to sell now, not at the next minute (S13).
        more, _ = _sell_what_is_due(desk, now, origin, reachable)
        sold = sold.plus(more)
    return LookedAfter(sold, braked, followed.raised, placed - refused)


def _sell_what_is_due(
    desk: Desk, now: datetime, origin: str, reachable: frozenset[str]
) -> tuple[SoldOut, Mapping[str, Decimal]]:
    snapshot = take_picture(desk, now, origin, reachable, only_held=True)
    wanted = exits(snapshot, desk.policy)
    sold = sell_out(desk, now, origin, wanted, reachable) if wanted else SoldOut()
    return sold, prices_of(snapshot)


def _holds_any(desk: Desk) -> bool:
    with desk.reading() as work:
        return any(without_dust(work.portfolio(account.id).positions) for account in work.accounts())
