"""What looks wrong about something that the owner is about to book: asked about a second time, never refused (M5, M6).

Everything is judged in the caller's transaction by what the ledger holds at that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.drafts import CashDeed, Deed, Doubt, DoubtKind
from core.domain.orders import Side
from core.domain.portfolio import CashMovement, Fill, standing
from core.domain.records import Instruction
from core.domain.values import plain
from core.domain.views import Correction, OwnTrade, ReportedFill
from core.execution import own_bookings, reported, tidings
from core.execution.bookings import LOOKS_REPEATED, fill_of, same_fill
from core.execution.desk import MANUAL, Desk
from core.execution.market import last_prices
from core.execution.meant_fill import fill_meant
from core.ports import UnitOfWork

_MINUTE = timedelta(minutes=1)


def doubts_of(work: UnitOfWork, desk: Desk, deed: Deed, now: datetime) -> tuple[Doubt, ...]:
    """In the order in which they are told; none for what looks right."""
    match deed:
        case ReportedFill():
            return tuple(_of_report(work, desk, deed, now))
        case OwnTrade():
            return tuple(_of_trade(work, desk, deed, now))
        case Correction():
            return tuple(_of_correction(work, desk, deed, now))
        case CashDeed():
            return tuple(_of_cash(work, deed, now))
        case _:
            return ()


def _of_report(work: UnitOfWork, desk: Desk, said: ReportedFill, now: datetime) -> Sequence[Doubt]:
    found = reported.reportable(work, desk, said)
    if not isinstance(found, Instruction):
        return ()
    execution = reported.execution_of(work, found, said, "", now)
    found_doubts = _price(desk, found.symbol, execution.price, execution.at, now, found.price)
    order = work.order(found.client_order_id)
    if order is not None and execution.quantity > order.remaining:
        found_doubts.append(
            Doubt(
                DoubtKind.QUANTITY,
                f"You report {plain(execution.quantity)} {found.symbol}, but instruction {found.number} asks for "
                f"{plain(order.remaining)}{' more' if order.filled_quantity else ''}.",
            )
        )
    if execution.at < found.created_at - _MINUTE:
        found_doubts.append(
            Doubt(
                DoubtKind.TIME,
                f"{execution.at:%Y-%m-%d %H:%M} UTC is before I wrote instruction {found.number} "
                f"({found.created_at:%Y-%m-%d %H:%M} UTC).",
            )
        )
    return [*found_doubts, *_repeated(work, fill_of(found, execution))]


def _of_trade(work: UnitOfWork, desk: Desk, said: OwnTrade, now: datetime) -> Sequence[Doubt]:
    symbol = own_bookings.known_symbol(desk, said.symbol, work.portfolio(MANUAL).positions)
    doubts = _price(desk, symbol, said.price, said.at or now, now, None)
    card = own_bookings.card_of(work, symbol, said.side)
    if card is not None:
        doubts.append(
            Doubt(
                DoubtKind.CARD,
                f"Instruction {card.number} asks for a {card.side} of {plain(card.quantity)} {card.symbol} and would "
                f"stay open. If this was it, cancel here and report it as /executed #{card.number} with your figures.",
            )
        )
    return [*doubts, *_repeated(work, own_bookings.fill_of(desk, said, symbol, "", now))]


def _of_correction(work: UnitOfWork, desk: Desk, said: Correction, now: datetime) -> Sequence[Doubt]:
    old = fill_meant(work, said)
    if said.price is None or not isinstance(old, Fill) or said.price == old.price:
        return ()
    return _price(desk, old.symbol, said.price, old.at, now, None)


def _of_cash(work: UnitOfWork, said: CashDeed, now: datetime) -> Sequence[Doubt]:
    for booked in standing(work.entries(MANUAL)):
        if not isinstance(booked, CashMovement) or booked.kind is not said.kind:
            continue
        if abs(booked.amount) == said.amount and abs(now - booked.at) <= LOOKS_REPEATED:
            return [_twice(f"{tidings.booking_words(booked)}, {booked.at:%Y-%m-%d %H:%M} UTC")]
    return ()


def _repeated(work: UnitOfWork, fill: Fill) -> Sequence[Doubt]:
    booked = same_fill(work, fill)
    if booked is None:
        return ()
    return [_twice(f"{tidings.booking_words(booked)}, {booked.at:%Y-%m-%d %H:%M} UTC")]


def _twice(what: str) -> Doubt:
    return Doubt(DoubtKind.REPEATED, f"Just this is booked already: {what}. Really twice?")


def _price(
    desk: Desk, symbol: str, price: Decimal, at: datetime, now: datetime, otherwise: Decimal | None
) -> list[Doubt]:
    """Against the last price known when it happened; `otherwise` is what it is compared with where there is none."""
    market = last_prices(desk, {symbol}, min(at, now)).get(symbol, otherwise)
    if market is None or market <= 0:
        text = f"I know no price of {symbol}, so I cannot tell whether the symbol and yours are right."
        return [Doubt(DoubtKind.UNPRICED, text)]
    off = price / market - 1
    if abs(off) <= desk.policy.far_price_fraction:
        return []
    way = "above" if off > 0 else "below"
    text = f"{plain(price)} USD is {abs(off):.0%} {way} the market: {symbol} was last at {plain(market)} USD."
    return [Doubt(DoubtKind.PRICE, text)]


def named_otherwise(said: ReportedFill, found: Instruction | None) -> Doubt:
    """The doubt about a report that fits no instruction as it is worded and would be booked as a trade of the owner's
    own; `found` is the instruction that he may have meant."""
    side = "purchase" if said.side is Side.BUY else "sale"
    own = f"This would be booked as a {side} of your own"
    if found is None:
        return Doubt(DoubtKind.SYMBOL, f"No instruction waits for {said.symbol}. {own}.")
    stays = f"; instruction {found.number}, a {found.side} of {found.symbol}, stays as it is." if found.is_open else "."
    if said.number is not None and said.symbol is not None and said.symbol != found.symbol:
        return Doubt(
            DoubtKind.SYMBOL, f"Instruction {found.number} is about {found.symbol}, not {said.symbol}. {own}{stays}"
        )
    verb = "bought" if said.side is Side.BUY else "sold"
    return Doubt(
        DoubtKind.SIDE,
        f"You wrote {verb}, but instruction {found.number} is a {found.side} of {found.symbol}. {own}{stays}",
    )
