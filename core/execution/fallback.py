"""What follows when a broker fails us and when it is back (S11): the owner hears of each change once, and for as long
as it lasts his hand takes the broker's place. Which failures there are is in core.execution.failures.

Fallen back, the mode that holds is manual: entries are cards on the manual account, which spends its declared cash
only.
Nothing is sent to the broker's account: what is to be sold there becomes a card "sell in the broker's own app", what
rests there goes on by itself, and orders of unknown fate keep their symbols blocked until they are looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from core.domain.dust import without_dust
from core.domain.events import BrokerFellBack, BrokerReturned, BrokerTroubled, FoundTrade, StopLeft
from core.domain.orders import OrderState, Side
from core.domain.portfolio import Fill, GuardKind
from core.domain.records import InstructionState, JobOutcome
from core.domain.views import Fallback, Health
from core.execution import in_app, manual, protect
from core.execution.corrections import UNCERTAIN
from core.execution.desk import MANUAL, Desk
from core.execution.failures import Trouble
from core.execution.venue_state import WELL, Change, Look, Phase, VenueState, after, keep_state, state_of
from core.ports import UnitOfWork

MOST_FOUND = 20


def note(desk: Desk, account: str, look: Look, now: datetime) -> VenueState:
    """Keeps what a look at the account's venue found and tells what has changed; returns how the account stands now."""
    with desk.reading() as work:
        before = state_of(work, account)
    state, change = after(before, look, desk.policy, now)
    if state != before:
        with desk.committing("venue state") as work:
            if before == WELL:
                state = replace(state, seen_at=_last_seen(work, desk, account))
            keep_state(work, account, state)
            if change is not None:
                _tell(work, desk, account, change, state, before, now)
        if change is not None:
            manual.write_manual_trades(desk)
    if state == WELL or (state.is_fallen and (look.is_sendable or look.trouble is Trouble.BLOCKED)):
        _settle_sold(desk, account, now, is_back=state == WELL)
    _report(desk, account, state, look)
    return state


def _settle_sold(desk: Desk, account: str, now: datetime, *, is_back: bool) -> None:
    """What the owner has sold in the broker's app needs no card any more; nor does anything once orders go there again,
    as after a start with its keys."""
    with desk.reading() as work:
        if not any(in_app.waiting(work, account)):
            return
    with desk.ledger() as work:
        settled = in_app.settle(work, desk, account, now, is_back=is_back)
        if settled:
            work.commit("venue state")
    if settled:
        manual.write_manual_trades(desk)


def standing(work: UnitOfWork, desk: Desk) -> Fallback | None:
    """Why another mode holds than the one that the owner chose; None where his own does."""
    account, chosen = desk.broker_account, desk.chosen_mode(work)
    state = state_of(work, account) if account is not None else WELL
    if account is None or state.failure is None or state.since is None or desk.mode(work) is chosen:
        return None
    return Fallback(account, state.failure.says, state.since, chosen)


def _report(desk: Desk, account: str, state: VenueState, look: Look) -> None:
    failure = state.failure
    if failure is None:
        desk.health(account, Health.RUNNING, "answers")
    elif look.trouble is None:
        desk.health(account, Health.DEGRADED, "answers again; I make sure that it stays so")
    else:
        held = "entries go to your hand" if state.is_fallen else "no new entries there"
        desk.health(account, Health.DEGRADED, f"{failure.says} ({state.words}); {held}")


def _last_seen(work: UnitOfWork, desk: Desk, account: str) -> datetime | None:
    """When the venue was last seen well: the last tick looked at it, and it was well then."""
    tick = work.last_run(desk.tick_job, JobOutcome.DONE)
    times = [guard.last_seen_at for guard in work.guards(account) if guard.kind is GuardKind.VENUE]
    return max([*times, tick.scheduled_at] if tick is not None else times, default=None)


def _tell(
    work: UnitOfWork, desk: Desk, account: str, change: Change, state: VenueState, before: VenueState, now: datetime
) -> None:
    match change:
        case Change.TROUBLED:
            work.publish(_troubled(desk, account, state, now), market_time=now)
        case Change.FELL_BACK:
            withdrawn = _take_back_cards(work, desk, account, now)
            event = _fell_back(work, desk, account, state, withdrawn, now)
            protect.told_already(work, account, (each.symbol for each in event.positions if not each.rests))
            work.publish(event, market_time=now)
        case Change.RETURNED:
            cards = in_app.settle(work, desk, account, now, is_back=True)
            work.publish(_returned(work, desk, account, before, cards, now), market_time=now)


def _troubled(desk: Desk, account: str, state: VenueState, now: datetime) -> BrokerTroubled:
    failure = state.failure
    assert failure is not None
    until = None
    if failure.patience is not None and state.phase is not Phase.FALLEN_BACK:
        until = (state.kind_since or now) + failure.patience(desk.policy)
    return BrokerTroubled(
        account=account,
        says=failure.says,
        advice=failure.advice,
        words=state.words,
        since=state.since or now,
        seen_at=state.seen_at,
        patient_until=until,
        badges=desk.badges(account),
    )


def _fell_back(
    work: UnitOfWork, desk: Desk, account: str, state: VenueState, withdrawn: int, now: datetime
) -> BrokerFellBack:
    failure = state.failure
    assert failure is not None
    return BrokerFellBack(
        account=account,
        says=failure.says,
        advice=failure.advice,
        since=state.since or now,
        seen_at=state.seen_at,
        chosen=desk.chosen_mode(work),
        mode=desk.mode(work),
        cash=work.portfolio(MANUAL).cash,
        positions=tuple(_stops_left(work, account)),
        in_doubt=_in_doubt(work, account),
        withdrawn=withdrawn,
        badges=desk.badges(account),
        words=state.words,
    )


def _returned(
    work: UnitOfWork, desk: Desk, account: str, before: VenueState, cards: int, now: datetime
) -> BrokerReturned:
    since = before.since or now
    return BrokerReturned(
        account=account,
        since=since,
        fell_at=before.fell_at,
        mode=desk.mode(work),
        found=tuple(_found(work, account, since))[-MOST_FOUND:],
        in_doubt=_in_doubt(work, account),
        questions=sum(question.account == account for question in work.open_questions()),
        cards=cards,
        badges=desk.badges(account),
    )


def _take_back_cards(work: UnitOfWork, desk: Desk, account: str, now: datetime) -> int:
    """Cards that ask for approval of what cannot be sent now; returns how many."""
    waiting = [card for card in work.open_instructions() if card.account == account and card.needs_approval]
    for card in waiting:
        detail = "the broker takes no orders now"
        manual.lapse(work, desk, card, InstructionState.SUPERSEDED, OrderState.CANCELED, detail, now)
    return len(waiting)


def _stops_left(work: UnitOfWork, account: str) -> Iterator[StopLeft]:
    guards = {guard.symbol: guard for guard in work.guards(account)}
    for symbol, position in sorted(without_dust(work.portfolio(account).positions).items()):
        guard = guards.get(symbol)
        rests = guard is not None and guard.kind is GuardKind.VENUE
        yield StopLeft(symbol, position.quantity, guard.stop if guard is not None else None, rests)


def _in_doubt(work: UnitOfWork, account: str) -> tuple[str, ...]:
    return tuple(sorted({order.symbol for order in work.live_orders(account) if order.state in UNCERTAIN}))


def _found(work: UnitOfWork, account: str, since: datetime) -> Iterator[FoundTrade]:
    for entry in work.entries(account):
        if isinstance(entry, Fill) and entry.at >= since:
            yield FoundTrade(
                entry.symbol,
                entry.side is Side.BUY,
                entry.quantity,
                entry.price,
                entry.at,
                by_hand=work.order(entry.client_order_id) is None,
            )
