"""The owner's hand on a position (core.ports.Steering): sell it, move its levels."""

from __future__ import annotations

from decimal import Decimal

from core.domain.records import AuditRecord
from core.domain.values import plain
from core.domain.views import AnswerKind, OwnerAnswer
from core.execution import closing, levels
from core.execution.matching import same_symbol
from core.execution.owner_safe import OwnerSafe
from core.execution.wanted import wanted
from core.execution.watch import guard

_PASSES = 2
"""A resting order is moved in the first, or cancelled and its successor placed, which is seen in the second."""


class OwnerHand(OwnerSafe):
    """Runs in the writer. Everything here is safe to repeat; a repeated `tap` sells nothing more."""

    def close(self, symbol: str, fraction: Decimal, by: str, tap: str) -> OwnerAnswer:
        answer = closing.close(self._desk, symbol, fraction, tap, self._desk.market_clock.now())
        if answer.kind is not AnswerKind.UNCHANGED:
            self._note(by, f"close {symbol} {plain(fraction)}", answer)
        return answer

    def move_levels(self, symbol: str, stop: Decimal | None, target: Decimal | None, by: str, tap: str) -> OwnerAnswer:
        desk = self._desk
        answer = levels.move(desk, symbol, levels.Move(stop, target), by, tap, desk.market_clock.now())
        if answer.kind is not AnswerKind.DONE:
            return answer
        for _ in range(_PASSES):
            guard(desk, desk.market_clock.now())
        with desk.reading() as work:
            waiting = {place.partition("/")[2] for place in wanted(work)}
        if not any(same_symbol(symbol, each) for each in waiting):
            return answer
        late = "The broker has not confirmed the new order yet: I watch the new levels, and try again every minute."
        return OwnerAnswer(answer.kind, f"{answer.text}\n{late}")

    def _note(self, by: str, action: str, answer: OwnerAnswer) -> None:
        with self._desk.committing("owner") as work:
            work.audit(AuditRecord(self._desk.system_clock.now(), by, action, answer.text[:200]))
