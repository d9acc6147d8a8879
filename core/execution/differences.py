"""Positions that nothing explains: the symbol takes no entries until both sides agree, and the owner is asked (M13)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from core.domain.decisions import Brake, BrakeKind
from core.domain.events import UnitsAdjusted
from core.domain.portfolio import AdjustmentKind, PositionAdjustment
from core.domain.records import Question, QuestionChoice, QuestionKind, QuestionState
from core.domain.values import ZERO, plain
from core.execution import questions
from core.execution.desk import Desk
from core.execution.market import last_prices
from core.ports import UnitOfWork

Pair = tuple[Decimal, Decimal]
ASKED_LATELY = 100
"""How many of the newest questions are searched for one that was answered already."""


def mark(work: UnitOfWork, desk: Desk, account: str, differences: Mapping[str, Pair], now: datetime) -> bool:
    """Blocks what differs and asks the owner, once for the same pair of figures; lifts what agrees again. True if
    anything changed."""
    start = f"{account}/"
    blocked = {
        brake.scope: brake.reason
        for brake in work.brakes()
        if brake.kind is BrakeKind.SYMBOL_BLOCKED and brake.scope.startswith(start)
    }
    changed = False
    for symbol, (ours, theirs) in differences.items():
        reason = f"the ledger holds {plain(ours)} units, {account} {plain(theirs)}"
        if blocked.get(start + symbol) == reason:
            continue
        work.set_brake(Brake(BrakeKind.SYMBOL_BLOCKED, start + symbol, reason, now))
        changed = True
        if not _was_answered(work, account, symbol, ours, theirs):
            questions.ask(
                work,
                desk,
                QuestionKind.DIFFERENCE,
                account,
                symbol,
                ours=ours,
                theirs=theirs,
                text=_words(account, symbol, ours, theirs),
                now=now,
            )
    for scope in blocked.keys() - {start + symbol for symbol in differences}:
        if not blocked[scope].startswith("the ledger holds"):
            continue
        work.release_brake(BrakeKind.SYMBOL_BLOCKED, scope)
        asked = questions.open_question(work, QuestionKind.DIFFERENCE, account, scope.removeprefix(start))
        if asked is not None:
            questions.retire(work, desk, asked, "both sides agree again", now)
        changed = True
    return changed


def adopt(work: UnitOfWork, desk: Desk, question: Question, now: datetime) -> str:
    """Books what the venue holds more or less, at the newest known price; returns what was done, in words."""
    account, symbol = question.account, question.symbol
    position = work.portfolio(account).positions.get(symbol)
    before = position.quantity if position else ZERO
    change = question.theirs - before
    if change == ZERO:
        return f"{symbol}: the ledger has the same {plain(before)} units by now; nothing had to be booked."
    price = last_prices(desk, {symbol}, now).get(symbol)
    cost = change * price if change > 0 and price is not None else ZERO
    if change < 0 and position is not None and before > 0:
        cost = position.cost * max(change / before, Decimal(-1))
    valued = f" valued at the last known price of {plain(price)} USD" if change > 0 and price is not None else ""
    note = f"taken over from {account}: {plain(change)} units{valued}"
    adjustment = PositionAdjustment(
        f"adopted-{question.number}", account, symbol, AdjustmentKind.ADOPTION, change, cost, now, note
    )
    work.book(adjustment, recorded_at=desk.system_clock.now())
    work.release_brake(BrakeKind.SYMBOL_BLOCKED, f"{account}/{symbol}")
    event = UnitsAdjusted(
        account, symbol, AdjustmentKind.ADOPTION.value, None, before, question.theirs, note, desk.badges(account)
    )
    work.publish(event, market_time=now)
    return f"Adopted: the ledger now holds {plain(question.theirs)} {symbol} in {account}, as the broker does."


def ignore(question: Question) -> str:
    """Nothing is booked; the block stays for as long as the difference does."""
    return (
        f"Left as it is: nothing was booked, and {question.symbol} takes no entries until both sides agree. You are "
        "asked again only if the figures change."
    )


def _was_answered(work: UnitOfWork, account: str, symbol: str, ours: Decimal, theirs: Decimal) -> bool:
    """Whether the newest question about the position was about these figures, and the owner chose to leave them."""
    for asked in work.questions(ASKED_LATELY):
        if (asked.kind, asked.account, asked.symbol) == (QuestionKind.DIFFERENCE, account, symbol):
            same = (asked.ours, asked.theirs) == (ours, theirs)
            return same and asked.state is QuestionState.ANSWERED and asked.answer is QuestionChoice.IGNORE
    return False


def _words(account: str, symbol: str, ours: Decimal, theirs: Decimal) -> str:
    return (
        f"The ledger holds {plain(ours)} {symbol}, {account} holds {plain(theirs)}, and no order explains it. Adopt "
        f"books the difference, so that both agree. Ignore leaves it. Until then {symbol} takes no new entries; exits "
        "and stops go on."
    )
