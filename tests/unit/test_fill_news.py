"""What the owner hears of fills that come late, in parts or never: each part once, parts of one look together, and the
card with all of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.preferences import Loudness, Preferences
from bot.render import render
from core.clock import VirtualClock
from core.domain.accounts import Mode
from core.domain.events import InstructionSettled, OrderFilled, OrderRefused
from core.domain.orders import Order, OrderState, Purpose
from core.domain.records import Instruction
from core.execution.watch import guard
from tests.builders import MONDAY, Bench, an_entry, an_exit
from tests.fakes_chaos import ChaosVenue, Mishap
from tests.story_builders import a_bought

pytestmark = [pytest.mark.feature("T8"), pytest.mark.feature("T9")]

HUNDRED = Decimal(100)
UTC = ZoneInfo("UTC")


class Stage:
    def __init__(self, folder: Path) -> None:
        self.venue = ChaosVenue(VirtualClock(MONDAY), lambda _symbol: HUNDRED)
        self.bench = Bench(folder, mode=Mode.CONFIRM, wrap=lambda _real: self.venue)
        self.venue.clock = self.bench.clock
        self.bench.start()

    def approved(self) -> tuple[Order, Instruction]:
        """An entry of ten that the owner has approved, and its card."""
        entry = an_entry(self.bench, state=OrderState.AWAITING_OWNER)
        self.bench.place(entry)
        (card,) = self.bench.owner.pending()
        self.bench.owner.execute(card.number, card.version, "tap")
        return entry, card

    def passes(self, minutes: int = 1) -> None:
        self.bench.clock.advance(timedelta(minutes=minutes))
        self.bench.system.advance(timedelta(minutes=minutes))
        guard(self.bench.desk, self.bench.clock.now())

    def cards(self) -> list[tuple[str, str]]:
        return [(event.outcome, event.detail) for event in self.bench.events(InstructionSettled)]

    def bought(self) -> list[tuple[Decimal, Decimal, Decimal | None]]:
        return [(event.quantity, event.price, event.filled) for event in self.bench.events(OrderFilled)]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.bench.close()


def test_a_fill_twenty_minutes_after_the_approval_settles_the_card_once(stage: Stage) -> None:
    entry, _ = stage.approved()
    for _ in range(20):
        stage.passes()
    assert stage.cards() == [("approved", "the broker has the order")]
    stage.venue.fill(entry.client_order_id, Decimal(10), HUNDRED)
    stage.passes()
    stage.passes()
    assert stage.cards()[1:] == [("filled", "filled 10 at 100 USD")]
    assert stage.bought() == [(10, 100, None)]


def test_parts_of_one_look_are_one_message_and_the_card_tells_all_of_them(stage: Stage) -> None:
    entry, _ = stage.approved()
    stage.venue.fill(entry.client_order_id, Decimal(4), HUNDRED)
    stage.passes()
    for price in ("101", "102"):
        stage.venue.fill(entry.client_order_id, Decimal(1), Decimal(price))
    stage.passes()
    stage.venue.fill(entry.client_order_id, Decimal(4), Decimal(102))
    stage.passes()
    stage.passes()
    assert stage.bought() == [(4, 100, 4), (2, Decimal("101.5"), 6), (4, 102, 10)]
    assert stage.cards()[1:] == [
        ("partly filled", "filled 4 of 10 at 100 USD"),
        ("partly filled", "filled 6 of 10 at 100.5 USD on average"),
        ("filled", "filled 10 at 101.1 USD on average"),
    ]
    cash = stage.bench.read(lambda work: work.portfolio("simulated")).cash
    assert stage.bench.events(OrderFilled)[-1].cash == cash == stage.venue.cash


def test_a_rest_that_never_fills_is_told_with_what_was_bought(stage: Stage) -> None:
    entry, _ = stage.approved()
    stage.venue.fill(entry.client_order_id, Decimal(4), HUNDRED)
    stage.passes()
    stage.venue.end(entry.client_order_id, OrderState.EXPIRED, "the day is over")
    stage.passes()
    assert stage.cards()[-1] == ("partly filled", "filled 4 of 10 at 100 USD; the rest is expired: the day is over")
    (refused,) = stage.bench.events(OrderRefused)
    assert (refused.quantity, refused.reason) == (6, "the day is over; 4 of 10 were filled")


def test_a_part_and_the_end_of_the_rest_in_one_look_leave_the_same_card(stage: Stage) -> None:
    entry, _ = stage.approved()
    stage.venue.fill(entry.client_order_id, Decimal(4), HUNDRED)
    stage.venue.end(entry.client_order_id, OrderState.CANCELED)
    stage.passes()
    outcome, detail = stage.cards()[-1]
    assert outcome == "partly filled"
    assert detail.startswith("filled 4 of 10 at 100 USD; the rest is canceled")


def test_an_approval_without_an_answer_is_one_order_whose_card_follows_it_to_the_fill(stage: Stage) -> None:
    stage.venue.mishap = Mishap.SILENT_DONE
    entry, _ = stage.approved()
    stage.passes()
    stage.venue.fill(entry.client_order_id, Decimal(10), HUNDRED)
    stage.passes()
    assert [outcome for outcome, _ in stage.cards()] == ["uncertain", "approved", "filled"]
    assert len(stage.venue.requests) == 1


def test_a_sale_in_parts_tells_the_profit_of_each_look(stage: Stage) -> None:
    entry, _ = stage.approved()
    stage.venue.fill(entry.client_order_id, Decimal(10), HUNDRED)
    stage.passes()
    sale = an_exit(stage.bench)
    stage.bench.place(sale)
    stage.venue.fill(sale.client_order_id, Decimal(2), Decimal(110))
    stage.venue.fill(sale.client_order_id, Decimal(3), Decimal(120))
    stage.passes()
    stage.venue.fill(sale.client_order_id, Decimal(5), Decimal(90))
    stage.passes()
    sold = stage.bench.events(OrderFilled)[1:]
    assert [(event.quantity, event.price, event.profit, event.filled) for event in sold] == [
        (5, 116, 80, 5),
        (5, 90, -50, 10),
    ]


def test_a_message_says_how_much_of_the_order_is_filled_and_what_a_fee_in_coin_is_worth() -> None:
    event = a_bought("BTC-USD", ordered=Decimal(10), filled=Decimal(4))
    text = " ".join(render(replace(event, fee=Decimal("0.01"), fee_currency="BTC"), UTC).text.split())
    assert "Order 4 of 10 filled" in text
    assert "Fee 0.01 BTC ($5.00)" in text
    assert "filled" not in render(a_bought(), UTC).text


def test_an_order_filled_in_many_parts_sounds_when_it_begins_and_when_it_is_done() -> None:
    def heard(quantity: int, filled: int, purpose: Purpose = Purpose.ENTRY) -> Loudness:
        part = replace(a_bought(purpose=purpose), quantity=Decimal(quantity), ordered=HUNDRED, filled=Decimal(filled))
        return Preferences().loudness(part, MONDAY, UTC)

    assert [heard(10, 10), heard(10, 20), heard(30, 50), heard(50, 100)] == [
        Loudness.ON,
        Loudness.SILENT,
        Loudness.SILENT,
        Loudness.ON,
    ]
    assert heard(10, 20, Purpose.STOP) is Loudness.ON
    assert Preferences().loudness(a_bought(), MONDAY, UTC) is Loudness.ON
