"""The minute job: stops and targets of the positions that no venue guards, on the freshest price there is."""

from __future__ import annotations

from datetime import datetime

from core.domain.decisions import Decision
from core.domain.portfolio import GuardKind
from core.execution.desk import Desk
from core.execution.executor import commit_intents, submit_all
from core.execution.picture import take_picture
from core.execution.protect import protect
from core.execution.reconcile import reconcile
from core.strategy.decide import exits


def guard(desk: Desk, now: datetime, scheduled_at: datetime | None = None) -> str:
    """Reconciles, protects and sells what has reached its stop or target. Returns what it did, in words.

    Never held back by a pause, a missing model or a closed chat (DESIGN 3).
    """
    reconciled = reconcile(desk, now)
    protect(desk, now, reconciled.reachable)
    if not _watches_any(desk):
        return "no position needs watching"
    origin = f"guard {(scheduled_at or now).isoformat()}"
    snapshot = take_picture(desk, now, origin, reconciled.reachable, only_held=True)
    orders = exits(snapshot)
    if not orders:
        return "no stop or target reached"
    committed = commit_intents(desk, Decision(now, orders[0].account, (), orders), now)
    submit_all(desk, committed.to_submit, now)
    return f"{len(committed.to_submit)} exits sent, {committed.instructed} handed to the owner"


def _watches_any(desk: Desk) -> bool:
    with desk.ledger() as work:
        return any(each.kind is not GuardKind.VENUE for each in work.guards())
