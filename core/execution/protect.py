"""Every position names its guard (DESIGN 3): VENUE where its stop rests, ENGINE where we watch, OWNER where we can only
alert. A position for which none of these holds is told to the owner as UNGUARDED."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.dust import without_dust
from core.domain.events import PositionUnguarded
from core.domain.orders import RESTING, Order, Purpose
from core.domain.portfolio import Guard, GuardKind, Position
from core.domain.values import ZERO, floor_to
from core.execution import own_sales
from core.execution.desk import Desk
from core.execution.owner_guards import ask_for_stops
from core.execution.wanted import Levels, has_levels, place_of, wanted, watched
from core.ports import UnitOfWork
from core.strategy.sizing import bracket_for

UNGUARDED = "unguarded"
NOBODY: frozenset[str] = frozenset()
SEEN_EVERY = timedelta(hours=1)
"""How old the time of the last sighting of a resting stop may grow before it is written anew."""


def protect(desk: Desk, now: datetime, reachable: Iterable[str] = ()) -> None:
    """Gives every open position its guard and drops the guards of closed ones; commits only what changed.

    `reachable` are the accounts whose orders were seen at the venue just now.
    """
    seen = frozenset(reachable)
    with desk.ledger() as work:
        guarded = {guard.account for guard in work.guards()}
        told = {_account_of(place) for place in _told(work)}
        changed = [
            refresh_guards(work, desk, account.id, now, seen_now=account.id in seen)
            for account in work.accounts()
            if account.id in guarded or account.id in told or work.portfolio(account.id).positions
        ]
        if not any(changed):
            return
        work.commit("protect")


def refresh_guards(
    work: UnitOfWork,
    desk: Desk,
    account: str,
    now: datetime,
    *,
    seen_now: bool = True,
    bought: frozenset[str] = NOBODY,
) -> bool:
    """Brings the guards of one account in line with its positions, in the caller's transaction; True if any changed.

    `bought` names symbols whose position has just grown: their levels follow the new average price, unless they have
    been moved since (core.execution.wanted).
    """
    moved = wanted(work)
    positions = without_dust(work.portfolio(account).positions)
    claimed = own_sales.claimed(work, account)
    stored = {guard.symbol: guard for guard in work.guards(account)}
    legs = _resting_legs(work.live_orders(account))
    is_by_hand = desk.is_by_hand(work, account)
    changed, unguarded, alerted = False, set[str](), dict[str, Guard]()
    for symbol, position in sorted(positions.items()):
        former = None if symbol in bought else stored.get(symbol)
        held_by_owner = claimed.get(symbol, ZERO)
        guard = _remembering(_guard(work, desk, position, held_by_owner, legs.get(symbol, ()), former, now), former)
        guard = _as_moved(desk, guard, moved)
        if guard is not None and guard.kind is GuardKind.OWNER and (is_by_hand or held_by_owner):
            alerted[symbol] = guard
        if guard is None:
            unguarded.add(symbol)
        elif _differs(guard, stored.get(symbol), seen_now):
            work.set_guard(guard)
            changed = True
    for symbol in stored.keys() - (positions.keys() - unguarded):
        work.drop_guard(account, symbol)
        changed = True
    changed |= ask_for_stops(work, desk, account, now)
    bare = [positions[symbol] for symbol in sorted(unguarded | alerted.keys())]
    known = frozenset() if is_by_hand else alerted.keys() & claimed.keys()
    return _tell_unguarded(work, desk, bare, alerted, account, now, known) or changed


def _remembering(guard: Guard | None, former: Guard | None) -> Guard | None:
    """With the highest price seen so far; and with the owner's word, as long as it is about this very stop."""
    if guard is None or former is None:
        return guard
    same = guard.kind is GuardKind.OWNER and guard.stop == former.stop
    known = former.peak, former.placed_at if same else None
    return guard if known == (guard.peak, guard.placed_at) else replace(guard, peak=known[0], placed_at=known[1])


def _as_moved(desk: Desk, guard: Guard | None, moved: Mapping[str, Levels]) -> Guard | None:
    """With the levels that an order is still to rest at: the engine watches those, where it watches the symbol."""
    if guard is None or place_of(guard) not in moved or desk.instrument(guard.symbol) is None:
        return guard
    stop, target = moved[place_of(guard)]
    if has_levels(guard, (stop, target)):
        return guard
    return watched(replace(guard, stop=stop, target=target))


def _resting_legs(orders: Iterable[Order]) -> Mapping[str, tuple[Order, ...]]:
    legs: dict[str, tuple[Order, ...]] = {}
    for order in orders:
        if order.purpose in (Purpose.STOP, Purpose.TARGET) and order.state in RESTING:
            legs[order.symbol] = (*legs.get(order.symbol, ()), order)
    return legs


def _guard(
    work: UnitOfWork,
    desk: Desk,
    position: Position,
    claimed: Decimal,
    legs: tuple[Order, ...],
    former: Guard | None,
    now: datetime,
) -> Guard | None:
    """The guard that truly holds of what no sale of the owner's own has `claimed`; None where nothing protects the
    position."""
    stops = [leg for leg in legs if leg.purpose is Purpose.STOP and leg.stop_price is not None]
    step, free = desk.any_instrument(position.symbol).quantity_step, position.quantity - claimed
    covered = sum((leg.remaining for leg in stops), ZERO) >= floor_to(free, step)
    is_watched = desk.instrument(position.symbol) is not None and _is_sellable(desk, position, free)
    planned = _levels_of(work, desk, position, former)
    if free <= 0 or not (is_watched or (stops and covered)):
        is_owners = claimed > 0 and position.quantity > 0 and planned is not None
        return _watcher(position, planned, GuardKind.OWNER, now) if is_owners else None
    if stops and covered:
        return _venue_guard(position, legs, stops, planned, now)
    # Of an account that is not connected, or whose broker takes no orders, we can only tell the owner.
    watches = not desk.account(position.account).is_manual and not desk.is_by_hand(work, position.account)
    return _watcher(position, planned, GuardKind.ENGINE if watches else GuardKind.OWNER, now)


def _watcher(position: Position, levels: Levels | None, kind: GuardKind, now: datetime) -> Guard | None:
    return Guard(position.account, position.symbol, *levels, kind, None, now) if levels is not None else None


def _is_sellable(desk: Desk, position: Position, units: Decimal) -> bool:
    symbol = position.symbol
    step = desk.sale_steps(position.account, (symbol,)).get(symbol, desk.any_instrument(symbol).quantity_step)
    return floor_to(units, step) > 0


def _venue_guard(
    position: Position,
    legs: tuple[Order, ...],
    stops: list[Order],
    planned: tuple[Decimal, Decimal] | None,
    now: datetime,
) -> Guard | None:
    targets = [leg.limit_price for leg in legs if leg.purpose is Purpose.TARGET and leg.limit_price is not None]
    nearest = max(stops, key=lambda leg: leg.stop_price or ZERO)
    target = min(targets) if targets else (planned[1] if planned else None)
    if target is None or nearest.stop_price is None:
        return None
    return Guard(
        position.account,
        position.symbol,
        nearest.stop_price,
        target,
        GuardKind.VENUE,
        nearest.venue_order_id or nearest.client_order_id,
        now,
    )


def _levels_of(
    work: UnitOfWork, desk: Desk, position: Position, former: Guard | None
) -> tuple[Decimal, Decimal] | None:
    if former is not None:
        return former.stop, former.target
    average = work.portfolio(position.account).averages.price(position.symbol)
    if average is None:
        return None
    instrument = desk.any_instrument(position.symbol)
    bracket = bracket_for(average, instrument.price_tick, desk.policy)
    return bracket.stop, bracket.target


def _differs(guard: Guard, stored: Guard | None, seen_now: bool) -> bool:
    if stored is None:
        return True
    new = (guard.stop, guard.target, guard.kind, guard.venue_order_id)
    if new != (stored.stop, stored.target, stored.kind, stored.venue_order_id):
        return True
    return seen_now and guard.last_seen_at - stored.last_seen_at >= SEEN_EVERY


def _told(work: UnitOfWork) -> set[str]:
    """`account/symbol` of every position that the owner knows to be unguarded."""
    return set((work.value(UNGUARDED) or "").split())


def _account_of(place: str) -> str:
    return place.partition("/")[0]


def told_already(work: UnitOfWork, account: str, symbols: Iterable[str]) -> None:
    """The owner knows already that these positions have no stop."""
    told = _told(work) | {f"{account}/{symbol}" for symbol in symbols}
    work.set_value(UNGUARDED, " ".join(sorted(told)) or None)


def _tell_unguarded(
    work: UnitOfWork,
    desk: Desk,
    positions: list[Position],
    alerted: Mapping[str, Guard],
    account: str,
    now: datetime,
    known: Collection[str],
) -> bool:
    """Tells once of each position without a guard; a position that found one or is gone may be told of again. Of those
    in `alerted` the price is watched, but nobody can sell; of those `known` the owner has been asked."""
    told = _told(work)
    others = {place for place in told if _account_of(place) != account}
    places = {f"{account}/{position.symbol}": position for position in positions}
    if others | places.keys() == told:
        return False
    work.set_value(UNGUARDED, " ".join(sorted(others | places.keys())) or None)
    for position in (places[place] for place in sorted(places.keys() - told)):
        if position.symbol in known:
            continue
        reason = "no stop rests at the venue and there is no price to set one by"
        if position.quantity <= 0:
            reason = "more was sold than was held"
        elif position.symbol in alerted:
            reason = (
                "the broker takes no orders and no stop rests there: put one at "
                f"{alerted[position.symbol].stop:f} in its own app. I can only tell you when that is reached"
            )
        elif not _is_sellable(desk, position, position.quantity):
            reason = "the broker sells no such fraction"
        work.publish(
            PositionUnguarded(account, position.symbol, position.quantity, reason, desk.badges(account)),
            market_time=now,
        )
    return True
