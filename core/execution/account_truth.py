"""What a venue says of the account itself, beside orders and money: whether it may trade, whether it is still the same
one, whether its clock is ours, and what it may spend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.codec import canonical, decode
from core.domain.orders import OrderState
from core.domain.portfolio import AdjustmentKind, CashKind, CashMovement, PositionAdjustment
from core.domain.records import InstructionState, Question, QuestionKind
from core.domain.values import ZERO, plain
from core.domain.venue import Activity, VenueAccount
from core.execution import coin_fees, manual, questions
from core.execution.desk import Desk
from core.execution.failures import Trouble
from core.execution.fill_cursor import FillCursor, cursor_key
from core.execution.market import last_prices
from core.execution.venue_state import Look
from core.ports import UnitOfWork

CLOCKS_APART = timedelta(seconds=60)
"""From which difference on it is no use deciding by our clock which bars are closed and what is open."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Another account answers than the one that our books are about. `cash` in USD; `number` is the new one's, `told`
    what it has told of by id, with when: all of it is in the cash."""

    number: str
    cash: Decimal
    told: Mapping[str, datetime]


def look(desk: Desk, account: str, at_venue: VenueAccount, told: Sequence[Activity], now: datetime) -> Look:
    """What stands in the way of trading there; commits only where something has changed."""
    with desk.reading() as work:
        known, other = work.value(_number_key(account)), _replaced(work, account)
        spends = work.value(_power_key(account))
        power = _less_than_cash(at_venue)
    same = known is None or not at_venue.number or known == at_venue.number
    found = None if same else Replaced(at_venue.number, at_venue.cash, {each.id: each.at for each in told})
    is_new = bool(at_venue.number) and known is None
    if is_new or found != other or power != spends:
        with desk.committing("venue state") as work:
            if is_new:
                work.set_value(_number_key(account), at_venue.number)
            work.set_value(_power_key(account), power)
            _note_number(work, desk, account, found, known or "", now)
    if found is not None:
        return Look(Trouble.REPLACED, f"account {found.number} instead of {known}")
    return _hindrance(at_venue)


def _hindrance(at_venue: VenueAccount) -> Look:
    if at_venue.restrictions:
        return Look(Trouble.BLOCKED, "; ".join(at_venue.restrictions))
    if at_venue.ahead is not None and abs(at_venue.ahead) >= CLOCKS_APART:
        seconds = int(at_venue.ahead.total_seconds())
        way = "ahead of" if seconds > 0 else "behind"
        # In whole minutes: its words are kept, and are not to change with every look.
        return Look(Trouble.CLOCK, f"its clock is more than {abs(seconds) // 60} min {way} this machine's")
    return Look()


def buying_power(work: UnitOfWork, account: str) -> Decimal | None:
    """What may be spent in the account where that is less than its cash, USD; None where all of it may."""
    stored = work.value(_power_key(account))
    return Decimal(stored) if stored is not None else None


def _less_than_cash(at_venue: VenueAccount) -> str | None:
    power = at_venue.buying_power
    return plain(max(power, ZERO)) if power is not None and power < at_venue.cash else None


def _note_number(work: UnitOfWork, desk: Desk, account: str, found: Replaced | None, known: str, now: datetime) -> None:
    before = _replaced(work, account)
    if found == before:
        return
    work.set_value(_replaced_key(account), canonical(found) if found is not None else None)
    asked = questions.open_question(work, QuestionKind.NEW_ACCOUNT, account, "")
    if found is None:
        if asked is not None:
            questions.retire(work, desk, asked, "the account is the same as before again", now)
        return
    if before is not None and before.number == found.number:
        # Its cash has moved: the question stands, and what is taken over is what the broker says then.
        return
    ours = work.portfolio(account).cash
    text = _words(work, account, found, known)
    questions.ask(work, desk, QuestionKind.NEW_ACCOUNT, account, "", ours=ours, theirs=found.cash, text=text, now=now)


def _words(work: UnitOfWork, account: str, found: Replaced, known: str) -> str:
    held = ", ".join(sorted(work.portfolio(account).positions)) or "nothing"
    return (
        f"The keys lead to account {found.number} now, and my books are about {known}: a paper account that was reset, "
        "or other keys. Nothing is sent there, and nothing of it is booked. Fresh start closes the old books "
        f"({held} held, neither gain nor loss) and goes on with the {found.cash:,.2f} USD of the new account. Ignore "
        "leaves all as it is, for when the old keys come back."
    )


def fresh_start(work: UnitOfWork, desk: Desk, question: Question, now: datetime) -> str:
    """Closes the books of the account that is gone and opens those of the new one; counts as neither gain nor loss."""
    account, found = question.account, _replaced(work, question.account)
    if found is None:
        return "Nothing was changed: the account is the same as before again."
    for card in [each for each in work.open_instructions() if each.account == account]:
        manual.lapse(work, desk, card, InstructionState.SUPERSEDED, OrderState.CANCELED, "the account is gone", now)
    for order in work.live_orders(account):
        work.save_order(order.moved(OrderState.CANCELED, now, reason="the account is gone"))
    closed = _close_positions(work, desk, account, f"replaced-{question.number}", now)
    for guard in work.guards(account):
        work.drop_guard(account, guard.symbol)
    change = found.cash - work.portfolio(account).cash
    note = f"account {found.number} took the place of the former one"
    movement = CashMovement(f"replaced-{question.number}", account, CashKind.ADOPTION, change, now, note)
    work.book(movement, recorded_at=desk.system_clock.now())
    for asked in work.open_questions():
        if asked.account == account and asked.number != question.number:
            questions.retire(work, desk, asked, "the account is gone", now)
    work.set_value(cursor_key(account), FillCursor(now, {}, found.told).text())
    coin_fees.forget(work, account)
    work.set_value(_number_key(account), found.number)
    work.set_value(_replaced_key(account), None)
    return (
        f"Fresh start with account {found.number}: {closed} old positions are closed in my books, and its cash is "
        f"{found.cash:,.2f} USD. It counts as neither gain nor loss."
    )


def ignore(question: Question) -> str:
    return (
        f"Left as it is: nothing is sent to {question.account}, and nothing is booked, as long as it is another "
        "account. With the former keys it goes on by itself."
    )


def _close_positions(work: UnitOfWork, desk: Desk, account: str, name: str, now: datetime) -> int:
    """At the last known prices, as a transfer: a flow of what they are worth, and no result."""
    positions = work.portfolio(account).positions
    prices = last_prices(desk, set(positions), now)
    for symbol, position in sorted(positions.items()):
        worth = position.quantity * prices[symbol] if symbol in prices else position.cost
        gone = PositionAdjustment(
            f"{name}-{symbol}",
            account,
            symbol,
            AdjustmentKind.TRANSFER,
            -position.quantity,
            -worth,
            now,
            "the account is gone",
        )
        work.book(gone, recorded_at=desk.system_clock.now())
    return len(positions)


def _replaced(work: UnitOfWork, account: str) -> Replaced | None:
    stored = work.value(_replaced_key(account))
    return decode(Replaced, json.loads(stored)) if stored is not None else None


def _number_key(account: str) -> str:
    return f"account_number:{account}"


def _replaced_key(account: str) -> str:
    return f"account_replaced:{account}"


def _power_key(account: str) -> str:
    return f"buying_power:{account}"
