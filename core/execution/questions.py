"""Questions that only the owner can settle: asked once, renewed when the facts change, withdrawn with their cause.

Everything here happens in the caller's transaction; `now` by the market clock.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from core.domain.events import QuestionAsked, QuestionSettled
from core.domain.records import CHOICES, Question, QuestionChoice, QuestionKind, QuestionState
from core.execution.desk import Desk
from core.ports import UnitOfWork


def ask(
    work: UnitOfWork,
    desk: Desk,
    kind: QuestionKind,
    account: str,
    symbol: str,
    *,
    ours: Decimal,
    theirs: Decimal,
    stop: Decimal | None = None,
    target: Decimal | None = None,
    text: str,
    now: datetime,
) -> Question:
    """The open question of that kind, account and symbol: the one that stands, or a new one where the facts differ."""
    standing = open_question(work, kind, account, symbol)
    facts = (ours, theirs, stop, target, text)
    if standing is not None:
        if facts == (standing.ours, standing.theirs, standing.stop, standing.target, standing.text):
            return standing
        retire(work, desk, standing, "a newer question has taken its place", now)
    number = work.next_question_number()
    version = desk.namespace.first_version
    question = Question(number, version, kind, account, symbol, ours, theirs, stop, target, text, now)
    work.save_question(question)
    work.publish(_asked(question, desk), market_time=now)
    return question


def open_question(work: UnitOfWork, kind: QuestionKind, account: str, symbol: str) -> Question | None:
    wanted = (kind, account, symbol)
    return next((each for each in work.open_questions() if (each.kind, each.account, each.symbol) == wanted), None)


def retire(work: UnitOfWork, desk: Desk, question: Question, detail: str, now: datetime) -> None:
    """The cause is gone: the card says so and asks no more."""
    _settle(work, desk, replace(question, state=QuestionState.OBSOLETE), "needs no answer", detail, now)


def answered(
    work: UnitOfWork, desk: Desk, question: Question, choice: QuestionChoice, detail: str, now: datetime
) -> Question:
    """The owner has chosen; returns the question as it now stands. Raises ValueError for a choice it does not offer."""
    if choice not in CHOICES[question.kind]:
        raise ValueError(f"question {question.number} ({question.kind}) has no choice {choice}")
    settled = replace(question, state=QuestionState.ANSWERED, answer=choice, answered_at=now)
    return _settle(work, desk, settled, choice.value.replace("_", " "), detail, now)


def _settle(work: UnitOfWork, desk: Desk, question: Question, outcome: str, detail: str, now: datetime) -> Question:
    settled = replace(question, version=question.version + 1)
    work.save_question(settled)
    event = QuestionSettled(
        settled.number, outcome, detail, settled.account, settled.symbol, desk.badges(settled.account)
    )
    work.publish(event, market_time=now)
    return settled


def _asked(question: Question, desk: Desk) -> QuestionAsked:
    first, second = CHOICES[question.kind]
    return QuestionAsked(
        number=question.number,
        version=question.version,
        kind=question.kind.value,
        choices=(first.value, second.value),
        account=question.account,
        symbol=question.symbol,
        ours=question.ours,
        theirs=question.theirs,
        stop=question.stop,
        target=question.target,
        text=question.text,
        badges=desk.badges(question.account),
    )
