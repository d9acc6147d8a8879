"""Approving an order of a broker's account: bound to the card's price band, so that nothing is sent at a price that the
owner has not seen (T5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from core.domain.instruments import Instrument
from core.domain.orders import Order, OrderState, Purpose
from core.domain.records import Instruction
from core.domain.values import floor_to, nearest, plain
from core.domain.views import AnswerKind, OwnerAnswer
from core.execution import changing, manual
from core.execution.bookings import refused
from core.execution.desk import Desk
from core.execution.market import last_prices
from core.ports import UnitOfWork
from core.strategy.sizing import bracket_for, smallest_purchase


def approve(work: UnitOfWork, desk: Desk, instruction: Instruction, now: datetime) -> OwnerAnswer:
    """Releases the order to its broker: DONE. Where the price has left the band, the card is asked again with the new
    one and nothing is sent: STALE, and there is something to commit."""
    order = work.order(instruction.client_order_id)
    if order is None or order.state is not OrderState.AWAITING_OWNER:
        return refused(f"The order behind instruction {instruction.number} no longer waits.", instruction)
    price = last_prices(desk, {order.symbol}, now).get(order.symbol)
    if price is not None and not in_band(instruction, price):
        return _ask_again(work, desk, instruction, order, price, now)
    return OwnerAnswer(
        AnswerKind.DONE, f"Instruction {instruction.number} is approved.", release(work, instruction, order, now)
    )


def answered_again(answer: OwnerAnswer) -> OwnerAnswer:
    """The answer to a tap that comes a second time, as when a kill swallowed the first answer: one that made the card
    ask again has approved nothing, then or now."""
    card = answer.instruction
    if answer.kind is not AnswerKind.UNCHANGED or card is None or not (card.is_open and card.needs_approval):
        return answer
    return OwnerAnswer(
        AnswerKind.STALE, f"Nothing was sent: instruction {card.number} asks again at a new price.", card
    )


def in_band(instruction: Instruction, price: Decimal) -> bool:
    """Whether an entry still makes sense at `price`; an exit does at any."""
    return instruction.purpose is not Purpose.ENTRY or instruction.band_low <= price <= instruction.band_high


def release(work: UnitOfWork, instruction: Instruction, order: Order, now: datetime) -> Instruction:
    """The order may go to its broker once this is committed."""
    work.save_order(order.moved(OrderState.SUBMITTING, now))
    approved = manual.approved(instruction)
    work.save_instruction(approved)
    return approved


def outcome_words(order: Order) -> str:
    """What became of an approved order once it was to be sent, for the owner."""
    match order.state:
        case OrderState.ACCEPTED:
            return "the broker has the order."
        case OrderState.REJECTED:
            return f"refused: {order.reason}"
        case OrderState.CANCELED:
            return f"{order.reason}."
        case _:
            return "the broker has not answered yet; it will be looked up."


def at_price(desk: Desk, old: Instruction, order: Order, price: Decimal, now: datetime) -> Order | None:
    """The same money at the new price: dearer means fewer units, cheaper never more. A limit moves with the card. None
    where it buys no unit that a venue would take any more."""
    instrument = desk.any_instrument(order.symbol)
    shown = nearest(price, instrument.price_tick)
    quantity = _scaled(order.quantity, order, shown, instrument)
    if quantity <= 0 or quantity * shown < smallest_purchase(instrument, desk.policy):
        return None
    bracket = bracket_for(shown, instrument.price_tick, desk.policy)
    moved = replace(order, quantity=quantity, reference_price=shown, bracket=bracket, updated_at=now)
    return changing.priced(moved, manual.repriced(desk, old, moved), changing.pricing_of(order, old))


def proposal_at(work: UnitOfWork, desk: Desk, old: Instruction, order: Order, moved: Order) -> Decimal:
    """The most that the owner may choose once `order` is `moved` to another price: the same money as was proposed,
    whatever part of it he had chosen."""
    instrument = desk.any_instrument(order.symbol)
    whole = _scaled(changing.proposal_of(work, old), order, moved.reference_price, instrument)
    return max(moved.quantity, whole)


def _scaled(quantity: Decimal, order: Order, shown: Decimal, instrument: Instrument) -> Decimal:
    return floor_to(quantity * min(Decimal(1), order.reference_price / shown), instrument.quantity_step)


def _ask_again(
    work: UnitOfWork, desk: Desk, old: Instruction, order: Order, price: Decimal, now: datetime
) -> OwnerAnswer:
    moved = at_price(desk, old, order, price, now)
    if moved is None:
        return refused(f"{order.symbol} costs {plain(price)} USD by now: too dear for this card.", old)
    work.save_order(moved)
    card = manual.repriced(desk, old, moved)
    most = proposal_at(work, desk, old, order, moved)
    what = (
        f"The price of {order.symbol} is {plain(card.price)} USD by now, outside {plain(old.band_low)} to "
        f"{plain(old.band_high)}"
    )
    manual.change_card(work, desk, card, moved, most, what, now)
    text = f"{what}. Nothing was sent: the card asks again with the new price."
    return OwnerAnswer(AnswerKind.STALE, text, card)
