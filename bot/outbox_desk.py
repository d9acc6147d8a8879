"""The ledger's side of delivery: what is to be told next, and what became of it. Every step is one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from bot.batches import REPEAT, Batch, next_batch
from bot.live_status import OUTDATED
from bot.preferences import Loudness, read_preferences
from bot.settling import card_of
from core.domain.events import Event, LiveStatus
from core.domain.records import OutboxMessage, OutboxState
from core.ports import Clock, UnitOfWork, UnitOfWorkFactory

_SEEN_AT_ONCE = 100
_MOST_EDITS = 20


@dataclass(frozen=True, slots=True)
class Task:
    """A batch in SENDING. `edits` is the id of the message in the chat that it changes, `card` the event that this one
    shows; `reply_to` the id of the message that opened the trade."""

    batch: Batch
    edits: int | None
    card: Event | None
    reply_to: int | None
    silent: bool

    @property
    def id(self) -> int:
        return self.batch.carrier.id

    @property
    def is_live(self) -> bool:
        return isinstance(self.batch.carrier.event, LiveStatus)


class OutboxDesk:
    """Runs in the writer's thread."""

    def __init__(self, ledger: UnitOfWorkFactory, clock: Clock, zone: Callable[[], ZoneInfo]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._zone = zone

    def recover(self) -> int:
        """Rows in SENDING at a start: the process died during the call, so they may have arrived. Returns how many."""
        with self._ledger() as work:
            found = work.messages_in(OutboxState.SENDING)
            for carrier in found:
                if carrier.carrier_id is None:
                    rows = tuple(row for row in found if row.carrier_id == carrier.id)
                    batch = Batch((carrier, *rows))
                    state = after_doubt(batch, is_edit=_edited_by(work, carrier)[0] is not None)
                    self._move(work, batch, state, error=f"{REPEAT}: stopped while sending")
            if found:
                work.commit("outbox.recover")
        return len(found)

    def is_due(self) -> bool:
        with self._ledger() as work:
            return bool(work.due_messages(self._clock.now(), 1))

    def take(self) -> Task | None:
        """The most urgent batch, now in SENDING; None where nothing is due. What the owner switched off is let go."""
        now = self._clock.now()
        with self._ledger() as work:
            wanted = read_preferences(work)
            due, muted = list[OutboxMessage](), 0
            for row in work.due_messages(now, _SEEN_AT_ONCE):
                if wanted.loudness(row.event, now, self._zone()) is Loudness.OFF:
                    work.save_message(row.id, OutboxState.MUTED, at=now)
                    muted += 1
                else:
                    due.append(row)
            batch = next_batch(due, now)
            if batch is None:
                if muted:
                    work.commit("outbox.claim")
                return None
            work.fold_messages(batch.carrier.id, [row.id for row in batch.rows[1:]])
            # The error text marks a possible repetition, so it must survive this change of state.
            error = next((row.last_error for row in batch.rows if row.last_error.startswith(REPEAT)), "")
            self._move(work, batch, OutboxState.SENDING, error=error)
            edits, card = _edited_by(work, batch.carrier)
            is_silent = all(wanted.loudness(row.event, now, self._zone()) is not Loudness.ON for row in batch.rows)
            task = Task(
                batch,
                edits,
                card,
                _reply_to(work, batch),
                is_silent or isinstance(batch.carrier.event, LiveStatus),
            )
            work.commit("outbox.claim")
        return task

    def sent(self, task: Task, message_id: int) -> None:
        """It is there; a live status that was overtaken by events on its way goes out again."""
        with self._ledger() as work:
            state = OutboxState.SENT
            if task.is_live and work.value(OUTDATED) is not None:
                work.set_value(OUTDATED, None)
                state = OutboxState.PENDING
            self._move(work, task.batch, state, message_id=message_id, error=task.batch.carrier.last_error)
            work.commit("outbox.done")

    def goes_back(self, task: Task, reason: str) -> None:
        """It certainly did not arrive. What may have arrived once stays marked, whatever goes wrong later."""
        error = f"{REPEAT}: {reason}" if task.batch.is_repeat else reason
        self._save(task, OutboxState.PENDING, error=error)

    def doubted(self, task: Task, reason: str) -> OutboxState:
        """No answer came; returns what becomes of it."""
        state = after_doubt(task.batch, is_edit=task.edits is not None)
        self._save(task, state, error=f"{REPEAT}: {reason}")
        return state

    def refused(self, task: Task, reason: str) -> None:
        self._save(task, OutboxState.FAILED, error=reason)

    def _save(self, task: Task, state: OutboxState, *, message_id: int | None = None, error: str = "") -> None:
        with self._ledger() as work:
            self._move(work, task.batch, state, message_id=message_id, error=error)
            work.commit("outbox.done")

    def _move(
        self, work: UnitOfWork, batch: Batch, state: OutboxState, *, message_id: int | None = None, error: str = ""
    ) -> None:
        now = self._clock.now()
        work.save_message(batch.carrier.id, state, at=now, telegram_message_id=message_id, error=error)


def after_doubt(batch: Batch, *, is_edit: bool) -> OutboxState:
    """What becomes of a batch that may have arrived (D3): critical ones are sent once more, edits again, others not."""
    again = is_edit and batch.carrier.attempts < _MOST_EDITS
    return OutboxState.PENDING if again or (batch.is_critical and not batch.is_repeat) else OutboxState.UNCERTAIN


def _edited_by(work: UnitOfWork, row: OutboxMessage) -> tuple[int | None, Event | None]:
    """The message that `row` changes, where it is in the chat, and the event that this message shows."""
    if isinstance(row.event, LiveStatus):
        return row.message_id, row.event
    card = card_of(work, row)
    return (card.message_id, card.event) if card is not None else (None, None)


def _reply_to(work: UnitOfWork, batch: Batch) -> int | None:
    """The opening message of the trade, where all of the batch is about one."""
    openings = {work.opening_message(row) for row in batch.rows}
    return openings.pop() if len(openings) == 1 else None
