"""Drains the outbox into the owner's chat: in order, at Telegram's pace, losing nothing, repeating only what matters.

Every row is committed as SENDING before the call and as SENT (with the message's id) after it. A row found in SENDING
at a start, or whose call got no answer, may have arrived (D3): critical ones are sent once more and say so, others are
left UNCERTAIN. An edit can be repeated without harm, so it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from bot.composing import composed
from bot.hands import AsyncWriter
from bot.health_hook import HealthHook, OnChange
from bot.markup import split
from bot.message import Message
from bot.outbox_desk import OutboxDesk, Task
from bot.pace import Pace
from bot.render import render
from bot.sending import edit_message, send_message
from bot.settling import settled_card
from bot.transport import (
    CannotEdit,
    MayHaveArrived,
    NotSent,
    Transport,
    Undeliverable,
    Unreachable,
)
from core.domain.events import LiveStatus
from core.domain.records import OutboxState
from core.domain.views import Health
from core.errors import Fatal
from core.ports import Clock, UnitOfWorkFactory
from jobs.writer import Urgency

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_POLL = 1.0
_LIVE_LIMIT = 3500
COMPONENT = "messages"


class Delivery:
    """One queue for one chat. `run` in the background, or `drain` to deliver all that is due.

    `status` says what the live status message shows now; it is read in a thread. `pace` is what the transport counts.
    """

    def __init__(
        self,
        transport: Transport,
        ledger: UnitOfWorkFactory,
        writer: AsyncWriter,
        clock: Clock,
        zone: Callable[[], ZoneInfo],
        *,
        health: HealthHook,
        pace: Pace | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        status: Callable[[], Message] | None = None,
    ) -> None:
        self._transport = transport
        self._desk = OutboxDesk(ledger, clock, zone)
        self._writer = writer
        self._clock = clock
        self._zone = zone
        self._health = OnChange(health, COMPONENT)
        self._pace = pace or Pace(0.0, clock)
        self._sleep = sleep
        self._status = status
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hold: tuple[datetime, timedelta] | None = None
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
            self._hold = None
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
                self._hold_for(_LONGEST_WAIT)
                # The message in hand may have left: it is judged like one that was in hand at a start.
                self._recovered = False
            await self._rest()

    def stop(self) -> None:
        """Ends `run` once the message in hand is done with."""
        self._stopping = True
        self._woken.set()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), _POLL)

    async def drain(self) -> int:
        """Delivers what is due until nothing is, or until something asks to wait. Returns how many messages it dealt
        with. Raises LeaseLost when another process took over the ledger."""
        if not self._recovered:
            await self._commit(self._desk.recover)
            self._recovered = True
        delivered = 0
        while self._may_send():
            if self._pace.wait() > 0:
                if not await self._commit(self._desk.is_due):
                    break
                await self._turn()
            task = await self._commit(self._desk.take)
            if task is None:
                break
            delivered += await self._deliver(task)
        return delivered

    def _may_send(self) -> bool:
        if self._stopping or not self._transport.is_ready():
            return False
        if self._hold is None:
            return True
        since, length = self._hold
        # A clock that was set back must not make the wait longer.
        return not timedelta(0) <= self._clock.now() - since < length

    async def _turn(self) -> None:
        """Until the chat may take another message."""
        wait = self._pace.wait()
        if wait > 0:
            await self._sleep(wait)

    async def _commit(self, step: Callable[..., T], *arguments: Any) -> T:
        return await self._writer.run(step, *arguments, urgency=Urgency.OWNER)

    async def _deliver(self, task: Task) -> int:
        """1 where the batch is done with, 0 where it goes back into the queue."""
        try:
            message_id = await self._hand_over(task)
        except NotSent as problem:
            await self._commit(self._desk.goes_back, task, str(problem))
            self._postpone(problem)
            return 0
        except MayHaveArrived as doubt:
            state = await self._commit(self._desk.doubted, task, str(doubt))
            self._postpone(NotSent(str(doubt)))
            return int(state is OutboxState.UNCERTAIN)
        except Undeliverable as refusal:
            _LOG.error("message %s refused: %s", task.id, refusal)
            await self._commit(self._desk.refused, task, str(refusal))
            self._health(Health.DEGRADED, f"Telegram refused message {task.id}: {refusal}")
            return 1
        self._parts = (0, [])
        await self._commit(self._desk.sent, task, message_id)
        self._succeeded()
        return 1

    async def _hand_over(self, task: Task) -> int:
        """The id of the message that now says it."""
        message = await self._message(task)
        if task.edits is not None:
            edited = message if task.is_live else self._settled(task)
            if edited is not None and await self._edit(task, task.edits, edited):
                return task.edits
        if self._parts[0] != task.id:
            self._parts = (task.id, [])
        full = replace(message, reply_to=task.reply_to, silent=task.silent)
        sent = await send_message(self._transport, full, self._parts[1], self._turn)
        if isinstance(task.batch.carrier.event, LiveStatus) and task.batch.carrier.event.pinned:
            await self._pin(sent)
        return sent

    async def _message(self, task: Task) -> Message:
        if not task.is_live or self._status is None:
            return composed(task.batch, self._clock.now(), self._zone())
        shown = await asyncio.to_thread(self._status)
        # It is edited in place, so it has to stay one message.
        return replace(shown, text=split(shown.text, _LIVE_LIMIT)[0])

    def _settled(self, task: Task) -> Message | None:
        return None if task.card is None else settled_card(task.batch.newest.event, task.card, self._zone())

    async def _edit(self, task: Task, message_id: int, edited: Message) -> bool:
        """Whether the message in the chat says it now; where it is gone, a new one has to."""
        try:
            await edit_message(self._transport, message_id, edited)
        except CannotEdit:
            return False
        except Undeliverable:
            if task.is_live:
                raise
            return False
        return True

    async def _pin(self, message_id: int) -> None:
        """The message is there and up to date; that it could not be pinned is no reason to send it again."""
        try:
            await self._transport.pin(message_id)
        except (NotSent, MayHaveArrived, Undeliverable) as problem:
            _LOG.info("the live status is not pinned: %s", problem)

    def _postpone(self, problem: NotSent) -> None:
        self._failures += 1
        wait = min(_FIRST_WAIT * 2 ** (self._failures - 1), _LONGEST_WAIT)
        self._was_told_to_wait = problem.retry_after is not None
        if problem.retry_after is not None:
            wait = problem.retry_after
        self._hold_for(wait)
        if self._failures >= 3 or isinstance(problem, Unreachable):
            self._health(Health.DEGRADED, f"messages wait: {problem}")

    def _hold_for(self, seconds: float) -> None:
        self._hold = (self._clock.now(), timedelta(seconds=seconds))

    def _succeeded(self) -> None:
        self._hold = None
        self._was_told_to_wait = False
        self._failures = 0
        self._health(Health.RUNNING, "delivered")


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
