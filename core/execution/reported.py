"""A fill in the owner's words, booked on the instruction that it belongs to. In the caller's transaction."""

from __future__ import annotations

from datetime import datetime

from core.domain.records import AuditRecord, Instruction
from core.domain.values import ZERO
from core.domain.views import AnswerKind, OwnerAnswer, ReportedFill
from core.execution.bookings import Execution, book, fill_of, objection, refused, repetition
from core.execution.desk import Desk
from core.execution.matching import find_instruction
from core.ports import UnitOfWork


def report(work: UnitOfWork, desk: Desk, fill: ReportedFill, tap: str, now: datetime) -> OwnerAnswer:
    """Books the fill in the manual account only; a lapsed instruction by its number. DONE has something to commit."""
    found = reportable(work, desk, fill)
    if isinstance(found, OwnerAnswer):
        return found
    execution = execution_of(work, found, fill, tap, now)
    if fill.quantity is not None and not fill.insist:
        repeated = repetition(work, fill_of(found, execution))
        if repeated:
            return refused(repeated, found)
    return book_execution(work, desk, found, execution, now)


def reportable(work: UnitOfWork, desk: Desk, fill: ReportedFill) -> Instruction | OwnerAnswer:
    """The instruction on which the fill can be booked, or why there is none."""
    found = find_instruction(work, desk, fill)
    if isinstance(found, OwnerAnswer):
        return found
    if found.needs_approval:
        return refused(
            f"Instruction {found.number} is for the account {found.account}: the broker executes it after "
            "your approval, and its fills come from there. Nothing was booked.",
            found,
        )
    if found.is_in_app:
        return refused(
            f"Instruction {found.number} is a sale in the app of {found.account}'s own broker: tap Done on its card. I "
            "book it from the broker's word as soon as it answers again. Nothing was booked.",
            found,
        )
    if fill.side is not None and fill.side is not found.side:
        said = "bought" if fill.side.value == "buy" else "sold"
        return refused(
            f"You wrote {said}, but instruction {found.number} is a {found.side} of {found.symbol}. "
            "Nothing was booked.",
            found,
        )
    return found


def execution_of(work: UnitOfWork, found: Instruction, fill: ReportedFill, tap: str, now: datetime) -> Execution:
    """What the owner left out is the instruction's: what is left of it, at the price shown, now."""
    order = work.order(found.client_order_id)
    left = order.remaining if order is not None else found.quantity
    return Execution(f"tap:{tap}", fill.quantity or left, fill.price or found.price, fill.fee or ZERO, fill.at or now)


def book_execution(
    work: UnitOfWork, desk: Desk, instruction: Instruction, execution: Execution, now: datetime
) -> OwnerAnswer:
    """Books it where nothing speaks against it; DONE has something to commit."""
    order = work.order(instruction.client_order_id)
    wrong = objection(work, instruction, order, execution, now)
    if wrong is not None or order is None:
        return refused(wrong or "", instruction)
    settled = book(work, desk, instruction, order, execution, now)
    if settled is None:
        return OwnerAnswer(AnswerKind.UNCHANGED, "That fill is booked already.", instruction)
    outcome = f"{execution.quantity} at {execution.price}"
    work.audit(AuditRecord(desk.system_clock.now(), "owner", f"executed {instruction.number}", outcome))
    verb = "Bought" if instruction.side.value == "buy" else "Sold"
    amount = f"{execution.quantity.normalize():f} {instruction.symbol} at {execution.price.normalize():f} USD"
    return OwnerAnswer(AnswerKind.DONE, f"{verb} {amount}: booked in the manual account.", settled)
