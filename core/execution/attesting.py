"""Once a week the owner is asked whether his own broker shows what the ledger says of the manual account (M15).

What he confirms is dated and stays shown until it is confirmed anew: nobody else can look into that account.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from core.domain.dust import without_dust
from core.domain.portfolio import Portfolio
from core.domain.records import Question, QuestionKind
from core.domain.values import CENT, plain
from core.execution import questions
from core.execution.desk import MANUAL, Desk
from core.ports import UnitOfWork

ATTESTED = "attested:manual"
"""When the owner last confirmed the manual account, by the market clock."""
ASKED = "attest_asked:manual"
"""When he was last asked, or when there was first something to ask about, by the system clock."""
RHYTHM = timedelta(days=7)
_MORNING = range(8, 12)
_DAYTIME = range(8, 20)
_OVERDUE = timedelta(days=10)
"""A machine that never runs in the morning asks at another hour of the day once this much time has passed."""


def ask_weekly(desk: Desk) -> str:
    """Asks in the owner's morning, by the zone he lives in now, a week after the last time; not while a question is
    open or nothing is held."""
    now = desk.system_clock.now()
    with desk.ledger() as work:
        portfolio = work.portfolio(MANUAL)
        if not _holdings(portfolio) and portfolio.cash.quantize(CENT) == 0:
            return "nothing to confirm"
        if questions.open_question(work, QuestionKind.ATTEST, MANUAL, "") is not None:
            return "asked already"
        stored = work.value(ASKED)
        if stored is not None and not _is_due(datetime.fromisoformat(stored), now, desk.zone()):
            return "not due"
        work.set_value(ASKED, now.isoformat())
        if stored is not None:
            _ask(work, desk, portfolio, desk.market_clock.now())
        work.commit("owner")
    return "asked" if stored is not None else "first seen"


def attested_at(work: UnitOfWork, account: str) -> datetime | None:
    """When the owner last confirmed the account, by the market clock."""
    stored = work.value(ATTESTED) if account == MANUAL else None
    return datetime.fromisoformat(stored) if stored else None


def matches(work: UnitOfWork, desk: Desk, question: Question, now: datetime) -> str:
    """Records the confirmation; where the books have changed since the question, what was looked at is out of date and
    the question is asked anew."""
    portfolio = work.portfolio(MANUAL)
    if _words(portfolio) != question.text:
        _ask(work, desk, portfolio, now)
        return "The books have changed since I asked, so nothing was noted. A new card asks with the new figures."
    work.set_value(ATTESTED, now.isoformat())
    return f"Noted: your broker shows the same. The manual account counts as confirmed on {now:%Y-%m-%d %H:%M} UTC."


def differs() -> str:
    """Every way to put the books right; nothing is changed by the answer itself."""
    return (
        "Then let us find it; nothing was changed. A trade that is missing: /bought or /sold. Other figures: /correct. "
        "A booking too many: /undo. Other money: /deposit, /withdraw, /dividend, /interest, /fee, or /cash "
        "with what is really there. More or fewer shares for one: /split. I ask again next week."
    )


def _is_due(last: datetime, now: datetime, zone: ZoneInfo) -> bool:
    waited, hour = now - last, now.astimezone(zone).hour
    # The asking of last week was in the same hours: a day counts as over in its morning, not 24 hours later.
    if waited >= RHYTHM - timedelta(hours=4) and hour in _MORNING:
        return True
    return waited >= _OVERDUE and hour in _DAYTIME


def _ask(work: UnitOfWork, desk: Desk, portfolio: Portfolio, now: datetime) -> None:
    cash = portfolio.cash
    text = _words(portfolio)
    questions.ask(work, desk, QuestionKind.ATTEST, MANUAL, "", ours=cash, theirs=cash, text=text, now=now)


def _holdings(portfolio: Portfolio) -> list[str]:
    held = without_dust(portfolio.positions)
    return [f"{plain(held[symbol].quantity)} {symbol}" for symbol in sorted(held)]


def _words(portfolio: Portfolio) -> str:
    shown = [*_holdings(portfolio), f"{portfolio.cash:,.2f} USD in cash"]
    listed = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    return f"Does your broker show {listed}? Nobody but you can look there."
