"""Stops and targets that were decided and that no order at a venue rests at yet: the owner's (C4), and those that the
price has raised (S13).

They are kept in mind until an order rests at them. Till then the engine watches them, whatever still rests at the
former levels, over any restart; and a venue that does not let go of its order is asked again every minute.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from core.domain.instruments import Instrument, instrument_for
from core.domain.orders import Order, OrderState, Purpose
from core.domain.portfolio import Guard, GuardKind
from core.domain.values import ZERO, ceil_to, floor_to, plain
from core.domain.venue import Resting
from core.execution.desk import Desk
from core.ports import UnitOfWork

WANTED = "wanted_levels"
"""By `account/symbol` stop and target, as text, for as long as no order rests at them: a JSON object."""
AT_THE_VENUE = frozenset({OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED, OrderState.CANCEL_PENDING})

Levels = tuple[Decimal, Decimal]
COARSEST = Decimal("0.0001")
"""The coarsest tick that a venue has for a coin, as a part of its price."""


def want(work: UnitOfWork, desk: Desk, guard: Guard) -> None:
    """Keeps the guard's levels in mind, to the tick; nothing where no order can rest."""
    held = work.portfolio(guard.account).quantity(guard.symbol)
    if desk.resting(guard.account, guard.symbol, held) is not Resting.NOTHING:
        tick = desk.any_instrument(guard.symbol).price_tick
        _keep(work, {**wanted(work), place_of(guard): (ceil_to(guard.stop, tick), floor_to(guard.target, tick))})


def wanted(work: UnitOfWork) -> Mapping[str, Levels]:
    """By `account/symbol` the levels at which an order does not rest yet."""
    stored: dict[str, list[str]] = json.loads(work.value(WANTED) or "{}")
    return {place: (Decimal(stop), Decimal(target)) for place, (stop, target) in stored.items()}


def in_the_way(work: UnitOfWork, desk: Desk) -> list[Order]:
    """What is at a venue at other levels than those wanted, each with its other leg."""
    levels = wanted(work)
    if not levels:
        return []
    protecting = [
        order
        for order in work.live_orders()
        if order.purpose in (Purpose.STOP, Purpose.TARGET)
        and order.state in AT_THE_VENUE
        and place_of(order) in levels
        # What the engine does not watch is left with the protection that it has.
        and desk.instrument(order.symbol) is not None
    ]
    elsewhere = {place_of(order) for order in protecting if not rests_at(order, levels[place_of(order)])}
    return [order for order in protecting if place_of(order) in elsewhere]


def has_settled(work: UnitOfWork) -> bool:
    """Whether an order rests by now at levels that are still kept in mind, or their position is gone."""
    return _unsettled(work) != wanted(work)


def forget_settled(work: UnitOfWork) -> None:
    _keep(work, _unsettled(work))


def split(work: UnitOfWork, account: str, symbol: str, ratio: Decimal, instrument: Instrument) -> None:
    """The levels in new units: the stop rounded up, the target down to the tick."""
    levels = wanted(work)
    place, tick = f"{account}/{symbol}", instrument.price_tick
    if place in levels:
        stop, target = levels[place]
        _keep(work, {**levels, place: (ceil_to(stop / ratio, tick), floor_to(target / ratio, tick))})


def watched(guard: Guard) -> Guard:
    """The guard until an order rests at its levels."""
    return replace(guard, kind=GuardKind.ENGINE, venue_order_id=None) if guard.kind is GuardKind.VENUE else guard


def rests_out_of_reach(work: UnitOfWork, desk: Desk, guard: Guard) -> bool:
    """Whether its orders rest at a broker that takes none from us now: there they stay as they are."""
    return guard.kind is GuardKind.VENUE and desk.is_by_hand(work, guard.account)


def levels_of(guard: Guard) -> Levels:
    return guard.stop, guard.target


def has_levels(guard: Guard, levels: Levels) -> bool:
    """Whether they are the guard's, to the venue's tick."""
    return all(is_at(guard.symbol, price, level) for price, level in zip(levels_of(guard), levels, strict=True))


def place_of(held: Guard | Order) -> str:
    return f"{held.account}/{held.symbol}"


def rests_at(order: Order, levels: Levels) -> bool:
    """Whether the order is at its level, to the venue's tick."""
    stop, target = levels
    if order.purpose is Purpose.STOP:
        return is_at(order.symbol, order.stop_price, stop)
    return is_at(order.symbol, order.limit_price, target)


def is_at(symbol: str, price: Decimal | None, level: Decimal) -> bool:
    """Whether an order at `price` rests at `level`: a venue may trade a coin in coarser ticks than ours."""
    grain = level * COARSEST if instrument_for(symbol).is_crypto else ZERO
    return price is not None and abs(price - level) <= grain


def _unsettled(work: UnitOfWork) -> Mapping[str, Levels]:
    known = {place_of(guard): guard for guard in work.guards()}
    return {place: levels for place, levels in wanted(work).items() if not _is_settled(known.get(place), levels)}


def _is_settled(guard: Guard | None, levels: Levels) -> bool:
    return guard is None or (guard.kind is GuardKind.VENUE and has_levels(guard, levels))


def _keep(work: UnitOfWork, levels: Mapping[str, Iterable[Decimal]]) -> None:
    stored = {place: [plain(level) for level in pair] for place, pair in levels.items()}
    work.set_value(WANTED, json.dumps(stored) if stored else None)
