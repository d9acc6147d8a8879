"""What Alpaca tells of an account, as entries of our books: fills, money, units, splits.

Each activity is booked once, under Alpaca's own id. What no rule here knows is booked all the same as far as it names
money or units, and says by its note what Alpaca calls it. Sources: Alpaca's description of its trading service, its
pages on account activities and on coin fees.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from core.adapters.alpaca_book import Owner
from core.adapters.alpaca_names import COIN_CLASS, our_symbol
from core.adapters.alpaca_wire import Row, moment, number, number_or_none, text, word
from core.domain.orders import Side
from core.domain.portfolio import AdjustmentKind, CashKind, CashMovement, Fill, PositionAdjustment
from core.domain.values import ONE, ZERO, plain
from core.domain.venue import Activity, Split
from core.errors import MalformedAnswer

COIN_FEE, SPLIT = "CFEE", "SPLIT"
MONEY: Mapping[str, tuple[CashKind, str]] = {
    "CGD": (CashKind.DIVIDEND, "capital gain distribution"),
    "DIV": (CashKind.DIVIDEND, "dividend"),
    "DIVCGL": (CashKind.DIVIDEND, "long-term capital gain distribution"),
    "DIVCGS": (CashKind.DIVIDEND, "short-term capital gain distribution"),
    "DIVFEE": (CashKind.FEE, "fee on a dividend"),
    "DIVFT": (CashKind.DIVIDEND, "foreign tax withheld from a dividend"),
    "DIVNRA": (CashKind.DIVIDEND, "tax withheld from a dividend of a non-resident"),
    "DIVROC": (CashKind.DIVIDEND, "return of capital"),
    "DIVTW": (CashKind.DIVIDEND, "tax withheld from a dividend"),
    "DIVTXEX": (CashKind.DIVIDEND, "tax-exempt dividend"),
    "INT": (CashKind.INTEREST, "interest"),
    "INTNRA": (CashKind.INTEREST, "tax withheld from interest of a non-resident"),
    "INTTW": (CashKind.INTEREST, "tax withheld from interest"),
    "FEE": (CashKind.FEE, "fee"),
    COIN_FEE: (CashKind.FEE, "fee of a coin trade"),
    "PTC": (CashKind.FEE, "pass-through charge"),
    "PTR": (CashKind.FEE, "pass-through rebate"),
    SPLIT: (CashKind.IN_LIEU, "cash for a fraction that a split left over"),
    "SPIN": (CashKind.IN_LIEU, "cash of a spin-off"),
    "MA": (CashKind.IN_LIEU, "cash of a merger or acquisition"),
    "REORG": (CashKind.IN_LIEU, "cash of a reorganisation"),
    "VOF": (CashKind.IN_LIEU, "cash of an offer that was taken"),
    "WH": (CashKind.FEE, "withholding"),
}
"""By Alpaca's type: as what its money is booked, and in words."""
TRANSFERS: Mapping[str, str] = {
    "TRANS": "cash transfer",
    "CSD": "cash deposit",
    "CSW": "cash withdrawal",
    "ACATC": "account transfer (cash)",
    "ACATS": "account transfer (securities)",
    "FOPT": "free transfer of securities",
    "JNL": "journal entry",
    "JNLC": "journal entry (cash)",
    "JNLS": "journal entry (stock)",
}
"""Money and units that come or go by nobody's trade: their sign tells which way."""
UNITS: Mapping[str, str] = {
    "SPIN": "spin-off",
    "MA": "merger or acquisition",
    "REORG": "reorganisation",
    "NC": "change of name",
    "VOF": "offer that was taken",
    "OPASN": "option assignment",
    "OPCA": "corporate action of an option",
    "OPCSH": "cash of an option",
    "OPEXC": "option exercise",
    "OPEXP": "option expiration",
    "OPTRD": "option trade",
    "MISC": "miscellaneous",
}
STOCK_DIVIDEND = "SDIV"
VOID = "canceled"
WHEN = ("created_at", "transaction_time", "date")
PART = re.compile(r"\s*(remove|add)\b", re.IGNORECASE)
"""How Alpaca describes the halves of a split: the old units go, the new ones come."""
IN_LIEU = re.compile(r"\bin lieu\b", re.IGNORECASE)
Held = Callable[[], Mapping[str, Decimal]]
Ratio = Callable[[str, datetime], Decimal | None]
"""ratio(symbol, at): new shares for one old one in a split of about then; None where nobody knows of one."""


def fill_of(row: Row, account: str, owner: Owner) -> Fill:
    """Alpaca takes no fee within a fill: what it charges comes as an activity of its own. Raises MalformedAnswer."""
    at = moment(row, ("transaction_time",))
    quantity, price = number(row, "qty"), number(row, "price")
    side = text(row, "side")
    if at is None or quantity <= 0 or price < 0 or not side.startswith(("buy", "sell")):
        raise MalformedAnswer("told of a fill that cannot be one")
    return Fill(
        id=text(row, "id"),
        account=account,
        client_order_id=owner.name,
        symbol=owner.symbol or our_symbol(text(row, "symbol")),
        side=Side.BUY if side.startswith("buy") else Side.SELL,
        quantity=quantity,
        price=price,
        fee=ZERO,
        fee_currency="USD",
        at=at,
        purpose=owner.purpose,
    )


def activities_of(rows: Iterable[Row], account: str, held: Held, ratio: Ratio) -> list[Activity]:
    """The entries of everything but fills, ascending. Raises MalformedAnswer.

    Of a split Alpaca tells the units that went and came, of which an odd part is paid out, or their change alone:
    `ratio` asks what it was for each share, and `held` what the account holds by now.
    """
    found, splits = list[Activity](), defaultdict[tuple[str, str], list[Row]](list)
    for row in rows:
        if word(row, "status") == VOID:
            continue
        kind = text(row, "activity_type")
        if kind == SPLIT and (number_or_none(row, "qty") or ZERO):
            splits[text(row, "symbol"), word(row, "group_id") or word(row, "date")[:10]].append(row)
            found += _money(row, kind, account)
        elif kind != "FILL":
            found += [*_money(row, kind, account), *_units(row, kind, account)]
    for parts in splits.values():
        found += _split(parts, account, held, ratio)
    return sorted(found, key=lambda each: (each.at, each.id))


def _money(row: Row, kind: str, account: str) -> Iterable[CashMovement]:
    amount = number_or_none(row, "net_amount") or ZERO
    if not amount:
        return
    booked = MONEY.get(kind)
    if kind in TRANSFERS and IN_LIEU.search(word(row, "description")):
        booked = (CashKind.IN_LIEU, "cash for a fraction of a share")
    elif kind in TRANSFERS:
        booked = (CashKind.DEPOSIT if amount > 0 else CashKind.WITHDRAWAL, TRANSFERS[kind])
    if booked is None:
        # Nobody here knows why it came or went: it counts as neither gain nor loss, and shows under Alpaca's name.
        booked = (CashKind.ADOPTION, UNITS.get(kind, f"{kind}, which is not known here"))
    yield CashMovement(text(row, "id"), account, booked[0], amount, _at(row), _note(row, booked[1]))


def _units(row: Row, kind: str, account: str) -> Iterable[PositionAdjustment]:
    quantity = number_or_none(row, "qty") or ZERO
    is_dividend_in_stock = kind == "DIV" and word(row, "activity_sub_type") == STOCK_DIVIDEND
    if not quantity or not (kind not in MONEY or kind in UNITS or kind == COIN_FEE or is_dividend_in_stock):
        # The quantity of a dividend says how many shares it was paid on; nothing came or went.
        return
    name = word(row, "symbol")
    if not name:
        return
    symbol = our_symbol(name, COIN_CLASS if kind == COIN_FEE else word(row, "asset_class"))
    booked, words = (
        AdjustmentKind.TRANSFER,
        UNITS.get(kind) or TRANSFERS.get(kind) or f"{kind}, which is not known here",
    )
    if kind == COIN_FEE:
        booked, words = AdjustmentKind.FEE, "fee of a coin trade, taken in the coin"
    elif is_dividend_in_stock:
        booked, words = AdjustmentKind.SPLIT, "dividend in shares"
    yield PositionAdjustment(text(row, "id"), account, symbol, booked, quantity, ZERO, _at(row), _note(row, words))


def _split(rows: Sequence[Row], account: str, held: Held, ratio: Ratio) -> Iterable[Activity]:
    """Alpaca takes the old units away and adds the new ones, in an entry each; or tells the change alone. A half
    without the other is not booked before that comes, too."""
    ordered = sorted(rows, key=lambda row: text(row, "id"))
    last = ordered[-1]
    quantities = [number(row, "qty") for row in ordered]
    change = sum(quantities, ZERO)
    symbol = our_symbol(text(last, "symbol"), word(last, "asset_class"))
    gone = -sum((each for each in quantities if each < 0), ZERO)
    came = sum((each for each in quantities if each > 0), ZERO)
    if not (gone and came):
        if any(PART.match(word(row, "description")) for row in ordered):
            return
        came = held().get(symbol, ZERO)
        gone = came - change
    if gone <= 0 or came <= 0:
        note = _note(last, "split of which only the change is known")
        yield PositionAdjustment(text(last, "id"), account, symbol, AdjustmentKind.SPLIT, change, ZERO, _at(last), note)
        return
    at = _at(last)
    told = ratio(symbol, at)
    fits = told is not None and abs(gone * told - came) < ONE
    yield Split(text(last, "id"), account, symbol, told if told is not None and fits else came / gone, change, at)


def is_a_day(at: datetime) -> bool:
    """Whether Alpaca named a day alone, of which nothing says when on it something happened."""
    return (at.hour, at.minute, at.second, at.microsecond) == (0, 0, 0, 0)


def _at(row: Row) -> datetime:
    at = moment(row, WHEN)
    if at is None:
        raise MalformedAnswer("told of an activity without its time")
    return at


def _note(row: Row, words: str) -> str:
    """What it is, what of, and in Alpaca's own words where it has some."""
    parts = [words, word(row, "symbol"), word(row, "description")]
    per_share = number_or_none(row, "per_share_amount")
    if per_share:
        parts.append(f"{plain(per_share)} USD a share")
    return ", ".join(part for part in parts if part)
