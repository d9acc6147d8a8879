"""From what the owner typed to what would be booked: the deed made exact, rehearsed, and at last performed.

Everything happens in the caller's transaction; a rehearsal is one that the caller does not commit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.domain.drafts import CashDeed, Deed, Doubt, Preview, SplitDeed, UndoDeed
from core.domain.portfolio import Portfolio
from core.domain.records import Instruction
from core.domain.values import ZERO, plain
from core.domain.views import AnswerKind, Correction, OwnerAnswer, OwnTrade, ReportedFill
from core.execution import own_bookings, reported, taking_back, tidings
from core.execution.bookings import fill_of
from core.execution.desk import MANUAL, Desk
from core.execution.doubts import named_otherwise
from core.execution.matching import nothing_fits
from core.execution.meant_fill import fill_meant
from core.ports import UnitOfWork


@dataclass(frozen=True, slots=True)
class Resolved:
    """A deed that says all it means: a later booking cannot turn it into another one. `doubts` lie in its words."""

    deed: Deed
    doubts: tuple[Doubt, ...] = ()


def resolve(work: UnitOfWork, desk: Desk, deed: Deed, now: datetime) -> Resolved | OwnerAnswer:
    """What exactly is meant, or what is asked or refused."""
    match deed:
        case ReportedFill():
            return _resolve_report(work, desk, deed, now)
        case OwnTrade():
            symbol = own_bookings.known_symbol(desk, deed.symbol, work.portfolio(MANUAL).positions)
            return Resolved(replace(deed, symbol=symbol, at=deed.at or now, insist=True))
        case Correction():
            old = fill_meant(work, deed)
            if isinstance(old, OwnerAnswer):
                return old
            return Resolved(Correction(old.id, deed.quantity, deed.price, deed.fee))
        case UndoDeed():
            newest = taking_back.newest_deed(work.entries(MANUAL))
            return Resolved(replace(deed, of=newest.booking.id if newest else deed.of))
        case SplitDeed():
            symbol = own_bookings.known_symbol(desk, deed.symbol, work.portfolio(MANUAL).positions)
            return Resolved(replace(deed, symbol=symbol))
        case CashDeed():
            return Resolved(deed)


def _resolve_report(work: UnitOfWork, desk: Desk, said: ReportedFill, now: datetime) -> Resolved | OwnerAnswer:
    found = reported.reportable(work, desk, said)
    if isinstance(found, OwnerAnswer):
        return _as_own_trade(work, desk, said, found, now) or _with_way_out(said, found)
    execution = reported.execution_of(work, found, said, "", now)
    return Resolved(
        ReportedFill(
            found.symbol,
            execution.quantity,
            execution.price,
            execution.fee,
            found.number,
            insist=True,
            side=found.side,
            at=execution.at,
        )
    )


def _as_own_trade(
    work: UnitOfWork, desk: Desk, said: ReportedFill, answer: OwnerAnswer, now: datetime
) -> Resolved | None:
    """A report that says everything but fits no instruction can still be a trade of the owner's own."""
    if answer.kind is not AnswerKind.REFUSED or said.quantity is None or said.price is None:
        return None
    meant = answer.instruction
    if meant is None and said.number is not None:
        meant = work.instruction(said.number)
    if meant is not None and (meant.needs_approval or meant.is_in_app):
        return None
    if meant is None and (said.number is not None or not nothing_fits(work, desk, said)):
        return None
    symbol = said.symbol or (meant.symbol if meant is not None else None)
    side = said.side or (meant.side if meant is not None else None)
    if symbol is None or side is None:
        return None
    symbol = own_bookings.known_symbol(desk, symbol, work.portfolio(MANUAL).positions)
    trade = OwnTrade(symbol, side, said.quantity, said.price, said.fee or ZERO, said.at or now, insist=True)
    return Resolved(trade, (named_otherwise(replace(said, symbol=symbol, side=side), meant),))


def _with_way_out(said: ReportedFill, answer: OwnerAnswer) -> OwnerAnswer:
    if answer.kind is not AnswerKind.REFUSED or said.symbol is None or answer.instruction is not None:
        return answer
    return replace(answer, text=f"{answer.text} A trade of your own: /bought or /sold {said.symbol} 10 @ 512.30.")


def perform(work: UnitOfWork, desk: Desk, deed: Deed, tap: str, now: datetime) -> OwnerAnswer:
    """Books a resolved deed; only after DONE is there something to commit."""
    match deed:
        case ReportedFill():
            return reported.report(work, desk, deed, tap, now)
        case OwnTrade():
            return own_bookings.trade(work, desk, deed, tap, now)
        case Correction():
            return taking_back.correct(work, desk, deed, tap, now)
        case UndoDeed():
            return taking_back.undo(work, desk, tap, now, deed.of)
        case SplitDeed():
            return own_bookings.split(work, desk, deed.symbol, deed.ratio, tap, now)
        case CashDeed():
            return own_bookings.cash(work, desk, deed.kind, deed.amount, deed.note, tap, now)


def rehearse(work: UnitOfWork, desk: Desk, deed: Deed, tap: str, now: datetime) -> tuple[OwnerAnswer, Preview | None]:
    """Performs a resolved deed to see what it does. Must not be committed. None where it would not be booked."""
    before = work.portfolio(MANUAL)
    what, instead = _words(work, desk, deed, now)
    answer = perform(work, desk, deed, tap, now)
    if answer.kind is not AnswerKind.DONE:
        return answer, None
    after = work.portfolio(MANUAL)
    symbol = _changed(before, after)
    held = after.positions.get(symbol)
    guard = next((each for each in work.guards(MANUAL) if each.symbol == symbol), None)
    number = deed.number if isinstance(deed, ReportedFill) else None
    preview = Preview(
        cash=(before.cash, after.cash),
        symbol=symbol,
        units=(before.quantity(symbol), after.quantity(symbol)),
        average_cost=held.average_cost if held is not None else None,
        stop=guard.stop if guard is not None else None,
        target=guard.target if guard is not None else None,
        profit=_earned(after) - _earned(before),
        what=what,
        instead=instead,
        number=number,
        rest=_rest(work, number),
        at=deed.at if isinstance(deed, ReportedFill | OwnTrade) and deed.at != now else None,
        badges=desk.badges(MANUAL),
    )
    return answer, preview


def _changed(before: Portfolio, after: Portfolio) -> str:
    """The one symbol whose position changes; empty where none does."""
    symbols = sorted(before.positions.keys() | after.positions.keys())
    return next((name for name in symbols if before.positions.get(name) != after.positions.get(name)), "")


def _earned(portfolio: Portfolio) -> Decimal:
    return sum((trade.profit for trade in portfolio.closed), ZERO)


def _rest(work: UnitOfWork, number: int | None) -> Decimal | None:
    instruction = work.instruction(number) if number is not None else None
    order = work.order(instruction.client_order_id) if instruction is not None else None
    return max(order.remaining, ZERO) if order is not None else None


def _words(work: UnitOfWork, desk: Desk, deed: Deed, now: datetime) -> tuple[str, str]:
    """What is booked, taken back or replaced, and what stands in its place; before it happens."""
    match deed:
        case ReportedFill():
            found = work.instruction(deed.number) if deed.number is not None else None
            return (_report_words(work, found, deed, now), "") if found is not None else ("", "")
        case OwnTrade():
            return tidings.booking_words(own_bookings.fill_of(desk, deed, deed.symbol, "", now)), ""
        case Correction():
            old = fill_meant(work, deed)
            if isinstance(old, OwnerAnswer):
                return "", ""
            return tidings.booking_words(old), tidings.booking_words(taking_back.corrected(old, deed))
        case UndoDeed():
            newest = taking_back.newest_deed(work.entries(MANUAL))
            if newest is None:
                return "", ""
            return tidings.booking_words(newest.booking), tidings.booking_words(newest.former) if newest.former else ""
        case SplitDeed():
            return f"split of {deed.symbol}: {plain(deed.ratio)} new for one old", ""
        case CashDeed():
            return f"{deed.kind.value.replace('_', ' ')} of {deed.amount:.2f} USD", ""


def _report_words(work: UnitOfWork, found: Instruction, deed: ReportedFill, now: datetime) -> str:
    return tidings.booking_words(fill_of(found, reported.execution_of(work, found, deed, "", now)))
