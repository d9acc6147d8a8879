"""What a killed process left in the ledger, and whether all of it is still there after the next one has woken up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.domain.events import InstructionSettled, Priority
from core.domain.orders import OrderState
from core.domain.records import Instruction, JobOutcome, JobRun, OutboxMessage, OutboxState
from tests.fault.kill_life import Life
from tests.fault.kill_setup import EVERY


@dataclass(frozen=True, slots=True)
class Found:
    """What the dead left behind, before anything was mended."""

    open_runs: tuple[JobRun, ...]
    orders_under_way: int
    rows: Mapping[int, OutboxMessage]
    cards: Mapping[int, Instruction]
    brakes: frozenset[tuple[str, str]]
    mode: str | None

    @property
    def sending(self) -> int:
        """Messages, whatever number of rows each of them tells of."""
        return sum(row.state is OutboxState.SENDING and row.carrier_id is None for row in self.rows.values())


def found(life: Life) -> Found:
    with life.database.reading() as work:
        return Found(
            tuple(work.unfinished_jobs()),
            sum(order.state is OrderState.SUBMITTING for order in work.live_orders()),
            {row.id: row for row in work.messages(EVERY)},
            {card.number: card for card in work.instructions(EVERY)},
            frozenset((brake.kind.value, brake.scope) for brake in work.brakes()),
            work.value("mode"),
        )


def kept(life: Life, before: Found, crashed: int) -> Iterator[str]:
    """Nothing of what was committed before the kill is lost or changed by waking up; runs cut short are closed."""
    now = found(life)
    if now.open_runs or crashed != len(before.open_runs):
        yield f"{crashed} of {len(before.open_runs)} open runs closed, {len(now.open_runs)} left"
    with life.database.reading() as work:
        for run in before.open_runs:
            last = work.last_run(run.job, JobOutcome.CRASHED)
            if last is None or last.id < run.id:
                yield f"the run of {run.job} due {run.scheduled_at} is not recorded as crashed"
    for number, row in before.rows.items():
        after = now.rows.get(number)
        if after is None or (after.event, after.state) != (row.event, row.state):
            yield f"outbox row {number} was {row.state} {row.event} and is {after}"
    manual = {number: card for number, card in before.cards.items() if not card.needs_approval}
    if any(now.cards.get(number) != card for number, card in manual.items()):
        yield f"the manual cards {manual} are now {now.cards}"
    if (before.mode, before.brakes) != (now.mode, now.brakes):
        yield f"mode and brakes were {before.mode} {before.brakes} and are {now.mode} {now.brakes}"
    sight = life.memory.last_sight()
    lost = set(sight.get("unsent", ())) - before.rows.keys() | set(sight.get("cards", ())) - before.cards.keys()
    if lost:
        yield f"seen before the kill and gone: {lost}"


def resolved(life: Life, before: Found) -> Iterator[str]:
    """Rows that were being sent when the process died may have arrived: critical ones go out once more, edits again."""
    with life.database.reading() as work:
        rows = {row.id: row for row in work.messages(EVERY)}
        for number, row in before.rows.items():
            if row.state is not OutboxState.SENDING:
                continue
            # Rows that one message was telling of share its fate.
            carrier = row.carrier_id or number
            together = [each for each in before.rows.values() if (each.carrier_id or each.id) == carrier]
            settles = together[0].event.number if isinstance(together[0].event, InstructionSettled) else None
            card = work.card_message(settles) if settles is not None else None
            is_critical = any(each.priority is Priority.CRITICAL for each in together)
            is_repeat = any(each.last_error.startswith("may have arrived") for each in together)
            again = (is_critical and not is_repeat) or (card is not None and card.message_id is not None)
            wanted = OutboxState.PENDING if again else OutboxState.UNCERTAIN
            after = rows[number]
            if after.state is not wanted or not after.last_error.startswith("may have arrived"):
                yield f"row {number} died in SENDING, should be {wanted} and is {after.state} ({after.last_error})"
