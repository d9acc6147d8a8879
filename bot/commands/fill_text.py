"""What the owner writes about a fill, read without guessing: one grammar for /executed, /bought, /sold and /correct,
for replies to a card and for the answer to "At which price?".

Grammar (any case; typographic dashes, digits and quotes; the parts may stand in any order)::

    report    = { part }
    part      = number-tag | symbol | quantity | price | fee | time | verb | unit
    number-tag= "#" digits                          the instruction's number: #7
    symbol    = SPY | BTC-USD | BTC | BTC/USD | BTCUSD      a coin's short name where the coin is known
    quantity  = amount directly before the symbol           10 SPY
              | amount before a price mark                  10 @ 512.30
              | amount with a unit                          10x, 10 shares, 0.5 coins, 3 units
              | ("quantity" | "qty") [":"] amount
    price     = ("@" | "at" | "price") ["$"] amount | "$" amount | amount ("$" | "USD")
              | the one amount left once quantity stands before the symbol: 10 SPY 512.30
    fee       = ("fee" | "fees" | "commission") [":"] ["$"] amount
    time      = [day] hour ":" minute ["am" | "pm"] ["UTC"]     see bot.commands.when
    day       = "today" | "yesterday" | year "-" month "-" day
    verb      = bought | buy | sold | sell          the side; executed, filled, done are passed over
    amount    = digits with a decimal mark, see bot.commands.amounts

Two bare amounts (`SPY 10 512.30`) or one after the symbol (`SPY 10`) have two readings and are refused with a sentence
that shows how to write them; so is `for 400`, which may be the price or the sum.

In a reply the instruction is known, so it need not be named. The one bare amount in the answer to "At which price?" is
the price. In a reply to the card itself it is the price where it can be that only: near the card's price and more than
the units that are left; where it could be the quantity too, it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bot.commands.amounts import LONGEST, Problem, Unclear, amount, normal, refuse_spaced
from bot.commands.when import WallClock, take_time
from core.domain.instruments import DEFAULT_SYMBOLS
from core.domain.orders import Side
from core.domain.views import ReportedFill

_NEAR = Decimal(2)
"""By which factor a bare amount may differ from the card's price and still be meant as one."""
_VERBS = {
    "bought": Side.BUY,
    "buy": Side.BUY,
    "sold": Side.SELL,
    "sell": Side.SELL,
}
_PASSED_OVER = frozenset({"executed", "filled", "done", "of", "i", "and", "a", "the", "my", "each", "-", ":", "="})
_PRICE_MARKS = frozenset({"@", "at", "price"})
_QUANTITY_MARKS = frozenset({"quantity", "qty"})
_FEE_MARKS = frozenset({"fee", "fees", "commission"})
_CURRENCY = frozenset({"$", "usd", "dollar", "dollars"})
_UNITS = frozenset({"x", "share", "shares", "unit", "units", "coin", "coins", "pcs", "piece", "pieces", "stk"})
_TOKEN = re.compile(
    r"#\s*\d+"
    r"|[a-z]{1,10}[-/]usd\b"
    r"|\d[\d.,]*(?![a-z\d.,])|\d[\d.,]*(?=(?:x|usd|shares?|units?|coins?|pcs|stk)\b)"
    r"|[a-z][a-z.]*[a-z](?:-[a-z]{1,3})?(?![a-z\d])|[a-z](?![a-z\d])"
    r"|[@$]|[-:=](?=\s|$)"
)
_SYMBOL = re.compile(r"[A-Z]{1,6}([.-][A-Z]{1,4})?")


@dataclass(frozen=True, slots=True)
class Context:
    """The instruction that a reply is about: its card's price in USD, the units left. `price_asked`: just the price was
    asked for."""

    number: int
    price: Decimal
    left: Decimal
    price_asked: bool = False


def parse_fill(
    text: str,
    symbols: Sequence[str] = DEFAULT_SYMBOLS,
    *,
    clock: WallClock | None = None,
    context: Context | None = None,
) -> ReportedFill | Problem:
    """The fill that `text` reports, or what is unclear about it. Never raises; without a `clock` a time is unclear.

    `symbols` are the known Yahoo names; `BTC` means BTC-USD where that is known and no instrument is called BTC.
    """
    if len(text) > LONGEST:
        return Problem("That is too long for one fill. Example: /executed SPY 10 @ 512.30")
    try:
        rest, at = take_time(normal(text), clock)
        refuse_spaced(rest)
        return _Reader(_tokens(rest), symbols, context).read(at)
    except Unclear as unclear:
        return Problem(str(unclear))


def _tokens(normal_text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    while position < len(normal_text):
        if normal_text[position].isspace() or normal_text[position] in ",;.!()":
            position += 1
            continue
        match = _TOKEN.match(normal_text, position)
        if match is None:
            word = normal_text[position:].split(maxsplit=1)[0]
            raise Unclear(f"I cannot read “{word[:30]}” here. Example: /executed SPY 10 @ 512.30")
        token = match.group(0).strip()
        # A dollar sign that clings to the number before it ends that number; any other begins the next one.
        clings = (
            token == "$"
            and normal_text[position - 1 : position].isdigit()
            and not normal_text[match.end() :][:1].isdigit()
        )
        tokens.append("usd" if clings else token)
        position = match.end()
    return tokens


class _Reader:
    """One pass over the tokens; each finding may be made once, a second one is a contradiction."""

    def __init__(self, tokens: Sequence[str], symbols: Sequence[str], context: Context | None) -> None:
        self._tokens = tokens
        self._symbols = frozenset(symbols)
        self._context = context
        self._coins = {name.removesuffix("-USD"): name for name in symbols if name.endswith("-USD")}
        self._at = 0
        self._symbol: str | None = None
        self._symbol_at = -1
        self._quantity: Decimal | None = None
        self._price: Decimal | None = None
        self._fee: Decimal | None = None
        self._number: int | None = None
        self._sides: set[Side] = set()
        self._bare: list[tuple[int, Decimal]] = []

    def read(self, at: datetime | None) -> ReportedFill:
        while self._at < len(self._tokens):
            self._part(self._tokens[self._at])
        if len(self._sides) > 1:
            raise Unclear("Bought or sold? Name one of them.")
        self._place_bare_amounts()
        for name, value in (("quantity", self._quantity), ("price", self._price)):
            if value is not None and value <= 0:
                raise Unclear(f"A {name} of zero cannot be booked.")
        number = self._number
        if number is None and self._context is not None:
            number = self._context.number
        if self._symbol is None and number is None:
            raise Unclear("Which order? Name the symbol or its number: /executed SPY or /executed #7")
        side = next(iter(self._sides), None)
        return ReportedFill(self._symbol, self._quantity, self._price, self._fee, number, side=side, at=at)

    def _part(self, token: str) -> None:
        self._at += 1
        if token in _VERBS:
            self._sides.add(_VERBS[token])
        elif token[0] == "#":
            self._take_number(token)
        elif token in _PRICE_MARKS:
            self._take_price(self._marked_amount(token))
        elif token in _QUANTITY_MARKS:
            self._take_quantity(self._marked_amount(token))
        elif token in _FEE_MARKS:
            if self._fee is not None:
                raise Unclear("There are two fees. Send one.")
            self._fee = self._marked_amount(token)
        elif token == "$":
            self._take_price(self._marked_amount(token))
        elif token[0].isdigit():
            self._take_amount(token)
        elif token not in _PASSED_OVER:
            self._take_symbol(token)

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _marked_amount(self, mark: str) -> Decimal:
        while self._peek() in {"$", ":", "="}:
            self._at += 1
        token = self._peek()
        if not token[:1].isdigit():
            raise Unclear(f"I miss the number after “{mark}”. Example: /executed SPY 10 @ 512.30")
        self._at += 1
        if self._peek() in _CURRENCY:
            self._at += 1
        return amount(token)

    def _take_amount(self, token: str) -> None:
        value = amount(token)
        following = self._peek()
        if following in _UNITS:
            self._at += 1
            self._take_quantity(value)
        elif following in _CURRENCY and not self._starts_price():
            self._at += 1
            self._take_price(value)
        elif following in _PRICE_MARKS or (following == "$" and self._starts_price()):
            self._take_quantity(value)
        else:
            self._bare.append((self._at - 1, value))

    def _starts_price(self) -> bool:
        """Whether the dollar sign ahead belongs to the number after it: `10 $512.30`."""
        after = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else ""
        return self._peek() == "$" and after[:1].isdigit()

    def _take_quantity(self, value: Decimal) -> None:
        if self._quantity is not None:
            raise Unclear("There are two quantities. Example: /executed SPY 10 @ 512.30")
        self._quantity = value

    def _take_price(self, value: Decimal) -> None:
        if self._price is not None:
            raise Unclear("There are two prices. Example: /executed SPY 10 @ 512.30")
        self._price = value

    def _take_number(self, token: str) -> None:
        digits = token[1:].strip()
        if self._number is not None or len(digits) > 12:
            raise Unclear("Name one instruction: /executed #7")
        self._number = int(digits)

    def _take_symbol(self, token: str) -> None:
        if self._symbol is not None:
            raise Unclear(f"I cannot read “{token[:30]}” here. Example: /executed SPY 10 @ 512.30")
        name = self._known(token.upper())
        if not _SYMBOL.fullmatch(name):
            raise Unclear(f"“{token[:30]}” is not a symbol. Example: /executed SPY 10 @ 512.30")
        self._symbol = name
        self._symbol_at = self._at - 1

    def _known(self, name: str) -> str:
        if name in self._symbols:
            return name
        base = name.removesuffix("USD").rstrip("-/")
        return self._coins.get(name) or self._coins.get(base) or name.replace("/", "-")

    def _place_bare_amounts(self) -> None:
        """Amounts without a mark: only their place before the symbol, or being the last one left, makes them clear."""
        for place in [place for place, _ in self._bare if place == self._symbol_at - 1]:
            value = next(amount for index, amount in self._bare if index == place)
            if self._quantity is None:
                self._quantity = value
                self._bare = [entry for entry in self._bare if entry[0] != place]
        if not self._bare:
            return
        (_, value), *others = self._bare
        if others:
            raise Unclear("Which number is the price? Write the quantity, then @, then the price: 10 @ 512.30")
        if self._quantity is not None and self._price is None:
            self._price = value
        elif self._price is not None and self._quantity is None:
            self._quantity = value
        elif self._quantity is None and self._means_price(value):
            self._price = value
        elif self._quantity is None:
            raise Unclear(f"Is {value} the quantity or the price? Write {value} shares, or @ {value} for the price.")
        else:
            raise Unclear(f"I do not know what {value} is. Example: /executed SPY 10 @ 512.30 fee 1.20")

    def _means_price(self, value: Decimal) -> bool:
        """Whether the only amount of a reply can be the price alone."""
        context = self._context
        if context is None or self._symbol is not None:
            return False
        if context.price_asked:
            return True
        return value > context.left and context.price / _NEAR <= value <= context.price * _NEAR
