"""Which card a settlement belongs to, and what that card becomes."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from bot import render_safety, render_trades
from bot.message import Message
from core.domain.events import Event, InstructionIssued, InstructionSettled, QuestionAsked, QuestionSettled
from core.domain.records import OutboxMessage
from core.ports import UnitOfWork


def card_of(work: UnitOfWork, row: OutboxMessage) -> OutboxMessage | None:
    """The row of the card that this one settles."""
    if isinstance(row.event, InstructionSettled):
        return work.card_message(row.event.number)
    return work.question_message(row.event.number) if isinstance(row.event, QuestionSettled) else None


def settled_card(event: Event, card: Event, zone: ZoneInfo) -> Message | None:
    """What a card becomes when it is settled; None where the two do not belong together."""
    if isinstance(event, InstructionSettled) and isinstance(card, InstructionIssued):
        return render_trades.settled_card(event, card, zone)
    if isinstance(event, QuestionSettled) and isinstance(card, QuestionAsked):
        return render_safety.settled_question(event, card, zone)
    return None
