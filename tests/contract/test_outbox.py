"""The outbox knows which rows tell of the same trade, and which row's message told of a folded one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import VirtualClock
from core.domain.accounts import Badge
from core.domain.events import (
    Event,
    ExitReminder,
    HealthChanged,
    InstructionSettled,
    PositionUnguarded,
    QuestionAsked,
    QuestionSettled,
    UnitsAdjusted,
)
from core.domain.orders import Purpose, Side
from core.domain.records import OutboxMessage, OutboxState
from core.storage.store import Database, open_database
from tests.ledger_builders import START, a_deposit, a_fill, ledger, write
from tests.story_builders import a_bought, a_card_event, a_signal_event, a_sold

UNGUARDED = PositionUnguarded("simulated", "SPY", Decimal(4), "the stop was refused", (Badge.PAPER,))
QUESTION = QuestionAsked(
    3,
    1,
    "place_stop",
    ("placed", "cannot"),
    "simulated",
    "SPY",
    Decimal(4),
    Decimal(4),
    None,
    None,
    "?",
    (Badge.PAPER,),
)
ANSWERED = QuestionSettled(3, "placed", "noted", "simulated", "SPY", (Badge.PAPER,))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = ledger(tmp_path, VirtualClock(START))
    write(opened, lambda uow: uow.book(a_deposit(), recorded_at=START))
    yield opened
    opened.close()


def told(database: Database, event: Event) -> int:
    """Publishes, and books what a fill of the simulated account says, in one transaction as the engine does."""
    with database.unit_of_work() as uow:
        if hasattr(event, "fee") and event.account == "simulated":
            side, purpose = event.side, event.purpose
            uow.book(a_fill(f"f-{len(list(uow.entries()))}", side=side, purpose=purpose), recorded_at=START)
        row = uow.publish(event, market_time=START)
        uow.commit()
    return row


def row_of(database: Database, number: int) -> OutboxMessage:
    with database.reading() as uow:
        found = uow.message(number)
    assert found is not None
    return found


@pytest.mark.feature("D13")
def test_all_that_is_told_of_a_trade_knows_its_first_message_even_after_a_restart(
    database: Database, tmp_path: Path
) -> None:
    signal = told(database, a_signal_event())
    bought = told(database, a_bought())
    database.close()
    again = open_database(tmp_path / "ledger.db", durable=False, clock=VirtualClock(START))
    later = [told(again, event) for event in (UNGUARDED, QUESTION, ANSWERED, a_sold())]
    assert [row_of(again, number).opening_id for number in (signal, bought, *later)] == [None, *[signal] * 5]
    again.close()


@pytest.mark.feature("D13")
def test_the_next_trade_of_the_same_asset_begins_a_story_of_its_own(database: Database) -> None:
    for event in (a_signal_event(), a_bought(), a_sold()):
        told(database, event)
    second = told(database, a_bought())
    assert row_of(database, second).opening_id is None
    assert row_of(database, told(database, UNGUARDED)).opening_id == second


@pytest.mark.feature("D13")
def test_a_signal_that_came_to_nothing_does_not_swallow_the_next_one(database: Database) -> None:
    told(database, a_signal_event())
    second = told(database, a_signal_event())
    assert row_of(database, second).opening_id is None
    assert row_of(database, told(database, a_bought())).opening_id == second
    assert row_of(database, told(database, a_signal_event())).opening_id == second, "it is held: the trade goes on"


@pytest.mark.feature("D13")
def test_a_settled_card_and_its_reminders_belong_to_the_cards_trade(database: Database) -> None:
    card = told(database, a_card_event(7))
    settled = InstructionSettled(7, "expired", "too late", "SPY", Side.BUY, Decimal(4), (Badge.MANUAL,))
    assert row_of(database, told(database, settled)).opening_id == card
    newer = told(database, a_card_event(8))
    assert row_of(database, newer).opening_id is None, "an expired card ends its story"
    reminder = ExitReminder(8, 1, False, "manual", "SPY", Decimal(4), None, 1, START, "waits", (Badge.MANUAL,))
    assert row_of(database, told(database, reminder)).opening_id == newer
    assert row_of(database, told(database, settled)).opening_id == card, "a word about the old card stays with it"


@pytest.mark.feature("D13")
def test_trades_of_other_accounts_and_assets_and_messages_about_no_trade_stand_apart(database: Database) -> None:
    spy = told(database, a_signal_event())
    others = [a_signal_event("QQQ"), a_card_event(7), HealthChanged("yahoo", "DEGRADED", "no answer")]
    assert [row_of(database, told(database, event)).opening_id for event in others] == [None, None, None]
    assert row_of(database, told(database, a_bought())).opening_id == spy


def test_an_adopted_position_begins_a_story(database: Database) -> None:
    adopted = UnitsAdjusted("simulated", "SPY", "adoption", None, Decimal(0), Decimal(4), "found", (Badge.PAPER,))
    first = told(database, adopted)
    assert row_of(database, told(database, UNGUARDED)).opening_id == first


@pytest.mark.feature("D13")
def test_replies_go_to_the_first_message_of_the_trade_that_reached_the_chat(database: Database) -> None:
    signal, bought = told(database, a_signal_event()), told(database, a_bought())
    last = row_of(database, told(database, a_sold(purpose=Purpose.STOP)))
    with database.unit_of_work() as uow:
        assert uow.opening_message(last) is None
        uow.save_message(signal, OutboxState.MUTED, at=START)
        uow.save_message(bought, OutboxState.SENT, at=START, telegram_message_id=55)
        assert uow.opening_message(last) == 55
        uow.save_message(signal, OutboxState.SENT, at=START, telegram_message_id=54)
        assert uow.opening_message(last) == 54
        assert uow.opening_message(row_of(database, signal)) is None


@pytest.mark.feature("D2")
def test_folded_rows_share_the_fate_of_the_row_that_carries_them(database: Database) -> None:
    carrier, one, two, apart = (told(database, HealthChanged("yahoo", "DEGRADED", str(n))) for n in range(4))
    later = START + timedelta(minutes=1)
    with database.unit_of_work() as uow:
        uow.fold_messages(carrier, [one, two])
        uow.save_message(carrier, OutboxState.SENDING, at=START)
        assert [row.id for row in uow.messages_in(OutboxState.SENDING)] == [carrier, one, two]
        assert [row.id for row in uow.due_messages(START, 9)] == [apart]
        uow.save_message(carrier, OutboxState.SENT, at=later, telegram_message_id=70)
        uow.commit()
    rows = [row_of(database, number) for number in (carrier, one, two)]
    assert [(row.state, row.message_id, row.sent_at, row.attempts) for row in rows] == [
        (OutboxState.SENT, 70, later, 1)
    ] * 3
    assert [row.carrier_id for row in rows] == [None, carrier, carrier]


def test_rows_that_go_back_into_the_queue_are_folded_no_more(database: Database) -> None:
    carrier, one = (told(database, HealthChanged("yahoo", "DEGRADED", str(n))) for n in range(2))
    with database.unit_of_work() as uow:
        uow.fold_messages(carrier, [one])
        uow.save_message(carrier, OutboxState.SENDING, at=START)
        uow.save_message(carrier, OutboxState.PENDING, at=START, error="no connection")
        assert [(row.id, row.carrier_id) for row in uow.due_messages(START, 9)] == [(carrier, None), (one, None)]
        uow.save_message(one, OutboxState.SENT, at=START, telegram_message_id=71)
        assert [row.id for row in uow.due_messages(START, 9)] == [carrier]
