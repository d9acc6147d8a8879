"""Which card a change or a settlement belongs to, and what that card becomes."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from bot import render_cards, render_safety
from bot.message import Message
from core.domain.events import (
    Event,
    InstructionChanged,
    InstructionSettled,
    QuestionAsked,
    QuestionSettled,
    card_shown,
)
from core.domain.records import OutboxMessage
from core.ports import UnitOfWork


def card_of(work: UnitOfWork, row: OutboxMessage) -> OutboxMessage | None:
    """The row of the card that this one changes or settles: a card may be shown again further down, so the newest of
    those that were written before."""
    if isinstance(row.event, InstructionSettled | InstructionChanged):
        return work.card_message(row.event.number, before=row.id)
    return work.question_message(row.event.number) if isinstance(row.event, QuestionSettled) else None


def settled_card(event: Event, card: Event, zone: ZoneInfo) -> Message | None:
    """What a card becomes when it is changed or settled; None where the two do not belong together."""
    shown = card_shown(card)
    if isinstance(event, InstructionChanged):
        return render_cards.card(event.card, zone, event.badges) if shown is not None else None
    if isinstance(event, InstructionSettled) and shown is not None:
        return render_cards.settled_card(event, shown, zone)
    if isinstance(event, QuestionSettled) and isinstance(card, QuestionAsked):
        return render_safety.settled_question(event, card, zone)
    return None
