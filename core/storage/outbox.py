"""Events for the owner and how far their delivery has come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, case, func, insert, select, update

from core.domain.codec import canonical, decode
from core.domain.events import (
    EVENT_TYPES,
    VERSION,
    Event,
    InstructionIssued,
    Priority,
    QuestionAsked,
    priority_of,
)
from core.domain.records import OutboxMessage, OutboxState
from core.storage import tables
from core.storage.session import Session, new_id

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
_IN_STATE = select(_T).where(_T.c.state == bindparam("of_state")).order_by(_T.c.id)
_NEWEST = select(_T).order_by(_T.c.id.desc()).limit(bindparam("most"))
_CARD = select(_T).where(_T.c.instruction_number == bindparam("of_number")).order_by(_T.c.id.desc()).limit(1)
_QUESTION = select(_T).where(_T.c.question_number == bindparam("of_number")).order_by(_T.c.id.desc()).limit(1)
_SAVE = (
    update(_T)
    .where(_T.c.id == bindparam("of_id"))
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
    )
)


class Outbox(Session):
    def publish(self, event: Event, *, market_time: datetime) -> int:
        """Writes the outbox row in this transaction; returns its id."""
        written = self._write(
            _PUBLISH,
            {
                "kind": type(event).__name__,
                "version": VERSION,
                "payload": canonical(event),
                "instruction_number": event.number if isinstance(event, InstructionIssued) else None,
                "question_number": event.number if isinstance(event, QuestionAsked) else None,
                "priority": int(priority_of(event)),
                "created_at": self._clock.now(),
                "market_time": market_time,
                "state": OutboxState.PENDING,
                "attempts": 0,
                "last_error": "",
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
        """Every move to SENDING counts an attempt; SENT stamps `at`. Raises KeyError for an unknown id."""
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
            },
        )
        if written.rowcount != 1:
            raise KeyError(message_id)

    def messages_in(self, state: OutboxState) -> Sequence[OutboxMessage]:
        """The oldest first."""
        return [_message_of(row) for row in self._rows(_IN_STATE, {"of_state": state})]

    def messages(self, limit: int = 50) -> Sequence[OutboxMessage]:
        """The newest first."""
        return [_message_of(row) for row in self._rows(_NEWEST, {"most": limit})]

    def card_message(self, instruction_number: int) -> OutboxMessage | None:
        """The newest InstructionIssued message of that number."""
        row = self._row(_CARD, {"of_number": instruction_number})
        return _message_of(row) if row else None

    def question_message(self, question_number: int) -> OutboxMessage | None:
        """The newest QuestionAsked message of that number."""
        row = self._row(_QUESTION, {"of_number": question_number})
        return _message_of(row) if row else None


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
    )
