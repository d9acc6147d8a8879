"""The stop of a manual position lies with the owner: he is asked to place it, and his word is remembered."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from core.domain.portfolio import Guard, GuardKind
from core.domain.records import Question, QuestionChoice, QuestionKind
from core.domain.values import plain
from core.execution import questions
from core.execution.desk import Desk
from core.ports import UnitOfWork

ASKED_LATELY = 200
"""How many of the newest questions are searched for one about the same stop."""


def ask_for_stops(work: UnitOfWork, desk: Desk, account: str, now: datetime) -> bool:
    """One open question for every manual position whose stop the owner has not spoken of, and none for any other;
    True if anything changed."""
    if not desk.account(account).is_manual:
        return False
    positions = work.portfolio(account).positions
    guards = {guard.symbol: guard for guard in work.guards(account) if guard.kind is GuardKind.OWNER}
    changed = False
    for asked in work.open_questions():
        if (asked.kind, asked.account) == (QuestionKind.PLACE_STOP, account) and asked.symbol not in guards:
            questions.retire(work, desk, asked, "the position is gone; cancel a stop that is still there", now)
            changed = True
    for symbol, guarded in sorted(guards.items()):
        held = positions[symbol].quantity if symbol in positions else None
        if held is None or held <= 0:
            continue
        last = _last_asked(work, guarded)
        guard = _still_right(work, guarded, last, held)
        if guard.placed_at is not None or _cannot(last, guard, held):
            continue
        before = questions.open_question(work, QuestionKind.PLACE_STOP, account, symbol)
        asked = questions.ask(
            work,
            desk,
            QuestionKind.PLACE_STOP,
            account,
            symbol,
            ours=held,
            theirs=held,
            stop=guard.stop,
            target=guard.target,
            text=_words(guard, plain(held), last),
            now=now,
        )
        changed |= asked != before
    return changed


def placed(work: UnitOfWork, question: Question, now: datetime) -> str:
    """The owner's broker guards the position from now on, as he says."""
    guard = _guard_of(work, question)
    if guard is None or guard.stop != question.stop:
        return f"{question.symbol}: the levels have changed since; a newer card has the right ones."
    work.set_guard(replace(guard, placed_at=now))
    return (
        f"Noted: your stop for {question.symbol} at {guard.stop:f} USD rests at your broker. Before a sale at the "
        "target I remind you to cancel it."
    )


def cannot_place(question: Question) -> str:
    """Only an alert is left: said as plainly as it is."""
    return (
        f"Noted: no stop rests for {question.symbol}. I watch the price and tell you at once when {question.stop:f} "
        "USD is reached; between my message and your sale nobody protects the position."
    )


def _last_asked(work: UnitOfWork, guard: Guard) -> Question | None:
    """The newest question about the position's stop."""
    return next(
        (
            asked
            for asked in work.questions(ASKED_LATELY)
            if (asked.kind, asked.account, asked.symbol) == (QuestionKind.PLACE_STOP, guard.account, guard.symbol)
        ),
        None,
    )


def _still_right(work: UnitOfWork, guard: Guard, last: Question | None, held: Decimal) -> Guard:
    """A stop that the owner placed for another number of units would sell too many, or too few: it counts no more."""
    if guard.placed_at is None or last is None or last.ours == held:
        return guard
    outgrown = replace(guard, placed_at=None)
    work.set_guard(outgrown)
    return outgrown


def _cannot(last: Question | None, guard: Guard, held: Decimal) -> bool:
    """Whether the owner has said that he cannot place just this stop for just so many units."""
    same = last is not None and (last.stop, last.ours) == (guard.stop, held)
    return same and last is not None and last.answer is QuestionChoice.CANNOT


def _guard_of(work: UnitOfWork, question: Question) -> Guard | None:
    return next((each for each in work.guards(question.account) if each.symbol == question.symbol), None)


def _words(guard: Guard, units: str, last: Question | None) -> str:
    placed = last is not None and last.answer is QuestionChoice.PLACED
    first = "Cancel the former stop first, if it is still there. " if placed else ""
    return (
        f"Place this stop at your broker now: sell {units} {guard.symbol} if the price falls to {guard.stop:f} USD, "
        f"good till cancelled. {first}The target is {guard.target:f} USD; I tell you when it is reached."
    )
