"""What the engine says becomes something Telegram accepts; what the owner says is read or questioned."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot import render_accounts, render_answers, render_cards, render_status
from bot.cards import CardAction, CardToken
from bot.commands.amounts import Problem, parse_amount
from bot.commands.control import parse_length
from bot.commands.fill_text import parse_fill
from bot.commands.table import read_command
from bot.markup import esc, split, visible
from bot.message import Message
from bot.render import render, stamped
from core.domain.events import InstructionIssued, InstructionSettled
from core.domain.orders import Side
from core.domain.records import Instruction
from core.domain.views import OwnerAnswer, PositionsView, ReportedFill, StatusView
from tests.bot_events import EVENTS, MOMENTS, TEXTS, strategy_of
from tests.telegram_html import check_message, parse

ZONES = st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu", "America/Sao_Paulo"]).map(ZoneInfo)
slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
relaxed = settings(max_examples=150, deadline=None, suppress_health_check=slow)
brief = settings(max_examples=20, deadline=None, suppress_health_check=slow)


def check(message: Message) -> None:
    for part in split(message.text):
        check_message(part)
    for row in message.keyboard:
        for button in row:
            assert len(button.token.encode()) <= 64
            assert button.label


@relaxed
@given(EVENTS, ZONES, MOMENTS, st.booleans())
def test_every_event_becomes_valid_telegram_html(event, zone, created, repeat) -> None:
    check(stamped(render(event, zone), created, created + timedelta(days=3), zone, repeat=repeat))


@brief
@given(strategy_of(InstructionSettled), strategy_of(InstructionIssued), ZONES)
def test_a_settled_card_fits_one_message(settled, issued, zone) -> None:
    message = render_cards.settled_card(settled, issued, zone)
    check(message)
    assert len(split(message.text)) == 1
    assert message.keyboard == ()


@brief
@given(strategy_of(InstructionIssued), ZONES)
def test_a_card_fits_one_message(issued, zone) -> None:
    assert len(split(render_cards.card(issued, zone, issued.badges).text)) == 1


@brief
@given(strategy_of(StatusView), strategy_of(PositionsView), strategy_of(OwnerAnswer), ZONES)
def test_every_view_becomes_valid_telegram_html(status, positions, answer, zone) -> None:
    check(render_status.status(status, zone))
    check(render_accounts.positions(positions, zone))
    check(render_answers.answer(answer, zone))


@brief
@given(st.lists(strategy_of(Instruction), max_size=40), ZONES)
def test_every_list_of_instructions_becomes_valid_telegram_html(instructions, zone) -> None:
    check(render_answers.pending(instructions, zone))


@given(st.lists(st.tuples(st.sampled_from(["", "b", "i", "code", "pre"]), TEXTS), max_size=8), st.integers(20, 300))
@settings(deadline=None)
def test_splitting_keeps_every_visible_character_and_all_tags_paired(pieces, limit) -> None:
    markup = "".join(f"<{tag}>{esc(text, 9999)}</{tag}>" if tag else esc(text, 9999) for tag, text in pieces)
    parts = split(markup, limit)
    seen = [parse(part) for part in parts]
    assert all(len(text.encode("utf-16-le")) // 2 <= limit for text in seen)
    if visible(markup).strip():
        assert "".join("".join(seen).split()) == "".join(visible(markup).split())


@given(st.text(max_size=250) | st.text("0123456789.,@$#- ×xabcSPYBTC/usdfee", max_size=40))
@settings(max_examples=200, deadline=None)
@example("spy 10 @ 512,30")
@example("٣ spy @ ٤")
@example("#\u0663")
def test_any_text_is_a_fill_or_a_problem(text) -> None:
    read = parse_fill(text)
    assert isinstance(read, ReportedFill | Problem)
    if isinstance(read, ReportedFill):
        assert read.symbol is not None or read.number is not None
        assert read.quantity is None or read.quantity > 0
        assert read.price is None or read.price > 0
        assert read.fee is None or read.fee >= 0
    else:
        assert read.sentence
    amount = parse_amount(text)
    assert isinstance(amount, Problem) or amount >= 0
    read_command(text)
    length = parse_length(text)
    assert length is None or timedelta(0) < length <= timedelta(days=365)


@given(
    st.sampled_from(["SPY", "QQQ", "BTC-USD", "ETH-USD"]),
    st.decimals(Decimal("0.000001"), Decimal(999_999), places=6),
    st.decimals(Decimal("0.01"), Decimal(999_999), places=2),
    st.sampled_from(
        ["{s} {q} @ {p}", "{q} {s} at ${p}", "bought {q} {s} @{p}$", "{s} {q}x {p} USD", "@ {p}, {q} units, {s}"]
    ),
    st.booleans(),
)
@settings(deadline=None)
def test_what_is_written_plainly_is_read_exactly(symbol, quantity, price, form, shout) -> None:
    text = form.format(s=symbol.removesuffix("-USD"), q=quantity, p=price)
    assert parse_fill(text.upper() if shout else text.lower()) == ReportedFill(
        symbol, quantity, price, None, None, side=Side.BUY if "bought" in form else None
    )


@given(st.sampled_from(list(CardAction)), st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_a_card_token_survives_the_way_to_telegram_and_back(action, number, version) -> None:
    token = CardToken(action, number, version)
    assert len(token.text().encode()) <= 64
    assert CardToken.parse(token.text()) == token


@given(st.text(max_size=64))
def test_any_other_token_is_nobodys(text) -> None:
    parsed = CardToken.parse(text)
    assert (
        parsed is None
        or parsed.text() == text
        or text.split(":")[2].startswith("0")
        or text.split(":")[3].startswith("0")
    )
