"""Cards to buy that nobody answered in their time: dropped, sent by themselves (play money only), or asked again, as
the policy says (T6). Cards to sell never lapse and never act by themselves: they are brought up again
(core.execution.escalation)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

from core.domain.accounts import AccountKind
from core.domain.orders import Order, OrderState, Purpose
from core.domain.records import AuditRecord, Instruction, InstructionState
from core.domain.values import plain
from core.execution import approvals, executor, manual
from core.execution.desk import Desk
from core.execution.market import last_prices
from core.ports import UnitOfWork
from core.strategy.policy import NoAnswer

ASKED_AGAIN = "asked_again"
"""By instruction number: how often its card was asked again."""
MOST_REPEATS = 2
PLAY_MONEY = frozenset({AccountKind.SIMULATED, AccountKind.ALPACA_PAPER})


def expire_instructions(desk: Desk) -> int:
    """Deals with every entry whose time is over by the system clock; returns how many."""
    system_now, now = desk.system_clock.now(), desk.market_clock.now()
    released = list[Order]()
    with desk.ledger() as work:
        over = [old for old in work.open_instructions() if old.expires_at is not None and old.expires_at <= system_now]
        if not over:
            return 0
        for old in over:
            order = _deal_with(work, desk, old, now)
            if order is not None:
                released.append(order)
        work.commit("expiry")
    # Committed first: a crash from here on leaves an order that the next start looks up under its own id.
    for order in released:
        executor.submit(desk, order, now)
    manual.write_manual_trades(desk)
    return len(over)


def _deal_with(work: UnitOfWork, desk: Desk, old: Instruction, now: datetime) -> Order | None:
    """The order that is to be sent, where there is one."""
    rule = desk.policy.no_answer
    if rule is NoAnswer.EXECUTE and old.needs_approval and desk.account(old.account).kind in PLAY_MONEY:
        return _send_by_itself(work, desk, old, now)
    if rule is NoAnswer.REMIND and _ask_again(work, desk, old, now):
        return None
    _lapse(work, desk, old, _unanswered(desk), now)
    return None


def _send_by_itself(work: UnitOfWork, desk: Desk, old: Instruction, now: datetime) -> Order | None:
    """Bound to the card's price band like a tap; a price that nobody knows is no price to buy at."""
    order = work.order(old.client_order_id)
    price = last_prices(desk, {old.symbol}, now).get(old.symbol)
    waits = order is not None and order.state is OrderState.AWAITING_OWNER and order.purpose is Purpose.ENTRY
    if order is None or not waits or price is None or not approvals.in_band(old, price):
        known = f"the price of {plain(price)} USD has left the band" if price is not None else "there is no price"
        _lapse(work, desk, old, f"{_unanswered(desk)}, and {known}: not sent", now)
        return None
    approvals.release(work, old, order, now)
    record = f"{_unanswered(desk)}: sent by itself, as NO_ANSWER=execute asks"
    work.audit(AuditRecord(desk.system_clock.now(), "engine", f"approve {old.number}", record))
    return work.order(old.client_order_id)


def _ask_again(work: UnitOfWork, desk: Desk, old: Instruction, now: datetime) -> bool:
    """A new card below the old one, at the price of now; False where it was asked again often enough."""
    order = work.order(old.client_order_id)
    open_numbers = {str(each.number) for each in work.open_instructions()}
    repeats = {key: times for key, times in json.loads(work.value(ASKED_AGAIN) or "{}").items() if key in open_numbers}
    times = repeats.get(str(old.number), 0)
    if order is None or times >= MOST_REPEATS:
        return False
    price = last_prices(desk, {old.symbol}, now).get(old.symbol)
    untouched = order.state is OrderState.AWAITING_OWNER
    moved = approvals.at_price(desk, old, order, price, now) if untouched and price is not None else order
    if moved is None:
        return False
    proposed = approvals.proposal_at(work, desk, old, order, moved) if old.needs_approval else None
    work.save_order(moved)
    card = manual.repriced(desk, old, moved) if untouched else replace(old, version=old.version + 1)
    detail = f"{_unanswered(desk)}: asked again below ({times + 1} of {MOST_REPEATS} times)"
    work.publish(manual.settlement(desk, old, "asked again", detail), market_time=now)
    expires_at = desk.system_clock.now() + desk.policy.instruction_life
    again = replace(card, expires_at=expires_at)
    manual.reissue(work, desk, again, now, proposed=proposed, limit_price=moved.limit_price)
    work.set_value(ASKED_AGAIN, json.dumps({**repeats, str(old.number): times + 1}))
    return True


def _lapse(work: UnitOfWork, desk: Desk, old: Instruction, detail: str, now: datetime) -> None:
    manual.lapse(work, desk, old, InstructionState.EXPIRED, OrderState.EXPIRED, detail, now)


def _unanswered(desk: Desk) -> str:
    return f"not answered within {int(desk.policy.instruction_life.total_seconds() // 60)} minutes"
