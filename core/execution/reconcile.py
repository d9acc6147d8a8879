"""Brings the ledger in line with every venue: orders, then fills, then positions. A venue that does not answer is not
"flat": its account is out of reach this time, and nothing about it changes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.orders import Order, OrderState, Purpose
from core.domain.portfolio import CashKind, CashMovement, Fill
from core.domain.venue import VenueOrder
from core.errors import Transient
from core.execution import (
    account_truth,
    activities,
    cash_differences,
    coin_fees,
    differences,
    executor,
    fallback,
    foreign,
    manual,
    own_sales,
    refusals,
    tidings,
)
from core.execution.corrections import UNCERTAIN, Corrections, LocalTruth, VenueTruth, plan
from core.execution.desk import MANUAL, Desk
from core.execution.failures import Trouble, trouble_of
from core.execution.fill_cursor import FillCursor, cursor_key
from core.execution.fill_news import settle_filled, tell_fills
from core.execution.news import in_order
from core.execution.protect import refresh_guards
from core.execution.venue_state import Look, state_of
from core.ports import Broker, DuplicateOrder, UnitOfWork

NEVER_ARRIVED = "it never reached the broker; a new signal may try again"


@dataclass(frozen=True, slots=True)
class Reconciled:
    reachable: frozenset[str] = frozenset()
    fills: int = 0


@dataclass(frozen=True, slots=True)
class _OurSide:
    """Where our books of one account stand before the venue is asked; no cursor: it was never opened."""

    cursor: FillCursor | None
    live: tuple[Order, ...]


def reconcile(desk: Desk, now: datetime) -> Reconciled:
    """Every venue in turn; accounts met for the first time are opened with the cash that they report."""
    activities.rescale_bars(desk)
    ours = _our_sides(desk)
    reachable, fills = set[str](), 0
    for account, broker in desk.venues().items():
        try:
            found, look = _reconcile_account(desk, account, broker, ours[account], now)
        except Transient as error:
            look = Look(trouble_of(error), str(error))
        else:
            fills += found
            desk.looked(account, found)
        # Answering again is not enough: nothing is sent before the end of the failure is certain.
        if not fallback.note(desk, account, look, now).is_fallen and look.is_sendable:
            reachable.add(account)
    activities.rescale_bars(desk)
    return Reconciled(frozenset(reachable), fills)


def _our_sides(desk: Desk) -> Mapping[str, _OurSide]:
    """Our books of every venue's account; opens the manual account where there is none yet."""
    with desk.ledger() as work:
        live = work.live_orders()
        sides = {}
        for account in desk.venues():
            stored = work.value(cursor_key(account))
            cursor = FillCursor.of(stored) if stored else None
            sides[account] = _OurSide(cursor, tuple(order for order in live if order.account == account))
        if any(account.is_manual for account in work.accounts()):
            return sides
        work.add_account(desk.account(MANUAL))
        work.commit("accounts")
    return sides


def _reconcile_account(desk: Desk, account: str, broker: Broker, ours: _OurSide, now: datetime) -> tuple[int, Look]:
    """How many fills were new, and what stands in the way of trading there. Of another account nothing is booked."""
    cursor = ours.cursor or _open_account(desk, broker, now)
    venue = _venue_side(desk, broker, cursor, ours.live)
    look = account_truth.look(desk, account, venue.account, venue.activities, now)
    if look.trouble is Trouble.REPLACED:
        return 0, look
    corrections, booked = _settle(desk, account, venue, now)
    if corrections.differences:
        # The venue may have moved between two of our questions: only what is still different then is a difference.
        venue = _venue_side(desk, broker, cursor, _our_sides(desk)[account].live)
        corrections, more = _settle(desk, account, venue, now, mark=True)
        booked += more
    for name in () if _is_fallen(desk, account) else corrections.resend:
        _send_again(desk, account, name, now)
    foreign.cancel_taken_over(desk, account, corrections.foreign)
    own_sales.cancel_given_up(desk, account, own_sales.working(venue.orders.values()))
    # An order that we had given up and that arrived after all: what it has filled is booked, the rest is not wanted.
    # And one whose cancellation was written down before a death or a failed call: the venue may never have heard of it.
    foreign.cancel_all(desk, account, (*corrections.strays, *corrections.unheard))
    refusals.lift(desk, account, now)
    return booked, look


def _open_account(desk: Desk, broker: Broker, now: datetime) -> FillCursor:
    """The account's first entry: the cash that its venue reports, with all that the venue has told until then in it,
    also what it dates to the beginning of this very day, as the money of a new account. Raises Transient."""
    with desk.calling("activities"):
        told = tuple(broker.activities_since(now))
    with desk.calling("state"):
        cash = broker.state().cash
    cursor = FillCursor(now, {}).after((), told)
    with desk.committing("accounts") as work:
        account = broker.account
        work.add_account(account)
        opening = CashMovement("opening", account.id, CashKind.DEPOSIT, cash, now, "cash when the account was opened")
        work.book(opening, recorded_at=desk.system_clock.now())
        work.set_value(cursor_key(account.id), cursor.text())
    return cursor


def _venue_side(desk: Desk, broker: Broker, cursor: FillCursor, ours: tuple[Order, ...]) -> VenueTruth:
    """Fills are asked before positions, so that what is missing shows as a difference rather than being hidden."""
    with desk.calling("fills"):
        fills = tuple(broker.fills_since(cursor.since))
    with desk.calling("activities"):
        happened = tuple(broker.activities_since(cursor.since))
    with desk.calling("orders"):
        orders = {order.client_order_id: order for order in broker.orders()}
    with desk.calling("state"):
        account = broker.state()
    unseen = {order.client_order_id for order in ours if order.state is not OrderState.AWAITING_OWNER}
    unseen |= {fill.client_order_id for fill in fills if fill.id not in cursor.booked}
    missing, silent = set[str](), set[str]()
    for name in sorted(unseen - orders.keys()):
        found = _look_up(desk, broker, name)
        if isinstance(found, Transient):
            silent.add(name)
        elif found is None:
            missing.add(name)
        else:
            orders[name] = found
    return VenueTruth(orders, fills, account, frozenset(missing), frozenset(silent), happened, broker.shows_within)


def _look_up(desk: Desk, broker: Broker, name: str) -> VenueOrder | Transient | None:
    try:
        with desk.calling("lookup"):
            return broker.find(name)
    except Transient as error:
        return error


def _settle(
    desk: Desk, account: str, venue: VenueTruth, now: datetime, *, mark: bool = False
) -> tuple[Corrections, int]:
    """Plans and applies in one transaction; commits only where something changed. Returns how many fills were new.

    With `mark`, positions that still differ block their symbols; agreement always lifts the block.
    """
    with desk.ledger() as work:
        stored = work.value(cursor_key(account))
        cursor = FillCursor.of(stored) if stored else FillCursor(now, {})
        known = _known_orders(work, account, venue, cursor)
        taken = coin_fees.taken(work, account)
        booked_before = frozenset(cursor.booked), frozenset(cursor.activities)
        local = LocalTruth(known, work.portfolio(account), *booked_before, taken)
        corrections = plan(local, venue, account, now, desk.namespace.prefix)
        changed = corrections.changes_ledger
        booked = 0
        if changed:
            booked = _apply(work, desk, account, corrections, known, now)
            coin_fees.keep(work, account, taken, corrections.fees)
            work.set_value(cursor_key(account), cursor.after(corrections.fills, corrections.activities).text())
        if mark or not corrections.differences:
            changed |= differences.mark(work, desk, account, corrections.differences, corrections.unsettled, now)
        changed |= cash_differences.mark(work, desk, account, corrections.cash, now)
        changed |= foreign.mark(work, desk, account, corrections.foreign, now)
        if own_sales.mark(work, desk, account, own_sales.working(venue.orders.values()), now):
            refresh_guards(work, desk, account, now, seen_now=False)
            changed = True
        if not changed:
            return corrections, 0
        work.commit("reconcile")
    if _touches_cards(desk, corrections):
        manual.write_manual_trades(desk)
    return corrections, booked


def _known_orders(work: UnitOfWork, account: str, venue: VenueTruth, cursor: FillCursor) -> dict[str, Order]:
    """Our live orders and whatever else the venue speaks of that is not news of the past."""
    known = {order.client_order_id: order for order in work.live_orders(account)}
    new_fills = {fill.client_order_id for fill in venue.fills if fill.id not in cursor.booked}
    for name in (venue.orders.keys() | new_fills) - known.keys():
        order = work.order(name)
        if order is not None:
            known[name] = order
    return known


def _apply(
    work: UnitOfWork,
    desk: Desk,
    account: str,
    corrections: Corrections,
    known: Mapping[str, Order],
    now: datetime,
) -> int:
    for order in corrections.orders:
        work.save_order(order)
        _tell_order(work, desk, known[order.client_order_id], order, now)
    for order in corrections.adopted:
        # A second entry of the symbol cannot be taken over while the first is open: it is met again at the next look.
        with suppress(DuplicateOrder):
            work.add_order(order)
    for order in corrections.never_arrived:
        executor.refuse(work, desk, order, NEVER_ARRIVED, now)
    for name, at_venue in corrections.contested.items():
        executor.contest(work, desk, known[name], at_venue, now)
    before, booked = work.portfolio(account), list[Fill]()
    for news in in_order(corrections.fills, corrections.activities):
        if not isinstance(news, Fill):
            activities.book(work, desk, news, now, tell=not coin_fees.is_coin_fee(news))
        elif work.book(news, recorded_at=desk.system_clock.now()):
            booked.append(news)
    fees = activities.book_fees(work, desk, account, corrections.activities, corrections.fees)
    bought = frozenset(fill.symbol for fill in booked if fill.purpose is Purpose.ENTRY)
    refresh_guards(work, desk, account, now, bought=bought)
    guards = {guard.symbol: guard for guard in work.guards(account)}
    tell_fills(work, desk, booked, before, guards, now)
    for fee in fees:
        work.publish(fee, market_time=now)
    return len(booked)


def _tell_order(work: UnitOfWork, desk: Desk, before: Order, after: Order, now: datetime) -> None:
    """What the owner hears of an order that reconciliation has moved; its fills are told by themselves."""
    if after.state is before.state:
        return
    if after.state is OrderState.UNKNOWN:
        work.publish(tidings.order_uncertain(desk, after, after.reason), market_time=now)
        manual.settle_approved(work, desk, after, "uncertain", manual.NO_WORD_YET, now)
    elif _is_bad_end(before, after):
        words = after.reason or after.state.value
        work.publish(tidings.order_refused(desk, after, words), market_time=now)
        if after.filled_quantity:
            settle_filled(work, desk, after, now)
        else:
            manual.settle_approved(work, desk, after, after.state.value, f"{after.state.value}: {words}", now)
    elif before.state in UNCERTAIN and after.state is OrderState.ACCEPTED:
        manual.settle_approved(work, desk, after, "approved", "the broker has the order", now)


def _is_bad_end(before: Order, after: Order) -> bool:
    """The end of an order that should have been filled. Protection that is taken away on purpose is not told."""
    if after.parent_id is not None:
        return False
    if after.state is OrderState.CANCELED:
        wanted = after.purpose is Purpose.EXIT and before.state is not OrderState.CANCEL_PENDING
        return wanted or after.purpose is Purpose.ENTRY
    return after.state in (OrderState.REJECTED, OrderState.EXPIRED)


def _touches_cards(desk: Desk, corrections: Corrections) -> bool:
    names = {order.client_order_id for order in (*corrections.orders, *corrections.never_arrived)}
    if not names:
        return False
    with desk.ledger() as work:
        return any(work.instruction_of(name) is not None for name in names)


def _is_fallen(desk: Desk, account: str) -> bool:
    """Whether the broker's return is not certain yet: until it is, an order in doubt stays so."""
    with desk.reading() as work:
        return state_of(work, account).is_fallen


def _send_again(desk: Desk, account: str, name: str, now: datetime) -> None:
    """An exit that never arrived goes out again under its own id, unless what it would sell is gone."""
    with desk.ledger() as work:
        order = work.order(name)
        held = work.portfolio(account).quantity(order.symbol) if order is not None else Decimal(0)
    if order is None or order.state not in UNCERTAIN:
        return
    with desk.committing("resend") as work:
        if held < order.quantity:
            executor.refuse(work, desk, order, "the position is gone already", now)
            return
        # Written down before it is sent, so that its time to arrive counts from now.
        order = order.moved(order.state, now)
        work.save_order(order)
    executor.submit(desk, order, now)
