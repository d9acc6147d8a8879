"""Positions that nothing explains: the symbol takes no entries until both sides agree, and the owner is asked (M13)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
OURS = "the ledger holds"
"""How the reason of every block begins that a difference has set."""
ASKED_LATELY = 100
"""How many of the newest questions are searched for one that was answered already."""


def mark(
    work: UnitOfWork,
    desk: Desk,
    account: str,
    differences: Mapping[str, Pair],
    unsettled: Collection[str],
    now: datetime,
) -> bool:
    """Blocks what differs and asks the owner, once for the same pair of figures; lifts what agrees again. True if
    anything changed.

    `unsettled` are symbols of which nothing can be said this time: what stands there stays.
    """
    start = f"{account}/"
    blocked = {
        brake.scope: brake.reason
        for brake in work.brakes()
        if brake.kind is BrakeKind.SYMBOL_BLOCKED and brake.scope.startswith(start)
    }
    changed = False
    for symbol, (ours, theirs) in differences.items():
        reason = f"{OURS} {plain(ours)} units, {account} {plain(theirs)}"
        standing = blocked.get(start + symbol)
        if standing == reason:
            continue
        if standing is None or standing.startswith(OURS):
            # A block of another cause is not overwritten: it must not be lifted with the difference.
            work.set_brake(Brake(BrakeKind.SYMBOL_BLOCKED, start + symbol, reason, now))
            changed = True
        changed |= _ask(work, desk, account, symbol, (ours, theirs), now)
    for scope in blocked.keys() - {start + symbol for symbol in (*differences, *unsettled)}:
        changed |= _lift(work, desk, account, scope.removeprefix(start), blocked[scope], now)
    return changed


def _ask(work: UnitOfWork, desk: Desk, account: str, symbol: str, pair: Pair, now: datetime) -> bool:
    ours, theirs = pair
    asked = questions.open_question(work, QuestionKind.DIFFERENCE, account, symbol)
    if asked is not None and (asked.ours, asked.theirs) == pair:
        return False
    if _was_answered(work, account, symbol, ours, theirs):
        if asked is not None:
            questions.retire(work, desk, asked, "the figures are those that you left as they are", now)
        return asked is not None
    text = _words(account, symbol, ours, theirs)
    questions.ask(work, desk, QuestionKind.DIFFERENCE, account, symbol, ours=ours, theirs=theirs, text=text, now=now)
    return True


def _lift(work: UnitOfWork, desk: Desk, account: str, symbol: str, reason: str, now: datetime) -> bool:
    if reason.startswith(OURS):
        work.release_brake(BrakeKind.SYMBOL_BLOCKED, f"{account}/{symbol}")
    asked = questions.open_question(work, QuestionKind.DIFFERENCE, account, symbol)
    if asked is not None:
        questions.retire(work, desk, asked, "both sides agree again", now)
    return asked is not None or reason.startswith(OURS)


def disputed(work: UnitOfWork, account: str) -> frozenset[str]:
    """Symbols of which the venue holds another number of units than the ledger, and nobody has said why."""
    start = f"{account}/"
    return frozenset(
        brake.scope.removeprefix(start)
        for brake in work.brakes()
        if brake.kind is BrakeKind.SYMBOL_BLOCKED and brake.scope.startswith(start) and brake.reason.startswith(OURS)
    )


def adopt(work: UnitOfWork, desk: Desk, question: Question, now: datetime) -> str:
    """Books what the venue holds more or less, at the newest known price; returns what was done, in words.

    Units that have changed since the question was asked are not booked over: the next look asks anew.
    """
    account, symbol = question.account, question.symbol
    position = work.portfolio(account).positions.get(symbol)
    before = position.quantity if position else ZERO
    change = question.theirs - before
    _unblock(work, account, symbol)
    if before != question.ours:
        return (
            f"Nothing was booked: the ledger held {plain(question.ours)} {symbol} when this was asked and holds "
            f"{plain(before)} by now. If both sides still differ, you are asked again with the new figures."
        )
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
    event = UnitsAdjusted(
        account, symbol, AdjustmentKind.ADOPTION.value, None, before, question.theirs, note, desk.badges(account)
    )
    work.publish(event, market_time=now)
    return f"Adopted: the ledger now holds {plain(question.theirs)} {symbol} in {account}, as the broker does."


def _unblock(work: UnitOfWork, account: str, symbol: str) -> None:
    """Lifts the block of a difference; one of another cause stays."""
    scope = f"{account}/{symbol}"
    if any(brake.scope == scope and brake.reason.startswith(OURS) for brake in work.brakes()):
        work.release_brake(BrakeKind.SYMBOL_BLOCKED, scope)


def ignore(question: Question) -> str:
    """Nothing is booked; the block stays for as long as the difference does."""
    return (
        f"Left as it is: nothing was booked, and {question.symbol} takes no entries until both sides agree. You are "
        "asked again only if the figures change."
    )


def _was_answered(work: UnitOfWork, account: str, symbol: str, ours: Decimal, theirs: Decimal) -> bool:
    """Whether the owner's last answer about the position was to leave just these figures as they are."""
    for asked in work.questions(ASKED_LATELY):
        if asked.state is QuestionState.ANSWERED and (asked.kind, asked.account, asked.symbol) == (
            QuestionKind.DIFFERENCE,
            account,
            symbol,
        ):
            same = (asked.ours, asked.theirs) == (ours, theirs)
            return same and asked.answer is QuestionChoice.IGNORE
    return False


def _words(account: str, symbol: str, ours: Decimal, theirs: Decimal) -> str:
    return (
        f"The ledger holds {plain(ours)} {symbol}, {account} holds {plain(theirs)}, and no order explains it. Adopt "
        f"books the difference, so that both agree. Ignore leaves it. Until then {symbol} takes no new entries; exits "
        "and stops go on."
    )
