"""Reconciliation as arithmetic: what our ledger must take over so that it agrees with the venue. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.orders import FINAL, LIVE, PROTECTING, TRANSITIONS, Order, OrderState, Purpose, Side
from core.domain.portfolio import Fill, Portfolio, PositionAdjustment
from core.domain.values import ZERO
from core.domain.venue import Activity, VenueAccount, VenueOrder
from core.execution import coin_fees
from core.execution.news import entry_of, in_order, new_activities, new_fills

INSTALLATION = re.compile(r"at[0-9a-f]{5}-")
"""How order ids of this program begin, whatever the installation (core.domain.orders.OrderNamespace.prefix)."""

CANCEL_GRACE = timedelta(minutes=3)
"""How long a cancellation may be under way before an order that still works is taken for one that works on."""
PATIENCE = 5
"""How many times as long as a venue may need to show it an entry is waited for. That costs nothing: it only keeps the
symbol from being bought, while giving up too early could buy twice. A sale waits once: the position waits with it, and
it is sent again under its own id, which a venue takes only once."""
WORKING = frozenset({OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED})
UNCERTAIN = frozenset({OrderState.SUBMITTING, OrderState.UNKNOWN})
GIVEN_UP = frozenset({OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED})


@dataclass(frozen=True, slots=True)
class LocalTruth:
    """Our side of one account: its live orders and those that the venue's fills name, and the ids of booked fills.
    `fees_taken` are units by symbol that were booked as fees before the venue told of them."""

    orders: Mapping[str, Order]
    portfolio: Portfolio
    booked: frozenset[str] = frozenset()
    booked_activities: frozenset[str] = frozenset()
    fees_taken: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VenueTruth:
    """The venue's side. `missing` was looked up and not found, which has authority for what was sent longer ago than
    `shows_within` (core.ports.Broker). `silent` got no answer this time."""

    orders: Mapping[str, VenueOrder]
    fills: tuple[Fill, ...]
    account: VenueAccount
    missing: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    activities: tuple[Activity, ...] = ()
    shows_within: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Corrections:
    """`adopted` are legs seen for the first time; `orders` the changed ones as they stand after `fills` (in booking
    order). `resend` names exits that never arrived, `contested` orders whose id means something else at the venue.
    `adopted` has working orders of ours that the ledger does not know, too: those of a time that a restore lost, and
    stops that the owner has placed there by hand.
    `foreign` names live orders of another installation, `strays` those of ours that we had given up and that work all
    the same, `unheard` those that work on although their cancellation was written down. `differences` maps symbols to
    (our units, the venue's) where nothing under way explains them; about the symbols in `unsettled` nothing can be said
    this time. `fees` are to be booked after everything else (core.execution.coin_fees). `cash` is (ours, the venue's)
    in USD, None where something under way could explain a difference.
    """

    adopted: tuple[Order, ...] = ()
    fills: tuple[Fill, ...] = ()
    activities: tuple[Activity, ...] = ()
    fees: tuple[PositionAdjustment, ...] = ()
    orders: tuple[Order, ...] = ()
    never_arrived: tuple[Order, ...] = ()
    resend: tuple[str, ...] = ()
    contested: Mapping[str, VenueOrder] = field(default_factory=dict)
    foreign: tuple[VenueOrder, ...] = ()
    strays: tuple[VenueOrder, ...] = ()
    unheard: tuple[VenueOrder, ...] = ()
    differences: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    unsettled: frozenset[str] = frozenset()
    cash: tuple[Decimal, Decimal] | None = None

    @property
    def changes_ledger(self) -> bool:
        return bool(
            self.adopted
            or self.fills
            or self.activities
            or self.fees
            or self.orders
            or self.never_arrived
            or self.contested
        )


def plan(local: LocalTruth, venue: VenueTruth, account: str, now: datetime, prefix: str = "") -> Corrections:
    """Orders, then fills, then positions. Fills may come in any order, twice, or late: each is booked once.

    `prefix` begins every order id of this installation; empty where that tells nothing.
    """
    orders = dict(local.orders)
    adopted = _adopt_unknown(orders, local.portfolio, venue, account, now, prefix)
    contested = {
        name: at_venue
        for name, at_venue in venue.orders.items()
        if name in orders and orders[name].state in UNCERTAIN and not _same(orders[name], at_venue)
    }
    for name, order in list(orders.items()):
        if name not in contested:
            orders[name] = _resized(_arrived(order, venue, now), venue.orders.get(name), now)
    fills = new_fills(venue.fills, local.booked)
    activities = new_activities(venue.activities, local.booked_activities)
    portfolio = local.portfolio
    for news in in_order(fills, activities):
        portfolio = portfolio.after(entry_of(news))
    for fill in fills:
        if fill.client_order_id in orders and fill.client_order_id not in contested and _is_of(fill, orders):
            orders[fill.client_order_id] = _filled(orders[fill.client_order_id], fill, now)
    for name, order in list(orders.items()):
        if name not in contested:
            orders[name] = _ended(order, venue.orders.get(name), now)
    lost = [
        orders[name] for name in sorted(venue.missing) if name in orders and _never_arrived(orders[name], venue, now)
    ]
    adopted_ids = {order.client_order_id for order in adopted}
    unsettled = _unsettled(venue, orders)
    fees = coin_fees.assumed(local.fees_taken, portfolio, venue.account, activities, unsettled, now)
    for fee in fees:
        portfolio = portfolio.after(fee)
    is_unclear = bool(unsettled) or coin_fees.explains(portfolio.cash, venue.account.cash, venue.account)
    return Corrections(
        adopted=tuple(orders[order.client_order_id] for order in adopted),
        fills=fills,
        activities=activities,
        fees=fees,
        orders=tuple(
            order for name, order in orders.items() if name not in adopted_ids and order != local.orders[name]
        ),
        never_arrived=tuple(order for order in lost if order.purpose is Purpose.ENTRY),
        resend=tuple(order.client_order_id for order in lost if order.purpose is not Purpose.ENTRY),
        contested=contested,
        foreign=tuple(order for name, order in sorted(venue.orders.items()) if is_foreign(name, order, prefix)),
        strays=tuple(
            at_venue
            for name, at_venue in sorted(venue.orders.items())
            if name in orders and _is_stray(orders[name], at_venue)
        ),
        unheard=tuple(
            at_venue
            for name, at_venue in sorted(venue.orders.items())
            if name in orders and orders[name].state is OrderState.CANCEL_PENDING and at_venue.state in WORKING
        ),
        differences=_differences(portfolio, venue, unsettled),
        unsettled=unsettled,
        cash=None if is_unclear else (portfolio.cash, venue.account.cash),
    )


def is_foreign(name: str, order: VenueOrder, prefix: str) -> bool:
    """A live order of our program, but not of this installation (OrderNamespace.prefix)."""
    return bool(prefix) and bool(INSTALLATION.match(name)) and not name.startswith(prefix) and order.state in LIVE


def leg_of(at_venue: VenueOrder, account: str, now: datetime) -> Order:
    """The row of an order as first seen at the venue: a bracket's leg, or one of a time that a restore lost."""
    return Order(
        client_order_id=at_venue.client_order_id,
        account=account,
        symbol=at_venue.symbol,
        side=at_venue.side,
        quantity=at_venue.quantity,
        purpose=at_venue.purpose,
        origin=at_venue.parent_client_order_id or "",
        attempt=0,
        created_at=now,
        state=OrderState.ACCEPTED,
        type=at_venue.type,
        limit_price=at_venue.limit_price,
        stop_price=at_venue.stop_price,
        parent_id=at_venue.parent_client_order_id,
        venue_order_id=at_venue.venue_order_id,
    )


def _adopt_unknown(
    orders: dict[str, Order], held: Portfolio, venue: VenueTruth, account: str, now: datetime, prefix: str
) -> list[Order]:
    adopted = []
    for name, at_venue in venue.orders.items():
        is_leg = at_venue.parent_client_order_id is not None and not is_foreign(name, at_venue, prefix)
        is_ours = bool(prefix) and name.startswith(prefix)
        is_known = is_leg or is_ours or _protects(name, at_venue, held)
        if name not in orders and is_known and at_venue.state is not OrderState.REJECTED:
            orders[name] = leg_of(at_venue, account, now)
            adopted.append(orders[name])
    return adopted


def _protects(name: str, at_venue: VenueOrder, held: Portfolio) -> bool:
    """A stop that the owner has placed at the venue by hand for what is held, as he is asked to while it takes no
    orders from us: it protects like one of ours, claims the same units, and makes way for a sale."""
    is_stop = (at_venue.side, at_venue.purpose) == (Side.SELL, Purpose.STOP) and at_venue.stop_price is not None
    is_by_hand = at_venue.parent_client_order_id is None and not INSTALLATION.match(name)
    return is_stop and is_by_hand and at_venue.state in WORKING and at_venue.quantity <= held.quantity(at_venue.symbol)


def _same(order: Order, at_venue: VenueOrder) -> bool:
    ours = (order.symbol, order.side, order.quantity)
    return ours == (at_venue.symbol, at_venue.side, at_venue.quantity)


def _arrived(order: Order, venue: VenueTruth, now: datetime) -> Order:
    at_venue = venue.orders.get(order.client_order_id)
    if at_venue is not None and order.state in UNCERTAIN:
        return order.moved(OrderState.ACCEPTED, now, venue_order_id=at_venue.venue_order_id)
    if order.client_order_id in venue.silent and order.state is OrderState.SUBMITTING:
        return order.moved(OrderState.UNKNOWN, now, reason="the venue did not say whether it has the order")
    return _unseen(order, venue, now) if order.client_order_id in venue.missing else order


def _unseen(order: Order, venue: VenueTruth, now: datetime) -> Order:
    """An order that the venue says it never had. A venue may learn of an order, or show it, later than it answers: a
    young one stays as it is, an old one is in doubt first, and only a second look after the grace ends it."""
    if not order.is_live or order.state is OrderState.AWAITING_OWNER or not _is_overdue(order, venue, now):
        return order
    if order.state not in UNCERTAIN:
        return order.moved(OrderState.UNKNOWN, now, reason="the venue does not show the order any more")
    if order.venue_order_id is not None:
        return order.moved(OrderState.CANCELED, now, reason="the venue no longer knows the order")
    return order


def _is_overdue(order: Order, venue: VenueTruth, now: datetime) -> bool:
    """Whether the order would have arrived by now. By the market clock: with a real venue it runs as fast as the
    system's, and a simulated venue lives by it at any speed."""
    grace = venue.shows_within * (PATIENCE if order.purpose is Purpose.ENTRY else 1)
    # A restarted market clock may show an earlier time than the order has: where nothing comes late, nothing waits.
    return not grace or now - (order.updated_at or order.created_at) >= grace


def _never_arrived(order: Order, venue: VenueTruth, now: datetime) -> bool:
    return order.state in UNCERTAIN and order.venue_order_id is None and _is_overdue(order, venue, now)


def _is_stray(order: Order, at_venue: VenueOrder) -> bool:
    return order.state in GIVEN_UP and at_venue.state in WORKING and _same(order, at_venue)


def _resized(order: Order, at_venue: VenueOrder | None, now: datetime) -> Order:
    """A venue changes resting orders by itself: when the other leg fills in part, when a share splits. And it has
    another one, under an id of its own, in the place of one that was moved."""
    if at_venue is None or order.state in UNCERTAIN or not order.is_live:
        return order
    named = at_venue.venue_order_id if order.venue_order_id is not None else None
    theirs = (at_venue.quantity, at_venue.limit_price, at_venue.stop_price, named)
    if (order.symbol, order.side) != (at_venue.symbol, at_venue.side):
        return order
    if theirs == (order.quantity, order.limit_price, order.stop_price, order.venue_order_id):
        return order
    return replace(
        order,
        quantity=at_venue.quantity,
        limit_price=at_venue.limit_price,
        stop_price=at_venue.stop_price,
        venue_order_id=named,
        updated_at=now,
    )


def _is_of(fill: Fill, orders: Mapping[str, Order]) -> bool:
    """Whether the fill can be the order's: what was contested may fill under our id with something else."""
    order = orders[fill.client_order_id]
    return (fill.symbol, fill.side) == (order.symbol, order.side)


def _filled(order: Order, fill: Fill, now: datetime) -> Order:
    """A fill of an order that counts as rejected is booked all the same; the order's state cannot follow it."""
    if order.state is OrderState.REJECTED:
        return replace(order, filled_quantity=order.filled_quantity + fill.quantity, updated_at=now)
    if order.state is OrderState.AWAITING_OWNER or order.state in UNCERTAIN:
        order = order.moved(OrderState.PARTIALLY_FILLED, now)
    return order.filled_by(fill.quantity, now)


def _ended(order: Order, at_venue: VenueOrder | None, now: datetime) -> Order:
    """Takes over the venue's last word once every fill that it counts is booked."""
    if at_venue is None or not order.is_live or at_venue.filled_quantity > order.filled_quantity:
        return order
    if order.state is OrderState.CANCEL_PENDING and at_venue.state in WORKING:
        # The venue never heard of the cancellation, or would not: what rests there counts again.
        is_over = order.updated_at is not None and now - order.updated_at >= CANCEL_GRACE
        return order.moved(at_venue.state, now) if is_over else order
    if at_venue.state is OrderState.CANCEL_PENDING and order.purpose in PROTECTING and order.state in WORKING:
        # Somebody else cancels it: nobody can be sure any more that it protects.
        return order.moved(OrderState.CANCEL_PENDING, now)
    end = _end_of(order, at_venue)
    if end is None:
        return order
    # What we asked for ourselves has its reason already.
    reason = "" if order.state is OrderState.CANCEL_PENDING else at_venue.reason
    return order.moved(end, now, reason=reason)


def _end_of(order: Order, at_venue: VenueOrder) -> OrderState | None:
    """The final state that the venue's word means for the order, None for none."""
    state = at_venue.state
    if state not in FINAL or (state is OrderState.FILLED and not order.filled_quantity):
        return None
    if state is OrderState.REJECTED and order.filled_quantity:
        # Turned down after a part was filled: only the rest is gone.
        state = OrderState.CANCELED
    return state if state in TRANSITIONS[order.state] else None


def _unsettled(venue: VenueTruth, orders: Mapping[str, Order]) -> frozenset[str]:
    """Symbols of which a difference could still be explained: an order in doubt, or a fill that is yet to be told."""
    in_doubt = {order.symbol for order in orders.values() if order.state in UNCERTAIN}
    to_be_told = {
        orders[name].symbol
        for name, at_venue in venue.orders.items()
        if name in orders and at_venue.filled_quantity > orders[name].filled_quantity
    }
    return frozenset(in_doubt | to_be_told)


def _differences(
    portfolio: Portfolio, venue: VenueTruth, unsettled: frozenset[str]
) -> Mapping[str, tuple[Decimal, Decimal]]:
    symbols = portfolio.positions.keys() | venue.account.positions.keys()
    pairs = {
        symbol: (portfolio.quantity(symbol), venue.account.positions.get(symbol, ZERO))
        for symbol in sorted(symbols - unsettled)
    }
    return {symbol: pair for symbol, pair in pairs.items() if pair[0] != pair[1]}
