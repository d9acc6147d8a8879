"""Cash that nothing explains: seen, asked about once it has lasted, and taken over if the owner says so (M13).

It blocks nothing: what is spent is bounded by the lesser side anyway, as a venue refuses what it cannot pay.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.events import CashBooked
from core.domain.portfolio import CashKind, CashMovement
from core.domain.records import Question, QuestionChoice, QuestionKind, QuestionState
from core.domain.values import CENT
from core.execution import questions
from core.execution.desk import Desk
from core.ports import UnitOfWork

TOLERANCE = Decimal("0.50")
"""USD. Venues round every fill to the cent and we do not; over many fills that adds up, and it is nothing to ask of."""

LASTS = timedelta(minutes=30)
"""How long the same difference must stand, by the market clock: a venue may move the money of a dividend or a fee
before it tells of it."""

DIFFERS = "cash_differs"
"""`cash_differs:<account>`: the difference that was seen last, and since when."""
ASKED_LATELY = 100


def mark(work: UnitOfWork, desk: Desk, account: str, cash: tuple[Decimal, Decimal] | None, now: datetime) -> bool:
    """`cash` is (ours, the venue's) in USD, None where nothing can be said this time. True if anything changed."""
    if cash is None:
        return False
    key, difference = f"{DIFFERS}:{account}", cash[1] - cash[0]
    stored = work.value(key)
    asked = questions.open_question(work, QuestionKind.CASH, account, "")
    if abs(difference) <= TOLERANCE:
        if asked is not None:
            questions.retire(work, desk, asked, "both sides agree again", now)
        if stored is not None:
            work.set_value(key, None)
        return asked is not None or stored is not None
    known = json.loads(stored) if stored is not None else None
    if known is None or Decimal(known["difference"]) != difference:
        if asked is not None:
            questions.retire(work, desk, asked, "the difference is another one by now", now)
        work.set_value(key, json.dumps({"difference": str(difference), "since": now.isoformat()}))
        return True
    since = datetime.fromisoformat(known["since"])
    if asked is not None or now - since < LASTS or _was_left(work, account, difference):
        return False
    ours, theirs = cash
    text = _words(account, ours, theirs, since)
    questions.ask(work, desk, QuestionKind.CASH, account, "", ours=ours, theirs=theirs, text=text, now=now)
    return True


def adopt(work: UnitOfWork, desk: Desk, question: Question, now: datetime) -> str:
    """Books the difference as money that came or went; what was traded since moved both sides alike."""
    account, difference = question.account, question.theirs - question.ours
    note = f"taken over from {account}"
    movement = CashMovement(f"adopted-{question.number}", account, CashKind.ADOPTION, difference, now, note)
    work.book(movement, recorded_at=desk.system_clock.now())
    work.set_value(f"{DIFFERS}:{account}", None)
    cash = work.portfolio(account).cash
    event = CashBooked(account, CashKind.ADOPTION.value, difference, cash, note, desk.badges(account))
    work.publish(event, market_time=now)
    return (
        f"Adopted: {difference.quantize(CENT):+,} USD are booked, and the ledger now has {cash:,.2f} USD in {account}. "
        "It counts as neither gain nor loss."
    )


def ignore(question: Question) -> str:
    """Nothing is booked; asked again only about another difference."""
    return f"Left as it is: nothing was booked. {question.account} and the ledger go on with different cash."


def _was_left(work: UnitOfWork, account: str, difference: Decimal) -> bool:
    """Whether the owner's last answer about the account's cash was to leave just this difference as it is."""
    for asked in work.questions(ASKED_LATELY):
        if asked.state is QuestionState.ANSWERED and (asked.kind, asked.account) == (QuestionKind.CASH, account):
            same = asked.theirs - asked.ours == difference
            return same and asked.answer is QuestionChoice.IGNORE
    return False


def _words(account: str, ours: Decimal, theirs: Decimal, since: datetime) -> str:
    return (
        f"The ledger has {ours:,.2f} USD in {account}, the broker says {theirs:,.2f} USD: {theirs - ours:+,.2f} USD "
        f"that nothing explains, since {since:%Y-%m-%d %H:%M} UTC. Adopt books the difference, so that both agree; it "
        "then counts as neither gain nor loss. Ignore leaves it. Trading goes on either way."
    )
