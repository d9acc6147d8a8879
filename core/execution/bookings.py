"""Booking what the owner did by hand: the fill, the order, the card, the guard and the news of it together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.orders import Order, OrderState, Purpose, Side
from core.domain.portfolio import Fill, Position, standing
from core.domain.records import Instruction, InstructionState
from core.domain.values import ZERO, plain
from core.domain.views import AnswerKind, OwnerAnswer
from core.execution import manual, tidings
from core.execution.desk import Desk
from core.execution.protect import refresh_guards
from core.ports import UnitOfWork

LOOKS_REPEATED = timedelta(minutes=15)
"""Two fills of the same figures that lie closer together than this are taken for one, reported twice (M6)."""
CLOCKS_APART = timedelta(minutes=1)
"""How far the owner's watch may be ahead of the market clock before a time counts as one to come."""
LAPSED = frozenset({InstructionState.SKIPPED, InstructionState.EXPIRED, InstructionState.SUPERSEDED})


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution as the owner reports it. USD and units; `key` makes the fill's id."""

    key: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    at: datetime


def digest(text: str) -> str:
    """A short id that follows from `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def refused(text: str, instruction: Instruction | None = None) -> OwnerAnswer:
    return OwnerAnswer(AnswerKind.REFUSED, text, instruction)


def objection(
    work: UnitOfWork, instruction: Instruction, order: Order | None, execution: Execution, now: datetime
) -> str | None:
    """Why the execution cannot be booked, in words; None where it can."""
    if order is None:
        return f"The order behind instruction {instruction.number} is not in the ledger. Nothing was booked."
    if execution.quantity <= 0 or execution.price <= 0 or execution.fee < 0:
        return "Quantity and price must be above zero and the fee not below it. Nothing was booked."
    if instruction.state is InstructionState.EXECUTED or order.state is OrderState.FILLED:
        return f"Instruction {instruction.number} is executed already, with all its units. Nothing was booked."
    if execution.at > now + CLOCKS_APART:
        return f"{execution.at:%Y-%m-%d %H:%M} UTC is still to come. Nothing was booked."
    portfolio = work.portfolio(instruction.account)
    if instruction.side is Side.SELL:
        held = portfolio.quantity(instruction.symbol)
        if execution.quantity <= held:
            return too_early(portfolio.positions[instruction.symbol], execution.at)
        return (
            f"You reported {plain(execution.quantity)} {instruction.symbol} sold, but the manual account holds "
            f"{plain(held)}. Nothing was booked."
        )
    cost = execution.quantity * execution.price + execution.fee
    if cost <= portfolio.cash:
        return None
    return (
        f"That costs {cost:.2f} USD, but your declared cash is {portfolio.cash:.2f} USD. Declare the cash that your "
        "account really holds (/cash), then report the fill again. Nothing was booked."
    )


def too_early(held: Position, at: datetime) -> str | None:
    """Why a sale at `at` cannot be: the position was not there yet; None where it was."""
    if at >= held.opened_at - CLOCKS_APART:
        return None
    return (
        f"You sold {held.symbol} at {at:%Y-%m-%d %H:%M} UTC, but by your reports it was bought only at "
        f"{held.opened_at:%Y-%m-%d %H:%M} UTC. Check the time. Nothing was booked."
    )


def fill_of(instruction: Instruction, execution: Execution) -> Fill:
    return Fill(
        id=f"manual-{digest(execution.key)}",
        account=instruction.account,
        client_order_id=instruction.client_order_id,
        symbol=instruction.symbol,
        side=instruction.side,
        quantity=execution.quantity,
        price=execution.price,
        fee=execution.fee,
        fee_currency="USD",
        at=execution.at,
        purpose=instruction.purpose,
    )


def same_fill(work: UnitOfWork, fill: Fill) -> Fill | None:
    """A booked fill that `fill` looks like, reported before in other words or by another tap."""
    alike = (fill.symbol, fill.side, fill.quantity, fill.price)
    for booked in standing(work.entries(fill.account)):
        if not isinstance(booked, Fill) or (booked.symbol, booked.side, booked.quantity, booked.price) != alike:
            continue
        if abs(booked.at - fill.at) <= LOOKS_REPEATED:
            return booked
    return None


def repetition(work: UnitOfWork, fill: Fill) -> str:
    """Why `fill` looks like one that was reported before; empty where it does not."""
    booked = same_fill(work, fill)
    if booked is None:
        return ""
    return (
        f"Just this is booked already: {tidings.booking_words(booked)}, {booked.at:%Y-%m-%d %H:%M} UTC. If you really "
        "traded twice, confirm it as a second one. Nothing was booked."
    )


def book(
    work: UnitOfWork, desk: Desk, instruction: Instruction, order: Order, execution: Execution, now: datetime
) -> Instruction | None:
    """Books the execution; None where it is booked already. A lapsed instruction stays lapsed for what is left."""
    fill = fill_of(instruction, execution)
    before = work.portfolio(fill.account)
    if not work.book(fill, recorded_at=desk.system_clock.now()):
        return None
    filled = order.filled_by(fill.quantity, now)
    work.save_order(filled)
    bought = frozenset({fill.symbol}) if fill.side is Side.BUY else frozenset()
    refresh_guards(work, desk, fill.account, now, bought=bought)
    guard = next((each for each in work.guards(fill.account) if each.symbol == fill.symbol), None)
    work.publish(
        tidings.order_filled(desk, (fill,), order, before, guard if fill.purpose is Purpose.ENTRY else None),
        market_time=now,
    )
    settled = instruction.moved(_state_after(instruction, filled))
    work.save_instruction(settled)
    left = max(filled.remaining, ZERO)
    detail = tidings.fill_words(fill) + (f", {plain(left)} left" if left else "")
    settlement = manual.settlement(desk, settled, settled.state.value, detail, filled.filled_quantity)
    work.publish(settlement, market_time=now)
    return settled


def _state_after(instruction: Instruction, order: Order) -> InstructionState:
    if order.state is OrderState.FILLED:
        return InstructionState.EXECUTED
    return instruction.state if instruction.state in LAPSED else InstructionState.PARTIAL
