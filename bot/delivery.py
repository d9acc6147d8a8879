"""Drains the outbox into the owner's chat: in order, at Telegram's pace, losing nothing, repeating only what matters.

Every row is committed as SENDING before the call and as SENT (with the message's id) after it. A row found in SENDING
at a start, or whose call got no answer, may have arrived (D3): critical ones are sent again and say so, others are left
UNCERTAIN. An edit can be repeated without harm, so it always is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from bot.hands import AsyncWriter
from bot.health_hook import HealthHook, OnChange
from bot.markup import code, esc, split
from bot.message import Message
from bot.render import render, stamped
from bot.settling import card_of, settled_card
from bot.transport import (
    CannotEdit,
    MayHaveArrived,
    NotSent,
    Transport,
    Undeliverable,
    Unreachable,
    edit_message,
    send_message,
)
from core.domain.codec import canonical
from core.domain.events import Priority
from core.domain.records import OutboxMessage, OutboxState
from core.domain.views import Health
from core.errors import Fatal
from core.ports import Clock, UnitOfWorkFactory
from jobs.writer import Urgency

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
TELEGRAM_PACE = 1.0
"""Seconds between messages to one chat: Telegram's FAQ allows about one a second."""
_REPEAT = "may have arrived"
_MOST_REPEATS = 5
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_POLL = 1.0
COMPONENT = "messages"


@dataclass(frozen=True, slots=True)
class _Task:
    """A row to deliver; for a settled instruction or question also the row of its card."""

    row: OutboxMessage
    card: OutboxMessage | None

    @property
    def is_edit(self) -> bool:
        return self.card is not None and self.card.message_id is not None


class Delivery:
    """One queue for one chat. `run` in the background, or `drain` to deliver all that is due."""

    def __init__(
        self,
        transport: Transport,
        ledger: UnitOfWorkFactory,
        writer: AsyncWriter,
        clock: Clock,
        zone: ZoneInfo,
        *,
        health: HealthHook,
        pace: float = TELEGRAM_PACE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._transport = transport
        self._ledger = ledger
        self._writer = writer
        self._clock = clock
        self._zone = zone
        self._health = OnChange(health, COMPONENT)
        self._pace = pace
        self._sleep = sleep
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hold_until: datetime | None = None
        self._was_told_to_wait = False
        self._failures = 0
        self._recovered = False
        self._stopping = False
        self._parts: tuple[int, list[int]] = (0, [])

    def wake(self) -> None:
        """Something is due: call it after a commit, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    def retry_now(self) -> None:
        """Forgets the wait after a failure: the connection is back, or the owner has just opened the chat.

        A wait that Telegram itself asked for is kept.
        """
        if not self._was_told_to_wait:
            self._hold_until = None
            self._failures = 0
        self._woken.set()

    async def run(self) -> None:
        """Until stopped, or until something Fatal; what else goes wrong is logged, reported to health, tried again."""
        self._loop = asyncio.get_running_loop()
        while not self._stopping:
            self._woken.clear()
            try:
                await self.drain()
            except Fatal as end:
                self._health(Health.HALTED, str(end))
                return
            except Exception as error:  # noqa: BLE001 - the boundary of a task that must outlive any one message
                _LOG.error("delivery failed", exc_info=error)
                self._health(Health.DEGRADED, f"messages wait: {type(error).__name__}, see the log")
                self._hold(_LONGEST_WAIT)
            await self._rest()

    def stop(self) -> None:
        """Ends `run` once the message in hand is done with."""
        self._stopping = True
        self._woken.set()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), _POLL)

    async def drain(self) -> int:
        """Delivers what is due until nothing is, or until something asks to wait. Returns how many were delivered."""
        if not self._recovered:
            await self._commit(self._recover)
            self._recovered = True
        delivered = 0
        while self._may_send():
            task = await self._commit(self._take)
            if task is None:
                break
            delivered += await self._deliver(task)
            if self._pace:
                await self._sleep(self._pace)
        return delivered

    def _may_send(self) -> bool:
        if self._stopping or not self._transport.is_ready():
            return False
        return self._hold_until is None or self._clock.now() >= self._hold_until

    async def _commit(self, step: Callable[..., T], *arguments: Any) -> T:
        return await self._writer.run(step, *arguments, urgency=Urgency.OWNER)

    def _take(self) -> _Task | None:
        """The most urgent row, oldest first among equals, now in SENDING."""
        with self._ledger() as work:
            due = sorted(work.due_messages(self._clock.now(), 50), key=lambda row: (row.priority, row.id))
            if not due:
                return None
            row = due[0]
            card = card_of(work, row)
            # The error text marks a possible repetition, so it must survive this change of state.
            work.save_message(row.id, OutboxState.SENDING, at=self._clock.now(), error=row.last_error)
            work.commit("outbox.claim")
        return _Task(row, card)

    async def _deliver(self, task: _Task) -> int:
        """1 where the row is done with, 0 where it goes back into the queue."""
        row = task.row
        try:
            message_id = await self._hand_over(task)
        except NotSent as problem:
            await self._commit(self._save, row, OutboxState.PENDING, None, _kept_mark(row, str(problem)))
            self._postpone(problem)
            return 0
        except MayHaveArrived as doubt:
            state = _after_doubt(row, is_edit=task.is_edit)
            await self._commit(self._save, row, state, None, f"{_REPEAT}: {doubt}")
            self._postpone(NotSent(str(doubt)))
            return int(state is OutboxState.UNCERTAIN)
        except Undeliverable as refusal:
            _LOG.error("message %s refused: %s", row.id, refusal)
            await self._commit(self._save, row, OutboxState.FAILED, None, str(refusal))
            self._health(Health.DEGRADED, f"Telegram refused message {row.id}: {refusal}")
            return 1
        await self._commit(self._save, row, OutboxState.SENT, message_id, row.last_error)
        self._succeeded()
        return 1

    async def _hand_over(self, task: _Task) -> int:
        """The id of the message that now says it."""
        row, card = task.row, task.card
        if card is not None and card.message_id is not None:
            edited = settled_card(row.event, card.event, self._zone)
            if edited is not None:
                with suppress(CannotEdit):
                    await edit_message(self._transport, card.message_id, edited)
                    return card.message_id
        message = stamped(
            render_safely(row, self._zone),
            row.created_at,
            self._clock.now(),
            self._zone,
            repeat=row.last_error.startswith(_REPEAT),
        )
        if self._parts[0] != row.id:
            self._parts = (row.id, [])
        return await send_message(self._transport, message, self._parts[1])

    def _save(self, row: OutboxMessage, state: OutboxState, message_id: int | None, error: str) -> None:
        with self._ledger() as work:
            work.save_message(row.id, state, at=self._clock.now(), telegram_message_id=message_id, error=error)
            work.commit("outbox.done")

    def _recover(self) -> None:
        """Rows in SENDING at a start: the process died during the call."""
        with self._ledger() as work:
            for row in work.messages_in(OutboxState.SENDING):
                card = card_of(work, row)
                is_edit = card is not None and card.message_id is not None
                state = _after_doubt(row, is_edit=is_edit)
                work.save_message(row.id, state, at=self._clock.now(), error=f"{_REPEAT}: stopped while sending")
            work.commit("outbox.recover")

    def _postpone(self, problem: NotSent) -> None:
        self._failures += 1
        wait = min(_FIRST_WAIT * 2 ** (self._failures - 1), _LONGEST_WAIT)
        self._was_told_to_wait = problem.retry_after is not None
        if problem.retry_after is not None:
            wait = problem.retry_after
        self._hold(wait)
        if self._failures >= 3 or isinstance(problem, Unreachable):
            self._health(Health.DEGRADED, f"messages wait: {problem}")

    def _hold(self, seconds: float) -> None:
        self._hold_until = self._clock.now() + timedelta(seconds=seconds)

    def _succeeded(self) -> None:
        self._hold_until = None
        self._was_told_to_wait = False
        self._failures = 0
        self._health(Health.RUNNING, "delivered")


def _after_doubt(row: OutboxMessage, *, is_edit: bool) -> OutboxState:
    """What becomes of a row that may have arrived: sent again if it is critical or only edits, otherwise left alone.

    A critical one is repeated a few times only: a server that swallows every answer would show it for ever.
    """
    again = is_edit or (row.priority is Priority.CRITICAL and row.attempts < _MOST_REPEATS)
    return OutboxState.PENDING if again else OutboxState.UNCERTAIN


def _kept_mark(row: OutboxMessage, reason: str) -> str:
    """A row that may have arrived once stays marked, whatever goes wrong later."""
    return f"{_REPEAT}: {reason}" if row.last_error.startswith(_REPEAT) else reason


def render_safely(row: OutboxMessage, zone: ZoneInfo) -> Message:
    """The row's message; where our own rendering fails, its bare data, so that the owner still gets it."""
    try:
        return render(row.event, zone)
    except Exception as defect:  # noqa: BLE001 - a defect in a text must not keep the event from the owner
        _LOG.error("message %s cannot be rendered", row.id, exc_info=defect)
        return Message(f"{type(row.event).__name__} (shown as it is stored)\n{code(esc(canonical(row.event), 3000))}")


def drain_silently(ledger: UnitOfWorkFactory, clock: Clock, zone: ZoneInfo, limit: int = 1000) -> int:
    """Renders and splits everything due and marks it sent, in one transaction and without a network: for replays.

    Message ids are the rows' own. Returns how many there were.
    """
    with ledger() as work:
        now = clock.now()
        rows = work.due_messages(now, limit)
        for row in rows:
            split(render(row.event, zone).text)
            work.save_message(row.id, OutboxState.SENT, at=now, telegram_message_id=row.id)
        work.commit("outbox.silent")
    return len(rows)
