"""An exit that waits for the owner never falls silent: it is told again until it is answered (T10)."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

from core.domain.events import ExitReminder
from core.domain.orders import Purpose
from core.domain.records import Instruction
from core.domain.values import ZERO
from core.execution.desk import Desk
from core.execution.market import last_prices
from core.ports import UnitOfWork

REMINDED = "exit_reminders"
"""By instruction number: how often it was told again and when last, by the system clock."""


def remind(desk: Desk) -> int:
    """Publishes a reminder for every open exit whose time has come by the system clock; returns how many."""
    now, market_now = desk.system_clock.now(), desk.market_clock.now()
    with desk.ledger() as work:
        waiting = [card for card in work.open_instructions() if card.purpose is not Purpose.ENTRY]
        known = json.loads(work.value(REMINDED) or "{}")
        kept = {str(card.number): known.get(str(card.number), [0, now.isoformat()]) for card in waiting}
        due = [
            card
            for card in waiting
            if now - datetime.fromisoformat(kept[str(card.number)][1]) >= desk.policy.exit_reminder
        ]
        if not due and kept == known:
            return 0
        prices = last_prices(desk, {card.symbol for card in due}, market_now)
        for card in due:
            times = kept[str(card.number)][0] + 1
            kept[str(card.number)] = [times, now.isoformat()]
            work.publish(_reminder(work, desk, card, times, prices.get(card.symbol)), market_time=market_now)
        work.set_value(REMINDED, json.dumps(kept) if kept else None)
        work.commit("reminder")
    return len(due)


def _reminder(work: UnitOfWork, desk: Desk, card: Instruction, times: int, price: Decimal | None) -> ExitReminder:
    order = work.order(card.client_order_id)
    return ExitReminder(
        number=card.number,
        version=card.version,
        needs_approval=card.needs_approval,
        account=card.account,
        symbol=card.symbol,
        quantity=max(order.remaining, ZERO) if order is not None else card.quantity,
        price=price,
        times=times,
        since=card.created_at,
        why=card.why,
        badges=desk.badges(card.account),
        mode=desk.mode(work),
    )
