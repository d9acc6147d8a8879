"""From intent to venue: written before it is sent, sent outside any transaction, its answer written after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.accounts import Mode
from core.domain.decisions import Brake, BrakeKind, Decision, Signal
from core.domain.events import ErrorRaised, ExitQueued
from core.domain.orders import PROTECTING, Order, OrderState, Purpose
from core.domain.venue import Accepted, AwaitingOwner, OrderRequest, Refused, Resting, SubmitResult, Unknown, VenueOrder
from core.errors import Ambiguous, Transient
from core.execution import manual, refusals, tidings
from core.execution.desk import Desk
from core.execution.failures import Trouble
from core.execution.venue_state import state_of
from core.ports import DuplicateOrder, UnitOfWork

TOLD_AGAIN_AFTER = timedelta(days=1)
OWNERS_WISH = "owner"
"""The tag of an exit that the owner asked for."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of a decision's intents: to be submitted, handed to the owner, or met again under their own id."""

    to_submit: tuple[Order, ...]
    instructed: int
    duplicates: int


def write_intents(work: UnitOfWork, desk: Desk, decision: Decision, now: datetime) -> Committed:
    """Writes decision, orders, cards and events in the caller's transaction. An order that exists is not doubled.

    An order that waits for the owner is told of by its card, which has all that its signal would say.
    """
    signals = {signal.symbol: signal for signal in decision.signals}
    written = []
    for order in decision.orders:
        signal = signals.get(order.symbol)
        if _write_order(work, desk, order, signal, now):
            written.append(order)
            _tell_queued(work, desk, order, now)
            is_entry = order.purpose is Purpose.ENTRY
            if is_entry and signal is not None and order.state is not OrderState.AWAITING_OWNER:
                _tell_signal(work, desk, signal, order, now)
    if decision.signals or decision.orders:
        work.record_decision(decision, recorded_at=desk.system_clock.now())
    return Committed(
        to_submit=tuple(order for order in written if order.state is OrderState.SUBMITTING),
        instructed=sum(order.state is OrderState.AWAITING_OWNER for order in written),
        duplicates=len(decision.orders) - len(written),
    )


def commit_intents(desk: Desk, decision: Decision, now: datetime) -> Committed:
    """`write_intents` in a transaction of its own."""
    with desk.committing("intents") as work:
        committed = write_intents(work, desk, decision, now)
    if committed.instructed or any(order.purpose is Purpose.EXIT for order in decision.orders):
        manual.write_manual_trades(desk)
    return committed


def submit_all(desk: Desk, orders: Iterable[Order], now: datetime) -> None:
    for order in orders:
        submit(desk, order, now)


def submit(desk: Desk, order: Order, now: datetime) -> Order:
    """Sends one written intent and commits what the venue said. Returns the order as it now stands."""
    broker = desk.brokers.get(order.account)
    if broker is None:
        return _commit_answer(desk, order, Refused(f"no broker is connected for account {order.account}"), now)
    held_back = _hold_back(desk, order, now)
    if held_back is not None:
        return held_back
    try:
        with desk.changing("submit"):
            answer = broker.submit(request_of(order, broker.resting(order.symbol, order.quantity)))
    except (Transient, Ambiguous) as error:
        # A submission that failed half-way may have arrived: only a look-up by its id can tell.
        answer = Unknown(str(error))
    settled = _commit_answer(desk, order, answer, now)
    if settled.is_live and settled.purpose not in PROTECTING:
        desk.sent(order.account)
    return settled


def _hold_back(desk: Desk, order: Order, now: datetime) -> Order | None:
    """The order as withdrawn, where its broker has failed us between its decision and its sending; an entry also where
    a brake was set or the mode changed."""
    with desk.reading() as work:
        why = _why_not(work, desk, order, now)
    if why is None:
        return None
    with desk.committing("result") as work:
        current = work.order(order.client_order_id) or order
        withdrawn = current.moved(OrderState.CANCELED, now, reason=f"not sent: {why}")
        work.save_order(withdrawn)
        manual.settle_approved(work, desk, withdrawn, "not sent", f"not sent: {why}", now)
    return withdrawn


def _why_not(work: UnitOfWork, desk: Desk, order: Order, now: datetime) -> str | None:
    failure = state_of(work, order.account)
    if failure.failure is not None and (failure.is_fallen or failure.trouble is Trouble.REPLACED):
        return f"{order.account} {failure.failure.says}"
    if order.purpose is not Purpose.ENTRY:
        return None
    for brake in work.brakes():
        if brake.holds(now) and brake.concerns(order.account, order.symbol):
            return f"{brake.kind.value.replace('_', ' ')}: {brake.reason}"
    return "mode observe" if desk.mode(work) is Mode.OBSERVE else None


def request_of(order: Order, resting: Resting) -> OrderRequest:
    """What goes to a venue at which so much may rest for the order's units."""
    may_pair = resting is Resting.PAIR and order.purpose in (Purpose.ENTRY, Purpose.STOP)
    bracket = order.bracket if may_pair else None
    return OrderRequest(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        type=order.type,
        purpose=order.purpose,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        bracket_stop=bracket.stop if bracket and order.purpose is Purpose.ENTRY else None,
        bracket_target=bracket.target if bracket else None,
    )


def matches(order: Order, at_venue: VenueOrder) -> bool:
    """Whether the venue's order under our id is ours: same symbol, side and quantity (DESIGN 8, order id)."""
    ours = (order.symbol, order.side, order.quantity)
    return ours == (at_venue.symbol, at_venue.side, at_venue.quantity)


def refuse(work: UnitOfWork, desk: Desk, order: Order, reason: str, now: datetime) -> Order:
    """The final no for an order, told to the owner; an exit that is refused minute after minute for the same reason
    is told once a day."""
    repeated = order.purpose is not Purpose.ENTRY and _refused_before(work, order, reason, now)
    refused = order.moved(OrderState.REJECTED, now, reason=reason)
    work.save_order(refused)
    if not repeated:
        work.publish(tidings.order_refused(desk, refused, reason), market_time=now)
    manual.settle_approved(work, desk, refused, "refused", f"refused: {reason}", now)
    return refused


def _refused_before(work: UnitOfWork, order: Order, reason: str, now: datetime) -> bool:
    return any(
        (earlier.symbol, earlier.purpose, earlier.state, earlier.reason)
        == (order.symbol, order.purpose, OrderState.REJECTED, reason)
        for earlier in work.orders(order.account, since=now - TOLD_AGAIN_AFTER)
    )


def contest(work: UnitOfWork, desk: Desk, order: Order, at_venue: VenueOrder, now: datetime) -> Order:
    """The venue has something else under our id: nobody may act on it, and the symbol is blocked."""
    found = f"{at_venue.side} {at_venue.quantity} {at_venue.symbol}"
    reason = f"{order.account} has {found} under the id of our {order.side} {order.quantity} {order.symbol}"
    block_symbol(work, order.account, order.symbol, reason, now)
    work.publish(
        ErrorRaised("orders", reason, f"No entries in {order.symbol} until it is cleared up."), market_time=now
    )
    return refuse(work, desk, order, reason, now)


def block_symbol(work: UnitOfWork, account: str, symbol: str, reason: str, now: datetime) -> None:
    """No entries in the symbol, in whatever account, because of what was found in this one."""
    work.set_brake(Brake(BrakeKind.SYMBOL_BLOCKED, f"{account}/{symbol}", reason, now))


def _write_order(work: UnitOfWork, desk: Desk, order: Order, signal: Signal | None, now: datetime) -> bool:
    """False where the ledger has the order already, or another live entry of the account and symbol."""
    if work.order(order.client_order_id) is not None:
        return False
    if order.state is OrderState.AWAITING_OWNER or order.purpose is Purpose.EXIT:
        manual.supersede(work, desk, order, now)
    try:
        work.add_order(order)
    except DuplicateOrder:
        return False
    if order.state is OrderState.AWAITING_OWNER:
        manual.issue(work, desk, order, signal, now)
    return True


def _tell_queued(work: UnitOfWork, desk: Desk, order: Order, now: datetime) -> None:
    """An exit that has to wait for its market; what is decided anew every minute is told once a night. The owner's own
    sale has told him."""
    if order.purpose is not Purpose.EXIT or order.state is not OrderState.SUBMITTING or OWNERS_WISH in order.tags:
        return
    opens = desk.calendar.next_open(desk.any_instrument(order.symbol).asset_class, now)
    earlier = work.orders(order.account, since=now - TOLD_AGAIN_AFTER)
    told = any(
        (each.symbol, each.purpose) == (order.symbol, Purpose.EXIT) and each.client_order_id != order.client_order_id
        for each in earlier
    )
    if opens > now and not told:
        event = ExitQueued(order.account, order.symbol, order.quantity, order.reason, opens, desk.badges(order.account))
        work.publish(event, market_time=now)


def _tell_signal(work: UnitOfWork, desk: Desk, signal: Signal, order: Order, now: datetime) -> None:
    event = tidings.signal_raised(desk, signal, order.account, order.quantity)
    if event is not None:
        work.publish(event, market_time=now)


def _commit_answer(desk: Desk, order: Order, answer: SubmitResult, now: datetime) -> Order:
    with desk.committing("result") as work:
        current = work.order(order.client_order_id) or order
        settled = _answered(work, desk, current, answer, now)
    if settled.state is OrderState.AWAITING_OWNER or _has_card(desk, settled):
        manual.write_manual_trades(desk)
    return settled


def _has_card(desk: Desk, order: Order) -> bool:
    """Whether the owner has a card of this order."""
    with desk.ledger() as work:
        return work.instruction_of(order.client_order_id) is not None


def _answered(work: UnitOfWork, desk: Desk, order: Order, answer: SubmitResult, now: datetime) -> Order:
    match answer:
        case Accepted(at_venue) if not matches(order, at_venue):
            # Perhaps somebody else's order was shown to us: only a look-up tells what our id stands for.
            return doubt(work, desk, order, f"{order.account} answered with another order under our id", now)
        case Accepted(at_venue):
            return adopt(work, desk, order, at_venue, now)
        case Refused(reason):
            held = refusals.consequence(work, desk, order, answer, now)
            return refuse(work, desk, order, f"{reason}{held}", now)
        case Unknown(reason):
            return doubt(work, desk, order, reason, now)
        case AwaitingOwner():
            waiting = order.moved(OrderState.AWAITING_OWNER, now)
            work.save_order(waiting)
            if work.instruction_of(order.client_order_id) is None:
                manual.issue(work, desk, waiting, None, now)
            return waiting


def adopt(work: UnitOfWork, desk: Desk, order: Order, at_venue: VenueOrder, now: datetime) -> Order:
    """The venue has the order. Its fills, and its end if it has one, are taken over by reconciliation."""
    if at_venue.state is OrderState.REJECTED:
        return refuse(work, desk, order, at_venue.reason or "refused by the venue", now)
    if order.state not in (OrderState.SUBMITTING, OrderState.UNKNOWN):
        return order
    accepted = order.moved(OrderState.ACCEPTED, now, venue_order_id=at_venue.venue_order_id)
    work.save_order(accepted)
    manual.settle_approved(work, desk, accepted, "approved", "the broker has the order", now)
    return accepted


def doubt(work: UnitOfWork, desk: Desk, order: Order, reason: str, now: datetime) -> Order:
    """Nobody knows whether the venue has the order; told once."""
    if order.state is OrderState.UNKNOWN:
        return order
    uncertain = order.moved(OrderState.UNKNOWN, now, reason=reason)
    work.save_order(uncertain)
    work.publish(tidings.order_uncertain(desk, uncertain, reason), market_time=now)
    manual.settle_approved(work, desk, uncertain, "uncertain", manual.NO_WORD_YET, now)
    return uncertain
