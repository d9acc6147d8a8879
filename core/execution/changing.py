"""What the owner may change on a card before he approves it (T7): a smaller size, a limit. Never more than was
proposed: the rules sized it.

Everything here happens in the caller's transaction; `now` by the market clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from core.domain.events import card_shown
from core.domain.instruments import Instrument
from core.domain.orders import Order, OrderState, OrderType, Purpose
from core.domain.records import Instruction
from core.domain.values import floor_to, plain
from core.domain.views import AnswerKind, CardOffer, CardWish, OwnerAnswer, Pricing
from core.execution import manual
from core.execution.bookings import refused
from core.execution.desk import Desk
from core.ports import UnitOfWork
from core.strategy.sizing import smallest_purchase

QUARTERS = (4, 3, 2, 1)
_WHOLE = Decimal(4)


def offer_of(work: UnitOfWork, desk: Desk, instruction: Instruction) -> CardOffer | None:
    """What the card may be changed to; None where its order no longer waits for approval, or is no purchase."""
    order = work.order(instruction.client_order_id)
    if order is None or not _may_change(instruction, order):
        return None
    proposed = proposal_of(work, instruction)
    instrument = desk.any_instrument(order.symbol)
    return CardOffer(
        instruction,
        proposed,
        order.quantity,
        pricing_of(order, instruction),
        _sizes(proposed, order.reference_price, instrument, smallest_purchase(instrument, desk.policy)),
        _limits(instruction),
    )


def change(work: UnitOfWork, desk: Desk, instruction: Instruction, wish: CardWish, now: datetime) -> OwnerAnswer:
    """Order and card as the owner wants them, and the card's next version: DONE, and there is something to commit."""
    offer, order = offer_of(work, desk, instruction), work.order(instruction.client_order_id)
    if offer is None or order is None:
        return refused(f"Instruction {instruction.number} cannot be changed: nothing waits for approval.", instruction)
    quantity = offer.quantity if wish.quarters is None else offer.sizes.get(wish.quarters)
    if quantity is None:
        return refused("No venue takes an order as small as that. Nothing was changed.", instruction)
    pricing = wish.pricing or offer.pricing
    if (quantity, pricing) == (offer.quantity, offer.pricing):
        return OwnerAnswer(AnswerKind.UNCHANGED, f"Instruction {instruction.number} says so already.", instruction)
    moved = priced(replace(order, quantity=quantity, updated_at=now), instruction, pricing)
    work.save_order(moved)
    card = manual.repriced(desk, instruction, moved)
    what = f"{plain(quantity)} of {plain(offer.proposed)} {order.symbol}, {_pricing_words(moved)}"
    manual.change_card(work, desk, card, moved, offer.proposed, what, now)
    return OwnerAnswer(AnswerKind.DONE, f"Instruction {instruction.number} is changed: {what}.", card)


def proposal_of(work: UnitOfWork, instruction: Instruction) -> Decimal:
    """The quantity that the rules allowed, as the newest card says."""
    row = work.card_message(instruction.number)
    card = card_shown(row.event) if row is not None else None
    if card is None:
        return instruction.quantity
    return card.proposed if card.proposed is not None else card.quantity


def pricing_of(order: Order, instruction: Instruction) -> Pricing:
    """How the order is priced, seen from the card that it belongs to."""
    if order.type is not OrderType.LIMIT:
        return Pricing.MARKET
    return Pricing.SHOWN if order.limit_price == instruction.price else Pricing.EDGE


def priced(order: Order, instruction: Instruction, pricing: Pricing) -> Order:
    """The order with the limit that `pricing` means on that card."""
    limit = _limits(instruction)[pricing]
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    return replace(order, type=kind, limit_price=limit)


def _may_change(instruction: Instruction, order: Order) -> bool:
    waits = instruction.is_open and order.state is OrderState.AWAITING_OWNER
    return waits and instruction.needs_approval and order.purpose is Purpose.ENTRY


def _sizes(proposed: Decimal, price: Decimal, instrument: Instrument, least: Decimal) -> Mapping[int, Decimal]:
    sizes: dict[int, Decimal] = {}
    for quarters in QUARTERS:
        units = floor_to(proposed * quarters / _WHOLE, instrument.quantity_step)
        if units > 0 and units * price >= least and units not in sizes.values():
            sizes[quarters] = units
    return sizes


def _limits(instruction: Instruction) -> Mapping[Pricing, Decimal | None]:
    return {Pricing.MARKET: None, Pricing.SHOWN: instruction.price, Pricing.EDGE: instruction.band_high}


def _pricing_words(order: Order) -> str:
    return "at the market" if order.limit_price is None else f"at most at {plain(order.limit_price)} USD"
