"""Stops that rest where they belong: a protective pair at the venue for whatever no resting stop covers, or a stop
alone where no more can rest, and a stop that follows the price where the owner wants that.

A venue's stop is placed only when nothing else is under way for the position: while an entry is half filled, an exit
works or an order is in doubt, the engine watches (kind ENGINE).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.domain.decisions import Brake, BrakeKind, Decision
from core.domain.dust import without_dust
from core.domain.events import GuardMoved, ProtectionFailed
from core.domain.instruments import Instrument
from core.domain.orders import Bracket, Order, OrderState, OrderType, Purpose, Side
from core.domain.portfolio import Guard, GuardKind, Position
from core.domain.values import ONE, ZERO, ceil_to, floor_to
from core.domain.venue import Resting
from core.execution import moving, own_sales, wanted
from core.execution.desk import Desk
from core.execution.executor import commit_intents, submit
from core.execution.exits import withdraw
from core.execution.oversized import is_quiet
from core.execution.venue_state import state_of
from core.ports import UnitOfWork
from core.strategy.policy import Policy


@dataclass(frozen=True, slots=True)
class Followed:
    """How many stops were raised, how many resting orders moved, and how many asked to make way."""

    raised: int
    moved: int
    withdrawn: int


def place_missing(
    desk: Desk, now: datetime, reachable: Collection[str], prices: Mapping[str, Decimal]
) -> tuple[int, int]:
    """Places a protective pair, or a stop-limit, for every position, or part of one, without a resting stop; returns
    (how many were sent, how many of them the venue refused: those positions are to be sold at once).
    """
    missing = _missing(desk, now, reachable, prices)
    if not missing:
        return 0, 0
    # A refusal that was written just before a death, and not acted on.
    with desk.reading() as work:
        met = [known for order in missing if (known := work.order(order.client_order_id)) is not None]
    refused = [order for order in met if order.state is OrderState.REJECTED]
    committed = commit_intents(desk, Decision(now, missing[0].account, (), tuple(missing)), now)
    refused += [order for order in committed.to_submit if submit(desk, order, now).state is OrderState.REJECTED]
    for order in refused:
        _give_up(desk, order, now)
    return len(committed.to_submit) + len(met), len(refused)


def _missing(desk: Desk, now: datetime, reachable: Collection[str], prices: Mapping[str, Decimal]) -> list[Order]:
    """The orders to place, each in the units that no stop covers; fractions of a step are left to the engine."""
    missing = list[Order]()
    with desk.reading() as work:
        for account in sorted(reachable):
            live = dict[str, list[Order]]()
            for order in work.live_orders(account):
                live.setdefault(order.symbol, []).append(order)
            guards = {guard.symbol: guard for guard in work.guards(account)}
            claimed = own_sales.claimed(work, account)
            for symbol, position in sorted(without_dust(work.portfolio(account).positions).items()):
                instrument = desk.instrument(symbol)
                own = live.get(symbol, [])
                if instrument is None or not is_quiet(own) or symbol not in guards:
                    continue
                stops = [order for order in own if order.purpose is Purpose.STOP]
                covered = sum((order.remaining for order in stops), ZERO)
                held = floor_to(max(position.quantity - claimed.get(symbol, ZERO), ZERO), instrument.quantity_step)
                if covered >= held or not _is_between(guards[symbol], prices.get(symbol)):
                    continue
                resting = desk.resting(account, symbol, held - covered)
                if resting is Resting.NOTHING:
                    continue
                stop = _stop(desk, position, guards[symbol], held - covered, instrument, now)
                stop = _as_it_may_rest(desk, stop, resting, guards[symbol], instrument)
                # A venue takes no order for so little: the engine watches it.
                if stop.limit_price is None or stop.quantity * stop.limit_price >= instrument.min_order_value:
                    missing.append(stop)
    return missing


def _is_between(guard: Guard, price: Decimal | None) -> bool:
    """Beyond its levels a position is sold, not protected; without a price the stop is placed all the same."""
    return price is None or guard.stop < price < guard.target


def _as_it_may_rest(desk: Desk, stop: Order, resting: Resting, guard: Guard, instrument: Instrument) -> Order:
    """With its target beside it, or with the limit under which it does not sell."""
    at, tick = stop.reference_price, instrument.price_tick
    if resting is Resting.PAIR:
        return replace(stop, bracket=Bracket(at, floor_to(guard.target, tick)))
    return replace(stop, limit_price=moving.limit_under(desk, stop.symbol, at))


def _stop(
    desk: Desk, position: Position, guard: Guard, quantity: Decimal, instrument: Instrument, now: datetime
) -> Order:
    origin = f"protect {now.isoformat()}"
    stop = ceil_to(guard.stop, instrument.price_tick)
    name = desk.namespace.client_order_id(position.account, origin, position.symbol, Side.SELL, Purpose.STOP, 1)
    return Order(
        client_order_id=name,
        account=position.account,
        symbol=position.symbol,
        side=Side.SELL,
        quantity=quantity,
        purpose=Purpose.STOP,
        origin=origin,
        attempt=1,
        created_at=now,
        type=OrderType.STOP,
        stop_price=stop,
        reference_price=stop,
        reason="protects what no resting stop covers",
    )


def _give_up(desk: Desk, order: Order, now: datetime) -> None:
    """The venue's final no to a stop: the owner is alarmed, and the position is to be sold at once (S13)."""
    with desk.committing("protect") as work:
        refused = work.order(order.client_order_id) or order
        scope = f"{order.account}/{order.symbol}"
        reason = f"its stop could not be placed: {refused.reason}"
        work.set_brake(Brake(BrakeKind.FLATTEN, scope, reason, now))
        event = ProtectionFailed(
            order.account,
            order.symbol,
            order.quantity,
            reason,
            f"The position is being sold now. {order.symbol} takes no entries until you release the brake (/locks).",
            desk.badges(order.account),
        )
        work.publish(event, market_time=now)


def follow(desk: Desk, now: datetime, prices: Mapping[str, Decimal]) -> Followed:
    """Raises the stops that the price has earned (off unless the policy says so) and moves at the venues what rests at
    other levels than those wanted, the owner's included; what cannot be moved is taken from there.

    The new level is committed before, and kept in mind until an order rests at it: till then the engine watches at it.
    """
    with desk.reading() as work:
        raised = list(_raised(work, desk, prices, desk.policy))
        settled = wanted.has_settled(work) or moving.has_settled(work)
    higher = [pair for pair in raised if pair[1].stop > pair[0].stop]
    if raised or settled:
        with desk.committing("protect") as work:
            wanted.forget_settled(work)
            moving.forget_settled(work)
            for _, guard in raised:
                work.set_guard(guard)
            for former, guard in higher:
                wanted.want(work, desk, guard)
                work.publish(_moved(desk, former, guard), market_time=now)
    with desk.reading() as work:
        misplaced = [
            order
            for order in wanted.in_the_way(work, desk)
            if order.account in desk.venues() and not state_of(work, order.account).is_fallen
        ]
    moved, fixed = moving.move(desk, misplaced, now) if misplaced else (0, [])
    if fixed:
        withdraw(desk, fixed, now)
    return Followed(len(higher), moved, len(fixed))


def _raised(
    work: UnitOfWork, desk: Desk, prices: Mapping[str, Decimal], policy: Policy
) -> Iterator[tuple[Guard, Guard]]:
    """(as it is, as it becomes) of every guard that has something to remember."""
    if policy.trailing_fraction is None and policy.break_even_fraction is None:
        return
    for guard in work.guards():
        price, instrument = prices.get(guard.symbol), desk.instrument(guard.symbol)
        if guard.account not in desk.brokers or wanted.rests_out_of_reach(work, desk, guard):
            continue
        position = work.portfolio(guard.account).positions.get(guard.symbol)
        if price is None or instrument is None or position is None or position.quantity <= 0:
            continue
        peak = max(price, guard.peak or price)
        stop = raised_stop(guard, position.average_cost, price, peak, instrument, policy)
        least = ONE + policy.stop_step_fraction
        if stop >= guard.stop * least:
            yield guard, replace(wanted.watched(guard), stop=stop, peak=peak, placed_at=None)
        elif guard.peak is None or peak >= guard.peak * least:
            yield guard, replace(guard, peak=peak)


def raised_stop(
    guard: Guard, entry: Decimal, price: Decimal, peak: Decimal, instrument: Instrument, policy: Policy
) -> Decimal:
    """Where the stop belongs by now, USD: never below where it is, always below `price`. `entry` is what a unit cost,
    fees included."""
    levels = [guard.stop]
    if policy.trailing_fraction is not None:
        levels.append(floor_to(peak * (ONE - policy.trailing_fraction), instrument.price_tick))
    if policy.break_even_fraction is not None and peak >= entry * (ONE + policy.break_even_fraction):
        levels.append(ceil_to(entry * (ONE + policy.cost_fraction), instrument.price_tick))
    return max((stop for stop in levels if stop < price), default=guard.stop) if guard.stop < price else guard.stop


def _moved(desk: Desk, former: Guard, guard: Guard) -> GuardMoved:
    reason = f"the price has been at {guard.peak:f}" if guard.peak is not None else "the price has risen"
    if guard.kind is GuardKind.OWNER:
        reason += "; move the stop at your broker, too"
    return GuardMoved(guard.account, guard.symbol, former.stop, guard.stop, reason, desk.badges(guard.account))
