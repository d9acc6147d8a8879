"""What a split does to units, guards and working orders. Pure; `ratio` is new units for one old one."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from core.domain.instruments import Instrument
from core.domain.orders import Bracket, Order
from core.domain.portfolio import Guard
from core.domain.values import ZERO, ceil_to, floor_to, nearest

FRACTION = Decimal("0.000000001")
"""The finest fraction of a share that brokers keep."""
_EXACT = Decimal("0.000000000000001")
"""A ratio such as one third is itself rounded: 30 units of it are 10, not a hair less."""


def split_units(held: Decimal, ratio: Decimal, instrument: Instrument) -> tuple[Decimal, Decimal]:
    """(units after the split, odd units that are paid out in cash). A holding that already has a fraction of a step
    lies with a broker that keeps fractions: there nothing is paid out."""
    exactly = nearest(held * ratio, _EXACT)
    keeps_fractions = held != floor_to(held, instrument.quantity_step)
    kept = floor_to(exactly, FRACTION if keeps_fractions else instrument.quantity_step)
    return kept, ZERO if keeps_fractions else exactly - kept


def split_guard(guard: Guard, ratio: Decimal, instrument: Instrument) -> Guard:
    """Stop rounded up and target down to the tick. A stop that the owner placed at his broker before the split is no
    longer known to be there."""
    tick = instrument.price_tick
    return replace(
        guard,
        stop=ceil_to(guard.stop / ratio, tick),
        target=floor_to(guard.target / ratio, tick),
        peak=None if guard.peak is None else guard.peak / ratio,
        placed_at=None,
    )


def split_order(order: Order, ratio: Decimal, instrument: Instrument) -> Order:
    """The order as a venue carries it on: units down to the step, prices to the nearest tick."""
    tick, step = instrument.price_tick, instrument.quantity_step
    bracket = order.bracket
    return replace(
        order,
        quantity=floor_to(nearest(order.quantity * ratio, _EXACT), step),
        filled_quantity=floor_to(nearest(order.filled_quantity * ratio, _EXACT), step),
        limit_price=None if order.limit_price is None else nearest(order.limit_price / ratio, tick),
        stop_price=None if order.stop_price is None else nearest(order.stop_price / ratio, tick),
        bracket=bracket and Bracket(ceil_to(bracket.stop / ratio, tick), floor_to(bracket.target / ratio, tick)),
        reference_price=nearest(order.reference_price / ratio, tick),
    )
