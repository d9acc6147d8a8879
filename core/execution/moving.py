"""Orders that rest at a venue are moved to the levels that are wanted by now, where the venue can do that: then there
is no moment in which nothing rests. Where it cannot, or not with this order, they make way for others.

What is asked for is written down before, under an id derived as any order's. The venue either keeps the order where it
is, or has it at its new prices, under the name that it has in the ledger: so whatever was lost, a look at that order
tells. Until it rests there the engine watches the wanted levels (core.execution.wanted).

    the venue says      in the ledger                               for the owner
    done                new prices, the guard names the order       nothing more than the move itself
    it has ended        nothing: reconciliation books its end       what reconciliation tells
    no                  nothing; asked again every minute           why, where it rests and that the engine watches
    not this order      it is cancelled and another placed          nothing more
    nothing             nothing; asked again under the same id      a worse health
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum

from core.domain.codec import Json, canonical, decode
from core.domain.events import ProtectionFailed
from core.domain.orders import RESTING, Order, OrderState, Purpose
from core.domain.values import ONE, floor_to, plain
from core.domain.venue import Accepted, Refusal, Refused, Replacement, SubmitResult, Unknown, VenueOrder
from core.domain.views import Health
from core.errors import Ambiguous, Transient
from core.execution import wanted
from core.execution.desk import Desk
from core.execution.executor import TOLD_AGAIN_AFTER
from core.execution.protect import refresh_guards
from core.ports import UnitOfWork

ASKED, TOLD = "replacing", "not_moved"
"""By client order id what an order is to become, and what of that the owner knows to be refused: JSON objects."""
ONE_ID_FOR = timedelta(minutes=10)
"""How long the same is asked for under the same id. What a venue has under it by then is not what is asked for now."""


Prices = tuple[Decimal | None, Decimal | None]
"""Stop and limit of an order, USD."""


@dataclass(frozen=True, slots=True)
class Asked:
    change: Replacement
    at: datetime

    @property
    def prices(self) -> Prices:
        return self.change.stop_price, self.change.limit_price


class Outcome(Enum):
    """Of one order. FIXED: it cannot be moved, but another may take its place."""

    THERE = "there"
    STAYS = "stays"
    DOUBTFUL = "doubtful"
    FIXED = "fixed"


def move(desk: Desk, misplaced: Iterable[Order], now: datetime) -> tuple[int, list[Order]]:
    """Moves what rests at other levels than those wanted; `misplaced` holds it with its other legs. Returns how many
    orders have come to rest where they should, and those that have to make way for others, as they are by now."""
    with desk.reading() as work:
        levels = wanted.wanted(work)
    places: dict[str, list[Order]] = {}
    for order in misplaced:
        places.setdefault(wanted.place_of(order), []).append(order)
    moved, fixed = 0, list[Order]()
    for place, orders in places.items():
        outcomes = _move_in(desk, orders, levels[place], now)
        moved += outcomes.count(Outcome.THERE)
        if Outcome.FIXED in outcomes:
            fixed += orders
    if not fixed:
        return moved, []
    with desk.reading() as work:
        current = [work.order(order.client_order_id) or order for order in fixed]
    return moved, [order for order in current if order.state in wanted.AT_THE_VENUE]


def has_settled(work: UnitOfWork) -> bool:
    """Whether something that was asked for is so by now, or its order is gone."""
    return _unsettled(work).keys() != _asked(work).keys()


def forget_settled(work: UnitOfWork) -> None:
    _keep(work, ASKED, _unsettled(work))


def _move_in(desk: Desk, orders: list[Order], levels: wanted.Levels, now: datetime) -> list[Outcome]:
    """What became of the orders of one position; nothing further is asked for once one of them cannot be moved."""
    broker = desk.brokers[orders[0].account]
    if not broker.can_replace or any(order.state is not OrderState.ACCEPTED for order in orders):
        return [Outcome.FIXED]
    outcomes = list[Outcome]()
    # The stop comes first: it is what counts when the process dies in between.
    for order in sorted(orders, key=lambda each: each.purpose is not Purpose.STOP):
        if wanted.rests_at(order, levels):
            continue
        outcomes.append(_ask(desk, order, _prices(desk, order, levels), now))
        if outcomes[-1] is Outcome.FIXED:
            break
    return outcomes


def _prices(desk: Desk, order: Order, levels: wanted.Levels) -> Prices:
    """Of the order at those levels."""
    stop, target = levels
    if order.purpose is Purpose.TARGET:
        return None, target
    return stop, None if order.limit_price is None else limit_under(desk, order.symbol, stop)


def limit_under(desk: Desk, symbol: str, stop: Decimal) -> Decimal:
    """The limit under which a stop-limit does not sell, USD."""
    tick = desk.any_instrument(symbol).price_tick
    return max(tick, floor_to(stop * (ONE - desk.policy.stop_limit_fraction), tick))


def _ask(desk: Desk, order: Order, prices: Prices, now: datetime) -> Outcome:
    change = _written(desk, order, prices, now)
    answer: SubmitResult
    try:
        with desk.changing("replace"):
            answer = desk.brokers[order.account].replace(order.client_order_id, change)
    except (Transient, Ambiguous) as error:
        answer = Unknown(str(error))
    with desk.committing("replaced") as work:
        outcome = _answered(work, desk, order, change, answer, now)
    if isinstance(answer, Unknown):
        reason = f"nobody knows yet whether a resting order was moved: {answer.reason}"
        desk.health(order.account, Health.DEGRADED, reason)
    return outcome


def _written(desk: Desk, order: Order, prices: Prices, now: datetime) -> Replacement:
    """What is to be asked for, in the ledger; under the id of before, where it was asked for just now already."""
    with desk.reading() as work:
        known = _asked(work).get(order.client_order_id)
    if known is not None and known.prices == prices and timedelta(0) <= now - known.at < ONE_ID_FOR:
        return known.change
    origin = f"move {order.client_order_id} {now.isoformat()}"
    name = desk.namespace.client_order_id(order.account, origin, order.symbol, order.side, order.purpose, 1)
    change = Replacement(name, *prices)
    with desk.committing("replace") as work:
        _keep(work, ASKED, {**_asked(work), order.client_order_id: Asked(change, now)})
    return change


def _answered(
    work: UnitOfWork, desk: Desk, order: Order, change: Replacement, answer: SubmitResult, now: datetime
) -> Outcome:
    current = work.order(order.client_order_id) or order
    match answer:
        case Accepted(at_venue) if _is_it(current, at_venue):
            if current.state in RESTING and at_venue.state in RESTING:
                work.save_order(_as_it_rests(current, at_venue, now))
                refresh_guards(work, desk, order.account, now)
            outcome = Outcome.THERE
        case Refused(kind=Refusal.FIXED):
            outcome = Outcome.FIXED
        case Refused(reason):
            _tell(work, desk, current, change, reason, now)
            outcome = Outcome.STAYS
        case _:
            return Outcome.DOUBTFUL
    _keep(work, ASKED, {name: asked for name, asked in _asked(work).items() if name != order.client_order_id})
    return outcome


def _is_it(order: Order, at_venue: VenueOrder) -> bool:
    """Whether the venue answered with this very order; the other leg may have changed its quantity."""
    ours = (order.client_order_id, order.symbol, order.side)
    return ours == (at_venue.client_order_id, at_venue.symbol, at_venue.side)


def _as_it_rests(order: Order, at_venue: VenueOrder, now: datetime) -> Order:
    return replace(
        order,
        stop_price=at_venue.stop_price,
        limit_price=at_venue.limit_price,
        venue_order_id=at_venue.venue_order_id,
        updated_at=now,
    )


def _tell(work: UnitOfWork, desk: Desk, order: Order, change: Replacement, reason: str, now: datetime) -> None:
    """Once for each level, and of one that is refused for days once a day."""
    told = _stored(work, TOLD)
    known, asked = told.get(order.client_order_id), Asked(change, now)
    if known is not None and known.prices == asked.prices and now - known.at < TOLD_AGAIN_AFTER:
        return
    _keep(work, TOLD, {**told, order.client_order_id: asked})
    what, is_stop = order.purpose.value, order.purpose is Purpose.STOP
    before, after = (order.stop_price, change.stop_price) if is_stop else (order.limit_price, change.limit_price)
    event = ProtectionFailed(
        order.account,
        order.symbol,
        order.remaining,
        f"Its {what} could not be moved to {_usd(after)}: {reason}",
        f"It rests at {_usd(before)} as before. I watch {_usd(after)} from here and ask again every minute.",
        desk.badges(order.account),
        f"{what} not moved",
    )
    work.publish(event, market_time=now)


def _usd(price: Decimal | None) -> str:
    return f"{plain(price)} USD" if price is not None else "no price"


def _asked(work: UnitOfWork) -> Mapping[str, Asked]:
    return _stored(work, ASKED)


def _unsettled(work: UnitOfWork) -> Mapping[str, Asked]:
    """What is asked for of orders that are live and rest at other prices."""
    asked = _asked(work)
    orders = {name: work.order(name) for name in asked}
    return {
        name: asked[name]
        for name, order in orders.items()
        if order is not None and order.is_live and (order.stop_price, order.limit_price) != asked[name].prices
    }


def _stored(work: UnitOfWork, key: str) -> Mapping[str, Asked]:
    stored: dict[str, Json] = json.loads(work.value(key) or "{}")
    return {name: decode(Asked, entry) for name, entry in stored.items()}


def _keep(work: UnitOfWork, key: str, entries: Mapping[str, Asked]) -> None:
    """Of the orders that are still live."""
    orders = {name: work.order(name) for name in entries}
    live = {name: entries[name] for name, order in orders.items() if order is not None and order.is_live}
    work.set_value(key, canonical(live) if live else None)
