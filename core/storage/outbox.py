"""Events for the owner and how far their delivery has come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, case, func, insert, select, update

from core.domain.codec import canonical, decode
from core.domain.events import (
    EVENT_TYPES,
    VERSION,
    Event,
    InstructionChanged,
    InstructionIssued,
    InstructionSettled,
    Priority,
    QuestionAsked,
    QuestionSettled,
    priority_of,
)
from core.domain.records import OutboxMessage, OutboxState
from core.domain.trades import Story, begins_trade, ends_trade, trade_of
from core.storage import tables
from core.storage.entries import Entries
from core.storage.journal import Journal
from core.storage.session import new_id

_T = tables.outbox
_PUBLISH = insert(_T)
_DUE = (
    select(_T)
    .where(
        _T.c.state == OutboxState.PENDING,
        (_T.c.next_try_at.is_(None)) | (_T.c.next_try_at <= bindparam("now", type_=_T.c.next_try_at.type)),
    )
    .order_by(_T.c.priority, _T.c.id)
    .limit(bindparam("most"))
)
_BY_ID = select(_T).where(_T.c.id == bindparam("of_id"))
_IN_STATE = select(_T).where(_T.c.state == bindparam("of_state")).order_by(_T.c.id)
_NEWEST = select(_T).order_by(_T.c.id.desc()).limit(bindparam("most"))
_CARDS = (
    select(_T)
    .where(_T.c.instruction_number == bindparam("of_number"), _T.c.id < bindparam("before"))
    .order_by(_T.c.id.desc())
    .limit(bindparam("most"))
)
_LATEST = 2**62
_CHANGES_SEEN = 100
_QUESTION = select(_T).where(_T.c.question_number == bindparam("of_number")).order_by(_T.c.id.desc()).limit(1)
_FIRST_SEEN_OF_TRADE = (
    select(_T.c.message_id)
    .where((_T.c.id == bindparam("of_opening")) | (_T.c.opening_id == bindparam("of_opening")))
    .where(_T.c.message_id.is_not(None))
    .order_by(_T.c.id)
    .limit(1)
)
_FOLD = update(_T).where(_T.c.id == bindparam("of_id")).values(carrier_id=bindparam("of_carrier"))
_SAVE = (
    update(_T)
    .where((_T.c.id == bindparam("of_id")) | (_T.c.carrier_id == bindparam("of_id")))
    .values(
        state=bindparam("new_state", type_=_T.c.state.type),
        attempts=_T.c.attempts + bindparam("tries"),
        next_try_at=bindparam("new_next_try_at", type_=_T.c.next_try_at.type),
        sent_at=case(
            (bindparam("is_sent"), bindparam("new_at", type_=_T.c.sent_at.type)),
            else_=_T.c.sent_at,
        ),
        message_id=func.coalesce(bindparam("new_message_id"), _T.c.message_id),
        last_error=bindparam("new_error"),
        carrier_id=case((bindparam("goes_back"), None), else_=_T.c.carrier_id),
    )
)
_TRADE = "trade:{}/{}"


class Outbox(Entries, Journal):
    def publish(self, event: Event, *, market_time: datetime) -> int:
        """Writes the outbox row in this transaction; returns its id.

        The row of a trade's first message is remembered, so that the trade's other rows know it (D13).
        """
        card = self._settled_card(event)
        trade = trade_of(card.event if card is not None else event)
        if trade is None:
            return self._insert(event, market_time, _opening_of(card))
        key = _TRADE.format(*trade)
        told = self.value(key)
        story = Story.parse(told) if told is not None else None
        is_held = bool(self.portfolio(trade[0]).quantity(trade[1]))
        opening = _opening_of(card)
        is_open = story is not None and not story.is_over
        begins = opening is None and begins_trade(event, is_open=is_open, is_held=is_held)
        if opening is None and story is not None and not begins:
            opening = story.opening
        row = self._insert(event, market_time, opening)
        newer = Story(row) if begins else story
        if newer is not None and opening in (None, newer.opening) and ends_trade(event, is_held=is_held):
            newer = replace(newer, is_over=True)
        if newer is not None and newer != story:
            self.set_value(key, newer.text())
        return row

    def _settled_card(self, event: Event) -> OutboxMessage | None:
        if isinstance(event, InstructionSettled | InstructionChanged):
            return self.card_message(event.number)
        return self.question_message(event.number) if isinstance(event, QuestionSettled) else None

    def _insert(self, event: Event, market_time: datetime, opening: int | None) -> int:
        written = self._write(
            _PUBLISH,
            {
                "kind": type(event).__name__,
                "version": VERSION,
                "payload": canonical(event),
                "instruction_number": event.number
                if isinstance(event, InstructionIssued | InstructionChanged)
                else None,
                "question_number": event.number if isinstance(event, QuestionAsked) else None,
                "priority": int(priority_of(event)),
                "created_at": self._clock.now(),
                "market_time": market_time,
                "state": OutboxState.PENDING,
                "attempts": 0,
                "last_error": "",
                "opening_id": opening,
            },
        )
        return new_id(written)

    def due_messages(self, now: datetime, limit: int) -> Sequence[OutboxMessage]:
        """Pending and not to be tried later than `now`; the most urgent first, then the oldest."""
        return [_message_of(row) for row in self._rows(_DUE, {"now": now, "most": limit})]

    def save_message(
        self,
        message_id: int,
        state: OutboxState,
        *,
        at: datetime,
        telegram_message_id: int | None = None,
        next_try_at: datetime | None = None,
        error: str = "",
    ) -> None:
        """Moves a row and those folded into it. Every move to SENDING counts an attempt; SENT stamps `at`; a move back
        to PENDING takes folded rows apart again. Raises KeyError for an unknown id."""
        written = self._write(
            _SAVE,
            {
                "of_id": message_id,
                "new_state": state,
                "tries": int(state is OutboxState.SENDING),
                "new_next_try_at": next_try_at,
                "is_sent": state is OutboxState.SENT,
                "new_at": at,
                "new_message_id": telegram_message_id,
                "new_error": error,
                "goes_back": state is OutboxState.PENDING,
            },
        )
        if written.rowcount < 1:
            raise KeyError(message_id)

    def fold_messages(self, carrier_id: int, folded: Sequence[int]) -> None:
        """From now on the message of row `carrier_id` tells of the rows `folded` too: they share its fate."""
        if folded:
            self._write(_FOLD, [{"of_id": each, "of_carrier": carrier_id} for each in folded])

    def message(self, message_id: int) -> OutboxMessage | None:
        row = self._row(_BY_ID, {"of_id": message_id})
        return _message_of(row) if row else None

    def opening_message(self, row: OutboxMessage) -> int | None:
        """The id, in the chat, of the first message of the trade that `row` belongs to; None where there is none."""
        if row.opening_id is None:
            return None
        found = self._row(_FIRST_SEEN_OF_TRADE, {"of_opening": row.opening_id})
        return int(found["message_id"]) if found else None

    def messages_in(self, state: OutboxState) -> Sequence[OutboxMessage]:
        """The oldest first."""
        return [_message_of(row) for row in self._rows(_IN_STATE, {"of_state": state})]

    def messages(self, limit: int = 50) -> Sequence[OutboxMessage]:
        """The newest first."""
        return [_message_of(row) for row in self._rows(_NEWEST, {"most": limit})]

    def card_message(self, instruction_number: int, before: int | None = None) -> OutboxMessage | None:
        """The newest row, written before row `before`, that says what the card of that instruction shows; its
        `message_id` is that of the card in the chat, whichever of the card's rows put it there."""
        rows = self._rows(_CARDS, {"of_number": instruction_number, "before": before or _LATEST, "most": _CHANGES_SEEN})
        if not rows:
            return None
        newest, message_id = _message_of(rows[0]), None
        for row in rows:
            message_id = message_id if message_id is not None else row["message_id"]
            if row["kind"] == InstructionIssued.__name__:
                break
        return replace(newest, message_id=message_id)

    def question_message(self, question_number: int) -> OutboxMessage | None:
        """The newest QuestionAsked message of that number."""
        row = self._row(_QUESTION, {"of_number": question_number})
        return _message_of(row) if row else None


def _opening_of(card: OutboxMessage | None) -> int | None:
    return None if card is None else card.opening_id or card.id


def event_of(kind: str, payload: str) -> Event:
    """Raises ValueError for an event that this version of the program does not know."""
    known = EVENT_TYPES.get(kind)
    if known is None:
        raise ValueError(f"the outbox holds an event of an unknown kind: {kind}")
    event: Event = decode(known, json.loads(payload))
    return event


def _message_of(row: Mapping[str, Any]) -> OutboxMessage:
    return OutboxMessage(
        id=row["id"],
        event=event_of(row["kind"], row["payload"]),
        priority=Priority(row["priority"]),
        created_at=row["created_at"],
        market_time=row["market_time"],
        state=row["state"],
        attempts=row["attempts"],
        next_try_at=row["next_try_at"],
        sent_at=row["sent_at"],
        message_id=row["message_id"],
        last_error=row["last_error"],
        opening_id=row["opening_id"],
        carrier_id=row["carrier_id"],
    )
