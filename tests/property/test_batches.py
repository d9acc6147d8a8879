"""In which order waiting rows are told, and what is folded: of any backlog nothing is lost, doubled or scrambled."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.batches import BACKLOG, BURST, MOST_FOLDED, REPEAT, Batch, next_batch
from core.domain.accounts import Badge
from core.domain.events import (
    Event,
    HealthChanged,
    InstructionIssued,
    InstructionSettled,
    ModelTrained,
    PositionUnguarded,
    Priority,
    priority_of,
)
from core.domain.orders import Purpose, Side
from core.domain.records import OutboxMessage, OutboxState
from tests.ledger_builders import START
from tests.story_builders import a_bought, a_card_event, a_signal_event, a_sold

KINDS = {
    "signal": a_signal_event(),
    "bought": a_bought(),
    "sold": a_sold(),
    "stopped": a_sold(purpose=Purpose.STOP),
    "health": HealthChanged("yahoo", "DEGRADED", "no answer"),
    "model": ModelTrained("m1", 1, START, "up", 1, 0.5, 0.69, 0.69, 0.5, True, "first"),
    "unguarded": PositionUnguarded("manual", "SPY", Decimal(1), "no stop", (Badge.MANUAL,)),
}
STORIES = ("signal", "bought", "sold", "stopped", "unguarded")


def a_row(number: int, event: Event, opening: int | None, age: int, *, repeat: bool) -> OutboxMessage:
    return OutboxMessage(
        number,
        event,
        priority_of(event),
        START - timedelta(minutes=age),
        START,
        OutboxState.PENDING,
        last_error=f"{REPEAT}: no answer" if repeat else "",
        opening_id=opening,
    )


@st.composite
def backlogs(draw: st.DrawFn) -> list[OutboxMessage]:
    rows: list[OutboxMessage] = []
    cards = 0
    for number in range(1, draw(st.integers(0, 45)) + 1):
        what = draw(st.sampled_from([*KINDS, "card", "settled"]))
        event: Event
        if what == "card" or (what == "settled" and not cards):
            cards += 1
            event = a_card_event(cards, purpose=draw(st.sampled_from([Purpose.ENTRY, Purpose.STOP])))
        elif what == "settled":
            of = draw(st.integers(1, cards))
            event = InstructionSettled(of, "skipped", "by you", "SPY", Side.BUY, Decimal(1), (Badge.MANUAL,))
        else:
            event = KINDS[what]
        openings = [row.id for row in rows if row.opening_id is None and isinstance(row.event, type(a_signal_event()))]
        opening = draw(st.sampled_from(openings)) if openings and what in STORIES and draw(st.booleans()) else None
        rows.append(
            a_row(number, event, opening, draw(st.integers(0, 1)) * 60, repeat=draw(st.booleans()) and what == "health")
        )
    return rows


def told(rows: list[OutboxMessage]) -> list[Batch]:
    waiting, batches = list(rows), list[Batch]()
    while (batch := next_batch(waiting, START)) is not None:
        batches.append(batch)
        waiting = [row for row in waiting if row not in batch.rows]
    return batches


@pytest.mark.feature("D2")
@settings(max_examples=200, deadline=None)
@given(backlogs())
def test_any_backlog_is_told_once_each_in_order_with_nothing_critical_folded_away(rows: list[OutboxMessage]) -> None:
    batches = told(rows)
    order = [row.id for batch in batches for row in batch.rows]
    assert sorted(order) == [row.id for row in rows]
    place = {number: index for index, batch in enumerate(batches) for number in [row.id for row in batch.rows]}
    for row in rows:
        for later in rows:
            same_story = (row.opening_id or row.id) == (later.opening_id or later.id)
            if row.id < later.id and same_story:
                assert place[row.id] <= place[later.id], "a trade is told in its own order"
    for batch in batches:
        assert list(batch.rows) == sorted(batch.rows, key=lambda row: row.id)
        if batch.is_digest:
            assert not batch.is_critical
            assert not any(row.last_error for row in batch.rows), "a repetition says so in a message of its own"
            assert BACKLOG <= len(batch.rows) <= MOST_FOLDED
        elif len(batch.rows) > 1:
            assert isinstance(batch.carrier.event, InstructionIssued | InstructionSettled)
            assert all(isinstance(row.event, InstructionSettled) for row in batch.rows[1:])


@pytest.mark.feature("D2")
@settings(max_examples=100, deadline=None)
@given(backlogs())
def test_nothing_that_can_wait_goes_before_what_is_critical_unless_it_is_its_own_trade(
    rows: list[OutboxMessage],
) -> None:
    batches = told(rows)
    critical = [index for index, batch in enumerate(batches) if batch.is_critical]
    stories = {row.opening_id or row.id for row in rows if row.priority is Priority.CRITICAL}
    for batch in batches[: max(critical, default=0)]:
        assert batch.is_critical or any((row.opening_id or row.id) in stories for row in batch.rows)


@pytest.mark.feature("D2")
@pytest.mark.parametrize(("age", "fewest"), [(0, BURST), (60, BACKLOG)])
def test_how_many_make_a_burst_depends_on_whether_they_are_late_already(age: int, fewest: int) -> None:
    rows = [a_row(number, KINDS["signal"], None, age, repeat=False) for number in range(1, fewest + 1)]
    assert [len(batch.rows) for batch in told(rows[:-1])] == [1] * (fewest - 1)
    assert [len(batch.rows) for batch in told(rows)] == [fewest]
