"""The owner's hand on what holds trading back (core.ports.Safekeeping): answers, brakes, selling everything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.domain.accounts import Mode
from core.domain.decisions import Brake, BrakeKind
from core.domain.orders import OrderState, Purpose
from core.domain.real_money import RealMoneyView
from core.domain.records import CHOICES, Question, QuestionChoice, QuestionKind
from core.domain.views import AnswerKind, OwnerAnswer
from core.execution import (
    account_truth,
    attesting,
    cash_differences,
    differences,
    foreign,
    locks,
    own_sales,
    owner_guards,
    questions,
)
from core.execution.bookings import refused
from core.execution.desk import Desk
from core.execution.exits import withdraw
from core.execution.owner_drafts import OwnerDrafts
from core.execution.protect import protect, refresh_guards
from core.execution.reconcile import reconcile
from core.execution.venue_state import state_of
from core.execution.watch import look_after
from core.ports import UnitOfWork


def _withdraw_entries(desk: Desk, account: str, now: datetime) -> int:
    """Cancels the purchases that wait at the account's venue; returns how many may still be there."""
    with desk.reading() as work:
        entries = [
            order
            for order in work.live_orders(account)
            if order.purpose is Purpose.ENTRY and order.state is not OrderState.AWAITING_OWNER
        ]
    if account not in desk.brokers or not entries:
        return len(entries)
    return len(withdraw(desk, entries, now, reason="real money is not allowed any more"))


class OwnerSafe(OwnerDrafts):
    """Answers and exits run in the writer; `unlock` and `flatten` commit at once, in any thread."""

    def questions(self) -> Sequence[Question]:
        with self._desk.reading() as work:
            return tuple(work.open_questions())

    def answer(self, number: int, version: int, choice: QuestionChoice, tap: str) -> OwnerAnswer:
        """What the owner chose, done in one transaction; an older card changes nothing and says so."""
        now = self._desk.market_clock.now()
        with self._desk.ledger() as work:
            question = work.question(number)
            if question is None:
                return refused(f"There is no question Q{number}.")
            if work.seen_tap(tap, self._desk.system_clock.now()):
                return OwnerAnswer(AnswerKind.UNCHANGED, f"Q{number} has your answer already.")
            if question.version != version or not question.is_open:
                text = f"This button is out of date: Q{number} is {question.state} by now. Nothing was changed."
                return OwnerAnswer(AnswerKind.STALE, text)
            if choice not in CHOICES[question.kind]:
                return refused(f"Q{number} cannot be answered with {choice.value.replace('_', ' ')}.")
            told = self._effect(work, question, choice, now)
            questions.answered(work, self._desk, question, choice, told, now)
            self._audit(work, "owner", f"answer Q{number}", choice.value)
            self._commit(work)
        self._after_commit()
        return OwnerAnswer(AnswerKind.DONE, told)

    def locks(self) -> Sequence[Brake]:
        return locks.locks(self._desk)

    def unlock(self, kind: BrakeKind, scope: str, by: str) -> OwnerAnswer:
        return locks.unlock(self._desk, kind, scope, by)

    def flatten(self, by: str) -> OwnerAnswer:
        return locks.flatten(self._desk, by)

    def exit_all(self) -> OwnerAnswer:
        """Sells what a standing flatten asks for; what cannot be sold now is tried again every minute."""
        desk = self._desk
        now = desk.market_clock.now()
        with desk.reading() as work:
            sendable = frozenset(account for account in desk.venues() if not state_of(work, account).is_fallen)
        sold = look_after(desk, now, f"flatten {now.isoformat()}", sendable).sold
        parts = [
            f"{count} {what}"
            for count, what in (
                (sold.sent, "sales sent to the broker; outside market hours they wait for the open"),
                (sold.instructed, "sales wait for your hand"),
                (sold.waiting, "positions wait for the broker to let go of a resting order; I try again every minute"),
            )
            if count
        ]
        return OwnerAnswer(AnswerKind.DONE, ("; ".join(parts) or "There is nothing left to sell") + ".")

    def chosen_mode(self) -> Mode:
        with self._desk.reading() as work:
            return self._desk.chosen_mode(work)

    def real_money(self) -> RealMoneyView | None:
        gate = self._desk.real_money
        return gate.view(self._desk) if gate is not None else None

    def allow_real_money(self, number: str, by: str) -> OwnerAnswer:
        desk = self._desk
        if desk.real_money is None:
            return refused("There is no live account: ALPACA_PAPER and the keys of Alpaca are set on the server.")
        answer = desk.real_money.allow(desk, number, by)
        if answer.kind is AnswerKind.DONE:
            now = desk.market_clock.now()
            protect(desk, now, reconcile(desk, now).reachable)
        return answer

    def stop_real_money(self, by: str) -> OwnerAnswer:
        desk = self._desk
        if desk.real_money is None:
            return refused("There is no live account.")
        now = desk.market_clock.now()
        # Nobody will see it fill, so it must not go on working there.
        answer = desk.real_money.withdraw(desk, by, left=_withdraw_entries(desk, desk.real_money.account, now))
        protect(desk, now)
        return answer

    def _effect(self, work: UnitOfWork, question: Question, choice: QuestionChoice, now: datetime) -> str:
        if question.kind is QuestionKind.PLACE_STOP:
            if choice is QuestionChoice.PLACED:
                return owner_guards.placed(work, question, now)
            return owner_guards.cannot_place(question)
        if question.kind is QuestionKind.TAKE_OVER:
            return foreign.take_over(work, question) if choice is QuestionChoice.TAKE_OVER else foreign.leave(question)
        if question.kind is QuestionKind.OWN_SALE:
            return own_sales.give_up(work, question) if choice is QuestionChoice.CANCEL else own_sales.leave(question)
        if question.kind is QuestionKind.ATTEST:
            if choice is QuestionChoice.DIFFERS:
                return attesting.differs()
            return attesting.matches(work, self._desk, question, now)
        return self._effect_at_broker(work, question, choice, now)

    def _effect_at_broker(self, work: UnitOfWork, question: Question, choice: QuestionChoice, now: datetime) -> str:
        if question.kind is QuestionKind.CASH:
            if choice is QuestionChoice.IGNORE:
                return cash_differences.ignore(question)
            return cash_differences.adopt(work, self._desk, question, now)
        if question.kind is QuestionKind.NEW_ACCOUNT:
            if choice is QuestionChoice.IGNORE:
                return account_truth.ignore(question)
            return account_truth.fresh_start(work, self._desk, question, now)
        if choice is QuestionChoice.IGNORE:
            return differences.ignore(question)
        told = differences.adopt(work, self._desk, question, now)
        refresh_guards(work, self._desk, question.account, now, seen_now=False)
        return told
