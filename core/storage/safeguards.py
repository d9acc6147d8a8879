"""Guards, instructions and questions to the owner, and brakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import bindparam, delete, func, select

from core.domain.decisions import Brake, BrakeKind
from core.domain.portfolio import Guard
from core.domain.records import Instruction, Question, QuestionChoice
from core.storage import tables
from core.storage.epoch import floor_of
from core.storage.session import Session
from core.storage.statements import row_of, upsert, value_of

_G = tables.guards
_I = tables.instructions
_Q = tables.questions
_B = tables.brakes
_GUARDS = select(_G).order_by(_G.c.account, _G.c.symbol)
_SET_GUARD = upsert(_G, ("account", "symbol"))
_DROP_GUARD = delete(_G).where(_G.c.account == bindparam("of_account"), _G.c.symbol == bindparam("of_symbol"))
_LAST_NUMBER = select(func.max(_I.c.number).label("number"), floor_of(_I).label("floor"))
_SAVE_INSTRUCTION = upsert(_I, ("number",))
_INSTRUCTION = select(_I).where(_I.c.number == bindparam("of_number"))
_INSTRUCTION_OF = select(_I).where(_I.c.client_order_id == bindparam("of_id")).order_by(_I.c.number.desc()).limit(1)
_OPEN = select(_I).where(_I.c.is_open).order_by(_I.c.number)
_INSTRUCTIONS = select(_I).order_by(_I.c.number.desc()).limit(bindparam("most"))
_LAST_QUESTION = select(func.max(_Q.c.number).label("number"), floor_of(_Q).label("floor"))
_SAVE_QUESTION = upsert(_Q, ("number",))
_QUESTION = select(_Q).where(_Q.c.number == bindparam("of_number"))
_OPEN_QUESTIONS = select(_Q).where(_Q.c.is_open).order_by(_Q.c.number)
_QUESTIONS = select(_Q).order_by(_Q.c.number.desc()).limit(bindparam("most"))
_BRAKES = select(_B).order_by(_B.c.since, _B.c.kind, _B.c.scope)
_SET_BRAKE = upsert(_B, ("kind", "scope"))
_RELEASE = delete(_B).where(_B.c.kind == bindparam("of_kind"), _B.c.scope == bindparam("of_scope"))


class Safeguards(Session):
    _given_number = 0
    _given_question = 0

    def guards(self, account: str | None = None) -> Sequence[Guard]:
        """By account and symbol."""
        known = self._recalled(_G, _GUARDS, self._read_guards)
        return [guard for guard in known if account in (None, guard.account)]

    def _read_guards(self) -> list[Guard]:
        return [value_of(Guard, row) for row in self._rows(_GUARDS)]

    def set_guard(self, guard: Guard) -> None:
        self._write(_SET_GUARD, row_of(guard))

    def drop_guard(self, account: str, symbol: str) -> None:
        self._write(_DROP_GUARD, {"of_account": account, "of_symbol": symbol})

    def next_instruction_number(self) -> int:
        """Counts up from 1, after a restore from far above; asked twice in one unit of work it gives two numbers."""
        (row,) = self._rows(_LAST_NUMBER)
        self._given_number = max(row["number"] or 0, int(row["floor"] or 0), self._given_number) + 1
        return self._given_number

    def save_instruction(self, instruction: Instruction) -> None:
        """Writes a new instruction or the new version of a known one."""
        self._write(_SAVE_INSTRUCTION, row_of(instruction) | {"is_open": instruction.is_open})

    def instruction(self, number: int) -> Instruction | None:
        row = self._row(_INSTRUCTION, {"of_number": number})
        return value_of(Instruction, row) if row else None

    def instruction_of(self, client_order_id: str) -> Instruction | None:
        """The newest instruction for that order."""
        row = self._row(_INSTRUCTION_OF, {"of_id": client_order_id})
        return value_of(Instruction, row) if row else None

    def open_instructions(self) -> Sequence[Instruction]:
        """By number, the oldest first."""
        return [value_of(Instruction, row) for row in self._rows(_OPEN)]

    def instructions(self, limit: int = 20) -> Sequence[Instruction]:
        """The newest first."""
        return [value_of(Instruction, row) for row in self._rows(_INSTRUCTIONS, {"most": limit})]

    def next_question_number(self) -> int:
        """Counts up from 1; asked twice in one unit of work it gives two numbers."""
        (row,) = self._rows(_LAST_QUESTION)
        self._given_question = max(row["number"] or 0, int(row["floor"] or 0), self._given_question) + 1
        return self._given_question

    def save_question(self, question: Question) -> None:
        """Writes a new question or the new version of a known one."""
        self._write(_SAVE_QUESTION, row_of(question) | {"is_open": question.is_open})

    def question(self, number: int) -> Question | None:
        row = self._row(_QUESTION, {"of_number": number})
        return _question_of(row) if row else None

    def open_questions(self) -> Sequence[Question]:
        """By number, the oldest first."""
        return list(self._recalled(_Q, _OPEN_QUESTIONS, self._read_open_questions))

    def _read_open_questions(self) -> list[Question]:
        return [_question_of(row) for row in self._rows(_OPEN_QUESTIONS)]

    def questions(self, limit: int = 20) -> Sequence[Question]:
        """The newest first."""
        return [_question_of(row) for row in self._rows(_QUESTIONS, {"most": limit})]

    def brakes(self) -> Sequence[Brake]:
        """All that are set, lapsed ones included; the oldest first."""
        return list(self._recalled(_B, _BRAKES, self._read_brakes))

    def _read_brakes(self) -> list[Brake]:
        return [value_of(Brake, row) for row in self._rows(_BRAKES)]

    def set_brake(self, brake: Brake) -> None:
        """Replaces a brake of the same kind and scope."""
        self._write(_SET_BRAKE, row_of(brake))

    def release_brake(self, kind: BrakeKind, scope: str) -> bool:
        """False when there was none."""
        return self._write(_RELEASE, {"of_kind": kind, "of_scope": scope}).rowcount > 0

    def _forget(self) -> None:
        super()._forget()
        self._given_number = 0
        self._given_question = 0


def _question_of(row: Mapping[str, Any]) -> Question:
    answer = row["answer"]
    return replace(value_of(Question, row), answer=QuestionChoice(answer) if answer else None)
