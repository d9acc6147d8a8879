"""Numbers in the owner's words, in any country's writing, read without guessing.

A single mark before exactly three digits has two readings (`1,240` and `1.240` are one and a quarter, or twelve hundred
and forty) and is asked about; after a zero (`0.125`) it cannot group thousands. Any other single point or comma is the
decimal mark. Where both stand, the last one is the decimal mark and the other must group thousands. Apostrophes and
unbreakable spaces between groups of three digits only group; a plain space may also stand between two numbers.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

from core.domain.values import plain

LONGEST = 200
"""Characters of one report."""
_MOST_DIGITS = 24
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹘﹣－"), "-")
_QUOTES = dict.fromkeys(map(ord, "“”„‟«»‘’‚‛\"'`"), " ")
_ARABIC_MARKS = {ord("٫"): ".", ord("٬"): ","}
_GROUPING = re.compile(r"(?<=\d)[\u00a0\u2007\u2009\u202f'’](?=\d{3}(?!\d))", re.ASCII)
_SPACED = re.compile(r"(?<![\d.,:#])\d{1,3}(?: \d{3})+(?![\d:])[\d.,]*", re.ASCII)
_CURRENCY_BEHIND = re.compile(r"\s*(usd|dollars?)\s*$")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a text was not read, in a sentence for the owner."""

    sentence: str


class Unclear(Exception):
    """Carries the sentence out of a parser's depths."""


def parse_amount(text: str) -> Decimal | Problem:
    """A sum of money such as `1,240.22`, `$5000` or `5.000,50`. Never raises; negative sums are refused."""
    bare = _CURRENCY_BEHIND.sub("", normal(text[:LONGEST])).strip().removeprefix("$").removesuffix("$")
    try:
        return amount(bare.strip())
    except Unclear as unclear:
        return Problem(str(unclear))


def typed(value: Decimal) -> str:
    """`value` in the one form that is read back exactly: no grouping, and never three decimals that could group."""
    text = plain(value)
    whole, _, fraction = text.partition(".")
    return f"{text}0" if _groups(whole, fraction) else text


def normal(text: str) -> str:
    """In lower case, with ASCII digits and dashes; grouping that is nothing else is gone, quotes are spaces."""
    digits = "".join(_ascii_digit(each) for each in text if unicodedata.category(each) != "Cf")
    joined = _GROUPING.sub("", digits.translate(_ARABIC_MARKS))
    return unicodedata.normalize("NFKC", joined).translate(_DASHES).translate(_QUOTES).lower()


def _ascii_digit(character: str) -> str:
    return str(unicodedata.decimal(character)) if character.isdecimal() and not character.isascii() else character


def refuse_spaced(text: str) -> None:
    """Raises Unclear where a space stands between digits that may be one number or two."""
    found = _SPACED.search(text)
    if found is not None:
        raise Unclear(
            f"“{found.group(0)}” could be one number or two. Which number is the price? Write 10 @ 512.30, and a long "
            "number without spaces."
        )


def amount(text: str) -> Decimal:
    """The number of an amount's text. Raises Unclear when it has none or two readings."""
    digits = text.rstrip(".,")
    if len(digits) > _MOST_DIGITS or not re.fullmatch(r"\d+([.,]\d+)*", digits, re.ASCII):
        raise Unclear(f"“{text[:30]}” is not a number I can read. Write it like 512.30")
    points, commas = digits.count("."), digits.count(",")
    if points and commas:
        return _with_both(digits)
    if points + commas == 0:
        return Decimal(digits)
    mark = "." if points else ","
    if points + commas > 1:
        return Decimal(_ungrouped(digits, mark))
    whole, fraction = digits.split(mark)
    if _groups(whole, fraction):
        raise Unclear(
            f"{digits} could be {whole}{fraction} or {whole}.{fraction}. Write {whole}{fraction} or {whole}.{fraction}0"
        )
    return Decimal(f"{whole}.{fraction}")


def _groups(whole: str, fraction: str) -> bool:
    """Whether the mark between the two may group thousands as well as begin the decimals."""
    return len(fraction) == 3 and 1 <= len(whole) <= 3 and bool(whole.strip("0"))


def _with_both(digits: str) -> Decimal:
    mark = "." if digits.rfind(".") > digits.rfind(",") else ","
    whole, _, fraction = digits.rpartition(mark)
    if mark in whole:
        raise Unclear(f"{digits} is not a number I can read. Write it like 1240.22")
    return Decimal(f"{_ungrouped(whole, ',' if mark == '.' else '.')}.{fraction}")


def _ungrouped(digits: str, mark: str) -> str:
    first, *groups = digits.split(mark)
    if len(first) > 3 or any(len(group) != 3 for group in groups):
        raise Unclear(f"{digits} is not a number I can read. Write it like 1240.22")
    return first + "".join(groups)
