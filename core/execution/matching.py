"""Which instruction the owner means, by number or by a symbol in his words."""

from __future__ import annotations

from collections.abc import Sequence

from core.domain.records import Instruction
from core.domain.views import AnswerKind, OwnerAnswer, ReportedFill
from core.execution.bookings import refused
from core.execution.desk import Desk
from core.ports import UnitOfWork


def same_symbol(spoken: str, symbol: str) -> bool:
    """BTC, btc-usd, BTC/USD and BTCUSD all name BTC-USD."""
    bare = spoken.strip().upper().replace("/", "-").lstrip("$")
    return bare in (symbol, symbol.removesuffix("-USD"), symbol.replace("-", ""))


def find_instruction(work: UnitOfWork, desk: Desk, fill: ReportedFill) -> Instruction | OwnerAnswer:
    """The instruction that the fill belongs to, or the answer that asks or refuses."""
    if fill.number is not None:
        return _by_number(work, fill.number, fill.symbol)
    waiting = [each for each in work.open_instructions() if not each.needs_approval and not each.is_in_app]
    fitting = [each for each in waiting if fill.symbol is None or same_symbol(fill.symbol, each.symbol)]
    fitting = [each for each in fitting if fill.side in (None, each.side)] or fitting
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        return _ask(fitting)
    return _nothing_fits(work, desk, fill)


def _by_number(work: UnitOfWork, number: int, symbol: str | None) -> Instruction | OwnerAnswer:
    instruction = work.instruction(number)
    if instruction is None:
        return refused(f"There is no instruction {number}. Nothing was booked.")
    if symbol is not None and not same_symbol(symbol, instruction.symbol):
        return refused(f"Instruction {number} is about {instruction.symbol}, not {symbol}. Nothing was booked.")
    return instruction


def _ask(fitting: Sequence[Instruction]) -> OwnerAnswer:
    numbers = ", ".join(f"{each.number} ({each.side} {each.symbol})" for each in fitting)
    text = f"More than one instruction fits: {numbers}. Say which number. Nothing was booked."
    return OwnerAnswer(AnswerKind.AMBIGUOUS, text, candidates=tuple(fitting))


def nothing_fits(work: UnitOfWork, desk: Desk, fill: ReportedFill) -> bool:
    """Whether no open instruction and no account of a broker has anything to do with what is reported."""
    fits = [each for each in work.open_instructions() if fill.symbol is None or same_symbol(fill.symbol, each.symbol)]
    return not fits and _held_elsewhere(work, desk, fill) is None


def _held_elsewhere(work: UnitOfWork, desk: Desk, fill: ReportedFill) -> str | None:
    """The symbol that is meant, where the broker's account holds it."""
    if fill.symbol is None or desk.broker_account is None:
        return None
    held = work.portfolio(desk.broker_account).positions
    return next((symbol for symbol in held if same_symbol(fill.symbol, symbol)), None)


def _nothing_fits(work: UnitOfWork, desk: Desk, fill: ReportedFill) -> OwnerAnswer:
    """Explains: an approval, a broker's account, or simply nothing open."""
    approvals = [
        each
        for each in work.open_instructions()
        if each.needs_approval and (fill.symbol is None or same_symbol(fill.symbol, each.symbol))
    ]
    if approvals:
        return refused(
            f"Instruction {approvals[0].number} waits for your approval; the broker executes it, not you. "
            "Tap Approve on its card. Nothing was booked.",
            approvals[0],
        )
    traded = _held_elsewhere(work, desk, fill)
    if traded is not None:
        return refused(
            f"{traded} is held in the account {desk.broker_account}. Fills there come from the broker itself: the "
            "next cycle compares both sides and takes over what is missing. Nothing was booked."
        )
    subject = f"for {fill.symbol}" if fill.symbol is not None else "that waits for you"
    return refused(f"There is no open instruction {subject}. A lapsed one can still be booked by its number.")
