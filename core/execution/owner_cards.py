"""The owner before a card that he has not answered yet (core.ports.Deliberation): what he may change, why it came."""

from __future__ import annotations

from dataclasses import replace

from core.domain.events import InstructionIssued
from core.domain.records import Instruction
from core.domain.views import AnswerKind, CardOffer, CardWish, Explanation, OwnerAnswer
from core.execution import changing, manual
from core.execution.bookings import LAPSED, refused
from core.execution.owner_hand import OwnerHand
from core.execution.reasons import reasons_of
from core.ports import UnitOfWork


class OwnerCards(OwnerHand):
    """Changes run in the writer; the questions read beside it."""

    def offer(self, number: int) -> CardOffer | None:
        with self._desk.reading() as work:
            instruction = work.instruction(number)
            if instruction is None or self._is_over(instruction):
                return None
            return changing.offer_of(work, self._desk, instruction)

    def card(self, number: int) -> InstructionIssued | None:
        with self._desk.reading() as work:
            instruction = work.instruction(number)
            if instruction is None or not instruction.is_open or self._is_over(instruction):
                return None
            order = work.order(instruction.client_order_id)
            limit = order.limit_price if order is not None else None
            card = manual.card_of(work, instruction, self._desk)
            return replace(card, proposed=changing.proposal_of(work, instruction), limit_price=limit)

    def change(self, number: int, version: int, wish: CardWish, tap: str) -> OwnerAnswer:
        now = self._desk.market_clock.now()
        with self._desk.ledger() as work:
            instruction = self._current(work, number, version, tap)
            if isinstance(instruction, OwnerAnswer):
                return instruction
            answer = changing.change(work, self._desk, instruction, wish, now)
            if answer.kind is not AnswerKind.DONE:
                return answer
            self._audit(work, "owner", f"change {number}", answer.text)
            self._commit(work)
        self._after_commit()
        return answer

    def explain(self, number: int) -> Explanation | None:
        with self._desk.reading() as work:
            instruction = work.instruction(number)
            if instruction is None:
                return None
            order = work.order(instruction.client_order_id)
            signal = work.signal_behind(order) if order is not None else None
            made = signal.prediction if signal is not None else None
            return Explanation(instruction, signal, self._desk.badges(instruction.account), reasons_of(work, made))

    def _current(self, work: UnitOfWork, number: int, version: int, tap: str) -> Instruction | OwnerAnswer:
        """The instruction that the button means, unless it was tapped before or has changed since."""
        instruction = work.instruction(number)
        if instruction is None:
            return refused(f"There is no instruction {number}.")
        if work.seen_tap(tap, self._desk.system_clock.now()):
            text = f"That was done already: instruction {number} is {instruction.state}."
            return OwnerAnswer(AnswerKind.UNCHANGED, text, instruction)
        if instruction.version == version and instruction.is_open and not self._is_over(instruction):
            return instruction
        state = "expired" if self._is_over(instruction) else instruction.state.value
        if instruction.is_open and state != "expired":
            state = f"another version ({instruction.version})"
        text = f"This button is out of date: instruction {number} is {state} by now. Nothing was changed."
        if instruction.state in LAPSED and not instruction.needs_approval:
            text += f" If you did trade, report it: /executed #{number}"
        return OwnerAnswer(AnswerKind.STALE, text, instruction)

    def _is_over(self, instruction: Instruction) -> bool:
        """Expired by the system clock though the job that says so has not run yet."""
        expires = instruction.expires_at
        return instruction.is_open and expires is not None and expires <= self._desk.system_clock.now()
