"""Orders of another installation at our venue: two engines on one account would undo each other, so that this one takes
no entries there until its owner has said which of them trades."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.domain.decisions import Brake, BrakeKind
from core.domain.records import Question, QuestionKind
from core.domain.values import ZERO, plain
from core.domain.venue import VenueOrder
from core.errors import Ambiguous, Transient
from core.execution import questions
from core.execution.desk import Desk
from core.ports import UnitOfWork

TAKEN_OVER = "taken_over"
"""`taken_over:<account>` names the foreign orders that the owner has told us to cancel."""


def mark(work: UnitOfWork, desk: Desk, account: str, orders: Sequence[VenueOrder], now: datetime) -> bool:
    """Sets or lifts the account's brake and asks once; True if anything changed."""
    standing = next(
        (brake for brake in work.brakes() if (brake.kind, brake.scope) == (BrakeKind.FOREIGN_ORDERS, account)), None
    )
    if orders and standing is None:
        reason = f"{len(orders)} orders at {account} belong to another installation of this program"
        work.set_brake(Brake(BrakeKind.FOREIGN_ORDERS, account, reason, now))
        listed = "; ".join(f"{order.side} {plain(order.quantity)} {order.symbol}" for order in orders[:5])
        text = (
            f"{reason.capitalize()}: {listed}. Two engines on one account work against each other, so there are no new "
            "entries here. Take over cancels those orders; stop the other installation first. Leave changes nothing."
        )
        questions.ask(work, desk, QuestionKind.TAKE_OVER, account, "", ours=ZERO, theirs=ZERO, text=text, now=now)
        return True
    if orders or standing is None:
        return False
    work.release_brake(BrakeKind.FOREIGN_ORDERS, account)
    work.set_value(_key(account), None)
    asked = questions.open_question(work, QuestionKind.TAKE_OVER, account, "")
    if asked is not None:
        questions.retire(work, desk, asked, "the other installation's orders are gone", now)
    return True


def take_over(work: UnitOfWork, question: Question) -> str:
    """Writes down that the foreign orders are to be cancelled; the next reconciliation does it."""
    work.set_value(_key(question.account), "yes")
    return f"Taken over: the other installation's orders at {question.account} are being cancelled."


def leave(question: Question) -> str:
    return f"Left alone: {question.account} takes no new entries while the other installation's orders are there."


def cancel_taken_over(desk: Desk, account: str, orders: Sequence[VenueOrder]) -> int:
    """Cancels the foreign orders that the owner gave up to us; returns how many were asked to go."""
    if not orders:
        return 0
    with desk.reading() as work:
        if work.value(_key(account)) is None:
            return 0
    return cancel_all(desk, account, orders)


def cancel_all(desk: Desk, account: str, orders: Sequence[VenueOrder]) -> int:
    """Asks the venue to cancel `orders`; returns how many were asked to go."""
    done = 0
    for order in orders:
        try:
            with desk.changing("cancel"):
                desk.brokers[account].cancel(order.client_order_id)
        except (Transient, Ambiguous):
            # Still there at the next reconciliation, which tries again.
            continue
        done += 1
    return done


def _key(account: str) -> str:
    return f"{TAKEN_OVER}:{account}"
