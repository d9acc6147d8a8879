"""What messages say about themselves: the mark of a simulated market, reasons in the house's form, practice cards."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from bot.markup import visible
from bot.render_cards import card
from bot.render_marks import DOT, badges, first_line, marked
from bot.render_reasons import gates, listed, words
from bot.render_report import report
from bot.render_safety import question
from bot.render_status import status
from core.domain.accounts import Badge, Mode
from core.domain.codec import decode, encode
from core.domain.decisions import Verdict
from core.domain.events import InstructionIssued
from core.domain.records import QuestionKind
from core.domain.views import ComponentHealth, Health
from tests.fakes_owner import ACCOUNT, NOON, REPORT, STATUS, a_question, an_instruction, an_issue

NEW_YORK = ZoneInfo("America/New_York")
PRACTICE = (Badge.MANUAL, Badge.SIMULATED)


@pytest.mark.feature("U2")
@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("📖 <b>What I understand</b>\n\n/status", "📖 <b>What I understand</b> · SIMULATED\n\n/status"),
        ("I answer commands.", "I answer commands.\n\n<i>SIMULATED</i>"),
        ("📈 <b>SPY</b> · MANUAL SIMULATED · #1\n\nfacts", "📈 <b>SPY</b> · MANUAL SIMULATED · #1\n\nfacts"),
        ("Hello\n\nsays SIMULATED further down", "Hello\n\nsays SIMULATED further down\n\n<i>SIMULATED</i>"),
    ],
)
def test_a_message_of_a_simulated_market_says_so_once_and_where_it_is_seen(text: str, sent: str) -> None:
    assert marked(text, "SIMULATED").replace(DOT, " · ") == sent
    assert marked(text, "") == text


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("67.0 % is above 60 %", "67.0% is above 60%"),
        ("MACD histogram -0.024 % of price", "MACD histogram −0.024% of price"),
        ("RSI 14 69.8 is within 45 to 70", "RSI(14) 69.8 is within 45 to 70"),
        ("2500.00 USD free, 10,000.5 USD in all", "$2,500.00 free, $10,000.50 in all"),
        ("bought 0.03636 BTC-USD at 68413.66 USD", "bought 0.03636 BTC-USD at $68,413.66"),
        (
            "price 65012.3400 is at or below the stop-loss 65020",
            "price 65,012.34 is at or below the stop-loss 65,020.00",
        ),
        ("closed until 2026-11-23 14:30 UTC", "closed until Mon 23 Nov 09:30 EST"),
        ("closed until 2026-19-23 14:30 UTC", "closed until 2026-19-23 14:30 UTC"),
        (
            "an entry waits in manual (awaiting owner), simulated (partially filled)",
            "an entry waits in manual (for you), simulated (partly filled)",
        ),
        ("the fate of it (unknown) is open", "the fate of it (unknown) is open"),
    ],
)
def test_a_stored_reason_is_shown_in_the_form_of_all_other_numbers(stored: str, shown: str) -> None:
    assert words(stored, NEW_YORK) == shown


@pytest.mark.feature("U6")
def test_a_phone_that_breaks_a_first_line_leaves_no_dot_and_no_at_sign_at_its_end() -> None:
    title = first_line("🙋", "BTC-USD BUY 0.032747 @ 70,053.50", badges(PRACTICE), "#1")
    for width in range(20, 50):
        for text in textwrap.wrap(title.replace("<b>", "").replace("</b>", ""), width):
            assert not text.endswith(("·", "@", "MANUAL")), width


@pytest.mark.feature("C6")
def test_a_card_that_an_older_version_stored_is_read_and_says_nothing_of_a_mode() -> None:
    issued = an_issue(an_instruction())
    stored = encode(replace(issued, mode=Mode.CONFIRM))
    assert isinstance(stored, dict)
    assert decode(InstructionIssued, stored).mode is Mode.CONFIRM
    del stored["mode"]
    assert decode(InstructionIssued, stored) == issued
    assert "Mode" not in card(issued, NEW_YORK, issued.badges).text
    assert "Account     Manual account" in card(issued, NEW_YORK, issued.badges).text


def test_a_card_that_is_shown_again_says_in_its_title_how_much_of_it_is_filled() -> None:
    issued = replace(an_issue(an_instruction()), filled=Decimal(3))
    first, *facts = visible(card(issued, NEW_YORK, issued.badges).text).splitlines()
    assert f"3 of {issued.quantity} filled" in first
    assert any("Only at" in fact for fact in facts)


def test_gates_with_numbers_have_lines_and_the_others_share_one() -> None:
    asked = (
        Verdict("data", True, "bars are fresh"),
        Verdict("probability", True, "67.0 % is above 60 %"),
        Verdict("session", True, "queues for the open at 2026-11-23 14:30 UTC"),
        Verdict("held", False, "already held in manual"),
        Verdict("gap", True, "not traded before"),
    )
    assert gates(asked, NEW_YORK).splitlines() == [
        "✓ Probability: 67.0% is above 60%",
        "✓ Market hours: queues for the open at Mon 23 Nov 09:30 EST",
        "✗ Holding: already held in manual",
        "✓ 2 more checks: fresh data, no recent trade",
    ]


def test_several_reasons_are_a_list_and_one_is_a_sentence() -> None:
    several = listed("67.0 % is above 60 %; close 10.00, SMA 20 9.00: an uptrend; RSI 14 60.0 is within", NEW_YORK)
    assert several.splitlines() == [
        "✓ Probability: 67.0% is above 60%",
        "✓ Trend: close 10.00, SMA 20 9.00: an uptrend",
        "✓ RSI(14) 60.0 is within",
    ]
    assert listed("price 95 is at or below the stop-loss 95", NEW_YORK).startswith("Price 95.00 is at or below")


def test_a_card_with_a_simulated_price_asks_nobody_to_trade() -> None:
    practice = visible(card(an_instruction(), NEW_YORK, PRACTICE).text)
    assert "place nothing anywhere" in practice
    assert "16:00 EST, your time" in practice
    real = visible(card(an_instruction(), NEW_YORK, (Badge.MANUAL,)).text)
    assert "Place it at your broker" in real and "your time" not in real


@pytest.mark.feature("S13")
def test_a_stop_to_be_placed_in_a_simulated_market_is_practice_and_a_real_one_is_not() -> None:
    asked = a_question(kind=QuestionKind.PLACE_STOP, text="Place this stop: sell 5 SPY if it falls to 494.5 USD.")
    assert "place nothing anywhere" in question(asked, PRACTICE, NEW_YORK).text
    real = question(asked, (Badge.MANUAL,), NEW_YORK).text
    assert "Practice" not in real
    assert "$494.50" in real
    other = replace(asked, kind=QuestionKind.ATTEST)
    assert "Practice" not in question(other, PRACTICE, NEW_YORK).text


def test_health_takes_one_line_unless_something_ails() -> None:
    parts = tuple(ComponentHealth(name, Health.RUNNING, "fine", NOON) for name in ("disk", "model", "quotes"))
    assert "all well (3 parts)" in visible(status(replace(STATUS, components=parts), NEW_YORK).text)
    ailing = replace(parts[2], state=Health.DEGRADED, reason="no answer")
    text = visible(status(replace(STATUS, components=(*parts[:2], ailing), health=Health.DEGRADED), NEW_YORK).text)
    assert "quotes: no answer" in text and "1 of 3 parts ailing" in text
    named = tuple((part.name, "RUNNING") for part in parts)
    assert "All well (3 parts)." in visible(report(replace(REPORT, components=named), NEW_YORK).text)


def test_a_simulated_status_says_whose_clock_its_times_follow() -> None:
    simulated = replace(STATUS, simulated_prices=True, speed=60.0, badges=(Badge.SIMULATED,))
    text = visible(status(simulated, NEW_YORK).text)
    assert "In the simulated market it is Mon 23 Nov 12:00 EST" in text
    assert "60 times as fast as yours" in text


def test_two_simulated_accounts_are_named_and_marked_once() -> None:
    manual = replace(ACCOUNT, account="manual", badges=PRACTICE, attested=True)
    broker = replace(ACCOUNT, badges=(Badge.SIMULATED,))
    view = replace(STATUS, accounts=(broker, manual), badges=(Badge.SIMULATED, Badge.MANUAL), simulated_prices=True)
    text = visible(status(view, NEW_YORK).text)
    assert text.splitlines()[0].endswith("· SIMULATED")
    assert text.count("SIMULATED") == 1
    assert "Simulated broker" in text and "Manual account, as you reported" in text
