"""Which rows of the outbox make up the next message: their order, and what is folded into one. Pure.

Critical before chatter, in the order of writing among equals. A trade is told in its own order: what came before a
critical message of the same trade goes ahead with it. A settlement joins its card where that still waits. Of everything
else that neither asks anything nor warns, a burst becomes one message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from bot.render import LATE_AFTER
from core.domain.events import (
    BrakeReleased,
    CashBooked,
    EntryUndone,
    Event,
    GuardMoved,
    HealthChanged,
    InstructionChanged,
    InstructionIssued,
    InstructionSettled,
    ModelTrained,
    OrderFilled,
    Priority,
    QuestionAsked,
    QuestionSettled,
    SignalRaised,
    SkillChanged,
    StrangerSpoke,
    UnitsAdjusted,
)
from core.domain.records import MAY_HAVE_ARRIVED, OutboxMessage

REPEAT = MAY_HAVE_ARRIVED
BURST = 6
BACKLOG = 3
"""So many rows are folded when the oldest of them is late already."""
MOST_FOLDED = 25
_FOLDABLE = (
    SignalRaised,
    OrderFilled,
    GuardMoved,
    CashBooked,
    UnitsAdjusted,
    EntryUndone,
    BrakeReleased,
    HealthChanged,
    ModelTrained,
    SkillChanged,
    StrangerSpoke,
)


@dataclass(frozen=True, slots=True)
class Batch:
    """`rows` are told by one message; the first one carries the others."""

    rows: tuple[OutboxMessage, ...]

    @property
    def carrier(self) -> OutboxMessage:
        return self.rows[0]

    @property
    def newest(self) -> OutboxMessage:
        return self.rows[-1]

    @property
    def is_critical(self) -> bool:
        return any(row.priority is Priority.CRITICAL for row in self.rows)

    @property
    def is_repeat(self) -> bool:
        return any(is_repeat(row) for row in self.rows)

    @property
    def is_digest(self) -> bool:
        return len(self.rows) > 1 and isinstance(self.carrier.event, _FOLDABLE)


def is_repeat(row: OutboxMessage) -> bool:
    return row.last_error.startswith(REPEAT)


def in_order(due: Sequence[OutboxMessage]) -> list[OutboxMessage]:
    """As they are to be told. A row of a trade is as urgent as the most urgent later row of the same trade."""
    urgency, of_story = dict[int, Priority](), dict[int, Priority]()
    for row in sorted(due, key=lambda each: each.id, reverse=True):
        story = row.opening_id or row.id
        of_story[story] = min(of_story.get(story, row.priority), row.priority)
        urgency[row.id] = of_story[story]
    return sorted(due, key=lambda row: (urgency[row.id], row.id))


def next_batch(due: Sequence[OutboxMessage], now: datetime) -> Batch | None:
    """What is to be told next by system time `now`; None where nothing is due."""
    queue = in_order(due)
    if not queue:
        return None
    head = queue[0]
    if not is_foldable(head):
        return Batch((head, *_settlements_of(head, queue)))
    run = list(takewhile(is_foldable, queue))
    late = now - min(row.created_at for row in run) > LATE_AFTER
    if len(run) < (BACKLOG if late else BURST):
        return Batch((head,))
    told = sorted(run[:MOST_FOLDED], key=lambda row: row.id)
    return Batch(tuple(told))


def is_foldable(row: OutboxMessage) -> bool:
    return isinstance(row.event, _FOLDABLE) and row.priority is not Priority.CRITICAL and not is_repeat(row)


def _settlements_of(head: OutboxMessage, queue: Sequence[OutboxMessage]) -> list[OutboxMessage]:
    """What still waits to be told of the same card, in order: the last word says it all."""
    key = _card_of(head.event)
    if key is None:
        return []
    # What was written after the card was shown again belongs to that one.
    again = min((row.id for row in queue if row.id > head.id and _shown_by(row.event) == key), default=None)
    return [
        row for row in queue if row.id > head.id and (again is None or row.id < again) and _settled_by(row.event) == key
    ]


def _card_of(event: Event) -> tuple[str, int] | None:
    """The kind and number of the card that an event shows, changes or settles."""
    return _shown_by(event) or _settled_by(event)


def _shown_by(event: Event) -> tuple[str, int] | None:
    match event:
        case InstructionIssued():
            return ("instruction", event.number)
        case QuestionAsked():
            return ("question", event.number)
        case _:
            return None


def _settled_by(event: Event) -> tuple[str, int] | None:
    match event:
        case InstructionSettled() | InstructionChanged():
            return ("instruction", event.number)
        case QuestionSettled():
            return ("question", event.number)
        case _:
            return None
