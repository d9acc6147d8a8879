"""Sales that the owner has left working at the venue by hand, in the broker's own app. Such an order claims its units:
no stop of ours can rest for them and no sale of ours can go out, for as long as it is there. So what it holds is left
out of what is guarded and sold, the owner is told, and may give it up to us; what it leaves is guarded again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.orders import LIVE, Purpose, Side
from core.domain.records import Question, QuestionKind
from core.domain.values import ZERO, plain
from core.domain.venue import VenueOrder
from core.execution import foreign, questions
from core.execution.corrections import INSTALLATION
from core.execution.desk import Desk
from core.ports import UnitOfWork

GONE = "your sale is not there any more: what is left of the position is guarded and sold by me again"
ASKED_LATELY = 100
"""How many of the newest questions are searched for the one about a sale."""


@dataclass(frozen=True, slots=True)
class OwnSale:
    """The owner's sales of one symbol: the units that they still hold, what they are in words, and whether he has given
    them up."""

    units: Decimal
    words: str
    given_up: bool = False


def working(orders: Iterable[VenueOrder]) -> tuple[VenueOrder, ...]:
    """Sales by hand that work at the venue: neither protection, which is taken over, nor of any installation."""
    return tuple(
        order
        for order in sorted(orders, key=lambda each: each.client_order_id)
        if (order.side, order.purpose) == (Side.SELL, Purpose.EXIT)
        and order.state in LIVE
        and order.parent_client_order_id is None
        and not INSTALLATION.match(order.client_order_id)
    )


def mark(work: UnitOfWork, desk: Desk, account: str, sales: Iterable[VenueOrder], now: datetime) -> bool:
    """Keeps what the `sales` hold, and tells of what has come, changed or gone; True where the guards are to follow."""
    before = kept(work, account)
    after = _by_symbol(sales, before)
    if after == before:
        return False
    work.set_value(_key(account), _text(after))
    for symbol, sale in sorted(after.items()):
        if symbol not in before or before[symbol].words != sale.words:
            _ask(work, desk, account, symbol, sale, now)
    for symbol in sorted(before.keys() - after.keys()):
        asked = _asked(work, account, symbol)
        if asked is not None:
            questions.retire(work, desk, asked, GONE, now)
    return True


def kept(work: UnitOfWork, account: str) -> Mapping[str, OwnSale]:
    stored = json.loads(work.value(_key(account)) or "{}")
    return {symbol: OwnSale(Decimal(units), words, given_up) for symbol, (units, words, given_up) in stored.items()}


def claimed(work: UnitOfWork, account: str) -> Mapping[str, Decimal]:
    """By symbol the units that the owner's own sales hold."""
    return {symbol: sale.units for symbol, sale in kept(work, account).items()}


def give_up(work: UnitOfWork, question: Question) -> str:
    """Writes down that the sale is to be cancelled; the next reconciliation does it."""
    sales = dict(kept(work, question.account))
    if question.symbol not in sales:
        return f"There is no sale of yours in {question.symbol} any more."
    sale = sales[question.symbol]
    sales[question.symbol] = OwnSale(sale.units, sale.words, given_up=True)
    work.set_value(_key(question.account), _text(sales))
    return f"Your sale in {question.symbol} is being cancelled; then all of the position is guarded again."


def leave(question: Question) -> str:
    return f"Left alone: your sale in {question.symbol} keeps its units, and nobody else guards them."


def cancel_given_up(desk: Desk, account: str, sales: Iterable[VenueOrder]) -> int:
    """Cancels the sales that the owner gave up to us; returns how many were asked to go."""
    found = tuple(sales)
    if not found:
        return 0
    with desk.reading() as work:
        given_up = {symbol for symbol, sale in kept(work, account).items() if sale.given_up}
    return foreign.cancel_all(desk, account, [order for order in found if order.symbol in given_up])


def _by_symbol(sales: Iterable[VenueOrder], before: Mapping[str, OwnSale]) -> Mapping[str, OwnSale]:
    found: dict[str, list[VenueOrder]] = {}
    for order in sales:
        found.setdefault(order.symbol, []).append(order)
    after = {}
    for symbol, orders in found.items():
        words = "; ".join(f"{plain(order.quantity)} {symbol} {_at(order)}" for order in orders)
        given_up = symbol in before and before[symbol].given_up and before[symbol].words == words
        units = sum((order.quantity - order.filled_quantity for order in orders), ZERO)
        after[symbol] = OwnSale(units, words, given_up)
    return after


def _at(order: VenueOrder) -> str:
    return "at the market" if order.limit_price is None else f"at {plain(order.limit_price)} USD or more"


def _ask(work: UnitOfWork, desk: Desk, account: str, symbol: str, sale: OwnSale, now: datetime) -> None:
    held = work.portfolio(account).quantity(symbol)
    left = max(held - sale.units, ZERO)
    rest = f"The other {plain(left)} are guarded as before. " if left else ""
    text = (
        f"A sale of your own works at {account}: {sale.words}. It holds these units, so that no stop of mine can rest "
        f"for them and I cannot sell them, whatever the price does. {rest}When it has sold or is gone, I guard what is "
        "left. Cancel takes it back and guards everything again; Leave changes nothing."
    )
    kind = QuestionKind.OWN_SALE
    questions.ask(work, desk, kind, account, symbol, ours=held, theirs=sale.units, text=text, now=now)


def _asked(work: UnitOfWork, account: str, symbol: str) -> Question | None:
    """The newest question about the sale, answered or not: its card says that the sale is gone."""
    wanted = (QuestionKind.OWN_SALE, account, symbol)
    return next(
        (each for each in work.questions(ASKED_LATELY) if (each.kind, each.account, each.symbol) == wanted), None
    )


def _key(account: str) -> str:
    return f"own_sales:{account}"


def _text(sales: Mapping[str, OwnSale]) -> str | None:
    stored = {symbol: [plain(sale.units), sale.words, sale.given_up] for symbol, sale in sorted(sales.items())}
    return json.dumps(stored) if stored else None
