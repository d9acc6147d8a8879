"""What the owner can do and ask (core.ports.Owner). Every deed is idempotent by its `tap` and is audited."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.domain.accounts import Mode
from core.domain.decisions import Brake, BrakeKind, Prediction, Reasons, Signal
from core.domain.events import ClosedForecast, DailyReport, ModeChanged
from core.domain.orders import OrderState
from core.domain.records import Instruction, InstructionState
from core.domain.values import ZERO
from core.domain.views import AnswerKind, OwnerAnswer, PositionsView, ReportedFill, StatusView
from core.execution import approvals, away, executor, fallback, in_app, manual, reported, views
from core.execution.bookings import Execution, refused
from core.execution.desk import MODE_KEY
from core.execution.owner_cards import OwnerCards
from core.execution.reasons import reasons_of
from core.execution.trade_forecasts import closed_of
from core.ports import UnitOfWork

EVERYTHING = "*"


class OwnerDesk(OwnerCards):
    """The owner's side of the engine. Deeds run in the writer; pause and resume may run in any thread."""

    def status(self) -> StatusView:
        return views.status(self._desk)

    def positions(self) -> PositionsView:
        return views.positions(self._desk)

    def pending(self) -> Sequence[Instruction]:
        with self._desk.reading() as work:
            return tuple(work.open_instructions())

    def report(self) -> DailyReport:
        return views.report(self._desk, self._desk.market_clock.now())

    def present(self) -> bool:
        return away.present(self._desk)

    def signals(self) -> Sequence[Signal]:
        """In the order in which the instruments are listed; what is not traded any more comes last."""
        with self._desk.reading() as work:
            newest = work.last_signals()
        listed = [each.symbol for each in self._desk.instruments if each.symbol in newest]
        return tuple(newest[symbol] for symbol in (*listed, *sorted(newest.keys() - set(listed))))

    def reasons(self, prediction: Prediction) -> Reasons | None:
        with self._desk.reading() as work:
            return reasons_of(work, prediction)

    def closed_trades(self, symbol: str) -> Sequence[ClosedForecast]:
        with self._desk.reading() as work:
            return closed_of(work, symbol)

    def pause(self, until: datetime | None, by: str) -> OwnerAnswer:
        """No new entries until `until` by the market clock, or until resume. Exits go on."""
        now = self._desk.market_clock.now()
        with self._desk.committing("owner") as work:
            standing = _pause_brake(work, now)
            if standing is not None and standing.until == until:
                return OwnerAnswer(AnswerKind.UNCHANGED, "New entries are paused already.")
            work.set_brake(Brake(BrakeKind.PAUSED, EVERYTHING, f"paused by {by}", now, until))
            work.publish(ModeChanged(self._desk.mode(work), True, until, by), market_time=now)
            self._audit(work, by, "pause", f"until {until.isoformat()}" if until else "until resumed")
        return OwnerAnswer(AnswerKind.DONE, "Paused: no new entries. Open positions stay guarded and exits go on.")

    def resume(self, by: str) -> OwnerAnswer:
        now = self._desk.market_clock.now()
        with self._desk.committing("owner") as work:
            if not work.release_brake(BrakeKind.PAUSED, EVERYTHING):
                return OwnerAnswer(AnswerKind.UNCHANGED, "New entries were not paused.")
            work.publish(ModeChanged(self._desk.mode(work), False, None, by), market_time=now)
            self._audit(work, by, "resume", "entries allowed")
        return OwnerAnswer(AnswerKind.DONE, "Resumed: new entries are allowed again.")

    def set_mode(self, mode: Mode, by: str) -> OwnerAnswer:
        """Automatic and confirmed execution need a broker; without one they are refused."""
        now = self._desk.market_clock.now()
        if self._desk.broker_account is None and mode in (Mode.AUTO, Mode.CONFIRM):
            why = (
                "No broker is connected" if self._desk.real_money is None else "Real money is not allowed (/realmoney)"
            )
            return refused(f"{why}, so mode {mode} is out of reach: manual and observe are possible.")
        with self._desk.committing("owner") as work:
            if self._desk.chosen_mode(work) is mode:
                return OwnerAnswer(AnswerKind.UNCHANGED, f"The mode is {mode} already.")
            work.set_value(MODE_KEY, mode.value)
            brake = _pause_brake(work, now)
            until = brake.until if brake else None
            held = fallback.standing(work, self._desk)
            work.publish(ModeChanged(mode, brake is not None, until, by, held.account if held else ""), market_time=now)
            self._audit(work, by, f"mode {mode}", "set")
        return OwnerAnswer(AnswerKind.DONE, f"The mode is now {mode}.")

    def execute(self, number: int, version: int, tap: str) -> OwnerAnswer:
        """Books what is left of the instruction at the shown price, or approves it where it asks for approval."""
        now = self._desk.market_clock.now()
        with self._desk.ledger() as work:
            instruction = self._current(work, number, version, tap)
            if isinstance(instruction, OwnerAnswer):
                return approvals.answered_again(instruction)
            if instruction.is_in_app:
                answer = in_app.done(work, self._desk, instruction, now)
                self._audit(work, "owner", f"done {number}", answer.text)
            elif instruction.needs_approval:
                answer = approvals.approve(work, self._desk, instruction, now)
                self._audit(work, "owner", f"approve {number}", answer.text)
            else:
                order = work.order(instruction.client_order_id)
                left = order.remaining if order is not None else instruction.quantity
                key = f"card:{number}:{version}"
                execution = Execution(key, left, instruction.price, ZERO, now)
                answer = reported.book_execution(work, self._desk, instruction, execution, now)
            if answer.kind not in (AnswerKind.DONE, AnswerKind.STALE):
                return answer
            self._commit(work)
        self._after_commit()
        approved = instruction.needs_approval and answer.kind is AnswerKind.DONE
        return self._send_approved(answer, now) if approved else answer

    def skip(self, number: int, version: int, tap: str) -> OwnerAnswer:
        now = self._desk.market_clock.now()
        with self._desk.ledger() as work:
            instruction = self._current(work, number, version, tap)
            if isinstance(instruction, OwnerAnswer):
                return instruction
            answer = self._skipped(work, instruction, now)
            self._audit(work, "owner", f"skip {number}", "skipped")
            self._commit(work)
        self._after_commit()
        return answer

    def _skipped(self, work: UnitOfWork, instruction: Instruction, now: datetime) -> OwnerAnswer:
        if instruction.is_in_app:
            return in_app.cannot(work, self._desk, instruction, now)
        settled = manual.lapse(
            work, self._desk, instruction, InstructionState.SKIPPED, OrderState.CANCELED, "skipped by you", now
        )
        return OwnerAnswer(AnswerKind.DONE, f"Instruction {instruction.number} is skipped.", settled)

    def report_fill(self, fill: ReportedFill, tap: str) -> OwnerAnswer:
        """Books a fill in the owner's words, in the manual account only; a lapsed instruction by its number."""
        now = self._desk.market_clock.now()
        with self._desk.ledger() as work:
            if work.seen_tap(tap, self._desk.system_clock.now()):
                return OwnerAnswer(AnswerKind.UNCHANGED, "That fill is booked already.")
            answer = reported.report(work, self._desk, fill, tap, now)
            if answer.kind is not AnswerKind.DONE:
                return answer
            self._commit(work)
        self._after_commit()
        return answer

    def _send_approved(self, answer: OwnerAnswer, now: datetime) -> OwnerAnswer:
        """A committed approval goes out; the card is edited with what the broker said."""
        assert answer.instruction is not None
        with self._desk.reading() as work:
            order = work.order(answer.instruction.client_order_id)
        if order is None or order.state is not OrderState.SUBMITTING:
            return answer
        sent = executor.submit(self._desk, order, now)
        told = approvals.outcome_words(sent)
        return OwnerAnswer(answer.kind, f"{answer.text[:-1]}; {told}", answer.instruction)


def _pause_brake(work: UnitOfWork, now: datetime) -> Brake | None:
    return next((brake for brake in work.brakes() if brake.kind is BrakeKind.PAUSED and brake.holds(now)), None)
