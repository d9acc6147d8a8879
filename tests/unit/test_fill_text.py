"""How the owner may word a fill, and what is asked back instead of guessed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.commands.fill_text import Problem, parse_amount, parse_fill, parse_side
from core.domain.orders import Side
from core.domain.views import ReportedFill


def fill(
    symbol: str | None = None,
    quantity: str | None = None,
    price: str | None = None,
    fee: str | None = None,
    number: int | None = None,
) -> ReportedFill:
    def exact(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    return ReportedFill(symbol, exact(quantity), exact(price), exact(fee), number)


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
        ("Bought 10 spy at $512.30, fee 1.20", fill("SPY", "10", "512.30", "1.20")),
        ("sold 10 shares of SPY @ 512.30.", fill("SPY", "10", "512.30")),
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
        ("SPY 10 @ 512.30 yesterday", "cannot read “yesterday”"),
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
        ("12.345", "12.345"),
    ],
)
def test_sums_of_money_are_read(text: str, amount: str) -> None:
    assert parse_amount(text) == Decimal(amount)


@pytest.mark.parametrize(
    "text", ["", "-5", "1,240", "1,24,000", "5 000", "ten", "1e9", "NaN", "5000 EUR", "1.240.00,5"]
)
def test_other_sums_are_refused(text: str) -> None:
    assert isinstance(parse_amount(text), Problem)


@pytest.mark.parametrize(
    ("text", "side"),
    [("bought 1 SPY", Side.BUY), ("SPY sell 2x", Side.SELL), ("SPY", None), ("bought and sold", None)],
)
def test_the_side_is_only_taken_from_what_was_said(text: str, side: Side | None) -> None:
    assert parse_side(text) is side
