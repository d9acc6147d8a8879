"""The owner's own bookings in the manual account (core.ports.Bookkeeping). Nothing booked is ever changed: every change
is one more entry, in one transaction with what follows from it.

Equity is derived from the entries that stand. A reversed deposit or withdrawal is therefore an opposite flow of the day
on which it is taken back, and leaves returns untouched; a reversed or corrected trade, dividend or fee changes equity
without a flow, so that its difference shows as a result of that day: the days before have been reported as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from core.domain.portfolio import CashKind, CashMovement
from core.domain.records import AuditRecord
from core.domain.values import CENT, ZERO, plain
from core.domain.views import AnswerKind, Correction, OwnerAnswer, OwnTrade
from core.execution import manual, own_bookings, taking_back
from core.execution.bookings import digest, refused
from core.execution.desk import MANUAL, Desk
from core.ports import UnitOfWork


class OwnerBooks:
    """Runs in the writer. Every deed happens once per `tap` and is audited; a refused one leaves no trace."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def declare_cash(self, amount: Decimal, by: str, tap: str) -> OwnerAnswer:
        """Books what is missing so that the manual account's cash equals `amount` USD."""

        def declare(work: UnitOfWork, now: datetime) -> OwnerAnswer:
            if not amount.is_finite() or amount < 0:
                return refused("Cash cannot be below zero. Nothing was booked.")
            declared = amount.quantize(CENT)
            missing = declared - work.portfolio(MANUAL).cash
            if missing == ZERO:
                return OwnerAnswer(AnswerKind.UNCHANGED, f"The manual account holds {declared:.2f} USD already.")
            own_bookings.open_account(work, self._desk)
            kind = CashKind.DEPOSIT if missing > 0 else CashKind.WITHDRAWAL
            movement = CashMovement(f"declared-{digest(tap)}", MANUAL, kind, missing, now, f"declared by {by}")
            work.book(movement, recorded_at=self._desk.system_clock.now())
            return OwnerAnswer(AnswerKind.DONE, f"The manual account now holds {declared:.2f} USD, as you declared.")

        return self._once(by, f"cash {amount}", tap, declare)

    def book_cash(self, kind: CashKind, amount: Decimal, note: str, by: str, tap: str) -> OwnerAnswer:
        """A movement of money in the manual account. `amount` is above zero, USD; the kind says which way it went."""
        return self._once(
            by,
            f"book {kind} {amount}",
            tap,
            lambda work, now: own_bookings.cash(work, self._desk, kind, amount, note, tap, now),
        )

    def book_split(self, symbol: str, ratio: Decimal, by: str, tap: str) -> OwnerAnswer:
        """`ratio` new units for one old one in the manual account: units, guard and open cards follow."""
        return self._once(
            by,
            f"book split {symbol} {ratio}",
            tap,
            lambda work, now: own_bookings.split(work, self._desk, symbol, ratio, tap, now),
        )

    def book_trade(self, trade: OwnTrade, by: str, tap: str) -> OwnerAnswer:
        """A trade in the manual account that the engine did not propose.

        Positions follow from the order of booking; a trade of an earlier time is booked now, with its own time.
        """
        return self._once(
            by,
            f"book {trade.side} {plain(trade.quantity)} {trade.symbol}",
            tap,
            lambda work, now: own_bookings.trade(work, self._desk, trade, tap, now),
        )

    def undo(self, by: str, tap: str) -> OwnerAnswer:
        """Takes back the newest booking or correction of the manual account that still counts."""
        return self._once(by, "undo", tap, lambda work, now: taking_back.undo(work, self._desk, tap, now))

    def correct(self, correction: Correction, by: str, tap: str) -> OwnerAnswer:
        """Takes back a booked fill and books it anew with the figures given, in the same place of the record."""
        return self._once(
            by,
            f"correct {correction.fill_id or 'the newest fill'}",
            tap,
            lambda work, now: taking_back.correct(work, self._desk, correction, tap, now),
        )

    def _once(self, by: str, action: str, tap: str, deed: Callable[[UnitOfWork, datetime], OwnerAnswer]) -> OwnerAnswer:
        """Does and commits `deed` unless it was done before; whatever it answers but DONE changes nothing."""
        now = self._desk.market_clock.now()
        with self._desk.ledger() as work:
            if work.seen_tap(tap, self._desk.system_clock.now()):
                return OwnerAnswer(AnswerKind.UNCHANGED, "That was done already.")
            answer = deed(work, now)
            if answer.kind is not AnswerKind.DONE:
                return answer
            self._audit(work, by, action, answer.text)
            self._commit(work)
        self._after_commit()
        return answer

    def _audit(self, work: UnitOfWork, actor: str, action: str, outcome: str) -> None:
        work.audit(AuditRecord(self._desk.system_clock.now(), actor, action, outcome))

    def _commit(self, work: UnitOfWork) -> None:
        work.commit("owner")

    def _after_commit(self) -> None:
        manual.write_manual_trades(self._desk)
