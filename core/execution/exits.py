"""The one way to sell: what rests in the way is cancelled, its cancellation confirmed, and what is then held is sold.

An exit never trusts an older figure: its size comes from the position after every fill of the cancelled orders is
booked. Where the venue does not confirm, nothing is sold; what rests there still protects, and the next minute tries
again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from core.domain.decisions import Decision
from core.domain.events import Event, ProtectionFailed
from core.domain.orders import FINAL, PROTECTING, RESTING, Order, OrderState, Purpose
from core.domain.values import plain
from core.domain.views import Health
from core.errors import Ambiguous, Transient
from core.execution.desk import Desk
from core.execution.executor import commit_intents, submit_all
from core.execution.picture import take_picture
from core.execution.protect import refresh_guards
from core.execution.reconcile import reconcile
from core.strategy.decide import exits
from core.strategy.snapshot import Snapshot

Place = tuple[str, str]
"""Account and symbol."""
ROUNDS = 2
"""A cancelled entry of which a part was filled leaves that part's stop and target behind, and these must go, too."""
IN_DOUBT = frozenset({OrderState.SUBMITTING, OrderState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class SoldOut:
    """How many exits went to a venue, how many to the owner, and how many must wait for a venue's word."""

    sent: int = 0
    instructed: int = 0
    waiting: int = 0

    def plus(self, more: SoldOut) -> SoldOut:
        return SoldOut(self.sent + more.sent, self.instructed + more.instructed, self.waiting + more.waiting)


def sell_out(
    desk: Desk,
    now: datetime,
    origin: str,
    wanted: Iterable[Order],
    reachable: frozenset[str],
    choose: Callable[[Snapshot], tuple[Order, ...]] | None = None,
) -> SoldOut:
    """Sells the positions of the `wanted` exits, as far as the venues let go of what rests there. `choose` says anew
    what is to be sold once something was cancelled; None: what `exits` say."""
    orders, blocked, withdrawn = tuple(wanted), set[Place](), set[str]()
    for _ in range(ROUNDS):
        cleared = {_place(order) for order in orders if order.state is not OrderState.AWAITING_OWNER}
        resting = [order for order in _in_the_way(desk, cleared) if order.client_order_id not in withdrawn]
        if not resting:
            break
        blocked |= withdraw(desk, resting, now, tell=_unsold(desk, orders, resting))
        withdrawn |= {order.client_order_id for order in resting}
        reachable = reconcile(desk, now).reachable
        # A venue that did not say it in time may have said it since, with every fill of what is gone.
        blocked &= {_place(order) for order in _in_the_way(desk, blocked)}
        snapshot = take_picture(desk, now, origin, reachable, only_held=True)
        places = {_place(order) for order in orders}
        again = choose(snapshot) if choose is not None else exits(snapshot, desk.policy)
        orders = tuple(order for order in again if _place(order) in places)
    ready = tuple(order for order in orders if _place(order) not in blocked)
    if not ready:
        return SoldOut(waiting=len(blocked))
    committed = commit_intents(desk, Decision(now, ready[0].account, (), ready), now)
    submit_all(desk, committed.to_submit, now)
    return SoldOut(len(committed.to_submit), committed.instructed, len(blocked))


def withdraw(
    desk: Desk,
    resting: Iterable[Order],
    now: datetime,
    *,
    reason: str = "another order takes its place",
    tell: Iterable[Event] = (),
) -> set[Place]:
    """Cancels orders at their venues and asks whether they are gone; returns the places where one is not, for sure.

    The intention is committed before the venue hears of it, together with what the owner is to be told. From that very
    commit on the engine watches what the orders have guarded: whether they still do, nobody can be sure of any more.
    """
    orders = tuple(resting)
    doubtful = {_place(order) for order in orders if order.state in IN_DOUBT}
    going = [order for order in orders if _place(order) not in doubtful]
    fresh = [order for order in going if order.state is not OrderState.CANCEL_PENDING]
    if fresh:
        with desk.committing("withdraw") as work:
            for order in fresh:
                work.save_order(order.moved(OrderState.CANCEL_PENDING, now, reason=reason))
            for account in sorted({order.account for order in fresh if order.purpose in PROTECTING}):
                refresh_guards(work, desk, account, now, seen_now=False)
            for event in tell:
                work.publish(event, market_time=now)
    return doubtful | {_place(order) for order in going if not _is_gone(desk, order)}


def _is_gone(desk: Desk, order: Order) -> bool:
    broker = desk.brokers.get(order.account)
    if broker is None:
        return False
    try:
        with desk.changing("cancel"):
            broker.cancel(order.client_order_id)
        with desk.calling("lookup"):
            at_venue = broker.find(order.client_order_id)
    except (Transient, Ambiguous) as error:
        desk.health(order.account, Health.DEGRADED, f"a resting order could not be cancelled yet: {error}")
        return False
    # An order that the venue does not show is not gone for sure: reconciliation settles it after its grace.
    return at_venue is not None and at_venue.state in FINAL


def _in_the_way(desk: Desk, places: set[Place]) -> list[Order]:
    """Everything at a venue in these places but the exits themselves: resting stops and targets, and entries half
    filled. An entry that waits for the owner rests nowhere: the exit takes its card back."""
    if not places:
        return []
    with desk.reading() as work:
        live = work.live_orders()
    return [
        order
        for order in live
        if _place(order) in places
        and order.purpose is not Purpose.EXIT
        and order.state is not OrderState.AWAITING_OWNER
    ]


def _unsold(desk: Desk, exits: Iterable[Order], resting: Iterable[Order]) -> list[ProtectionFailed]:
    """What the owner hears of stops that the price has passed and that have not sold: their limit was jumped over, or
    nobody bought. One that is being withdrawn already was told of."""
    passed = {_place(order): order for order in exits if Purpose.STOP in order.tags}
    return [
        ProtectionFailed(
            order.account,
            order.symbol,
            order.remaining,
            f"The price is {plain(sale.reference_price)} USD, and the stop at {plain(stop)} USD that rests at the "
            "broker has not sold",
            "I withdraw it and sell at the market now.",
            desk.badges(order.account),
            "stop did not sell",
        )
        for order in resting
        if order.state in RESTING
        and order.purpose is Purpose.STOP
        and (sale := passed.get(_place(order))) is not None
        and (stop := order.stop_price) is not None
        and stop >= sale.reference_price
    ]


def _place(order: Order) -> Place:
    return order.account, order.symbol
