"""How numbers, times and cards look on the owner's phone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from bot import numbers, render_report
from bot.cards import CardAction, CardToken, card_keyboard, staleness
from bot.commands.control import parse_length
from bot.commands.table import COMMANDS
from bot.markup import COLUMNS, table, visible
from bot.render import render
from bot.render_cards import card
from bot.render_trades import position_guard_words
from core.domain.accounts import Badge
from core.domain.events import OrderFilled
from core.domain.orders import Purpose, Side
from core.domain.portfolio import GuardKind
from core.domain.records import InstructionState
from tests.fakes_owner import ACCOUNT, NOON, REPORT, an_instruction

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.feature("U6")
@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (numbers.money(Decimal("1234.5")), "$1,234.50"),
        (numbers.money(Decimal("-0.001")), "$0.00"),
        (numbers.signed_money(Decimal("-25.6")), "−$25.60"),
        (numbers.signed_money(Decimal(0)), "$0.00"),
        (numbers.money(None), "–"),
        (numbers.price(Decimal("512.3")), "512.30"),
        (numbers.price(Decimal("64123.4567")), "64,123.46"),
        (numbers.price(Decimal("0.3512")), "0.3512"),
        (numbers.price(Decimal("0.00001234")), "0.00001234"),
        (numbers.quantity(Decimal("10.000")), "10"),
        (numbers.quantity(Decimal("0.125000")), "0.125"),
        (numbers.signed_percent(Decimal("0.153")), "+15.3%"),
        (numbers.percent(float("nan")), "–"),
        (numbers.span(timedelta(hours=2, minutes=30, seconds=5)), "2 h 30 min"),
        (numbers.span(timedelta(0)), "0 s"),
        (numbers.moment(datetime(2026, 11, 1, 5, 59, tzinfo=UTC), NEW_YORK), "Sun 1 Nov 01:59 EDT"),
        (numbers.moment(datetime(2026, 11, 1, 6, 59, tzinfo=UTC), NEW_YORK), "Sun 1 Nov 01:59 EST"),
        (numbers.clock_time(NOON, ZoneInfo("America/Sao_Paulo")), "14:00 UTC-03"),
    ],
)
def test_numbers_and_times_look_the_same_everywhere(shown: str, text: str) -> None:
    assert shown == text


@pytest.mark.feature("U6")
def test_tables_stay_within_a_phones_width() -> None:
    message = card(an_instruction(), NEW_YORK, (Badge.MANUAL,))
    block = message.text[message.text.index("<pre>") + 5 : message.text.index("</pre>")]
    assert max(map(len, visible(block).splitlines())) <= COLUMNS
    assert visible(table((("Guard", "watched every minute while I run"),))).startswith("Guard\n  ")


@pytest.mark.feature("D14")
def test_the_first_line_of_a_stop_loss_says_symbol_action_profit_and_badge() -> None:
    event = OrderFilled(
        account="simulated",
        symbol="SPY",
        side=Side.SELL,
        purpose=Purpose.STOP,
        quantity=Decimal(4),
        price=Decimal("486.92"),
        fee=Decimal("0.2"),
        at=NOON,
        stop=None,
        target=None,
        guard=None,
        profit=Decimal("-102.92"),
        profit_fraction=Decimal("-0.0502"),
        cash=Decimal("9897.08"),
        badges=(Badge.PAPER,),
    )
    assert visible(render(event, NEW_YORK).text).splitlines()[0] == "🔴 SPY stop-loss −$102.92 (−5.02%) · PAPER"


@pytest.mark.feature("S15")
@pytest.mark.parametrize(
    "words",
    [
        "$10,012.30",
        "+$12.30 (+0.12%)",
        "Buy & hold  +0.30%",
        "1 of 2 (50%)",
        "AUC 0.561",
        "Right 11 of 19 times (58%): forecasts of the last 90 days that have come due",
        "Guard    orders at the broker",
    ],
)
def test_the_report_has_every_figure(words: str) -> None:
    assert words in visible(render_report.report(REPORT, NEW_YORK).text)


@pytest.mark.feature("S13")
@pytest.mark.parametrize(
    ("held", "at_venue", "target_rests", "words"),
    [
        ("10", "10", True, "orders at the broker"),
        ("10", "0", True, "orders at the broker"),
        ("3.5", "3", True, "orders for 3 at the broker; I watch the other 0.5"),
    ],
)
def test_the_guard_says_what_rests_at_the_broker_and_what_is_watched(
    held: str, at_venue: str, target_rests: bool, words: str
) -> None:
    shown = replace(
        REPORT.positions[0],
        guard=GuardKind.VENUE,
        quantity=Decimal(held),
        at_venue=Decimal(at_venue),
        target_rests=target_rests,
    )
    assert position_guard_words(shown) == words


@pytest.mark.feature("S13")
def test_the_guard_of_a_coin_says_that_its_target_is_watched_and_nothing_of_dust() -> None:
    shown = replace(
        REPORT.positions[0],
        symbol="BTC-USD",
        guard=GuardKind.VENUE,
        quantity=Decimal("0.09975049"),
        at_venue=Decimal("0.09975"),
        target_rests=False,
    )
    assert position_guard_words(shown) == "stop at the broker; I watch the target"
    engine = replace(shown, guard=GuardKind.ENGINE)
    assert position_guard_words(engine) == "I watch each minute"


def test_play_money_and_real_money_are_never_added_up() -> None:
    manual = replace(ACCOUNT, account="manual", day_profit=Decimal(-3), badges=(Badge.MANUAL,))
    report = replace(REPORT, accounts=(ACCOUNT, manual))
    assert (
        "+$12.30 (+0.12%), Manual account −$3.00 · PAPER"
        in visible(render_report.report(report, NEW_YORK).text).splitlines()[0]
    )


@pytest.mark.feature("T2")
def test_a_button_counts_only_for_the_card_it_was_made_for() -> None:
    open_card = an_instruction(version=2)
    assert staleness(CardToken(CardAction.EXECUTED, 7, 2), [open_card]) is None
    assert "has changed" in (staleness(CardToken(CardAction.EXECUTED, 7, 1), [open_card]) or "")
    assert "closed already" in (staleness(CardToken(CardAction.SKIP, 8, 1), [open_card]) or "")
    assert "not belong" in (staleness(CardToken(CardAction.APPROVE, 7, 2), [open_card]) or "")
    settled = an_instruction(state=InstructionState.EXECUTED)
    assert "closed already" in (staleness(CardToken(CardAction.EXECUTED, 7, 1), [settled]) or "")


def test_a_proposal_is_approved_and_an_instruction_executed() -> None:
    labels = [button.label for button in card_keyboard(an_instruction(needs_approval=True))[0]]
    assert labels == ["👍 Approve", "⏭ Skip"]
    assert [button.label for button in card_keyboard(an_instruction())[0]] == ["✅ Executed", "⏭ Skip"]


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("2h", timedelta(hours=2)),
        ("30m", timedelta(minutes=30)),
        ("1d 12h", timedelta(days=1, hours=12)),
        ("90 Minutes", timedelta(minutes=90)),
        ("1 week", timedelta(weeks=1)),
        ("0h", None),
        ("400d", None),
        ("soon", None),
        ("2", None),
        ("2h or so", None),
        ("-2h", None),
    ],
)
def test_a_pause_takes_any_plain_length_of_time(text: str, length: timedelta | None) -> None:
    assert parse_length(text) == length


def test_every_command_has_words_that_the_menu_accepts() -> None:
    for command in COMMANDS:
        assert 3 <= len(command.words) <= 256
        assert command.name.isascii()
