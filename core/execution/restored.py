"""What a ledger that came back from a backup must let go of: cards and messages of a time whose sequel is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.domain.accounts import Account, AccountKind, Badge, World
from core.domain.events import (
    ExitReminder,
    InstructionChanged,
    InstructionIssued,
    InstructionSettled,
    LedgerRestored,
    Priority,
    QuestionAsked,
    QuestionSettled,
)
from core.domain.orders import OrderState
from core.domain.records import MAY_HAVE_ARRIVED, InstructionState, OutboxState, QuestionState
from core.execution.real_money import PERMIT
from core.ports import UnitOfWork

VOID = "the ledger was restored from a backup"
_CARDS = (InstructionIssued, InstructionChanged, QuestionAsked, ExitReminder)


def settle(work: UnitOfWork, world: World, taken_at: datetime, epoch: int, at: datetime) -> int:
    """Voids every open card, sorts what waits to be told, and tells of the restore; returns how many cards were void.

    `at` by the system clock. Orders that the owner had not executed end with their cards: what is still due is asked
    for anew by the next tick, under another number.
    """
    waiting = [*work.messages_in(OutboxState.PENDING), *work.messages_in(OutboxState.SENDING)]
    for row in waiting:
        urgent = row.priority <= Priority.TRADE and not isinstance(row.event, _CARDS)
        state = OutboxState.PENDING if urgent else OutboxState.UNCERTAIN
        # Most of it has been told in the time that was lost; nobody knows what was not.
        work.save_message(row.id, state, at=at, error=f"{MAY_HAVE_ARRIVED}: {VOID}")
    voided = _void_instructions(work, world, at) + _void_questions(work, world, at)
    # What the owner took back after the backup must not come back with it.
    work.set_value(PERMIT, None)
    badges = tuple(dict.fromkeys(badge for account in work.accounts() for badge in account.badges()))
    work.publish(LedgerRestored(taken_at, epoch, voided, badges), market_time=at)
    return voided


def _void_instructions(work: UnitOfWork, world: World, at: datetime) -> int:
    cards = work.open_instructions()
    for card in cards:
        order = work.order(card.client_order_id)
        if order is not None and order.state in (OrderState.AWAITING_OWNER, OrderState.PARTIALLY_FILLED):
            work.save_order(order.moved(OrderState.CANCELED, at, reason=VOID))
        work.save_instruction(card.moved(InstructionState.SUPERSEDED))
        badges = _badges(card.account, world)
        event = InstructionSettled(
            card.number, InstructionState.SUPERSEDED.value, VOID, card.symbol, card.side, card.quantity, badges
        )
        work.publish(event, market_time=at)
    return len(cards)


def _void_questions(work: UnitOfWork, world: World, at: datetime) -> int:
    asked = work.open_questions()
    for question in asked:
        work.save_question(replace(question, state=QuestionState.OBSOLETE, version=question.version + 1))
        badges = _badges(question.account, world)
        event = QuestionSettled(question.number, "needs no answer", VOID, question.account, question.symbol, badges)
        work.publish(event, market_time=at)
    return len(asked)


def _badges(account: str, world: World) -> tuple[Badge, ...]:
    return Account(account, AccountKind(account), world).badges()
