"""Sales that the owner is asked to make in the broker's own app, while the broker does not let us (S11, DESIGN 8).

The card is bound to the account that holds the position: it is never an order for another broker, nothing is booked
from it, and what he did is learned of from the broker's own fills once they are seen again. Its order stands for the
sale until then, so that nobody is asked twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from core.domain.orders import Order, OrderState
from core.domain.records import Instruction, InstructionState
from core.domain.values import ZERO, floor_to
from core.domain.views import AnswerKind, OwnerAnswer
from core.execution import manual
from core.execution.desk import Desk
from core.ports import UnitOfWork
from core.strategy.decide import IN_APP

DONE, CANNOT = "done", "cannot"
"""Outcomes that the owner's answer has on the card."""


def done(work: UnitOfWork, desk: Desk, card: Instruction, now: datetime) -> OwnerAnswer:
    """The owner says that he has sold: believed and waited for, not booked."""
    settled = card.moved(InstructionState.EXECUTED)
    work.save_instruction(settled)
    detail = "noted; it is booked when the broker tells of it"
    work.publish(manual.settlement(desk, settled, DONE, detail), market_time=now)
    return OwnerAnswer(AnswerKind.DONE, f"Instruction {card.number} is noted: {detail}.", settled)


def cannot(work: UnitOfWork, desk: Desk, card: Instruction, now: datetime) -> OwnerAnswer:
    """He cannot, or will not: only the broker's return is left."""
    settled = card.moved(InstructionState.SKIPPED)
    work.save_instruction(settled)
    detail = f"nobody sells {card.symbol} until the broker is back; then I do it myself"
    work.publish(manual.settlement(desk, settled, CANNOT, detail), market_time=now)
    return OwnerAnswer(AnswerKind.DONE, f"Instruction {card.number}: {detail}.", settled)


def settle(work: UnitOfWork, desk: Desk, account: str, now: datetime, *, is_back: bool) -> int:
    """Ends what has come to its end: the position is gone, or the broker is back and the engine sells by itself.
    Returns how many."""
    held, count = work.portfolio(account), 0
    for order in waiting(work, account):
        left = floor_to(max(held.quantity(order.symbol), ZERO), desk.any_instrument(order.symbol).quantity_step)
        if left and not is_back:
            continue
        reason = "the broker is back: I sell what is left myself" if left else "sold, as the broker tells"
        work.save_order(order.moved(OrderState.CANCELED, now, reason=reason))
        card = work.instruction_of(order.client_order_id)
        if card is not None and card.is_open:
            settled = card.moved(InstructionState.SUPERSEDED if left else InstructionState.EXECUTED)
            work.save_instruction(settled)
            work.publish(manual.settlement(desk, settled, settled.state.value, reason), market_time=now)
        count += 1
    return count


def waiting(work: UnitOfWork, account: str) -> Iterator[Order]:
    """The live orders that stand for such sales."""
    return (order for order in work.live_orders(account) if IN_APP in order.tags)
