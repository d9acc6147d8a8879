"""How the owner may word a fill, and what is asked back instead of guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from bot.commands.amounts import Problem, parse_amount, typed
from bot.commands.fill_text import Context, parse_fill
from bot.commands.when import WallClock
from core.domain.orders import Side
from core.domain.views import ReportedFill


def fill(
    symbol: str | None = None,
    quantity: str | None = None,
    price: str | None = None,
    fee: str | None = None,
    number: int | None = None,
    side: Side | None = None,
    at: datetime | None = None,
) -> ReportedFill:
    def exact(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    return ReportedFill(symbol, exact(quantity), exact(price), exact(fee), number, side=side, at=at)


@pytest.mark.feature("M1")
@pytest.mark.feature("M2")
@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("SPY", fill("SPY")),
        ("#7", fill(number=7)),
        ("SPY 10 @ 512.30", fill("SPY", "10", "512.30")),
        ("spy 10@512,30", fill("SPY", "10", "512.30")),
        ("10 SPY at 512.3", fill("SPY", "10", "512.3")),
        ("10 SPY 512.3", fill("SPY", "10", "512.3")),
        ("Bought 10 spy at $512.30, fee 1.20", fill("SPY", "10", "512.30", "1.20", side=Side.BUY)),
        ("sold 10 shares of SPY @ 512.30.", fill("SPY", "10", "512.30", side=Side.SELL)),
        ("SPY – 10 @ 512.30", fill("SPY", "10", "512.30")),
        ("BTC–USD 0,125 @ 64123", fill("BTC-USD", "0.125", "64123")),
        ("BTC 0.01 @ 64,123.45", fill("BTC-USD", "0.01", "64123.45")),
        ("eth/usd 1.5x @ 3.000,25", fill("ETH-USD", "1.5", "3000.25")),
        ("ADAUSD 1000 units $0.35", fill("ADA-USD", "1000", "0.35")),
        ("#7 @ 512.30", fill(price="512.30", number=7)),
        ("#7 10 shares", fill(quantity="10", number=7)),
        ("SPY 512.30$ 10x", fill("SPY", "10", "512.30")),
        ("“SPY” 10 @ 512.30", fill("SPY", "10", "512.30")),
        ("ＳＰＹ　１０＠５１２．３０", fill("SPY", "10", "512.30")),
        ("BRK-B 3 @ 400 commission: $1", fill("BRK-B", "3", "400", "1")),
        ("QQQ fee 0", fill("QQQ", fee="0")),
        ("SPY quantity 10 price 512,30", fill("SPY", "10", "512.30")),
        ("BTC 0,00125000 @ 64\u202f123,45", fill("BTC-USD", "0.00125", "64123.45")),
        ("SPY 10 @ 1’240.50", fill("SPY", "10", "1240.50")),
        ("SPY ١٠ @ ٥١٢٫٣٠", fill("SPY", "10", "512.30")),
        ("SPY\u200f 10 \u200e@ 512.30", fill("SPY", "10", "512.30")),
    ],
)
def test_tolerant_wordings_are_read(text: str, read: ReportedFill) -> None:
    assert parse_fill(text) == read


@pytest.mark.feature("M2")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Which order"),
        ("10 @ 512.30", "Which order"),
        ("SPY 10", "quantity or the price"),
        ("SPY 10 512.30", "Which number is the price"),
        ("SPY 1,240 @ 5", "could be 1240 or 1.240"),
        ("SPY 10 @ 512.30 @ 513", "two prices"),
        ("SPY 10x 11x", "two quantities"),
        ("bought sold SPY", "Bought or sold"),
        ("SPY QQQ 10 @ 5", "cannot read “qqq”"),
        ("SPY -10 @ 5", "cannot read “-10”"),
        ("SPY 0 @ 5", "zero"),
        ("SPY 10 @ 0", "zero"),
        ("SPY 10 @", "I miss the number"),
        ("SPY 10 @ 1.2.3", "not a number"),
        ("SPY 10k @ 5", "cannot read"),
        ("SPY 10 for 400", "cannot read"),
        ("SPY 10 @ 512.30 15:58", "cannot read a time here"),
        ("SPY 1.240 @ 5", "could be 1240 or 1.240"),
        ("BTC @ 64 123,50", "one number or two"),
        ("1 240 SPY", "one number or two"),
        ("#7 #8", "Name one instruction"),
        ("SPY fee 1 fee 2", "two fees"),
        ("x" * 500, "too long"),
        ("SPY 10 @ " + "9" * 30, "not a number"),
    ],
)
def test_what_has_two_readings_or_none_is_asked(text: str, words: str) -> None:
    problem = parse_fill(text)
    assert isinstance(problem, Problem)
    assert words in problem.sentence


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("5000", "5000"),
        ("$1,240.22", "1240.22"),
        ("1.240,22", "1240.22"),
        ("1240,22 USD", "1240.22"),
        ("1,240,000", "1240000"),
        ("0", "0"),
        ("12.3450", "12.345"),
        ("0.125", "0.125"),
        ("5\u00a0000", "5000"),
    ],
)
def test_sums_of_money_are_read(text: str, amount: str) -> None:
    assert parse_amount(text) == Decimal(amount)


@pytest.mark.parametrize(
    "text", ["", "-5", "1,240", "12.345", "1,24,000", "5 000", "ten", "1e9", "NaN", "5000 EUR", "1.240.00,5"]
)
def test_other_sums_are_refused(text: str) -> None:
    assert isinstance(parse_amount(text), Problem)


ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 25, 15, 30, tzinfo=UTC)
"""Wednesday 10:30 in New York."""


@pytest.mark.feature("M10")
@pytest.mark.parametrize(
    ("words", "at"),
    [
        ("9:58", datetime(2026, 11, 25, 14, 58, tzinfo=UTC)),
        ("at 9:58 am", datetime(2026, 11, 25, 14, 58, tzinfo=UTC)),
        ("yesterday 15:58", datetime(2026, 11, 24, 20, 58, tzinfo=UTC)),
        ("15:58 yesterday", datetime(2026, 11, 24, 20, 58, tzinfo=UTC)),
        ("yesterday at 3:58 PM", datetime(2026, 11, 24, 20, 58, tzinfo=UTC)),
        ("2026-11-24 15:58", datetime(2026, 11, 24, 20, 58, tzinfo=UTC)),
        ("2026–11–24T15:58:07", datetime(2026, 11, 24, 20, 58, 7, tzinfo=UTC)),
        ("today 14:58 UTC", datetime(2026, 11, 25, 14, 58, tzinfo=UTC)),
        ("2026-07-01 09:31", datetime(2026, 7, 1, 13, 31, tzinfo=UTC)),
        ("10:30:30", NOW),
    ],
)
def test_times_are_read_by_the_owners_clock(words: str, at: datetime) -> None:
    clock = WallClock(NOW, ZONE)
    expected = fill("SPY", "10", "512.30", "1.20", at=at)
    assert parse_fill(f"SPY 10 @ 512,30 fee 1.20 {words}", clock=clock) == expected
    assert parse_fill(f"{words} SPY 10 @ 512,30 fee 1.20", clock=clock) == expected


@pytest.mark.feature("M10")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("15:58", "still to come. If it was yesterday, write: yesterday 15:58"),
        ("2026-11-26 09:31", "still to come"),
        ("yesterday", "At what time yesterday"),
        ("9:58 9:59", "two times"),
        ("yesterday 25:00", "no time of day"),
        ("yesterday 13:30 pm", "no time of day"),
        ("2026-02-30 09:31", "no 2026-02-30 in the calendar"),
        ("2026-11-01 01:30", "twice"),
        ("2026-03-08 02:30", "summer time began"),
        ("0001-01-01 00:00", "too long ago"),
    ],
)
def test_times_that_cannot_be_are_asked_about(words: str, sentence: str) -> None:
    zone = ZoneInfo("Asia/Kathmandu") if words.startswith("0001") else ZONE
    problem = parse_fill(f"SPY 10 @ 512.30 {words}", clock=WallClock(NOW, zone))
    assert isinstance(problem, Problem)
    assert sentence in problem.sentence


CARD = Context(7, Decimal("512.30"), Decimal(10))
ASKED = Context(7, Decimal("512.30"), Decimal(10), price_asked=True)


@pytest.mark.feature("M9")
@pytest.mark.parametrize(
    ("text", "context", "read"),
    [
        ("512,30", CARD, fill(price="512.30", number=7)),
        ("512,30", ASKED, fill(price="512.30", number=7)),
        ("$513", CARD, fill(price="513", number=7)),
        ("5", ASKED, fill(price="5", number=7)),
        ("5 @ 512,30", CARD, fill(quantity="5", price="512.30", number=7)),
        ("5 @ 512,30", ASKED, fill(quantity="5", price="512.30", number=7)),
        ("5 shares", CARD, fill(quantity="5", number=7)),
        ("bought 5 at 512,30 fee 1", CARD, fill(quantity="5", price="512.30", fee="1", number=7, side=Side.BUY)),
        ("done", CARD, fill(number=7)),
        ("QQQ 5 @ 512.30", CARD, fill("QQQ", "5", "512.30", number=7)),
    ],
)
def test_a_reply_is_read_with_its_card_in_mind(text: str, context: Context, read: ReportedFill) -> None:
    assert parse_fill(text, context=context) == read


@pytest.mark.feature("M9")
@pytest.mark.parametrize(
    ("text", "context"),
    [
        ("5", CARD),
        ("10", CARD),
        ("20000", CARD),
        ("3", Context(7, Decimal("3.10"), Decimal(1000))),
        ("5 512,30", ASKED),
        ("512,300", ASKED),
    ],
)
def test_a_reply_with_two_readings_is_asked_about(text: str, context: Context) -> None:
    assert isinstance(parse_fill(text, context=context), Problem)


@pytest.mark.parametrize("value", ["1.234", "12.345", "0.125", "1234.567", "1.2345", "10", "512.3", "0.001"])
def test_what_we_show_to_be_typed_is_read_back_exactly(value: str) -> None:
    assert parse_amount(typed(Decimal(value))) == Decimal(value)
