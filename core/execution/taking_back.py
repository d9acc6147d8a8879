"""Undo and correction of what the owner booked in the manual account, by entries that compensate (M7, M8).

The record keeps every step: a booking that is taken back is reversed, one that is corrected is reversed in favour of
another that stands in its place, and an undone correction is one more correction, back to the former figures. Undoing
always leads to exactly the books before the newest deed that still counts; an undo itself cannot be undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.domain.orders import Order, OrderState, Purpose, Side
from core.domain.portfolio import (
    AdjustmentKind,
    Booking,
    CashKind,
    CashMovement,
    Entry,
    Fill,
    Portfolio,
    PositionAdjustment,
    Reversal,
    kind_of,
    portfolio_of,
    standing,
)
from core.domain.records import Instruction, InstructionState
from core.domain.values import ZERO, plain
from core.domain.views import AnswerKind, Correction, OwnerAnswer
from core.execution import loss_brakes, manual, tidings
from core.execution.bookings import digest, refused
from core.execution.desk import MANUAL, Desk
from core.execution.meant_fill import fill_meant
from core.execution.own_bookings import void_cards, void_outgrown
from core.execution.protect import refresh_guards
from core.ports import UnitOfWork

_UNDO = "undo-"


@dataclass(frozen=True, slots=True)
class Standing:
    """One thing the owner booked: `booking` stands for it today; `former` is what a correction replaced."""

    booking: Booking
    former: Booking | None = None


def undo(work: UnitOfWork, desk: Desk, tap: str, now: datetime, of: str = "") -> OwnerAnswer:
    """Takes back the newest deed that still counts; where `of` names a booking, only that one."""
    deed = newest_deed(work.entries(MANUAL))
    if deed is None:
        return refused("There is nothing to take back: no booking of the manual account stands.")
    if of and deed.booking.id != of:
        return refused(
            f"The newest booking is another one by now: {tidings.booking_words(deed.booking)}. Nothing was taken back. "
            "Send /undo again.",
        )
    instead = None
    if deed.former is not None:
        instead = replace(deed.former, id=_next_id(deed.booking.id))
        work.book(instead, recorded_at=desk.system_clock.now())
    reversal = Reversal(
        id=f"{_UNDO}{digest(tap)}",
        account=MANUAL,
        kind=kind_of(deed.booking),
        of=deed.booking.id,
        at=now,
        note="taken back by you",
        instead=instead.id if instead else "",
    )
    work.book(reversal, recorded_at=desk.system_clock.now())
    _follow(work, desk, deed.booking, instead, now)
    return OwnerAnswer(AnswerKind.DONE, _undone_words(deed.booking, instead, work.portfolio(MANUAL).cash))


def correct(work: UnitOfWork, desk: Desk, correction: Correction, tap: str, now: datetime) -> OwnerAnswer:
    """Books a fill anew with other figures, in the place of the former one."""
    entries = tuple(work.entries(MANUAL))
    old = fill_meant(work, correction)
    if isinstance(old, OwnerAnswer):
        return old
    new = corrected(old, correction)
    if (new.quantity, new.price, new.fee) == (old.quantity, old.price, old.fee):
        return OwnerAnswer(AnswerKind.UNCHANGED, f"That is how it is booked already: {tidings.booking_words(old)}.")
    wrong = _objection(entries, old, new)
    if wrong:
        return refused(wrong)
    before = work.portfolio(MANUAL)
    work.book(new, recorded_at=desk.system_clock.now())
    reversal = Reversal(
        f"correction-{digest(tap)}", MANUAL, kind_of(old), old.id, now, "corrected by you", instead=new.id
    )
    work.book(reversal, recorded_at=desk.system_clock.now())
    _follow(work, desk, old, new, now)
    return OwnerAnswer(AnswerKind.DONE, _corrected_words(old, new, before, work.portfolio(MANUAL)))


def newest_deed(booked: Iterable[Entry]) -> Standing | None:
    """The newest booking or correction that no undo has taken back; an undo takes back what was newest then."""
    entries = tuple(booked)
    bookings = {(kind_of(each), each.id): each for each in entries if not isinstance(each, Reversal)}
    replacements = {(each.kind, each.instead) for each in entries if isinstance(each, Reversal) and each.instead}
    present = {key: entry for key, entry in bookings.items() if key not in replacements}
    deeds: list[tuple[Booking, Booking | None]] = []
    origin = {key: key for key in present}
    for entry in entries:
        if not isinstance(entry, Reversal):
            if (kind_of(entry), entry.id) in present:
                deeds.append((entry, None))
            continue
        place = origin[entry.kind, entry.of]
        if entry.instead:
            origin[entry.kind, entry.instead] = place
            present[place] = bookings[entry.kind, entry.instead]
        if entry.id.startswith(_UNDO):
            deeds.pop()
        else:
            deeds.append((bookings[place], bookings[entry.kind, entry.of]))
    if not deeds:
        return None
    booking, former = deeds[-1]
    return Standing(present[kind_of(booking), booking.id], former)


def _next_id(booked: str) -> str:
    root, _, version = booked.partition("~")
    return f"{root}~{int(version or 1) + 1}"


def corrected(old: Fill, correction: Correction) -> Fill:
    """The fill that would stand in the place of `old`."""
    return replace(
        old,
        id=_next_id(old.id),
        quantity=old.quantity if correction.quantity is None else correction.quantity,
        price=old.price if correction.price is None else correction.price,
        fee=old.fee if correction.fee is None else correction.fee,
    )


def _objection(entries: Sequence[Entry], old: Fill, new: Fill) -> str:
    """Why the corrected fill cannot stand in the place of the old one, in words; empty where it can."""
    numbers = (new.quantity, new.price, new.fee)
    if not all(number.is_finite() for number in numbers) or new.quantity <= 0 or new.price <= 0 or new.fee < 0:
        return "Quantity and price must be above zero and the fee not below it. Nothing was changed."
    former = standing(entries)
    place = former.index(old)
    later = former[place + 1 :]
    if new.quantity != old.quantity and any(_is_split(entry, old.symbol) for entry in later):
        return (
            f"A split of {old.symbol} was booked after this fill, by the units held then. Take the split back first "
            "(/undo), correct the fill, then book the split again. Nothing was changed."
        )
    oversold = _oversold((*former[:place], new, *later), old.symbol)
    if oversold is not None:
        return (
            f"Then more {old.symbol} would have been sold than was held: {tidings.booking_words(oversold)} "
            f"({oversold.at:%Y-%m-%d %H:%M} UTC). Correct that sale first. Nothing was changed."
        )
    cash = portfolio_of(MANUAL, (*former[:place], new, *later)).cash
    if cash < 0 and cash < portfolio_of(MANUAL, former).cash:
        return (
            f"Then the manual account would owe {-cash:.2f} USD. Declare the cash that it really holds (/cash) or "
            "book the missing deposit first. Nothing was changed."
        )
    return ""


def _is_split(entry: Booking, symbol: str) -> bool:
    return isinstance(entry, PositionAdjustment) and entry.symbol == symbol and entry.kind is AdjustmentKind.SPLIT


def _oversold(bookings: Iterable[Booking], symbol: str) -> Fill | None:
    """The first sale that goes beyond what was held."""
    held = ZERO
    for booking in bookings:
        if isinstance(booking, PositionAdjustment) and booking.symbol == symbol:
            held += booking.quantity
        elif isinstance(booking, Fill) and booking.symbol == symbol:
            held += booking.quantity if booking.side is Side.BUY else -booking.quantity
            if held < 0:
                return booking
    return None


def _follow(work: UnitOfWork, desk: Desk, undone: Booking, instead: Booking | None, now: datetime) -> None:
    """Brings order, card, guards and the owner's knowledge in line with what stands now."""
    if isinstance(undone, Fill):
        order = work.order(undone.client_order_id)
        if order is not None:
            _restate(work, desk, order, now)
    if isinstance(undone, Fill | PositionAdjustment):
        if isinstance(undone, PositionAdjustment):
            void_cards(work, desk, undone.symbol, "units and prices are again what they were before the split", now)
        void_outgrown(work, desk, undone.symbol, now)
        moved = not isinstance(undone, Fill) or undone.side is Side.BUY
        # Levels follow the average price paid, which only a purchase or a split changes.
        refresh_guards(work, desk, MANUAL, now, bought=frozenset({undone.symbol} if moved else ()))
    if not _is_flow(undone):
        loss_brakes.corrected(work, undone.at)
    event = tidings.entry_undone(desk, undone, instead, work.portfolio(MANUAL).cash)
    work.publish(event, market_time=now)


def _is_flow(booking: Booking) -> bool:
    """Money moved in or out is in no figure that brakes look at, so its correction changes none."""
    return isinstance(booking, CashMovement) and booking.kind in {CashKind.DEPOSIT, CashKind.WITHDRAWAL}


def _restate(work: UnitOfWork, desk: Desk, order: Order, now: datetime) -> None:
    """The order and its card follow from the fills that stand; what is left may be executed again if it still can."""
    filled = sum(
        (
            entry.quantity
            for entry in standing(work.entries(order.account))
            if isinstance(entry, Fill) and entry.client_order_id == order.client_order_id
        ),
        ZERO,
    )
    card = work.instruction_of(order.client_order_id)
    if card is None:
        own = replace(order, quantity=filled or order.quantity)
        work.save_order(own.restated(filled, OrderState.CANCELED, now, reason="" if filled else "taken back by you"))
    elif filled >= order.quantity:
        work.save_order(order.restated(filled, OrderState.FILLED, now))
        _settle(work, desk, card, InstructionState.EXECUTED, f"corrected: {plain(filled)} in all", now)
    elif _over(work, desk, card):
        expired = _expired(desk, card)
        rest = OrderState.EXPIRED if expired else OrderState.CANCELED
        work.save_order(order.restated(filled, rest, now))
        state = InstructionState.EXPIRED if expired else InstructionState.SUPERSEDED
        why = "its time is over" if expired else "a newer instruction took its place"
        _settle(work, desk, card, state, f"{plain(filled)} stay booked; {why}", now)
    else:
        work.save_order(order.restated(filled, OrderState.AWAITING_OWNER, now))
        state = InstructionState.PARTIAL if filled else InstructionState.OPEN
        manual.reissue(work, desk, replace(card, state=state, version=card.version + 1), now)


def _expired(desk: Desk, card: Instruction) -> bool:
    return card.expires_at is not None and card.expires_at <= desk.system_clock.now()


def _over(work: UnitOfWork, desk: Desk, card: Instruction) -> bool:
    """Whether the card cannot come back: its time is over, or another one is open that would have replaced it."""
    rivals = [
        each
        for each in work.open_instructions()
        if (each.account, each.symbol) == (card.account, card.symbol) and each.number != card.number
    ]
    if card.purpose is not Purpose.ENTRY:
        rivals = [each for each in rivals if each.purpose is not Purpose.ENTRY]
    return _expired(desk, card) or bool(rivals)


def _settle(
    work: UnitOfWork, desk: Desk, card: Instruction, state: InstructionState, detail: str, now: datetime
) -> None:
    settled = replace(card, state=state, version=card.version + 1)
    work.save_instruction(settled)
    work.publish(manual.settlement(desk, settled, state.value, detail), market_time=now)


def _undone_words(undone: Booking, instead: Booking | None, cash: Decimal) -> str:
    what = tidings.booking_words(undone)
    if instead is not None:
        return (
            f"The correction is taken back: {what} is booked again as {tidings.booking_words(instead)}. Cash is now "
            f"{cash:.2f} USD. An undo cannot be undone; to change the figures once more, correct them."
        )
    return (
        f"Taken back: {what}. Cash is now {cash:.2f} USD. An undo cannot be undone: if the booking was right after "
        "all, book it again."
    )


def _corrected_words(old: Fill, new: Fill, before: Portfolio, after: Portfolio) -> str:
    words = f"{tidings.booking_words(old)} is now {tidings.booking_words(new)}"
    text = f"Corrected: {words}. Cash is now {after.cash:.2f} USD."
    change = _profit(after) - _profit(before)
    return f"{text} The result of closed trades changes by {change:+.2f} USD." if change else text


def _profit(portfolio: Portfolio) -> Decimal:
    return sum((trade.profit for trade in portfolio.closed), ZERO)
