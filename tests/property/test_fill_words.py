"""Whatever the owner writes gets an answer; numbers in every country's writing are read right or asked about."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.commands import books
from bot.commands.amounts import Problem, parse_amount, typed
from bot.commands.fill_text import Context, parse_fill
from bot.commands.fills import card_number
from bot.commands.table import run_command
from bot.commands.talk import Talk
from bot.commands.when import WallClock
from bot.drafts import DraftAction, DraftToken
from bot.hands import Hands
from bot.live_status import LiveStatusDesk
from bot.markup import split
from core.domain.views import ReportedFill
from core.settings import load_settings
from core.settings.book import SettingsBook
from tests.bot_line import running_writer
from tests.builders import COIN, Bench
from tests.telegram_html import check_message

NOW = datetime(2026, 11, 25, 15, 30, tzinfo=UTC)
ZONES = st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]).map(ZoneInfo)
CONTEXTS = st.none() | st.builds(
    Context,
    st.integers(1, 999),
    st.decimals("0.01", 99_999, places=2),
    st.decimals("0.01", 9_999, places=2),
    st.booleans(),
)
VALUES = st.decimals("0.001", 99_999_999, places=3) | st.decimals("0.01", 9_999_999, places=2) | st.integers(1, 10**8)
GROUPS = st.sampled_from(["", ",", ".", " ", "\u00a0", "\u202f", "\u2009", "'", "’"])
MARKS = st.sampled_from([".", ","])
WORDS = ["bought", "sold", "SPY", "BTC", "10", "512,30", "@", "at", "fee", "#7", "yesterday", "today", "15:58"]
WORDS += ["2026-11-24", "pm", "UTC", "$", "1.240", "-", "shares", "fill", "4:1", "price", "2024-03-03"]
COMMANDS = ["", *(f"/{each.name} " for each in books.COMMANDS), "/executed ", "/skip ", "/cash "]
DIGITS = st.sampled_from(["0123456789", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９", "०१२३४५६७८९"])


def written(value: Decimal | int, group: str, mark: str, digits: str) -> str:
    """As it is written where `group` stands between thousands and `mark` before the decimals."""
    whole, _, fraction = f"{Decimal(value):,f}".partition(".")
    text = whole.replace(",", group) + (mark + fraction if fraction else "")
    return text.translate(str.maketrans("0123456789", digits))


@pytest.mark.feature("M2")
@given(VALUES, GROUPS, MARKS, DIGITS)
@settings(max_examples=400, deadline=None)
@example(1240, ".", ",", "0123456789")
@example(Decimal("1.240"), "", ".", "0123456789")
@example(Decimal("64123.45"), " ", ",", "0123456789")
def test_a_number_is_read_right_or_asked_about_wherever_it_is_written(value, group, mark, digits) -> None:
    if group == mark:
        group = ""
    text = written(value, group, mark, digits)
    amount = parse_amount(text)
    assert isinstance(amount, Problem) or amount == value
    for form in (f"BTC {text} coins @ 5", f"{text} BTC @ 5", f"bought BTC {text}x, 5 USD"):
        read = parse_fill(form)
        assert isinstance(read, Problem) or (read.quantity, read.price) == (value, 5), form
    for form in (f"BTC 5 @ {text}", f"5 BTC at ${text}", f"sold 5 BTC {text} USD fee 1", f"BTC 5x {text}$"):
        read = parse_fill(form)
        assert isinstance(read, Problem) or (read.quantity, read.price) == (5, value), form


@pytest.mark.feature("M2")
@given(VALUES)
@settings(deadline=None)
def test_what_we_show_to_be_copied_is_read_back_exactly(value) -> None:
    value = Decimal(value)
    assert parse_amount(typed(value)) == value
    assert parse_fill(f"#7 {typed(value)} @ {typed(value)}") == ReportedFill(None, value, value, None, 7)


@pytest.mark.feature("M2")
@pytest.mark.feature("M10")
@given(
    st.text(max_size=220)
    | st.text("0123456789.,:@$#- ×xabcSPYBTC/usdfeeyesterdayutcampm\u00a0’", max_size=60)
    | st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join),
    ZONES,
    CONTEXTS,
)
@settings(max_examples=400, deadline=None)
@example("0001-01-01 00:00", ZoneInfo("Asia/Kathmandu"), None)
def test_any_words_are_a_fill_that_can_be_or_a_question(text, zone, context) -> None:
    read = parse_fill(text, clock=WallClock(NOW, zone), context=context)
    if isinstance(read, Problem):
        assert read.sentence
        return
    assert read.symbol is not None or read.number is not None
    assert read.quantity is None or read.quantity > 0
    assert read.price is None or read.price > 0
    assert read.fee is None or read.fee >= 0
    assert read.at is None or (read.at <= NOW and read.at.utcoffset() is not None)


@pytest.mark.feature("M9")
@given(st.decimals("0.01", 99_999, places=2), st.decimals("1", 999, places=0), st.decimals("0.01", 99_999, places=2))
@settings(deadline=None)
def test_a_bare_number_in_a_reply_is_a_price_only_where_it_cannot_be_the_quantity(price, left, bare) -> None:
    read = parse_fill(f"{bare}", context=Context(7, price, left))
    if isinstance(read, ReportedFill):
        assert (read.price, read.quantity, read.number) == (bare, None, 7)
        assert bare > left
    asked = parse_fill(f"{bare}", context=Context(7, price, left, price_asked=True))
    assert isinstance(asked, ReportedFill) and asked.price == bare


@pytest.mark.feature("M3")
@given(st.sampled_from(list(DraftAction)), st.from_regex(r"[0-9a-f]{16}", fullmatch=True), st.integers(1, 99))
def test_a_drafts_button_survives_the_way_to_telegram_and_back(action, token, version) -> None:
    button = DraftToken(action, token, version)
    assert len(button.text().encode()) <= 64
    assert DraftToken.parse(button.text()) == button


@given(st.text(max_size=80) | st.text("e:cx0123456789ab", max_size=40))
def test_any_other_button_is_nobodys(text) -> None:
    parsed = DraftToken.parse(text)
    assert parsed is None or text.startswith(f"e:{parsed.action}:{parsed.token}:")
    number = card_number(text)
    assert number is None or f"#{number}" in text.replace("#0", "#") or number == 0


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """Commands over a real engine, with a card that waits and cash that is declared."""
    bench = Bench(tmp_path_factory.mktemp("words"), symbols=(COIN,)).start()
    bench.declare_cash("10000")
    bench.instruct()
    ledger = bench.database.unit_of_work
    book = SettingsBook(load_settings({"TIME_ZONE": "America/New_York"}, None), ledger, bench.system)
    with running_writer() as writer:
        hands = Hands(writer)
        live = LiveStatusDesk(ledger, bench.system, bench.clock)
        yield Talk(bench.owner, hands, bench.clock, book, ledger, live, bench.system)
        hands.close()


@pytest.mark.feature("M2")
@given(
    st.sampled_from(COMMANDS),
    st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=7).map(" ".join),
    st.sampled_from(["", "✋ BTC-USD BUY 10 · #1", "💬 BTC-USD BUY: at which price? · #1", "#9"]),
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_words_of_the_owner_are_answered_and_book_nothing_by_themselves(talk, command, words, replied) -> None:
    def entries() -> int:
        with talk.ledger() as work:
            return len(list(work.entries("manual")))

    before = entries()
    _, reply = asyncio.run(run_command(talk, command + words, "owner", f"{command}{words}{replied}", replied))
    assert reply.messages
    for message in reply.messages:
        for part in split(message.text):
            check_message(part)
    assert command == "/cash " or entries() == before
